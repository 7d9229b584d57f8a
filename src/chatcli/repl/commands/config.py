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
    from chatcli.repl.repl_session import ReplSession

_NOT_HERE = frozenset({"api_key", "api_key_env"})
"""A key does not belong on the screen, nor in the history of what was typed."""


async def _run(repl: ReplSession, argument: str) -> None:
    name, _, value = argument.partition(" ")
    if not name:
        shown = [row for row in rows(repl.settings) if row.origin != "default"]
        repl.frontend.say(_shown(repl, shown) or "all settings are at their defaults")
        repl.frontend.remark("/config NAME shows a setting, /config NAME VALUE changes it for this run")
        return
    if name not in SETTINGS_BY_NAME:
        raise UsageError(f"there is no setting {name}", hint=did_you_mean(name, SETTINGS_BY_NAME))
    if value.strip():
        await _change(repl, name, value.strip())
    repl.frontend.say(_shown(repl, [row for row in rows(repl.settings) if row.name == name]))


def _shown(repl: ReplSession, settings: Sequence[Row]) -> str:
    if not repl.settings.plain:
        return table(settings, repl.frontend.columns())
    return sentences(
        (row.name, row.value, "the default" if row.origin == "default" else f"from {row.origin}")
        for row in settings
    )


async def _change(repl: ReplSession, name: str, value: str) -> None:
    if name in _NOT_HERE:
        raise UsageError("a key cannot be set here", hint="use /login")
    if name == "save":
        raise UsageError("it can only be set at the start", hint="/save keeps this conversation from now on")
    if name == "plain":
        raise UsageError("it can only be set at the start", hint="start chatcli with --plain, or without")
    if name == "system":
        repl.chat.opened.set_system(value)
        return
    if name == "profile":
        await take_profile(repl, value)
        return
    await repl.change(**{name: value})


async def _choices(_: ReplSession) -> Iterable[Choice]:
    return [Choice(setting.name, setting.help) for setting in SETTINGS]


COMMAND = Command("config", "show the settings, or change one for this run", _run, "[NAME [VALUE]]", _choices)
