"""A template of another program as a template file of chatcli."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from chatcli.templates.template import read_template
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.shortening import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chatcli.templates.template import Segment

_LONGEST_DESCRIPTION: Final = 100
# A single brace before a place would be read as part of it.
_BRACES: Final = re.compile(r"\{{2,}|\{\Z")


@dataclass(frozen=True, slots=True)
class ForeignTemplate:
    """A template as it is saved: ``settings`` and ``defaults`` are its front matter.

    ``schema`` is a JSON Schema that its answers fit; ``left_out`` says what was not taken over.
    """

    name: str
    segments: tuple[Segment, ...]
    settings: Mapping[str, Any]
    defaults: Mapping[str, str]
    left_out: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None

    def text(self, *, schema: str | None = None) -> str:
        """Return the file's text; ``schema`` is the name of its schema. Raise ``ConfigurationError`` if it is unusable."""
        settings = {**self.settings, **({} if schema is None else {"schema": schema})}
        lines = ["+++", *(f"{key} = {_toml(value)}" for key, value in settings.items())]
        if self.defaults:
            lines += ["", "[defaults]", *(f"{key} = {_toml(value)}" for key, value in self.defaults.items())]
        text = "\n".join([*lines, "+++", write_segments(self.segments), ""])
        read_template(self.name, text, self.name)
        return text


def described(text: str) -> dict[str, str]:
    """Return the description for the front matter: the first line of ``text`` that is no heading."""
    lines = (line.strip() for line in text.splitlines())
    first = next((line for line in lines if line and not line.startswith(("#", "+++", "---"))), "")
    return {"description": shortened(sanitize_line(first), _LONGEST_DESCRIPTION)} if first else {}


def write_segments(segments: Iterable[Segment]) -> str:
    """Return the text of a template that is read as ``segments``."""
    merged: list[Segment] = []
    for segment in segments:
        if isinstance(segment, str) and merged and isinstance(merged[-1], str):
            merged[-1] += segment
        else:
            merged.append(segment)
    return "".join(_written(segment) for segment in merged)


def _written(segment: Segment) -> str:
    if isinstance(segment, str):
        return _BRACES.sub(lambda braces: f"{{{{ {json.dumps(braces[0])} }}}}", segment)
    return f"{{{{ {segment.name} }}}}"


def _toml(value: object) -> str:
    if isinstance(value, str):
        # A string of JSON is one of TOML, but for the one control character JSON leaves as it is.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
