"""Slash commands for models and settings."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from chatcli.config.aliases import aliases_of, is_name_of
from chatcli.config.config_file import FILE_NAME, profile_place, read_profiles
from chatcli.config.parsers import NO_PROFILE
from chatcli.config.report import rows
from chatcli.config.settings import SETTINGS, SETTINGS_BY_NAME
from chatcli.core import messages
from chatcli.core.errors import ChatcliError, UsageError
from chatcli.render.text_columns import sentences, table
from chatcli.repl.commands.command import Choice, Command, answers_are_drawn
from chatcli.repl.commands.model_choice import model_facts, models_to_choose, settle_model, split_question
from chatcli.repl.onboarding import onboard
from chatcli.text.hints import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from chatcli.config.config_file import Profile
    from chatcli.config.report import Row
    from chatcli.config.settings import Settings
    from chatcli.repl.repl_session import ReplSession


_FIXED_AT_START: Final = ("save", "plain")
_KEY_SETTINGS: Final = frozenset({"api_key", "api_key_env", "key_command"})
"""Keys must not appear on the screen or in the input history."""
_REASONING_SHOWN: Final = {
    "show": "show reasoning as it streams",
    "hide": "one line with the time it took",
}
_WEB_SEARCH: Final = {"on": "the provider searches the web", "off": "it answers without searching"}
_THEMES: Final = {
    "dark": "for a dark background",
    "light": "for a light background",
    "auto": "match the terminal's background",
}


async def _model(repl: ReplSession, argument: str) -> None:
    if not argument:
        await _list_models(repl)
        return
    written, question = await split_question(repl, argument)
    model = await settle_model(repl, written)
    if model is None:
        repl.frontend.draft(f"/model {argument}")
    elif question:
        await _ask_once(repl, model, question, draft=f"/model {argument}")
    else:
        await repl.change(model=model)
        repl.frontend.remark(f"model: {repl.chat.turns.connected.model_name}")
        repl.mention_unlisted_model()


async def _list_models(repl: ReplSession) -> None:
    chat = await repl.connected()
    in_use, redact = chat.turns.connected.model_name, repl.context.redactor.redact
    offered = await repl.connection.offered(repl.chat, repl.settings)
    rows = [(model.id == in_use, redact(model.id), model_facts(repl, model)) for model in offered]
    unlisted = {
        model: aliases_of(model, repl.settings.aliases)
        for model in repl.settings.aliases.values()
        if not any(is_name_of(model, each.id) for each in offered)
    }
    rows += [
        (name == in_use, redact(name), ", ".join(aliases)) for name, aliases in unlisted.items() if aliases
    ]
    shown = (
        sentences((name, "in use" if is_used else "", facts) for is_used, name, facts in rows)
        if repl.settings.plain
        else table([("→" if is_used else "", *row) for is_used, *row in rows], repl.frontend.columns())
    )
    repl.frontend.say(shown or in_use)


async def _ask_once(repl: ReplSession, model: str, question: str, *, draft: str) -> None:
    """Ask one question of another model; the conversation goes on with its own."""
    files = repl.attachments.of(question)
    async with AsyncExitStack() as stack:
        try:
            chat = await repl.connected()
            resolved = await stack.enter_async_context(repl.beside(model=model))
        except ChatcliError:
            repl.frontend.draft(draft)
            raise
        await repl.between_turns.stop()
        repl.frontend.remark(f"asking {resolved.model_name} this question")
        with chat.asking(resolved):
            await repl.ask(lambda documents: messages.question(question, *documents), files, draft=draft)


async def _profile(repl: ReplSession, argument: str) -> None:
    if argument:
        await _use_profile(repl, argument)
    else:
        _list_profiles(repl, read_profiles(repl.context.paths))


async def _use_profile(repl: ReplSession, name: str) -> None:
    """Use the profile ``name`` for this run, ``none`` for none. A ``ChatcliError`` changes nothing."""
    profiles = read_profiles(repl.context.paths)
    if name != NO_PROFILE and name not in profiles:
        hint = f"add a table [profiles.{name}] to {FILE_NAME}"
        if profiles:
            hint = did_you_mean(name, profiles, "profiles")
        raise UsageError(f"there is no profile {name}", hint=hint)
    given = profiles[name].table if name in profiles else {}
    before = repl.settings
    # The profile is the newer choice, so it overrides earlier changes.
    await repl.change(**{**dict.fromkeys(given), "profile": name})
    _change_system(repl, before)
    if repl.frontend.draws:
        await repl.theme.settle()
    called = "no profile" if name == NO_PROFILE else f"profile {name}"
    repl.frontend.remark(
        f"model: {repl.chat.turns.connected.model_name} at {repl.chat.turns.connected.endpoint.name} ({called})"
    )
    _report_unchanged(repl, given, before)


def _spoken_profile(row: tuple[str, ...]) -> tuple[str, ...]:
    mark, name, *facts = row
    return (name, "in use" if mark else "", *facts)


def _list_profiles(repl: ReplSession, profiles: Mapping[str, Profile]) -> None:
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
            sentences(map(_spoken_profile, rows))
            if repl.settings.plain
            else table(rows, repl.frontend.columns())
        )
        repl.frontend.remark(f"/profile NAME uses one for this run, /profile {NO_PROFILE} uses none")
    else:
        path = repl.context.paths.config / FILE_NAME
        repl.frontend.remark(f"there are no profiles; a table [profiles.NAME] in {path} makes one")


def _change_system(repl: ReplSession, before: Settings) -> None:
    """Replace the previous profile's system prompt by the new profile's.

    A prompt from elsewhere stays if the new profile has none.
    """
    chat, requested = repl.chat, repl.settings.system or ""
    came_with_profile = _is_of_profile(before) and chat.opened.system == (before.system or None)
    if (_is_of_profile(repl.settings) or came_with_profile) and requested != (chat.opened.system or ""):
        chat.opened.set_system(requested)


def _is_of_profile(settings: Settings) -> bool:
    return settings.profile is not None and settings.origin("system") == profile_place(settings.profile)


def _report_unchanged(repl: ReplSession, given: Mapping[str, object], before: Settings) -> None:
    if repl.options.embedded and "base_url" in given:
        repl.frontend.remark("still using the built-in model: chatcli was started with --local")
    for name in _FIXED_AT_START:
        if getattr(repl.settings, name) != getattr(before, name):
            repl.frontend.remark(f"{name} is unchanged: it can only be set at the start")


async def _profiles(repl: ReplSession) -> Iterable[Choice]:
    profiles = read_profiles(repl.context.paths).values()
    found = [Choice(each.name, " at ".join(filter(None, (each.model, each.host)))) for each in profiles]
    return [*found, Choice(NO_PROFILE, "settings outside all profiles")] if found else []


async def _login(repl: ReplSession, _: str) -> None:
    if await onboard(repl):
        repl.frontend.remark(
            f"model: {repl.chat.turns.connected.model_name} at {repl.chat.turns.connected.endpoint.name}"
        )


async def _config(repl: ReplSession, argument: str) -> None:
    name, _, value = argument.partition(" ")
    if not name:
        shown = [row for row in _rows(repl) if row.origin != "default"]
        repl.frontend.say(_setting_rows(repl, shown) or "all settings are at their defaults")
        repl.frontend.remark("/config NAME shows a setting, /config NAME VALUE changes it for this run")
        return
    if name not in SETTINGS_BY_NAME:
        raise UsageError(f"there is no setting {name}", hint=did_you_mean(name, SETTINGS_BY_NAME))
    if value.strip():
        await _change_setting(repl, name, value.strip())
    repl.frontend.say(_setting_rows(repl, [row for row in _rows(repl) if row.name == name]))


def _rows(repl: ReplSession) -> tuple[Row, ...]:
    return rows(repl.settings, repl.context.redactor.redact)


def _setting_rows(repl: ReplSession, settings: Sequence[Row]) -> str:
    if not repl.settings.plain:
        return table(settings, repl.frontend.columns())
    return sentences(
        (row.name, row.value, "the default" if row.origin == "default" else f"from {row.origin}")
        for row in settings
    )


async def _change_setting(repl: ReplSession, name: str, value: str) -> None:
    if name in _KEY_SETTINGS:
        raise UsageError("a key cannot be set here", hint="use /login")
    if name == "save":
        raise UsageError("it can only be set at the start", hint="/save keeps this conversation from now on")
    if name == "alerts":
        raise UsageError("it can only be set in config.toml", hint="chatcli alerts list shows the rules")
    if name == "plain":
        raise UsageError("it can only be set at the start", hint="start chatcli with --plain, or without")
    if name == "system":
        repl.chat.opened.set_system(value)
        return
    if name == "profile":
        await _use_profile(repl, value)
        return
    await repl.change(**{name: value})


async def _settings(_: ReplSession) -> Iterable[Choice]:
    return [Choice(setting.name, setting.help) for setting in SETTINGS]


async def _reasoning(repl: ReplSession, argument: str) -> None:
    if argument and argument not in _REASONING_SHOWN:
        raise UsageError(
            f"/reasoning cannot be {argument}",
            hint="use show or hide; /config reasoning EFFORT sets how much the model reasons",
        )
    if argument:
        await repl.change(show_reasoning=argument == "show")
    word = "show" if repl.settings.show_reasoning else "hide"
    repl.frontend.remark(f"reasoning: {word} ({_REASONING_SHOWN[word]})")


async def _reasoning_choices(_: ReplSession) -> Iterable[Choice]:
    return [Choice(word, meaning) for word, meaning in _REASONING_SHOWN.items()]


async def _web(repl: ReplSession, argument: str) -> None:
    if argument and argument not in _WEB_SEARCH:
        raise UsageError(
            f"/web cannot be {argument}",
            hint="use on or off, or nothing to see which; /config web_search FORM sets how it is asked",
        )
    if argument:
        before = repl.settings.web_search
        await repl.change(web_search=argument)
        if argument == "on":
            await _check_web_search(repl, before)
    word = "off" if repl.settings.web_search == "off" else "on"
    repl.frontend.remark(f"web search: {word} ({_WEB_SEARCH[word]})")


async def _check_web_search(repl: ReplSession, before: str) -> None:
    """Raise ``UsageError`` if the model is known to have no web search, with the setting as it was ``before``."""
    from chatcli.client.web_search import search_forms  # noqa: PLC0415 - most conversations need none

    connected = (await repl.connected()).turns.connected
    try:
        settings = repl.settings
        search_forms(connected.endpoint, settings.api, connected.model_name, settings.web_search)
    except UsageError:
        await repl.change(web_search=before)
        raise


async def _web_choices(_: ReplSession) -> Iterable[Choice]:
    return [Choice(word, meaning) for word, meaning in _WEB_SEARCH.items()]


async def _theme(repl: ReplSession, argument: str) -> None:
    if argument:
        if argument not in _THEMES:
            raise UsageError(f"there is no theme {argument}", hint="use dark, light or auto")
        await repl.change(theme=argument)
    await repl.theme.settle()
    repl.frontend.remark(f"theme: {repl.theme.name} ({_theme_reason(repl)})")
    if not repl.theme.has_colors:
        repl.frontend.remark("but colours are off here (TERM or NO_COLOR)")


def _theme_reason(repl: ReplSession) -> str:
    if repl.theme.follows_background:
        return f"auto: {repl.theme.source}"
    origin = repl.settings.origin("theme")
    return "chosen here" if origin.startswith("command ") else origin


async def _themes(_: ReplSession) -> Iterable[Choice]:
    return [Choice(text, meaning) for text, meaning in _THEMES.items()]


COMMANDS: Final = (
    Command(
        "model",
        "switch to another model, ask one a question, or list them",
        _model,
        "[NAME [QUESTION]]",
        models_to_choose,
        aliases=("models",),
    ),
    Command("profile", "use another profile for this run, or list them", _profile, "[NAME|none]", _profiles),
    Command("login", "set up a key, a server or the built-in model", _login),
    Command("config", "show the settings, or change one for this run", _config, "[NAME [VALUE]]", _settings),
    Command(
        "reasoning",
        "show the model's reasoning, or hide it",
        _reasoning,
        "[show|hide]",
        _reasoning_choices,
        applies=answers_are_drawn,
        when="reasoning is not shown in this mode",
    ),
    Command("web", "have the provider search the web (on/off)", _web, "[on|off]", _web_choices),
    Command(
        "theme",
        "colours for a dark or light background; show which are used, and why",
        _theme,
        "[dark|light|auto]",
        _themes,
        applies=answers_are_drawn,
        when="answers have no colours in this mode",
    ),
)
