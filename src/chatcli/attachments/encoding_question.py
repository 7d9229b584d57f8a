"""Letting a person choose the encoding of a text that may be in several."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Final

from chatcli.core.answers import number_meant
from chatcli.core.errors import UsageError
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from chatcli.attachments.encodings import Reading, Text

_PREVIEW_CHARACTERS: Final = 36
_BEFORE: Final = 8
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")


def choices(text: Text) -> list[str]:
    """Return a line for the question, and one for each way the text may read: its number, its name, how it begins."""
    width = max(len(reading.title) for reading in text.readings)
    rows = (
        f" {number} {reading.title:<{width}}  {_preview(reading)}"
        for number, reading in enumerate(text.readings, start=1)
    )
    return list(chain([f"{text.name} is not UTF-8 and may be in any of these encodings:"], rows))


def prompt(text: Text) -> str:
    return f"Which one reads right? [1-{len(text.readings)}, Enter = 1, Ctrl-C cancels] "


def chosen(text: Text, answer: str) -> Text | None:
    """Return ``text`` as the person's ``answer`` reads it, ``None`` where that is none of the numbers."""
    number = number_meant(answer.strip() or "1", len(text.readings))
    return None if number is None else text.read_as(text.readings[number - 1])


def not_chosen(text: Text) -> UsageError:
    return UsageError(
        f"no encoding was chosen for {text.name}",
        hint="name it with --encoding, for example --encoding gb18030",
    )


def _preview(reading: Reading) -> str:
    found = _NOT_ASCII.search(reading.text)
    start = max(0, (found.start() if found else 0) - _BEFORE)
    line_start = reading.text.rfind("\n", 0, found.start() if found else 0) + 1
    start = max(start, line_start)
    return sanitize_line(reading.text[start : start + _PREVIEW_CHARACTERS])
