"""The words of a template: text, and the places in it that are filled in.

::

    {{ input }}            what was piped or attached, or what was typed
    {{ name }}             a variable
    {{ name = "text" }}    a variable with a default
    {{ 1 }}                the first of the words that were typed
    {{ "{{" }}             text as it stands between the quotes

That is all there is: no expressions, no code. What is filled in is never looked at again.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from chatcli.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

INPUT: Final = "input"

_OPENING: Final = "{{"
_QUOTED: Final = r'"(?:[^"\\\n]|\\.)*"'
_PLACE: Final = re.compile(
    rf"\{{\{{\s*(?:(?P<name>[^\W\d][\w-]*|[1-9][0-9]?)(?:\s*=\s*(?P<default>{_QUOTED}))?|(?P<text>{_QUOTED}))\s*\}}\}}"
)
_LONGEST_SHOWN: Final = 30
_HOW: Final = (
    'a place is {{ input }}, {{ name }}, {{ name = "default" }} or {{ 1 }}; {{ "{{" }} writes the braces'
)


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Where something is filled in: ``input``, a variable, or the number of a word."""

    name: str
    default: str | None = None

    @property
    def position(self) -> int | None:
        """Which of the typed words it takes, the first being 1."""
        return int(self.name) if self.name.isdecimal() else None


Segment: TypeAlias = str | Placeholder


def read_places(text: str, where: str, *, first_line: int = 1) -> tuple[Segment, ...]:
    """Return the segments of ``text``. Raise ``ConfigurationError``, telling ``where``, for braces that are no place."""
    return tuple(_segments(text, where, first_line))


def _segments(text: str, where: str, first_line: int) -> Iterator[Segment]:
    at = 0
    while (opening := text.find(_OPENING, at)) >= 0:
        if opening > at:
            yield text[at:opening]
        match = _PLACE.match(text, opening)
        segment = None if match is None else _segment(match)
        if match is None or segment is None:
            line = first_line + text.count("\n", 0, opening)
            shown = text[opening:].partition("\n")[0][:_LONGEST_SHOWN]
            raise ConfigurationError(f"{where}, line {line}: cannot read {shown}", hint=_HOW)
        yield segment
        at = match.end()
    if at < len(text):
        yield text[at:]


def _segment(match: re.Match[str]) -> Segment | None:
    """Return what stands there, ``None`` where a text between quotes is none of JSON's."""
    try:
        if match["name"] is None:
            return str(json.loads(match["text"]))
        return Placeholder(match["name"], None if match["default"] is None else json.loads(match["default"]))
    except ValueError:
        return None
