"""``/config``: the settings, and changing them for this run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.config.report import rows
from chatcli.config.specs import SETTINGS, SETTINGS_BY_NAME
from chatcli.config.suggestions import did_you_mean
from chatcli.core.errors import UsageError
from chatcli.render.text_columns import sentences, table
from chatcli.repl.commands.command import Choice, Command
from chatcli.repl.commands.profile import take_profile

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chatcli.config.report import Row
    from chatcli.repl.talk import Talk

_NOT_HERE = frozenset({"api_key", "api_key_env"})
"""A key does not belong on the screen, nor in the history of what was typed."""


async def _run(talk: Talk, argument: str) -> None:
    name, _, value = argument.partition(" ")
    if not name:
        shown = [row for row in rows(talk.settings) if row.origin != "default"]
        talk.surface.say(_shown(talk, shown) or "all settings are at their defaults")
        talk.surface.remark("/config NAME shows a setting, /config NAME VALUE changes it for this run")
        return
    if name not in SETTINGS_BY_NAME:
        raise UsageError(f"there is no setting {name}", hint=did_you_mean(name, SETTINGS_BY_NAME))
    if value.strip():
        await _change(talk, name, value.strip())
    talk.surface.say(_shown(talk, [row for row in rows(talk.settings) if row.name == name]))


def _shown(talk: Talk, settings: Sequence[Row]) -> str:
    if not talk.settings.plain:
        return table(settings, talk.surface.columns())
    return sentences(
        (row.name, row.value, "the default" if row.origin == "default" else f"from {row.origin}")
        for row in settings
    )


async def _change(talk: Talk, name: str, value: str) -> None:
    if name in _NOT_HERE:
        raise UsageError("a key cannot be set here", hint="use /login")
    if name == "save":
        raise UsageError("it can only be set at the start", hint="/save keeps this conversation from now on")
    if name == "plain":
        raise UsageError("it can only be set at the start", hint="start chatcli with --plain, or without")
    if name == "system":
        talk.chat.opened.set_system(value)
        return
    if name == "profile":
        await take_profile(talk, value)
        return
    await talk.change(**{name: value})


async def _choices(_: Talk) -> Iterable[Choice]:
    return [Choice(setting.name, setting.help) for setting in SETTINGS]


COMMAND = Command("config", "show the settings, or change one for this run", _run, "[NAME [VALUE]]", _choices)
