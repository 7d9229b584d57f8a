"""The conversation so far, as turns: what a context strategy keeps or leaves out whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.core.messages import Message


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored message: its id in the journal and whether the person pinned it."""

    id: str
    message: Message
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """A question with the answers to it. Kept or left out whole, so no answer stands without its question."""

    messages: tuple[Message, ...]
    pinned: bool = False

    @property
    def has_question(self) -> bool:
        return self.messages[0].role == "user"


class History:
    """The path from the first message to the newest, grouped into turns."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.system: Message | None = None
        self.turns: list[Turn] = []
        self.head: str | None = None
        for entry in entries:
            self.append(entry)

    def append(self, entry: Entry) -> None:
        """Add the next message. A system message replaces the one before; an answer joins its question.

        A system message without parts takes the one before away.
        """
        self.head = entry.id
        message = entry.message
        if message.role == "system":
            self.system = message if message.parts else None
        elif message.role == "assistant" and self.turns:
            last = self.turns[-1]
            self.turns[-1] = Turn((*last.messages, message), last.pinned or entry.pinned)
        else:
            self.turns.append(Turn((message,), entry.pinned))
