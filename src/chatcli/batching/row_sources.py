"""The rows that a run still has to begin, and the order of their results."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from chatcli.batching.results import BatchResult
    from chatcli.batching.row_requests import BatchRow

READ_AHEAD_ROWS: Final = 100


class ResultOrder:
    """Puts results in the order in which their rows were begun."""

    def __init__(self) -> None:
        self.begun = 0
        self.next = 0
        self._held: dict[int, BatchResult | None] = {}

    def placed(self, finished: Iterable[tuple[int, BatchResult | None]]) -> list[BatchResult]:
        """Return the results whose turn it is, with ``finished`` ones."""
        self._held.update(finished)
        results = []
        while self.next in self._held:
            if (result := self._held.pop(self.next)) is not None:
                results.append(result)
            self.next += 1
        return results


class RowSource:
    """The rows still to be begun, from an iterator that never waits long."""

    def __init__(self, rows: Iterator[BatchRow] | None) -> None:
        self._rows = rows
        self.is_over = False

    def take(self) -> BatchRow | None:
        """Return the next row, ``None`` if there is none now."""
        row = None if self._rows is None or self.is_over else next(self._rows, None)
        self.is_over = self.is_over or row is None
        return row

    async def close(self) -> None:
        return


class AsyncRowSource(RowSource):
    """The rows of an asynchronous iterator, read some ahead; ``wake`` is set when there are more."""

    def __init__(self, rows: AsyncIterator[BatchRow], wake: asyncio.Event) -> None:
        super().__init__(None)
        self._ahead: deque[BatchRow] = deque()
        self._has_room = asyncio.Event()
        self._wake = wake
        self._reading = asyncio.create_task(self._read(rows))

    def take(self) -> BatchRow | None:
        if self._ahead:
            self._has_room.set()
            return self._ahead.popleft()
        if self._reading.done():
            self.is_over = True
            self._reading.result()
        return None

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.wait({self._reading})

    async def _read(self, rows: AsyncIterator[BatchRow]) -> None:
        try:
            async for row in rows:
                self._ahead.append(row)
                self._wake.set()
                while len(self._ahead) >= READ_AHEAD_ROWS:
                    self._has_room.clear()
                    await self._has_room.wait()
        finally:
            self._wake.set()
            if isinstance(rows, AsyncGenerator):
                await rows.aclose()
