"""``/title``: what the conversation is called."""

from __future__ import annotations

from asyncio import CancelledError
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from chatcli.core import messages
from chatcli.core.errors import BadResponse, UsageError
from chatcli.core.events import TextDelta, TextReclassified, TurnFailed
from chatcli.repl.commands.command import NOTHING_ASKED, Choice, Command, something_was_asked
from chatcli.sessions.asked_titles import SYSTEM_PROMPT, is_enough, question_for_title, title_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.repl.repl_session import ReplSession

_AUTO: Final = "auto"


async def _run(repl: ReplSession, argument: str) -> None:
    if argument:
        repl.chat.opened.set_title(await _asked_for(repl) if argument == _AUTO else argument)
    title = repl.chat.opened.title
    repl.frontend.remark(f"title: {title}" if title else "no title yet; your first question will be used")


async def _asked_for(repl: ReplSession) -> str:
    """Ask the model for a title. Raise a ``ChatcliError`` where none comes."""
    if not something_was_asked(repl):
        raise UsageError(f"/title auto: {NOTHING_ASKED}", hint="/title TEXT sets one")
    chat = await repl.connected()
    repl.frontend.doing("asking for a title")
    question = messages.question(question_for_title(chat.session))
    text = ""
    try:
        async with aclosing(chat.turns.aside(question, system=SYSTEM_PROMPT, with_history=False)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    text += event.text
                elif isinstance(event, TextReclassified):
                    text = text.removesuffix(event.text)
                elif isinstance(event, TurnFailed) and event.result.error is not None:
                    raise event.result.error
                # No limit of tokens is set: who thinks first would spend it on thoughts. Hanging up costs nothing.
                if is_enough(text):
                    break
    except CancelledError:
        repl.frontend.remark("stopped; the title is unchanged")
        raise
    if not (title := title_in(text)):
        raise BadResponse(
            "the model sent no title; it is unchanged",
            hint="/title TEXT sets one",
            code="no_title",
        )
    return title


async def _choices(repl: ReplSession) -> Iterable[Choice]:
    now = [Choice(repl.chat.opened.title, "the current one")] if repl.chat.opened.title else []
    return [Choice(_AUTO, "let the model find one"), *now]


COMMAND = Command("title", "show or set the title, or let the model find one", _run, "[TEXT|auto]", _choices)
