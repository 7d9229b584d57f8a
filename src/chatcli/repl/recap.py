"""The recap of a resumed conversation: its title, the number of earlier turns, and the last exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.core.errors import Cancelled
from chatcli.text.documents import label_of
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from chatcli.chat import Conversation
    from chatcli.repl.frontend import Frontend
    from chatcli.sessions.records import MessageRecord
    from chatcli.sessions.tree import Exchange


_BEING_ANSWERED: Final = "another chatcli is answering this question"


def recap(chat: Conversation, frontend: Frontend, *, titled: bool = True) -> None:
    """Show the recap; nothing for an empty conversation, and its title only if ``titled``."""
    questions = chat.session.questions
    if not questions:
        return
    earlier = len(questions) - 1
    before = f"{counted(earlier, 'earlier turn')}" if earlier else ""
    if titled:
        frontend.remark(", ".join(filter(None, [f"resuming: {chat.opened.title}", before])))
        frontend.pause()
    elif before:
        frontend.remark(f"… {before}")
    _show_question(frontend, questions[-1])
    path = chat.session.path()
    after = path[[record.id for record in path].index(questions[-1].id) + 1 :]
    for record in after:
        if record.role == "assistant":
            is_coming = record.id == chat.opened.answered_elsewhere
            _show_answer(frontend, record, is_coming=is_coming, is_structured=chat.session.schema is not None)
    if questions[-1].id == chat.opened.answered_elsewhere:
        frontend.remark(_BEING_ANSWERED)


def show_exchange(frontend: Frontend, exchange: Exchange, *, with_question: bool = True) -> None:
    """Show a question and its answer as they were shown at first."""
    if with_question:
        _show_question(frontend, exchange.question)
    if exchange.answer is not None:
        _show_answer(frontend, exchange.answer)


def _show_question(frontend: Frontend, asked: MessageRecord) -> None:
    frontend.question(asked.message.person_text)
    names = (label_of(part.text) for part in asked.message.documents)
    if shown := ", ".join(name for name in names if name):
        frontend.remark(f"attached: {shown}")


def _show_answer(
    frontend: Frontend, answer: MessageRecord, *, is_coming: bool = False, is_structured: bool = False
) -> None:
    refusal, calls = answer.message.refusal, answer.message.tool_calls
    if (written := answer.message.answer) or (refusal is None and not calls):
        if is_structured:
            from chatcli.render.structured_answer import laid_out_text  # noqa: PLC0415 - most answers have no schema

            written = laid_out_text(written)
        frontend.answer(written)
    if refusal is not None:
        frontend.remark(f"the model refused to answer: {refusal}")
    if calls:
        frontend.remark(f"the model called {', '.join(dict.fromkeys(call.name for call in calls))}")
    if answer.reply is not None and answer.reply.sources:
        frontend.remark("sources:")
        for source in answer.reply.sources:
            frontend.remark(source.line)
    if is_coming:
        frontend.remark(f"{_BEING_ANSWERED}; the text so far is shown")
    elif answer.reply is not None and answer.reply.finish_reason == "interrupted":
        frontend.remark(Cancelled.PARTIAL_KEPT)
