"""``/new``: a new conversation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chatcli.app.wiring import open_session
from chatcli.repl.commands.command import Command

if TYPE_CHECKING:
    from chatcli.repl.talk import Talk


async def _run(talk: Talk, _: str) -> None:
    before = talk.chat
    wish = replace(talk.wish, session=None, resume_last=False)
    await talk.turn_to(open_session(talk.settings, wish, talk.world))
    is_kept = before.opened.is_kept and before.session.questions
    kept = f"; /session {before.opened.name} goes back" if is_kept else ""
    talk.surface.remark(f"new conversation{kept}")


COMMAND = Command("new", "start a new conversation", _run)
