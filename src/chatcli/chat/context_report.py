"""The parts of a conversation that a model sees, by the turn numbers shown to the person."""

from __future__ import annotations

from textwrap import shorten
from typing import TYPE_CHECKING, Final

from chatcli.conversation.counting import TOKENS_TO_OPEN_REPLY
from chatcli.core.frozen import frozen
from chatcli.text.documents import label_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from chatcli.chat.resolved_model import ResolvedModel
    from chatcli.conversation.context import ContextPlan, PartKind
    from chatcli.conversation.history import Turn
    from chatcli.conversation.manager import ConversationManager
    from chatcli.core.messages import Message
    from chatcli.sessions.session import Session

_REASON_CHARACTERS: Final = 100


@frozen
class ReportedPart:
    """A part of what is sent; ``turn`` is its number in the conversation, from 1, if it is a turn.

    ``text`` is its beginning, ``attached`` names the files and web pages attached to it. ``cost_usd`` is the cost of
    sending it, if the price is known. The part ``schema`` is that of the answer. ``is_suspicious``: something was found in a text of others that it holds.
    ``imported`` is the program its turn was imported from.
    """

    kind: PartKind
    tokens: int
    text: str
    turn: int | None = None
    cost_usd: float | None = None
    attached: tuple[str, ...] = ()
    is_suspicious: bool = False
    imported: str | None = None


@frozen
class LeftOutTurns:
    """The numbers of turns that are not sent, and the reason. ``tokens`` is their approximate length."""

    turns: tuple[int, ...]
    reason: str
    tokens: int | None = None


@frozen
class ContextReport:
    """The context of ``model_name``, chosen by the strategy ``context`` for a window of ``window_tokens``.

    ``budget_tokens`` of them may be sent; the remainder is reserved for the answer. ``estimated`` marks
    counts from before the vocabulary was loaded.
    """

    model_name: str
    context: str
    window_tokens: int
    budget_tokens: int
    parts: tuple[ReportedPart, ...]
    left_out: tuple[LeftOutTurns, ...]
    estimated: bool

    @property
    def sent_tokens(self) -> int:
        return TOKENS_TO_OPEN_REPLY + sum(part.tokens for part in self.parts)

    @property
    def free_tokens(self) -> int:
        return max(0, self.budget_tokens - self.sent_tokens)

    @property
    def answer_tokens(self) -> int:
        return self.window_tokens - self.budget_tokens

    @property
    def turns(self) -> frozenset[int]:
        """The numbers of the turns that are sent in full."""
        return frozenset(part.turn for part in self.parts if part.turn is not None)

    def tokens_of(self, *kinds: PartKind) -> int:
        return sum(part.tokens for part in self.parts if part.kind in kinds)


def context_report(
    manager: ConversationManager, resolved: ResolvedModel, session: Session, question: Message | None = None
) -> ContextReport:
    """Return the context ``resolved`` would see with ``question``, or with an empty one."""
    plan, usage = manager.context(question), manager.context_usage()
    turns, numbers = manager.history.turns, _numbers(session)
    parts = tuple(
        ReportedPart(
            part.kind,
            part.tokens,
            part.messages[0].person_text,
            None if part.turn is None else numbers.get(_id_of(turns[part.turn - 1])),
            resolved.about_usd(part.tokens),
            tuple(filter(None, (label_of(document.text) for document in part.messages[0].documents))),
            resolved.screen is not None and resolved.screen.is_suspect(part.messages),
            part.messages[0].imported,
        )
        for part in plan.parts
    )
    if schema_tokens := usage.schema_tokens:
        parts = (
            ReportedPart("schema", schema_tokens, "", cost_usd=resolved.about_usd(schema_tokens)),
            *parts,
        )
    return ContextReport(
        resolved.model_name,
        resolved.context,
        usage.window_tokens,
        usage.budget_tokens,
        parts,
        tuple(_left_out(plan, turns, session, numbers)),
        plan.estimated,
    )


def ranges(numbers: Iterable[int]) -> str:
    """Return ascending numbers as ranges: ``1–3, 7``."""
    return ", ".join(f"{first}" if first == last else f"{first}–{last}" for first, last in stretches(numbers))


def stretches(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and last of each run of consecutive ascending numbers."""
    first = last = None
    for number in numbers:
        if first is None or last is None:
            first = last = number
        elif number == last + 1:
            last = number
        else:
            yield first, last
            first = last = number
    if first is not None and last is not None:
        yield first, last


def _left_out(
    plan: ContextPlan, turns: Sequence[Turn], session: Session, numbers: Mapping[str, int]
) -> Iterator[LeftOutTurns]:
    """Yield the turns that are not sent: excluded by the person, or for want of room."""
    known = {record.id for record in session.context()}
    cleared = tuple(number for message_id, number in numbers.items() if message_id not in known)
    dropped = sorted(_numbers_in_context(numbers, known.intersection(session.dropped)))
    if cleared:
        yield LeftOutTurns(cleared, "from before /clear")
    if dropped:
        yield LeftOutTurns(tuple(dropped), "dropped; /drop -N restores one")
    for message_id, reason in session.refused.items():
        if message_id in known and message_id not in session.dropped:
            yield LeftOutTurns(
                (numbers[message_id],), _refusal_reason(numbers[message_id], len(numbers), reason)
            )
    for gap in plan.left_out:
        yield LeftOutTurns(_numbers_in_context(numbers, map(_id_of, gap.of(turns))), gap.reason, gap.tokens)


def _refusal_reason(number: int, newest: int, reason: str) -> str:
    words = shorten(reason, _REASON_CHARACTERS, placeholder="…")
    return f"refused ({words}), {'/retry' if number == newest else f'/edit {number}'} asks it again"


def _numbers(session: Session) -> dict[str, int]:
    return {record.id: number for number, record in enumerate(session.questions, start=1)}


def _numbers_in_context(numbers: Mapping[str, int], ids: Iterable[str]) -> tuple[int, ...]:
    return tuple(numbers[message_id] for message_id in ids if message_id in numbers)


def _id_of(turn: Turn) -> str:
    return turn.ids[0] if turn.ids else ""
