"""Pieces of an answer that come in a flood: told as one where many came at once."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeAlias

    from chatcli.core.events import ReasoningDelta, TextDelta

    Delta: TypeAlias = TextDelta | ReasoningDelta

_FLOOD: Final = 16
"""Nobody sees so many come one by one, but every layer and every observer would be asked for each."""


def joined(deltas: Iterable[Delta]) -> Iterator[Delta]:
    """Yield ``deltas`` as they are; if they are many, text that follows text as one, and so with thoughts.

    Where ``deltas`` raises, what came before is yielded before that goes on.
    """
    came: list[Delta] = []
    try:
        came.extend(deltas)  # which keeps what it was given before it fails
    except Exception:
        yield from _told(came)
        raise
    yield from _told(came)


def _told(came: list[Delta]) -> Iterator[Delta]:
    if len(came) < _FLOOD:
        yield from came
        return
    for kind, run in groupby(came, type):
        yield kind("".join(delta.text for delta in run))
