"""Where a resumed conversation stands: its title, how much came before, and the last exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chatcli.chat import Chat
    from chatcli.repl.surface import Surface


def recap(chat: Chat, surface: Surface) -> None:
    """Show nothing for a conversation in which nothing was said."""
    questions = chat.session.questions
    if not questions:
        return
    earlier = len(questions) - 1
    before = f", {earlier} earlier turn{'' if earlier == 1 else 's'}" if earlier else ""
    surface.remark(f"resuming: {chat.title}{before}")
    surface.pause()
    surface.question(questions[-1].message.text)
    path = chat.session.path()
    after = path[[record.id for record in path].index(questions[-1].id) + 1 :]
    for record in after:
        if record.message.role == "assistant":
            surface.answer(record.message.text)
            if record.reply is not None and record.reply.finish_reason == "interrupted":
                surface.remark("stopped before the answer was complete")
