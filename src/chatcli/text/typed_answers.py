"""Parsing of answers to the program's questions: yes or no, or a number from a list."""

from __future__ import annotations

import re
from typing import Final

YES_OR_NO: Final = "[y/N]"
_YES: Final = frozenset({"y", "yes"})
_NUMBER: Final = re.compile(r"(\d{1,9})[.)]?")


def is_yes(answer: str | None) -> bool:
    """Return whether ``answer`` is a yes; any other answer, or none, is a no."""
    return (answer or "").strip().lower() in _YES


def number_meant(answer: str, count: int) -> int | None:
    """Return the number from 1 to ``count`` that ``answer`` is (``2`` or ``2.``), ``None`` for anything else."""
    written = _NUMBER.fullmatch(answer.strip())
    number = int(written[1]) if written else 0
    return number if 1 <= number <= count else None
