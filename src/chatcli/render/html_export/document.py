"""The HTML document of a conversation."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final, Protocol

from chatcli.render.html_export.markdown_html import markdown_to_html
from chatcli.render.html_export.stylesheet import stylesheet
from chatcli.text.sanitizer import sanitize, sanitize_line
from chatcli.text.scripts import language_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Should anything ever get past the escaping, the browser still runs and fetches nothing. A policy in a file
# cannot forbid framing, which does no harm here.
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
)
_OWN_LANGUAGE: Final = "en"
_MESSAGE_KINDS: Final = frozenset({"markdown", "words"})
_SAMPLE_CHARACTERS: Final = 1_000  # per part, so that no long answer decides for all


class ExportedPart(Protocol):
    """A part of a turn: message text (``words`` or ``markdown``), or another kind under its ``name``."""

    @property
    def kind(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def name(self) -> str: ...


class ExportedTurn(Protocol):
    """The message of one speaker; ``facts`` are short remarks on it."""

    @property
    def speaker(self) -> str: ...
    @property
    def facts(self) -> Sequence[str]: ...
    @property
    def parts(self) -> Sequence[ExportedPart]: ...


class ExportedConversation(Protocol):
    """The conversation to export; ``facts`` are pairs of a label and a value."""

    @property
    def title(self) -> str: ...
    @property
    def facts(self) -> Sequence[tuple[str, str]]: ...
    @property
    def turns(self) -> Sequence[ExportedTurn]: ...


def to_html(conversation: ExportedConversation) -> str:
    """Return one self-contained HTML document.

    All text is untrusted: control and direction characters are made visible, everything is escaped, HTML in
    Markdown stays text, and links lead only to http, https or mailto.
    """
    return "\n".join(_lines(conversation)) + "\n"


def _lines(conversation: ExportedConversation) -> Iterator[str]:
    title = _line(conversation.title)
    messages = (
        part.text for turn in conversation.turns for part in turn.parts if part.kind in _MESSAGE_KINDS
    )
    language = language_of("\n".join(text[:_SAMPLE_CHARACTERS] for text in messages))
    yield "<!DOCTYPE html>"
    yield f'<html lang="{language}">'
    yield "<head>"
    # Before the title: the browser decodes the following text by it.
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
    for part in turn.parts:
        yield from _part_lines(part, language)
    yield "</section>"


def _part_lines(part: ExportedPart, language: str) -> Iterator[str]:
    lang = _lang(part.text, language)
    match part.kind:
        case "markdown":
            yield f'<div{lang} dir="auto">\n{markdown_to_html(sanitize(part.text))}</div>'
        case "words":
            # As typed: few people mean Markdown in their questions.
            yield f'<div class="words"{lang} dir="auto">{escape(sanitize(part.text))}</div>'
        case "sources":
            yield f'<div class="words"{lang} dir="auto">{escape(sanitize(part.text))}</div>'
        case "attachment":
            yield f'<p class="attached"{_own(language)}>Attached, not in this file: {_line(part.name)}</p>'
        case "tool":
            title = f"Called {part.name}" if part.name else "From a tool"
            yield from _folded(title, part.text, language)
        case _:
            yield from _folded(f"Attached: {part.name}" if part.name else "Attached", part.text, language)


def _folded(title: str, text: str, language: str) -> Iterator[str]:
    # A <pre> drops its first line feed: add one to keep that of the text.
    yield f'<details class="attached" open><summary{_own(language)}>{_line(title)}</summary>'
    yield f'<pre{_lang(text, language)} dir="auto">\n{escape(sanitize(text))}</pre></details>'


def _own(language: str) -> str:
    """Return the ``lang`` attribute for this program's own words in a document in ``language``."""
    return "" if language == _OWN_LANGUAGE else f' lang="{_OWN_LANGUAGE}"'


def _lang(text: str, language: str) -> str:
    """Return the ``lang`` attribute for ``text`` in a document in ``language``, empty if it is the same."""
    own = language_of(text)
    return "" if own == language or not text.strip() else f' lang="{own}"'


def _line(text: str) -> str:
    return escape(sanitize_line(text))
