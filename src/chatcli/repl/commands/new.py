"""``/new``: a new conversation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chatcli.app.wiring import open_session
from chatcli.repl.commands.command import Command

if TYPE_CHECKING:
    from chatcli.repl.repl_session import ReplSession


async def _run(repl: ReplSession, _: str) -> None:
    before = repl.chat
    wish = replace(repl.wish, session=None, resume_last=False)
    await repl.turn_to(open_session(repl.settings, wish, repl.world))
    is_kept = before.opened.is_kept and before.session.questions
    kept = f"; /session {before.opened.name} goes back" if is_kept else ""
    repl.frontend.remark(f"new conversation{kept}")


COMMAND = Command("new", "start a new conversation", _run)
