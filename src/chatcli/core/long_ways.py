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
    Way("map-reduce", "all of it, parts at the same time", reads_all=True),
    Way("refine", "all of it, part after part", reads_all=True),
    Way("head", "its beginning", reads_all=False),
    Way("tail", "its end", reads_all=False),
    Way("middle-out", "its beginning and its end", reads_all=False),
)
WAYS_BY_NAME: Final = {way.name: way for way in WAYS}
