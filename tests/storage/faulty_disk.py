"""A disk in front of the real one that writes short, is full, vanishes, or whose writer dies."""

from __future__ import annotations

import errno
import os
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_write = os.write


class Killed(BaseException):
    """The process died: none of its code runs any more."""


class FaultyDisk:
    """Takes ``shares`` of the bytes it is given, one a write, then fails as ``ending`` says, or does what it is asked.

    An ending is called with the descriptor and the rest, and returns how much of it was written.
    """

    def __init__(
        self, shares: Iterable[int] = (), ending: Callable[[int, bytes], int] = _write, *, cuts: bool = True
    ) -> None:
        self._shares = deque(shares)
        self._ending = ending
        self._cuts = cuts
        self._is_over = False

    @contextmanager
    def in_use(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(os, "write", self._write)
            patched.setattr(os, "ftruncate", self._cut(os.ftruncate))
            yield

    def _write(self, descriptor: int, content: bytes) -> int:
        if self._is_over:
            raise Killed
        if self._shares:
            return _write(descriptor, content[: self._shares.popleft()])
        try:
            return self._ending(descriptor, content)
        except Killed:
            self._is_over = True
            raise

    def _cut(self, ftruncate: Callable[[int, int], None]) -> Callable[[int, int], None]:
        def cut(descriptor: int, size_bytes: int) -> None:
            if self._is_over:
                raise Killed
            if not self._cuts:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            ftruncate(descriptor, size_bytes)

        return cut


def is_full(_descriptor: int, _content: bytes) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def takes_nothing(_descriptor: int, _content: bytes) -> int:
    return 0


def kills(_descriptor: int, _content: bytes) -> int:
    raise Killed


def interrupts(_descriptor: int, _content: bytes) -> int:
    raise KeyboardInterrupt
