"""What the person hands over, on its way to who reads it: at once, or when its turn has come."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Submission:
    """``text`` is what is sent, ``shown`` what is shown of it, where a folded paste is a placeholder.

    ``draft`` is how it stands in the composer, to be put back there.
    """

    text: str
    shown: str
    draft: str

    @classmethod
    def plain(cls, text: str) -> Submission:
        """Return what was written without anything folded in it."""
        return cls(text, text, text)


class MessageQueue:
    """Texts in the order they are sent in. Those that are held wait for the person and not for their turn."""

    def __init__(self) -> None:
        self._now: Submission | None = None
        self._held: deque[Submission] = deque()
        self._waiting: deque[Submission] = deque()
        self._arrived = asyncio.Event()
        self._is_read = self._is_left = False

    def __len__(self) -> int:
        return len(self._held) + len(self._waiting)

    def __iter__(self) -> Iterator[Submission]:
        yield from self._held
        yield from self._waiting

    @property
    def is_held(self) -> bool:
        """Whether the first of them waits for the person."""
        return bool(self._held)

    async def read(self) -> Submission | None:
        """Wait for what goes next and take it; ``None`` once nothing more comes."""
        self._is_read = True
        try:
            while (written := self._next()) is None and not self._is_left:
                self._arrived.clear()
                await self._arrived.wait()
        finally:
            self._is_read = False
        return written

    def hand_over(self, written: Submission) -> None:
        """Let ``written`` go, at once where it is waited for, else in its turn."""
        # What comes in the same breath as something that is just being taken has its turn after that.
        if self._is_read and self._now is None and not self._waiting:
            self.jump(written)
        else:
            self._waiting.append(written)
            self._arrived.set()

    def jump(self, written: Submission) -> None:
        """Let ``written`` go before all others, and without being held."""
        if self._now is not None:
            self._waiting.appendleft(self._now)
        self._now = written
        self._arrived.set()

    def leave(self) -> None:
        """Let the reader know that nothing more comes."""
        self._is_left = True
        self._arrived.set()

    def hold(self) -> None:
        """Hold everything: what it was to follow did not come to a good end."""
        self._held.extend(self._waiting)
        self._waiting.clear()

    def hold_first(self, written: Submission) -> None:
        """Put ``written`` before all others, to wait for the person."""
        self._held.appendleft(written)

    def release(self) -> None:
        """Let everything go on in its order."""
        self._waiting.extendleft(reversed(self._held))
        self._held.clear()
        self._arrived.set()

    def take_first(self) -> Submission | None:
        queue = self._held or self._waiting
        return queue.popleft() if queue else None

    def take_newest(self) -> Submission | None:
        queue = self._waiting or self._held
        return queue.pop() if queue else None

    def _next(self) -> Submission | None:
        """Take what goes now, ``None`` where nothing can."""
        if self._now is not None:
            written, self._now = self._now, None
            return written
        return self._waiting.popleft() if self._waiting else None
