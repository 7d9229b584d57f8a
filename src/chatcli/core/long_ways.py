"""The ways to deal with a text that is too long, one row each: for settings, help, and what does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FAIL: Final = "fail"
RECOMMENDED: Final = "map-reduce"


@dataclass(frozen=True, slots=True)
class Way:
    """``name`` is what ``--long`` takes. ``reads_all`` says that nothing of the text is left out."""

    name: str
    summary: str
    reads_all: bool


WAYS: Final = (
    Way("map-reduce", "reads everything, in parallel", reads_all=True),
    Way("refine", "reads everything, one part after another", reads_all=True),
    Way("head", "only the beginning", reads_all=False),
    Way("tail", "only the end", reads_all=False),
    Way("middle-out", "only the beginning and the end", reads_all=False),
)
WAYS_BY_NAME: Final = {way.name: way for way in WAYS}
