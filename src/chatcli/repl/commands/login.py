"""``/login``: set up a model: a key, a server on this machine, the embedded model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import Command
from chatcli.repl.onboarding import onboard

if TYPE_CHECKING:
    from chatcli.repl.repl_session import ReplSession


async def _run(repl: ReplSession, _: str) -> None:
    if await onboard(repl):
        repl.frontend.remark(
            f"model: {repl.chat.turns.connected.model_name} at {repl.chat.turns.connected.endpoint.name}"
        )


COMMAND = Command("login", "set up a key, a server or the built-in model", _run)
