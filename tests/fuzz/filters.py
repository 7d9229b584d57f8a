"""What is fuzzed of the filters that foreign text passes: each takes any text."""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from itertools import pairwise
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from chatcli.safety.injection import EXCERPT_CHARS, MOST_FINDINGS, scan
from chatcli.safety.outgoing import outgoing_links
from chatcli.text.redaction import PART_CHARACTERS, Redactor
from chatcli.text.sanitizer import SUSPICIOUS, TerminalSanitizer, sanitize, sanitize_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ACTIVE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""Matches a character that acts on a terminal, reorders a line or hides, whatever stands beside it."""

_NO_KEY: Final = re.compile(r"[^A-Za-z0-9+/=_.-]")
_PUBLIC_PREFIX: Final = re.compile(r"[a-z]{2,6}[-_](?:[a-z]{2,6}[-_]|v[0-9][-_]|api[0-9]{2}[-_]){0,2}")
_LONGEST_KEY: Final = 100
_MOST_CHARACTERS: Final = 2000


def sanitizer(data: bytes) -> None:
    """However a text is cut, the same is shown of it; nothing shown acts on a terminal, and nothing visible is lost."""
    text = data[4:].decode("utf-8", "surrogateescape")
    places = sorted(cut % (len(text) + 1) for cut in data[:4])
    stream = TerminalSanitizer()
    chunks = [text[start:end] for start, end in pairwise([0, *places, len(text)])]
    shown = sanitize(text)
    assert "".join([*map(stream.feed, chunks), stream.finish()]) == shown
    assert ACTIVE.search(shown) is None
    assert sanitize(shown) == shown
    assert not {"\n", "\t"} & set(sanitize_line(text))
    characters = iter(shown)
    assert all(each in characters for each in text if SUSPICIOUS.match(each) is None)


def redactor(data: bytes) -> None:
    """Whatever a key and the text around it are, no 12 characters of the key are left, however they are spelled."""
    first, _, rest = data.decode("utf-8", "replace").partition("\n")
    key, text = _NO_KEY.sub("", first)[:_LONGEST_KEY], rest[:_MOST_CHARACTERS]
    known = Redactor()
    known.add_key(key)
    prefix = _PUBLIC_PREFIX.match(key.lower())
    secret = key[prefix.end() :].lower() if prefix else key.lower()
    parts = {secret[at : at + PART_CHARACTERS] for at in range(len(secret) - PART_CHARACTERS + 1)}
    middle = text.find(" ")
    for spelling in _spellings(key):
        shown = known.redact(f"{text[: middle + 1]} {spelling} {text[middle + 1 :]}")
        assert not _parts_in(shown, parts), spelling
        assert not parts or spelling not in shown
    shown = known.redact(text)
    for read in _READINGS:
        assert not _parts_in(read(shown), parts)
    assert not parts or known.redact(shown) == shown or not _parts_in(known.redact(shown), parts)


def scanner(data: bytes) -> None:
    """Whatever a text holds, findings are passages of it, in order and apart; so are links that carry it out."""
    text = data.decode("utf-8", "surrogateescape")
    said, _, answer = text.partition("\n")
    findings = scan(text)
    assert len(findings) <= MOST_FINDINGS
    for looked_at, found in ((text, findings), (answer, outgoing_links(answer, [said]))):
        ends = 0
        for finding in found:
            assert ends <= finding.start < finding.end <= len(looked_at)
            assert finding.excerpt == looked_at[finding.start : finding.end][:EXCERPT_CHARS]
            assert finding.kind
            assert finding.reason
            ends = finding.end


FILTERS: Final = (sanitizer, redactor, scanner)


def _parts_in(text: str, parts: set[str]) -> set[str]:
    lowered = text.lower()
    return {part for part in parts if part in lowered}


def _spellings(key: str) -> Iterator[str]:
    yield key
    yield quote(key, safe="")
    yield "".join(f"%{ord(character):02X}" for character in key)
    yield "".join(f"\\u{ord(character):04x}" for character in key)
    yield json.dumps(json.dumps(key))
    yield key.encode().hex()
    yield b64encode(key.encode()).decode()
    yield b64encode(f"Bearer {key}".encode()).decode()


def _same(text: str) -> str:
    return text


_READINGS: Final[tuple[Callable[[str], str], ...]] = (_same, unquote, html.unescape)
