"""Loading what the first answer needs while the person reads or thinks, never between two keys."""

from __future__ import annotations

import asyncio
import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from chatcli.repl.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

QUIET_S: Final = 0.3
"""How long no key must have come before the next step is loaded."""


class Warmup:
    """Runs ``steps`` one after the other in a thread, each when ``idle_s`` says that no key came for a while.

    A thread that imports holds the interpreter for up to a tenth of a second: a key that comes then is late, but
    the steps are small, and the next one waits until the typing pauses again.
    """

    def __init__(
        self, steps: Sequence[Callable[[], object]], *, idle_s: Callable[[], float], quiet_s: float = QUIET_S
    ) -> None:
        self._steps = steps
        self._idle_s = idle_s
        self._quiet_s = quiet_s
        self._hurried = asyncio.Event()

    def hurry(self) -> None:
        """Load the rest without waiting for a pause: somebody needs it now."""
        self._hurried.set()

    async def run(self) -> None:
        for step in self._steps:
            await self._pause()
            with _kept_for_good():
                await in_thread(step)

    async def _pause(self) -> None:
        while not self._hurried.is_set() and (left_s := self._quiet_s - self._idle_s()) > 0:
            try:
                await asyncio.wait_for(self._hurried.wait(), left_s)
            except TimeoutError:
                continue


@contextmanager
def _kept_for_good() -> Iterator[None]:
    # Left to itself the collector would soon look through all that was loaded, for a twentieth of a second and in
    # vain: modules stay.
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if running:
            gc.enable()
