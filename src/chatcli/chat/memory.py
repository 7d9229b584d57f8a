"""Pins, dropped turns, notes and clearing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatcli.chat.branches import number_hint
from chatcli.core.errors import UsageError
from chatcli.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Collection

    from chatcli.chat.branches import Branches
    from chatcli.chat.open_session import OpenSession
    from chatcli.sessions.records import MessageRecord
    from chatcli.sessions.session import Session


@frozen
class NumberedTurn:
    """A question and its number in the conversation, from 1."""

    number: int
    question: MessageRecord


class Memory:
    """Pins and drops turns, keeps notes, and clears. Only marks are added, and each can be undone by another.

    Methods raise ``UsageError`` if there is nothing to do.
    """

    def __init__(self, opened: OpenSession, branches: Branches) -> None:
        self._opened = opened
        self._branches = branches

    @property
    def pinned(self) -> tuple[NumberedTurn, ...]:
        """The pinned turns of the context, oldest first."""
        return self._turns(self._session.pinned)

    @property
    def dropped(self) -> tuple[NumberedTurn, ...]:
        """The turns of the context that the person dropped, oldest first."""
        return self._turns(self._session.dropped)

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes, oldest first."""
        return tuple(self._session.notes.values())

    @property
    def is_cleared(self) -> bool:
        """Whether nothing was asked since a ``clear`` that can be undone."""
        return self._session.last_clear is not None and not self._has_questions()

    def pin(self, number: int | None = None) -> int:
        """Pin the last turn, or the one with ``number``, so that it is always sent; return its number."""
        question_record = self._branches.numbered(number)
        number = self._branches.number(question_record)
        if question_record.id in self._session.dropped:
            raise UsageError(
                f"turn {number} was dropped", hint=f"/drop -{number} restores it", code="dropped"
            )
        if question_record.id in self._session.refused:
            raise UsageError(
                f"turn {number} was refused and is not sent",
                hint=f"/edit {number} asks it again",
                code="refused",
            )
        if question_record.id in self._session.pinned:
            raise UsageError(
                f"turn {number} is pinned", hint=f"/unpin {number} undoes it", code="already_pinned"
            )
        self._mark("pin", question_record.id)
        return number

    def unpin(self, number: int | None = None) -> int:
        """Unpin the newest pinned turn, or the one with ``number``; return its number."""
        turn = self._one_of(self.pinned, number, "pinned", "/pin N pins turn N")
        self._mark("unpin", turn.question.id)
        return turn.number

    def drop(self, number: int) -> None:
        """Exclude the turn with ``number`` from the context."""
        question_record = self._branches.numbered(number)
        if question_record.id in self._session.dropped:
            raise UsageError(f"turn {number} is dropped", hint=f"/drop -{number} restores it", code="dropped")
        self._mark("drop", question_record.id)

    def bring_back(self, number: int | None = None) -> int:
        """Restore the newest dropped turn, or the one with ``number``; return its number."""
        turn = self._one_of(self.dropped, number, "dropped", "/drop N drops turn N")
        self._mark("undrop", turn.question.id)
        return turn.number

    def note(self, text: str) -> int:
        """Add a note that is always sent; return its number, the oldest being 1."""
        if not text.strip():
            raise UsageError("a note cannot be empty", hint="/note TEXT", code="empty_note")
        self._mark("note", text.strip())
        return len(self.notes)

    def take_note_away(self, number: int) -> str:
        """Remove the note with ``number`` and return it."""
        notes = self.notes
        if not 1 <= number <= len(notes):
            hint = number_hint(1, len(notes)) if notes else "/note TEXT adds one"
            raise UsageError(f"there is no note {number}", hint=hint, code="no_such_note")
        self._mark("unnote", list(self._session.notes)[number - 1])
        return notes[number - 1]

    def clear(self) -> None:
        """Start the context anew, without pins; the system prompt and the notes stay."""
        if all(record.role == "system" for record in self._session.context()):
            raise UsageError("there is nothing to clear", hint="ask something first", code="nothing_to_clear")
        self._mark("clear")

    def undo_clear(self) -> None:
        """Undo the last ``clear``, if nothing was asked since."""
        cleared = self._session.last_clear
        if cleared is None or self._has_questions():
            raise UsageError("there is no /clear to undo", hint="/undo takes back turns", code="not_cleared")
        self._mark("unclear", cleared)

    def _has_questions(self) -> bool:
        return any(record.role == "user" for record in self._session.context())

    def _turns(self, ids: Collection[str]) -> tuple[NumberedTurn, ...]:
        if not ids:
            return ()
        wanted, first = set(ids), self._branches.first_in_context
        numbered = enumerate(self._session.questions, start=1)
        return tuple(
            NumberedTurn(number, record)
            for number, record in numbered
            if record.id in wanted and number >= first
        )

    def _one_of(
        self, turns: tuple[NumberedTurn, ...], number: int | None, what: str, otherwise: str
    ) -> NumberedTurn:
        found = turns[-1:] if number is None else [turn for turn in turns if turn.number == number]
        if found:
            return found[0]
        which = "no turn" if number is None else f"turn {number}"
        there = ", ".join(str(turn.number) for turn in turns)
        raise UsageError(
            f"{which} is {'' if number is None else 'not '}{what}",
            hint=f"{what}: {there}" if there else otherwise,
            code=f"not_{what}",
        )

    def _mark(self, kind: str, value: Any = None) -> None:
        self._opened.mark(kind, value, changes_context=True)

    @property
    def _session(self) -> Session:
        return self._opened.session
