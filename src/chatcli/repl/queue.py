"""The queue of submissions between the composer and the reader."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from chatcli.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator


@frozen
class Submission:
    """A submission: ``text`` is sent; in ``shown``, folded pastes are placeholders.

    ``draft`` is the composer's own form, for putting it back.
    """

    text: str
    shown: str
    draft: str

    @classmethod
    def plain(cls, text: str) -> Submission:
        """Return a submission without folded pastes."""
        return cls(text, text, text)


class MessageQueue:
    """Texts in sending order. Held texts wait for the person instead of their turn."""

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
        """Whether the first of them is held."""
        return bool(self._held)

    @property
    def is_untaken(self) -> bool:
        """Whether something waits that is not held."""
        return bool(self._waiting) and not self._held

    async def read(self) -> Submission | None:
        """Wait for the next text and take it; ``None`` once the queue is closed."""
        self._is_read = True
        try:
            while (written := self._next()) is None and not self._is_left:
                self._arrived.clear()
                await self._arrived.wait()
        finally:
            self._is_read = False
        return written

    def hand_over(self, written: Submission) -> None:
        """Pass on ``written``, at once if a reader is waiting, else in its turn."""
        # A text submitted while another is being taken goes after that one.
        if self._is_read and self._now is None and not self._waiting:
            self.jump(written)
        else:
            self._waiting.append(written)
            self._arrived.set()

    def jump(self, written: Submission) -> None:
        """Put ``written`` before all others, not held."""
        if self._now is not None:
            self._waiting.appendleft(self._now)
        self._now = written
        self._arrived.set()

    def leave(self) -> None:
        """Close the queue."""
        self._is_left = True
        self._arrived.set()

    def hold(self) -> None:
        """Hold everything, because the work before it failed."""
        self._held.extend(self._waiting)
        self._waiting.clear()

    def hold_first(self, written: Submission) -> None:
        """Put ``written`` before all others, held."""
        self._held.appendleft(written)

    def release(self) -> None:
        """Release everything in its order."""
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
        """Take the next text, ``None`` if there is none."""
        if self._now is not None:
            written, self._now = self._now, None
            return written
        return self._waiting.popleft() if self._waiting else None
