"""The HTML document of a conversation."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final, Protocol

from chatcli.render.html_export.markdown_html import markdown_to_html
from chatcli.render.html_export.page_frame import html_page, shown_line
from chatcli.render.html_export.stylesheet import stylesheet
from chatcli.text.sanitizer import sanitize
from chatcli.text.scripts import language_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
    messages = (
        part.text for turn in conversation.turns for part in turn.parts if part.kind in _MESSAGE_KINDS
    )
    language = language_of("\n".join(text[:_SAMPLE_CHARACTERS] for text in messages))
    return html_page(conversation.title, stylesheet(), _body_lines(conversation, language), language=language)


def _body_lines(conversation: ExportedConversation, language: str) -> Iterator[str]:
    title = shown_line(conversation.title)
    yield f'<header>\n<h1{_lang(conversation.title, language)} dir="auto">{title}</h1>'
    if conversation.facts:
        facts = "".join(
            f"<dt>{shown_line(label)}</dt><dd>{shown_line(value)}</dd>" for label, value in conversation.facts
        )
        yield f"<dl{_own(language)}>{facts}</dl>"
    yield "</header>"
    yield "<main>"
    for turn in conversation.turns:
        yield from _turn_lines(turn, language)
    yield "</main>"


def _turn_lines(turn: ExportedTurn, language: str) -> Iterator[str]:
    speaker = shown_line(turn.speaker)
    yield f'<section class="turn {speaker.lower()}">'
    yield f"<h2{_own(language)}>{speaker}</h2>"
    yield f'<p class="facts"{_own(language)}>{shown_line(" · ".join(turn.facts))}</p>'
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
            yield f'<p class="attached"{_own(language)}>Attached, not in this file: {shown_line(part.name)}</p>'
        case "tool":
            title = f"Called {part.name}" if part.name else "From a tool"
            yield from _folded(title, part.text, language)
        case _:
            yield from _folded(f"Attached: {part.name}" if part.name else "Attached", part.text, language)


def _folded(title: str, text: str, language: str) -> Iterator[str]:
    # A <pre> drops its first line feed: add one to keep that of the text.
    yield f'<details class="attached" open><summary{_own(language)}>{shown_line(title)}</summary>'
    yield f'<pre{_lang(text, language)} dir="auto">\n{escape(sanitize(text))}</pre></details>'


def _own(language: str) -> str:
    """Return the ``lang`` attribute for this program's own words in a document in ``language``."""
    return "" if language == _OWN_LANGUAGE else f' lang="{_OWN_LANGUAGE}"'


def _lang(text: str, language: str) -> str:
    """Return the ``lang`` attribute for ``text`` in a document in ``language``, empty if it is the same."""
    own = language_of(text)
    return "" if own == language or not text.strip() else f' lang="{own}"'
