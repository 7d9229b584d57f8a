"""What was sent while something else was going on, waiting for its turn."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatcli.repl.written import Written


class MessageQueue:
    """Texts in the order they are sent in. Those that are held wait for the person and not for their turn."""

    def __init__(self) -> None:
        self._now: Written | None = None
        self._held: deque[Written] = deque()
        self._waiting: deque[Written] = deque()

    def __len__(self) -> int:
        return len(self._held) + len(self._waiting)

    def __iter__(self) -> Iterator[Written]:
        yield from self._held
        yield from self._waiting

    @property
    def is_held(self) -> bool:
        """Whether the first of them waits for the person."""
        return bool(self._held)

    @property
    def has_next(self) -> bool:
        """Whether something can go now."""
        return self._now is not None or bool(self._waiting)

    def add(self, written: Written) -> None:
        self._waiting.append(written)

    def jump(self, written: Written) -> None:
        """Let ``written`` go before all others, and without being held."""
        if self._now is not None:
            self._waiting.appendleft(self._now)
        self._now = written

    def hold(self) -> None:
        """Hold everything: what it was to follow did not come to a good end."""
        self._held.extend(self._waiting)
        self._waiting.clear()

    def hold_first(self, written: Written) -> None:
        """Put ``written`` before all others, to wait for the person."""
        self._held.appendleft(written)

    def release(self) -> None:
        """Let everything go on in its order."""
        self._waiting.extendleft(reversed(self._held))
        self._held.clear()

    def next(self) -> Written | None:
        """Take what goes now, ``None`` where nothing can."""
        if self._now is not None:
            written, self._now = self._now, None
            return written
        return self._waiting.popleft() if self._waiting else None

    def take_first(self) -> Written | None:
        queue = self._held or self._waiting
        return queue.popleft() if queue else None

    def take_newest(self) -> Written | None:
        queue = self._waiting or self._held
        return queue.pop() if queue else None
