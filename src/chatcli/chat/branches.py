"""Moving back in a conversation and across to its other branches."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from chatcli.core.errors import BudgetReached, LocalIOError, UsageError
from chatcli.core.frozen import frozen
from chatcli.sessions.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatcli.chat.open_session import OpenSession
    from chatcli.core.events import TurnEnd
    from chatcli.core.messages import Message
    from chatcli.sessions.records import MessageRecord
    from chatcli.sessions.session import Session
    from chatcli.sessions.tree import Exchange


@frozen
class Alternatives:
    """The exchanges at one place of the conversation, of which the one ``at`` is on the current path.

    ``turn`` is the place, counted in questions from 1; ``later_turns`` follow it on the path.
    """

    exchanges: tuple[Exchange, ...]
    at: int
    turn: int
    later_turns: int

    @property
    def chosen(self) -> Exchange:
        return self.exchanges[self.at]


def number_hint(first: int, last: int) -> str:
    """Return the hint with the valid numbers."""
    return f"the only one is {first}" if first == last else f"give a number from {first} to {last}"


class Branches:
    """Moves the head of a session. Only marks are added, so nothing is lost.

    Methods raise ``UsageError`` if the destination does not exist.
    """

    def __init__(self, opened: OpenSession) -> None:
        self._opened = opened

    @property
    def editing(self) -> MessageRecord | None:
        """The question that the next one replaces."""
        return self._opened.editing

    @property
    def tree(self) -> Tree:
        return Tree(self._session)

    def latest(self, count: int) -> tuple[MessageRecord, ...]:
        """Return the last ``count`` questions in the context."""
        questions = tuple(record for record in self._session.context() if record.role == "user")
        if count < 1:
            raise UsageError(f"cannot take {count} turns", hint="give a number from 1", code="bad_number")
        if not questions:
            raise UsageError("there is no question to undo", hint="ask something first", code="no_such_turn")
        if count > len(questions):
            raise UsageError(
                "there is only 1 turn to undo"
                if len(questions) == 1
                else f"there are only {len(questions)} turns to undo",
                hint="/undo takes it back" if len(questions) == 1 else number_hint(1, len(questions)),
                code="no_such_turn",
            )
        return questions[-count:]

    def numbered(self, number: int | None) -> MessageRecord:
        """Return a question by its number in the conversation, from 1; the last without a number."""
        if number is None:
            return self.latest(1)[0]
        questions, first = self._session.questions, self.first_in_context
        if not first <= number <= len(questions):
            hint = number_hint(first, len(questions)) if first <= len(questions) else "ask something first"
            raise UsageError(f"there is no question {number}", hint=hint, code="no_such_turn")
        return questions[number - 1]

    @property
    def first_in_context(self) -> int:
        """The number of the first question in the context; one more than the number of questions if there is none."""
        known = sum(record.role == "user" for record in self._session.context())
        return len(self._session.questions) - known + 1

    def number(self, question: MessageRecord) -> int:
        """Return the number of a question in the conversation, from 1."""
        return [record.id for record in self._session.questions].index(question.id) + 1

    def undo(self, turns: int = 1) -> tuple[Message, ...]:
        """Go back to before the last ``turns`` questions and return them, oldest first."""
        questions = self.latest(turns)
        self.go_before(questions[0])
        return tuple(record.message for record in questions)

    def take_back_unsent(self, end: TurnEnd) -> bool:
        """Undo a question that the budget kept from being sent; return whether ``end`` is such a failure.

        It was stored before it was to be sent. If it stayed, the next question would follow one that was
        never asked.
        """
        if not isinstance(end.result.error, BudgetReached) or end.result.text:
            return False
        with suppress(LocalIOError, UsageError):
            self.undo()
        return True

    def edit(self, number: int | None = None) -> MessageRecord:
        """Make the next question replace this one, as a sibling of it, and return this question."""
        self._opened.editing = edited = self.numbered(number)
        return edited

    def stop_editing(self) -> bool:
        """Cancel editing; return whether a question was being edited."""
        was_editing = self.editing is not None
        self._opened.editing = None
        return was_editing

    def alternatives(self) -> Alternatives | None:
        """Return the newest place in the context that has more than one exchange."""
        tree = self.tree
        known = {record.id for record in self._session.context()}
        for back, exchange in enumerate(reversed(tree.path)):
            there = tree.alternatives(exchange)
            if len(there) > 1 and exchange.question.id in known:
                return Alternatives(there, there.index(exchange), len(tree.path) - back, back)
        return None

    def flip(self, choose: Callable[[Alternatives], int]) -> Alternatives:
        """Switch to the alternative whose index ``choose`` returns, and on to the end of its branch."""
        place = self.alternatives()
        if place is None:
            raise UsageError(
                "there is only one answer to each question so far",
                hint="/retry gets another answer, /edit N replaces a question",
                code="no_alternative",
            )
        at = choose(place)
        if not 0 <= at < len(place.exchanges):
            count = len(place.exchanges)
            raise UsageError(f"there are {count} answers", hint=number_hint(1, count), code="no_such_answer")
        chosen = place.exchanges[at]
        self.go_to(self.tree.newest_after(chosen))
        path = [exchange.id for exchange in self.tree.path]
        later_turns = len(path) - 1 - path.index(chosen.id) if chosen.id in path else 0
        return Alternatives(place.exchanges, at, place.turn, later_turns)

    def go_to(self, exchange: Exchange) -> None:
        """Continue after ``exchange``, with the system prompt that was in force there."""
        self.stop_editing()
        self._opened.mark("head", exchange.id, changes_context=True)

    def go_before(self, question: MessageRecord) -> None:
        """Continue where ``question`` was asked, with the system prompt in force now."""
        path = self._session.path()
        at = self.place(question)
        self.go_on_from(path[at - 1].id if at else None)

    def go_on_from(self, message_id: str | None) -> None:
        """Move the head. The system prompt in force stays, even if it was set after that message."""
        self.stop_editing()
        self._opened.go_on_from(message_id)

    def place(self, sought: MessageRecord) -> int:
        """Return the index of a message on the path."""
        return next(place for place, record in enumerate(self._session.path()) if record.id == sought.id)

    @property
    def _session(self) -> Session:
        return self._opened.session
