"""Redaction of keys in text that leaves the program, whatever its origin: a server, a proxy, an exception.

Redacted, in any case:

* a key as a whole; below 8 characters only as a separate word, below 6 never, since a local server may take any word
  as a key;
* 12 or more characters of the key after its public prefix (``sk-proj-``);
* both in hexadecimal and base64, at any offset in the encoded text (``Bearer sk-…``);
* all of these with characters escaped as in URLs, JSON, Python or HTML;
* a whole key that line ends, white space, control sequences or invisible characters are put into;
* a masked key, with its beginning and its end around a mask (``sk-abcd***wxyz``);

and, whether this run knows them or not: the keys of well-known providers by their shapes, values of headers that
carry keys (``Authorization: Bearer …``, ``x-api-key``), and the user name and password of any URL.

A text is never walked through character by character: of every part of 12 characters one of few *anchors* is found
by the search of the standard library, and only its surroundings are compared.
"""

from __future__ import annotations

import re
import string
from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from chatcli.core.frozen import frozen
from chatcli.text.key_shapes import (
    INVISIBLE,
    MAY_HOLD_KEY,
    pasted_keys,
    place_without,
    shapes_in,
    values_in_headers,
)
from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Span = tuple[int, int]

MARK: Final = "[key]"
PART_CHARACTERS: Final = 12
"""Minimum length of a part of a key that is redacted by itself."""

_SHORTEST: Final = 6
_SHORTEST_INSIDE_WORDS: Final = 8
_SHORTEST_UNMISTAKABLE: Final = 12
_SHOWN_BESIDE_MASK: Final = 4
_PUBLIC_PREFIX: Final = lazy_pattern(r"[a-z]{2,6}[-_](?:[a-z]{2,6}[-_]|v[0-9][-_]|api[0-9]{2}[-_]){0,2}")
# Each alternative begins with one character, as re then finds the beginning of any many times faster.
_MASK: Final = lazy_pattern(
    r"\*\*+|\.\.\.+|…[…•█▒]*|•[…•█▒]*|█[…•█▒]*|▒[…•█▒]*|xxxx+|\[\.\.\.\]|<[a-z]{1,10}>"
)
# Placeholders used in hints are not keys.
_USER_IN_URL: Final = lazy_pattern(r"://(?!user:password@)([^\s/?#@\"'<>]{1,500})(?=@)")
_SECRET_VARIABLE: Final = lazy_pattern(r"(?:^|_)(?:API_?KEY|KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)
_ESCAPED: Final = lazy_pattern(
    r"%(?P<percent>[0-7][0-9a-f])|\\(?:u00(?P<json>[0-7][0-9a-f])|u\{0{0,4}(?P<braced>[0-7][0-9a-f])\}"
    r"|x(?P<python>[0-7][0-9a-f])|(?P<literal>[\"'\\/]))"
    r"|&#(?P<nothing>x0*+(?:[1-8bef]|1[0-9a-f])(?![0-9a-f])|0*+(?:[1-8]|1[14-9]|2[0-9]|3[01])(?![0-9]));?"
    r"|&#(?:x0*+(?P<html_hex>[0-7][0-9a-f])(?![0-9a-f])|0*+(?P<html>[0-9]{2,3})(?![0-9]));?"
    r"|&(?P<entity>amp|quot|apos|lt|gt);?"
)
"""Browsers read HTML references without their semicolon as well, and a text may be cut off before it."""
_ENTITIES: Final = {"amp": "&", "quot": '"', "apos": "'", "lt": "<", "gt": ">"}
_MOST_ESCAPINGS: Final = 3
"""An error quoted by a gateway as JSON within JSON is escaped twice."""
_ENCODED: Final = lazy_pattern(r"[a-z0-9+/_-]{10,}={0,2}")
_BASE64: Final = str.maketrans("-_", "+/")  # the alphabet for URLs as the usual one
_BASE64_PART: Final = PART_CHARACTERS * 4 // 3
_HEX_PART: Final = PART_CHARACTERS * 2
# What a copy, a line end or a display puts between two characters of a key, seen by a person or not.
_SEQUENCES: Final = ("\x1b[", "\u241b[", "<u+")
_GAP_CHARACTERS: Final = "".join(
    chr(code)
    for first, last in (
        *((0x00, 0x20), (0x7F, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F)),
        *((0x205F, 0x205F), (0x2400, 0x2421), (0x3000, 0x3000)),
        *INVISIBLE,
    )
    for code in range(first, last + 1)
)
_GAP: Final = lazy_pattern(
    rf"(?:\x1b|\u241b)\[[0-9;]*[a-z]|<u\+[0-9a-f]{{4,6}}>|[{re.escape(_GAP_CHARACTERS)}]+"
)
_BETWEEN_TEXTS: Final = "\n\0\n"
"""Ends every word, and is no space that may stand between a header and its value."""
_WITHOUT_GAPS: Final = str.maketrans("", "", _GAP_CHARACTERS)
# Unlike str.lower, this keeps every character in its place.
_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


class Redactor:
    """The keys of a run, removed from every text. Keys added later are removed from then on."""

    def __init__(self) -> None:
        self._environments: list[Mapping[str, str]] = []
        self._sources: list[Callable[[], str | None]] = []
        self._known: dict[str, _Key] = {}

    def add_key(self, key: str) -> None:
        if len(key) >= _SHORTEST and key not in self._known:
            self._known[key] = _known(key)

    def add_source(self, source: Callable[[], str | None]) -> None:
        """Redact the key that ``source`` returns when a text is redacted; ``None`` while no key has been fetched."""
        self._sources.append(source)

    def add_environment(self, environment: Mapping[str, str]) -> None:
        """Redact the values of its variables that hold keys; they are read when a text is redacted."""
        self._environments.append(environment)

    def add_variables(self, environment: Mapping[str, str]) -> None:
        """Redact the values of environment variables that hold keys of any program."""
        for name, value in environment.items():
            if len(value) >= _SHORTEST_INSIDE_WORDS and _SECRET_VARIABLE.search(name):
                self.add_key(value)

    def redact(self, text: str) -> str:
        """Return ``text`` with every key, and every long enough part of one, replaced by a mark."""
        if not text:
            return text
        self._learn()
        spans = [match.span(1) for match in _USER_IN_URL.finditer(text)]
        for reading in _readings(text):
            found: list[Span] = []
            if MAY_HOLD_KEY.search(reading.text):
                found += (*shapes_in(reading.text), *values_in_headers(reading.text))
            if self._known:
                masks, words = (
                    [mask.span() for mask in _MASK.finditer(reading.text)],
                    _EncodedWords(reading.text),
                )
                for known in [*self._known.values()]:
                    found += known.spans(reading.text, masks, words)
                found += self._across_gaps(reading.text)
            spans += map(reading.span_in_source, found)
        return without(text, spans, mark=MARK)

    def redact_all(self, texts: Sequence[str]) -> Sequence[str]:
        """Return each of ``texts`` as ``redact`` does, faster where most have no key: all of them are searched at once."""
        together = _BETWEEN_TEXTS.join(texts)
        return texts if self.redact(together) == together else [self.redact(text) for text in texts]

    def keys_in(self, text: str) -> list[Span]:
        """Return the spans of keys in what a person wrote: those of this run, and those of well-known shapes.

        A known value that may be an ordinary word is not one.
        """
        self._learn()
        lower = text.translate(_LOWER)
        known = (re.finditer(re.escape(key), text) for key in [*self._known] if _is_unmistakable(key))
        whole = (match.span() for matches in known for match in matches)
        return sorted({*pasted_keys(lower), *whole, *self._across_gaps(lower)})

    def _across_gaps(self, text: str) -> Iterator[Span]:
        """Yield the spans of whole keys that something was put into. ``text`` is in lower case."""
        values = {one.value for key, one in [*self._known.items()] if _is_unmistakable(key)}
        closed = without_gaps(text) if values else text
        if len(closed) < len(text) and (broken := [value for value in values if value in closed]):
            place = place_without(text, _GAP)
            for value in broken:
                yield from (place(match.span()) for match in re.finditer(re.escape(value), closed))

    def _learn(self) -> None:
        # The log is written by a thread, which must not pass over what another one is about to learn.
        environments = self._environments
        for environment in environments:
            self.add_variables(environment)
        self._environments = self._environments[len(environments) :]
        for source in self._sources:
            if (key := source()) is not None:
                self.add_key(key)


@frozen
class _Reading:
    """A text in lower case, with the source position of each character and of the end."""

    text: str
    starts: Sequence[int]

    def span_in_source(self, span: Span) -> Span:
        return self.starts[span[0]], self.starts[span[1]]

    def unescaped(self) -> _Reading | None:
        """Return the text with one layer of escapes removed, ``None`` if it has none."""
        characters: list[str] = []
        starts: list[int] = []
        done = 0
        for match in _ESCAPED.finditer(self.text):
            character = _escaped(match).translate(_LOWER)
            characters += (self.text[done : match.start()], character)
            starts += self.starts[done : match.start() + len(character)]
            done = match.end()
        if not done:
            return None
        return _Reading("".join([*characters, self.text[done:]]), [*starts, *self.starts[done:]])


def _readings(text: str) -> Iterator[_Reading]:
    reading: _Reading | None = _Reading(text.translate(_LOWER), range(len(text) + 1))
    for _ in range(1 + _MOST_ESCAPINGS):
        if reading is None:
            return
        yield reading
        reading = reading.unescaped()


def _escaped(match: re.Match[str]) -> str:
    kind, value = match.lastgroup, match[match.lastgroup or 0]
    if kind == "literal":
        return value
    if kind == "entity":
        return _ENTITIES[value]
    if kind == "nothing":
        return ""  # a control character, which readers of HTML leave out
    return chr(int(value, 10 if kind == "html" else 16))


@frozen
class _Key:
    """A key in lower case, with its spellings and every part long enough to be redacted.

    ``parts`` finds its parts, ``encoded`` those of its hexadecimal and base64 forms, ``beginnings`` and ``ends``
    are the lengths of masked parts by the character next to the mask.
    """

    value: str
    spellings: tuple[str, ...]
    parts: _Parts | None
    encoded: tuple[_Parts, ...]
    beginnings: Mapping[str, tuple[int, ...]]
    ends: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, key: str) -> _Key:
        import json  # noqa: PLC0415 - --help and --version hide no key
        from urllib.parse import quote  # noqa: PLC0415 - as above

        value = key.translate(_LOWER)
        prefix = _PUBLIC_PREFIX.match(value)
        secret = value[prefix.end() :] if prefix else value
        in_url = quote(_bytes_of(key), safe="").translate(_LOWER)
        spellings = {value, in_url, json.dumps(key)[1:-1].translate(_LOWER)}
        return cls(
            value,
            tuple(spellings),
            _Parts.of(secret, PART_CHARACTERS) if len(secret) >= PART_CHARACTERS else None,
            tuple(_encoded_parts(key, key[prefix.end() :] if prefix else key)),
            beginnings=_lengths(value),
            ends=_lengths(value[::-1]),
        )

    def spans(self, text: str, masks: Sequence[Span], words: _EncodedWords) -> Iterator[Span]:
        for spelling in self.spellings:
            yield from self._whole(spelling, text)
        for parts in self.encoded:
            yield from words.around(parts.spans(words.text))
        if self.parts is not None:
            yield from self.parts.spans(text)
            yield from self._masked(text, masks)

    def _whole(self, spelling: str, text: str) -> Iterator[Span]:
        pattern = re.escape(spelling)
        if len(spelling) < _SHORTEST_INSIDE_WORDS:
            pattern = rf"(?<![a-z0-9]){pattern}(?![a-z0-9])"
        return (match.span() for match in re.finditer(pattern, text))

    def _masked(self, text: str, masks: Sequence[Span]) -> Iterator[Span]:
        for start, end in masks:
            before = self._beginning_before(text, start)
            after = self._end_after(text, end)
            if before + after >= _SHOWN_BESIDE_MASK:
                yield start - before, end + after

    def _beginning_before(self, text: str, at: int) -> int:
        """Return how many characters before a position are the beginning of the key."""
        lengths = self.beginnings.get(text[at - 1 : at], ())
        return next((n for n in lengths if text.endswith(self.value[:n], 0, at)), 0)

    def _end_after(self, text: str, at: int) -> int:
        lengths = self.ends.get(text[at : at + 1], ())
        return next((n for n in lengths if text.startswith(self.value[-n:], at)), 0)


@frozen
class _Parts:
    """Every part of ``length`` characters of a text, to be found in other texts.

    ``anchors`` are a few shorter parts, one of which is in every part, ``reach`` characters behind its start at most.
    """

    windows: frozenset[str]
    anchors: tuple[str, ...]
    length: int
    reach: int

    @classmethod
    def of(cls, text: str, length: int) -> _Parts:
        anchor = -(-length // 2)
        reach = length - anchor
        # Of reach + 1 neighbouring positions, one is a multiple of it.
        anchors = dict.fromkeys(_windows(text, anchor, step=reach + 1))
        return cls(frozenset(_windows(text, length)), tuple(anchors), length, reach)

    def spans(self, text: str) -> Iterator[Span]:
        for anchor in self.anchors:
            at, compared = text.find(anchor), 0
            while at >= 0:
                # Overlapping anchors share surroundings, which are compared once.
                for start in range(max(compared, at - self.reach), at + 1):
                    if text[start : start + self.length] in self.windows:
                        yield start, start + self.length
                compared = at + 1
                at = text.find(anchor, compared)


class _EncodedWords:
    """The words of a text that may be hexadecimal or base64, apart from the rest; their places on demand."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._spans: Sequence[Span] = ()
        self._starts: Sequence[int] = ()
        self.text = " ".join(_ENCODED.findall(source)).translate(_BASE64)

    def around(self, parts: Iterator[Span]) -> Iterator[Span]:
        """Yield the whole word around each part: its neighbours could not be decoded without it."""
        for start, _ in parts:
            if not self._spans:
                self._spans = [match.span() for match in _ENCODED.finditer(self._source)]
                lengths = (end - start + 1 for start, end in self._spans)
                self._starts = [*accumulate(lengths, initial=0)]
            yield self._spans[bisect_right(self._starts, start) - 1]


def without_gaps(text: str) -> str:
    """Return ``text`` without what may stand between two characters of a key that was copied or shown."""
    if any(sequence in text for sequence in _SEQUENCES):
        return _GAP.sub("", text)
    return text.translate(_WITHOUT_GAPS)


@lru_cache(maxsize=64)
def _known(key: str) -> _Key:
    return _Key.of(key)


def _is_unmistakable(key: str) -> bool:
    return len(key) >= _SHORTEST_UNMISTAKABLE and not key.isalpha()


def _bytes_of(key: str) -> bytes:
    """Return the bytes of a key; an environment variable may hold some that are no text."""
    try:
        return key.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return key.encode("utf-8", "surrogatepass")


def _windows(text: str, length: int, *, step: int = 1) -> Iterator[str]:
    return (text[at : at + length] for at in range(0, len(text) - length + 1, step))


def _encoded_parts(key: str, secret: str) -> Iterator[_Parts]:
    """Yield the hexadecimal and base64 texts that only a part of this key produces."""
    if len(key) < _SHORTEST_INSIDE_WORDS:
        return
    is_whole = len(secret) < PART_CHARACTERS
    of = _bytes_of(key if is_whole else secret)
    for encoded, length in [(of.hex(), _HEX_PART), *((text, _BASE64_PART) for text in _base64_of(of))]:
        n = len(encoded) if is_whole else min(length, len(encoded))
        yield _Parts.of(encoded.translate(_LOWER), n)


def _base64_of(content: bytes) -> Iterator[str]:
    """Yield the base64 forms of ``content`` at each of its three possible alignments.

    Characters at both ends that also depend on the surrounding bytes are omitted.
    """
    from base64 import b64encode  # noqa: PLC0415 - --help and --version hide no key

    for before in range(3):
        first, end = -(-before * 8 // 6), (before + len(content)) * 8 // 6
        yield b64encode(bytes(before) + content + bytes(2)).decode("ascii")[first:end]


def _lengths(characters: str) -> dict[str, tuple[int, ...]]:
    """Return the possible lengths of a beginning by its last character, longest first."""
    lengths: dict[str, list[int]] = {}
    for n in range(len(characters), 0, -1):
        lengths.setdefault(characters[n - 1], []).append(n)
    return {character: tuple(found) for character, found in lengths.items()}


def without(text: str, spans: Sequence[Span], *, mark: str = "") -> str:
    """Return ``text`` with ``mark`` in place of each group of touching spans."""
    parts: list[str] = []
    done = 0
    for start, end in sorted(spans):
        if start > done or not parts:
            parts += [text[done:start], mark]
        done = max(done, end)
    parts.append(text[done:])
    return "".join(parts)
