"""Taking keys out of text that leaves the program, whoever repeats them: a server, a proxy, an exception.

Taken out is, whatever its case:

* a key as a whole, as it is, percent-encoded, or escaped as in JSON; one below 8 characters only where it stands alone,
  one below 6 not at all: what a local server takes for a key is a word;
* 12 characters and more of what follows its public prefix (``sk-proj-``), which says whose key it is and no more;
* what servers make of it to show which key they mean: its beginning and its end around a mask (``sk-abcd***wxyz``);

and of any URL the user name and password.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Span = tuple[int, int]

MARK: Final = "[key]"
PART_CHARACTERS: Final = 12
"""The shortest part of a key that is taken out by itself."""

_SHORTEST: Final = 6
_SHORTEST_INSIDE_WORDS: Final = 8
_SHOWN_BESIDE_MASK: Final = 4
_PUBLIC_PREFIX: Final = re.compile(r"[a-z]{2,6}[-_](?:[a-z]{2,6}[-_]|v[0-9][-_]|api[0-9]{2}[-_]){0,2}")
_MASK: Final = re.compile(r"\*{2,}|\.{3,}|[…•█▒]+|[xX]{4,}|\[\.\.\.\]|<[a-z]{1,10}>")
# What a hint writes in their place is none.
_USER_IN_URL: Final = re.compile(r"(?<=://)(?!user:password@)[^\s/?#@\"'<>]{1,500}(?=@)")
_SECRET_VARIABLE: Final = re.compile(r"(?:^|_)(?:API_?KEY|KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)
# Unlike str.lower, this keeps every character in its place.
_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


class Redactor:
    """Knows the keys of a run. What it learns later is taken out from then on."""

    def __init__(self) -> None:
        self._sources: list[Callable[[], str | None]] = []
        self._known: dict[str, _Key] = {}

    def know(self, key: str) -> None:
        if len(key) >= _SHORTEST and key not in self._known:
            self._known[key] = _Key.of(key)

    def know_later(self, source: Callable[[], str | None]) -> None:
        """Know the key that ``source`` returns by the time of a text; ``None`` while nobody has fetched it."""
        self._sources.append(source)

    def know_variables(self, environment: Mapping[str, str]) -> None:
        """Know what the environment holds under the names of keys, whichever program they are for."""
        for name, value in environment.items():
            if len(value) >= _SHORTEST_INSIDE_WORDS and _SECRET_VARIABLE.search(name):
                self.know(value)

    def redact(self, text: str) -> str:
        """Return ``text`` with a mark in the place of every key, and of every part of one."""
        for source in self._sources:
            if (key := source()) is not None:
                self.know(key)
        if not text:
            return text
        lowered = text.translate(_LOWER)
        spans = [match.span() for match in _USER_IN_URL.finditer(text)]
        for known in self._known.values():
            spans += known.spans(lowered)
        return _marked(text, spans)


@dataclass(frozen=True, slots=True)
class _Key:
    """A key in lower case: its spellings, and every part that is long enough to be taken out.

    ``beginnings`` and ``ends`` are their lengths by the character next to a mask.
    """

    value: str
    spellings: tuple[str, ...]
    parts: frozenset[str]
    beginnings: Mapping[str, tuple[int, ...]]
    ends: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, key: str) -> _Key:
        import json  # noqa: PLC0415 - --help and --version hide no key
        from urllib.parse import quote  # noqa: PLC0415 - as above

        value = key.translate(_LOWER)
        prefix = _PUBLIC_PREFIX.match(value)
        secret = value[prefix.end() :] if prefix else value
        spellings = {value, quote(key, safe="").translate(_LOWER), json.dumps(key)[1:-1].translate(_LOWER)}
        starts = range(len(secret) - PART_CHARACTERS + 1)
        return cls(
            value,
            tuple(spellings),
            frozenset(secret[at : at + PART_CHARACTERS] for at in starts),
            beginnings=_lengths(value),
            ends=_lengths(value[::-1]),
        )

    def spans(self, text: str) -> Iterator[Span]:
        for spelling in self.spellings:
            yield from self._whole(spelling, text)
        if self.parts:
            yield from self._in_part(text)
            yield from self._masked(text)

    def _whole(self, spelling: str, text: str) -> Iterator[Span]:
        pattern = re.escape(spelling)
        if len(spelling) < _SHORTEST_INSIDE_WORDS:
            pattern = rf"(?<![a-z0-9]){pattern}(?![a-z0-9])"
        return (match.span() for match in re.finditer(pattern, text))

    def _in_part(self, text: str) -> Iterator[Span]:
        for at in range(len(text) - PART_CHARACTERS + 1):
            if text[at : at + PART_CHARACTERS] in self.parts:
                yield at, at + PART_CHARACTERS

    def _masked(self, text: str) -> Iterator[Span]:
        for mask in _MASK.finditer(text):
            start, end = mask.span()
            before = self._beginning_before(text, start)
            after = self._end_after(text, end)
            if before + after >= _SHOWN_BESIDE_MASK:
                yield start - before, end + after

    def _beginning_before(self, text: str, at: int) -> int:
        """Return how many characters of the key's beginning stand before a place."""
        lengths = self.beginnings.get(text[at - 1 : at], ())
        return next((n for n in lengths if text.endswith(self.value[:n], 0, at)), 0)

    def _end_after(self, text: str, at: int) -> int:
        lengths = self.ends.get(text[at : at + 1], ())
        return next((n for n in lengths if text.startswith(self.value[-n:], at)), 0)


def _lengths(characters: str) -> dict[str, tuple[int, ...]]:
    """Return, by the last character of a beginning, how long beginnings with it are, the longest first."""
    lengths: dict[str, list[int]] = {}
    for n in range(len(characters), 0, -1):
        lengths.setdefault(characters[n - 1], []).append(n)
    return {character: tuple(found) for character, found in lengths.items()}


def _marked(text: str, spans: list[Span]) -> str:
    """Return ``text`` with one mark in the place of spans that touch."""
    pieces: list[str] = []
    done = 0
    for start, end in sorted(spans):
        if start > done or not pieces:
            pieces += [text[done:start], MARK]
        done = max(done, end)
    pieces.append(text[done:])
    return "".join(pieces)
