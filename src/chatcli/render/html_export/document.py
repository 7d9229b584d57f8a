"""The HTML document around a conversation."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final, Protocol

from chatcli.render.html_export.markdown_html import markdown_to_html
from chatcli.render.html_export.stylesheet import stylesheet
from chatcli.text.sanitizer import sanitize, sanitize_line
from chatcli.text.scripts import language_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Should anything ever get past the escaping, the browser still runs nothing and fetches nothing. A policy in a file
# cannot forbid its being framed, which is of no use to anybody here.
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
)
_OWN_LANGUAGE: Final = "en"
_SPOKEN: Final = frozenset({"markdown", "words"})
_OF_EACH_CHARACTERS: Final = 1_000  # so that no long answer speaks for all the others


class ExportedPart(Protocol):
    """A part of a turn: ``words`` and ``markdown`` are what was said, anything else stands under its ``name``."""

    @property
    def kind(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def name(self) -> str: ...


class ExportedTurn(Protocol):
    """What one speaker said, with short remarks on it."""

    @property
    def speaker(self) -> str: ...
    @property
    def facts(self) -> Sequence[str]: ...
    @property
    def pieces(self) -> Sequence[ExportedPart]: ...


class ExportedConversation(Protocol):
    """What is exported; ``facts`` are pairs of a label and what is true of the whole."""

    @property
    def title(self) -> str: ...
    @property
    def facts(self) -> Sequence[tuple[str, str]]: ...
    @property
    def turns(self) -> Sequence[ExportedTurn]: ...


def to_html(conversation: ExportedConversation) -> str:
    """Return one HTML document that needs nothing beside it.

    Every text is untrusted, whoever wrote it: control and direction characters are made visible, everything is
    escaped, HTML in Markdown stays text, and a link leads to http, https or mailto or is none.
    """
    return "\n".join(_lines(conversation)) + "\n"


def _lines(conversation: ExportedConversation) -> Iterator[str]:
    title = _line(conversation.title)
    spoken = (piece.text for turn in conversation.turns for piece in turn.pieces if piece.kind in _SPOKEN)
    language = language_of("\n".join(text[:_OF_EACH_CHARACTERS] for text in spoken))
    yield "<!DOCTYPE html>"
    yield f'<html lang="{language}">'
    yield "<head>"
    # Before the title: a browser reads the text that follows by it.
    yield '<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="referrer" content="no-referrer">'
    yield '<meta name="color-scheme" content="light dark">'
    yield f"<title>{title}</title>"
    yield f"<style>\n{stylesheet()}</style>"
    yield "</head>"
    yield "<body>"
    yield f'<header>\n<h1{_lang(conversation.title, language)} dir="auto">{title}</h1>'
    if conversation.facts:
        facts = "".join(
            f"<dt>{_line(label)}</dt><dd>{_line(value)}</dd>" for label, value in conversation.facts
        )
        yield f"<dl{_own(language)}>{facts}</dl>"
    yield "</header>"
    yield "<main>"
    for turn in conversation.turns:
        yield from _turn_lines(turn, language)
    yield "</main>"
    yield "</body>"
    yield "</html>"


def _turn_lines(turn: ExportedTurn, language: str) -> Iterator[str]:
    speaker = _line(turn.speaker)
    yield f'<section class="turn {speaker.lower()}">'
    yield f"<h2{_own(language)}>{speaker}</h2>"
    yield f'<p class="facts"{_own(language)}>{_line(" · ".join(turn.facts))}</p>'
    for piece in turn.pieces:
        yield from _piece_lines(piece, language)
    yield "</section>"


def _piece_lines(piece: ExportedPart, language: str) -> Iterator[str]:
    lang = _lang(piece.text, language)
    match piece.kind:
        case "markdown":
            yield f'<div{lang} dir="auto">\n{markdown_to_html(sanitize(piece.text))}</div>'
        case "words":
            # As it was typed: few people mean Markdown by what they ask.
            yield f'<div class="words"{lang} dir="auto">{escape(sanitize(piece.text))}</div>'
        case "sources":
            yield f'<div class="words"{lang} dir="auto">{escape(sanitize(piece.text))}</div>'
        case "attachment":
            yield f'<p class="attached"{_own(language)}>Attached, not in this file: {_line(piece.name)}</p>'
        case "tool":
            title = f"Called {piece.name}" if piece.name else "From a tool"
            yield from _folded(title, piece.text, language)
        case _:
            yield from _folded(f"Attached: {piece.name}" if piece.name else "Attached", piece.text, language)


def _folded(title: str, text: str, language: str) -> Iterator[str]:
    # The first line feed in a <pre> is not shown: one more keeps that of the text.
    yield f'<details class="attached" open><summary{_own(language)}>{_line(title)}</summary>'
    yield f'<pre{_lang(text, language)} dir="auto">\n{escape(sanitize(text))}</pre></details>'


def _own(language: str) -> str:
    """Return the attribute for words of this program in a document in ``language``."""
    return "" if language == _OWN_LANGUAGE else f' lang="{_OWN_LANGUAGE}"'


def _lang(text: str, language: str) -> str:
    """Return the attribute for ``text`` in a document in ``language``: none where it is in the same one."""
    own = language_of(text)
    return "" if own == language or not text.strip() else f' lang="{own}"'


def _line(text: str) -> str:
    return escape(sanitize_line(text))
