"""A transcript as Markdown, for reading and for other programs that know it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from chatcli.text.sanitizer import sanitize, sanitize_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chatcli.sessions.exporting.transcript import Transcript, TranscriptPart, TranscriptTurn

_MARKS: Final = re.compile(r"([\\`*_\[\]<>#&~$|])")
_BACKTICKS: Final = re.compile(r"`+")
_SHORTEST_FENCE: Final = 3


def to_markdown(transcript: Transcript, *, ended: Callable[[str], str]) -> str:
    """Return ``transcript`` as a Markdown document.

    A turn is a rule and a second-level heading. What was said stands below as it was said: headings in an answer
    keep their level, since a copied answer should be the answer. What a text leaves open, as an interrupted answer
    does a fence, would swallow every turn after it: ``ended`` returns a text with that closed.
    """
    return "\n\n".join(_blocks(transcript, ended)) + "\n"


def _blocks(transcript: Transcript, ended: Callable[[str], str]) -> Iterator[str]:
    yield f"# {_plain(transcript.title)}"
    if transcript.facts:
        yield "\n".join(f"- {label}: {_plain(value)}" for label, value in transcript.facts)
    for turn in transcript.turns:
        yield from _turn_blocks(turn, ended)


def _turn_blocks(turn: TranscriptTurn, ended: Callable[[str], str]) -> Iterator[str]:
    yield "---"
    yield f"## {turn.speaker}"
    yield f"*{_plain(' · '.join(turn.facts))}*"
    for piece in turn.pieces:
        yield from _piece_blocks(piece, ended)


def _piece_blocks(piece: TranscriptPart, ended: Callable[[str], str]) -> Iterator[str]:
    text = sanitize(piece.text)
    match piece.kind:
        case "words" | "markdown":
            yield ended(text.rstrip("\n"))
        case "document":
            yield f"**Attached: {_plain(piece.name)}**" if piece.name else "**Attached:**"
            yield _fenced(text)
        case "tool":
            yield f"**Called {_plain(piece.name)}:**" if piece.name else "**From a tool:**"
            yield _fenced(text)
        case "sources":
            # Fenced: an address stays what it is.
            yield "**Sources:**"
            yield _fenced(text)
        case "attachment":
            yield f"**Attached, not in this file: {_plain(piece.name)}**"


def _plain(text: str) -> str:
    """Return ``text`` on one line, with nothing in it that Markdown would take for more than text."""
    return _MARKS.sub(r"\\\1", sanitize_line(text)).strip()


def _fenced(text: str) -> str:
    longest = max(map(len, _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(_SHORTEST_FENCE, longest + 1)
    return f"{fence}\n{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{fence}"
