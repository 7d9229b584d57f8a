"""Asking the person about texts of others that are not sent, since they seem to give the model orders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.render.word_wrap import wrapped
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from chatcli.chat import Conversation
    from chatcli.chat.resolved_model import ResolvedModel
    from chatcli.core.messages import Message
    from chatcli.render.themes import Role, StyledRow
    from chatcli.repl.frontend import Frontend
    from chatcli.safety.screening import Screening, Suspect
    from chatcli.sessions.records import MessageRecord

_LABEL: Final = "Send it? [s/l, Enter = cancel] "
_ANSWERS: Final = "s sends it all, l leaves such texts out, Enter cancels"
_MOST_SHOWN: Final = 5
_SEND: Final = frozenset({"s", "send"})
_LEAVE_OUT: Final = frozenset({"l", "leave", "leave it out", "leave out"})


async def settle_suspects(
    chat: Conversation,
    question: Message,
    frontend: Frontend,
    *,
    redact: Callable[[str], str],
    replaced: MessageRecord | None = None,
    resolved: ResolvedModel | None = None,
) -> Message | None:
    """Return the question to send, without the texts the person leaves out; ``None`` to cancel.

    It is asked next, or in place of the question ``replaced``; ``resolved`` is another model to ask. Texts of
    earlier turns that are left out are dropped with their turn. Nothing is asked unless the setting
    ``injection`` blocks such texts. ``redact`` removes keys from what is shown of them.
    """
    turns, screen = chat.turns, chat.turns.connected.screen
    while suspects := await turns.blocked(question, replaced=replaced, resolved=resolved):
        if screen is None:
            break
        frontend.picture(_rows(suspects, frontend.columns(), redact))
        answer = await _answer(frontend)
        if answer is None:
            frontend.remark("not sent")
            return None
        if answer in _SEND:
            screen.allow(suspects)
            return question
        kept = _without(chat, question, frontend, screen=screen, suspects=suspects, replaced=replaced)
        if kept is None:
            frontend.remark("not sent: nothing is left of the question")
            return None
        question = kept
    return question


async def _answer(frontend: Frontend) -> str | None:
    """Return an answer to the question what to do, ``None`` to cancel."""
    while (given := await frontend.ask(_LABEL)) is not None and (answer := given.strip().lower()):
        if answer in _SEND | _LEAVE_OUT:
            return answer
        frontend.remark(_ANSWERS)
    return None


def _rows(suspects: Sequence[Suspect], columns: int, redact: Callable[[str], str]) -> Iterator[StyledRow]:
    """Yield what was found, and the answers there are, in rows of at most ``columns``."""
    lines: list[tuple[str, Role]] = [
        (f"not sent yet: {counted(len(suspects), 'text')} may give the model orders", "finding.warning")
    ]
    for suspect in suspects[:_MOST_SHOWN]:
        lines += [
            (f"  {suspect.place}: {suspect.reason}", ""),
            (f"    “{suspect.excerpt}”{suspect.more}", "found"),
        ]
    if len(suspects) > _MOST_SHOWN:
        lines.append((f"  and {len(suspects) - _MOST_SHOWN:,} more", ""))
    lines.append((_ANSWERS, "remark"))
    for line, role in lines:
        yield from ([(row, role)] for row in wrapped(redact(line), columns).split("\n"))


def _without(
    chat: Conversation,
    question: Message,
    frontend: Frontend,
    *,
    screen: Screening,
    suspects: Sequence[Suspect],
    replaced: MessageRecord | None,
) -> Message | None:
    """Return ``question`` without the texts of ``suspects``, ``None`` if nothing is left.

    Earlier turns with such texts are dropped.
    """
    digests = {suspect.digest for suspect in suspects}
    found = {
        turn.ids[0]
        for turn in chat.turns.history_before(replaced).turns
        if not all(map(digests.isdisjoint, map(screen.digests, turn.messages)))
    }
    dropped = [number for number, record in enumerate(chat.session.questions, start=1) if record.id in found]
    for number in dropped:
        chat.memory.drop(number)
        frontend.remark(f"left out: turn {number} (/drop -{number} restores it)")
    kept, own = screen.without(question, digests), digests & screen.digests(question)
    if own:
        names = ", ".join(suspect.name for suspect in suspects if suspect.digest in own)
        old = "" if replaced is None else "; the old question is kept (/alt)"
        frontend.remark(f"left out: {names}{old}")
    elif not dropped:
        frontend.remark(
            "this text cannot be left out here; /undo or /clear takes its turn out of the conversation"
        )
    return kept if kept.parts else None
