"""Waits that the person can cut short."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Pause:
    """Sleeps like ``asyncio.sleep``, until ``cut_short`` is called."""

    def __init__(self) -> None:
        self._sleeping: set[asyncio.Event] = set()

    async def sleep(self, time_s: float) -> None:
        over = asyncio.Event()
        self._sleeping.add(over)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(time_s):
                    await over.wait()
        finally:
            self._sleeping.discard(over)

    def cut_short(self) -> bool:
        """End every sleep now; return whether there was one."""
        for over in self._sleeping:
            over.set()
        return bool(self._sleeping)
