"""``/profile``: another set of settings, for this run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.config.config_file import FILE_NAME, profile_place
from chatcli.config.parsers import NO_PROFILE
from chatcli.config.profiles import read_profiles
from chatcli.config.suggestions import did_you_mean
from chatcli.core.errors import UsageError
from chatcli.render.text_columns import sentences, table
from chatcli.repl.commands.command import Choice, Command

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chatcli.config.profiles import Profile
    from chatcli.config.settings import Settings
    from chatcli.repl.repl_session import ReplSession

_SETTLED_AT_THE_START: Final = ("save", "plain")


async def _run(repl: ReplSession, argument: str) -> None:
    if argument:
        await take_profile(repl, argument)
    else:
        _list(repl, read_profiles(repl.world.paths))


async def take_profile(repl: ReplSession, name: str) -> None:
    """Take the profile ``name`` for this run, ``none`` for none. Raise a ``ChatcliError`` and change nothing."""
    profiles = read_profiles(repl.world.paths)
    if name != NO_PROFILE and name not in profiles:
        hint = f"add a table [profiles.{name}] to {FILE_NAME}"
        if profiles:
            hint = did_you_mean(name, profiles, "profiles")
        raise UsageError(f"there is no profile {name}", hint=hint)
    said = profiles[name].table if name in profiles else {}
    before = repl.settings
    # What was changed before counts no more where the profile says something of it: it is what was said last.
    await repl.change(**{**dict.fromkeys(said), "profile": name})
    _change_system(repl, before)
    if repl.frontend.draws:
        await repl.theme.settle()
    called = "no profile" if name == NO_PROFILE else f"profile {name}"
    repl.frontend.remark(
        f"model: {repl.chat.turns.connected.model_name} at {repl.chat.turns.connected.endpoint.name} ({called})"
    )
    _tell_what_does_not_follow(repl, said, before)


def _spoken(row: tuple[str, ...]) -> tuple[str, ...]:
    mark, name, *facts = row
    return (name, "in use" if mark else "", *facts)


def _list(repl: ReplSession, profiles: Mapping[str, Profile]) -> None:
    rows = [
        (
            "→" if profile.name == repl.settings.profile else "",
            profile.name,
            profile.model,
            profile.host,
            profile.system_beginning,
        )
        for profile in profiles.values()
    ]
    if rows:
        repl.frontend.say(
            sentences(map(_spoken, rows)) if repl.settings.plain else table(rows, repl.frontend.columns())
        )
        repl.frontend.remark(f"/profile NAME uses one for this run, /profile {NO_PROFILE} uses none")
    else:
        path = repl.world.paths.config / FILE_NAME
        repl.frontend.remark(f"there are no profiles; a table [profiles.NAME] in {path} makes one")


def _change_system(repl: ReplSession, before: Settings) -> None:
    """Let the system prompt follow the profile: its own comes, and that of the profile before goes.

    A prompt the conversation was given otherwise stays where the new profile has none.
    """
    chat, wished = repl.chat, repl.settings.system or ""
    came_with_profile = _is_of_profile(before) and chat.opened.system == (before.system or None)
    if (_is_of_profile(repl.settings) or came_with_profile) and wished != (chat.opened.system or ""):
        chat.opened.set_system(wished)


def _is_of_profile(settings: Settings) -> bool:
    return settings.profile is not None and settings.origin("system") == profile_place(settings.profile)


def _tell_what_does_not_follow(repl: ReplSession, said: Mapping[str, object], before: Settings) -> None:
    if repl.wish.embedded and "base_url" in said:
        repl.frontend.remark("still using the built-in model: chatcli was started with --local")
    for name in _SETTLED_AT_THE_START:
        if getattr(repl.settings, name) != getattr(before, name):
            repl.frontend.remark(f"{name} is unchanged: it can only be set at the start")


async def _choices(repl: ReplSession) -> Iterable[Choice]:
    profiles = read_profiles(repl.world.paths).values()
    found = [Choice(each.name, " at ".join(filter(None, (each.model, each.host)))) for each in profiles]
    return [*found, Choice(NO_PROFILE, "settings outside all profiles")] if found else []


COMMAND = Command("profile", "use another profile for this run, or list them", _run, "[NAME|none]", _choices)
