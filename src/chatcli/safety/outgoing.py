"""Links and pictures of an answer that carry the conversation out.

A model that obeys an injected order can put what it has read into an address: whoever opens the link, or a client that
loads the picture, sends it to the server of that address. Measured in letters and digits, without case, spaces and
punctuation: 24 of the conversation in a row are too many in the query, in the host, in anything encoded and anywhere in
a picture; 60 in the path and the fragment of a link, where words of a title are common. An address that the conversation
holds itself is harmless, and so is a link to a place where one searches or files an issue.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, unquote, unquote_plus, urlsplit

from chatcli.safety.findings import EXCERPT_CHARS, InjectionFinding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

FEWEST_CHARS: Final = 24
FEWEST_CHARS_OF_PATH: Final = 60
LONG_QUERY_CHARS: Final = 256
LONG_PICTURE_QUERY_CHARS: Final = 128
MOST_URL_CHARS: Final = 8_000
MOST_LINKS: Final = 200
MOST_PLACES: Final = 50
STRIDE: Final = FEWEST_CHARS // 2
"""A run of 24 holds a whole piece of 12 that begins at a multiple of 12."""

REPEATS: Final = "its address repeats the conversation or a file"
LONG: Final = "its address has a very long query, which can carry data"

_URL: Final = re.compile(
    r"(?P<picture>!\[[^\]\n]{0,500}\]\(\s*<?|<img\b[^>]{0,300}?\bsrc\s*=\s*[\"']?)?(?P<url>(?:https?:)?//[^\s<>\"'`\\]{4,8000})",
    re.IGNORECASE,
)
_TRAILING: Final = ".,;:!?)]}*_"
_CODED: Final = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2}){12,}")
_IGNORED: Final = re.compile(r"[\W_]+")
_SEARCHES: Final = re.compile(
    r"(?:www\.)?(?:google\.[a-z.]{2,6}|bing\.com|duckduckgo\.com|baidu\.com|yandex\.(?:ru|com)|ecosia\.org|startpage\.com|search\.brave\.com"
    r"|(?:[a-z-]{2,12}\.)?wikipedia\.org|github\.com|gitlab\.com|stackoverflow\.com|scholar\.google\.com|pypi\.org|npmjs\.com|youtube\.com"
    r"|maps\.google\.com|translate\.google\.com|arxiv\.org|naver\.com|search\.naver\.com|qwant\.com|openstreetmap\.org)",
    re.IGNORECASE,
)


def outgoing_links(answer: str, texts: Iterable[str]) -> list[InjectionFinding]:
    """Return the links and pictures of an answer that carry data out: of ``texts``, the conversation and its files."""
    if "//" not in answer:
        return []
    known = list(texts)
    plain = [_letters(text) for text in known]
    return list(_findings(answer, known, plain))


def _findings(answer: str, known: Sequence[str], plain: Sequence[str]) -> Iterator[InjectionFinding]:
    for count, match in enumerate(_URL.finditer(answer)):
        if count == MOST_LINKS:
            return
        url = match["url"].rstrip(_TRAILING)
        picture = match["picture"] is not None
        reason = _suspicion(url, picture=picture, known=known, plain=plain)
        if reason:
            start, end = match.start(), match.start("url") + len(url)
            yield InjectionFinding(
                start, end, "data-out", answer[start : min(end, start + EXCERPT_CHARS)], reason
            )


def _suspicion(url: str, *, picture: bool, known: Sequence[str], plain: Sequence[str]) -> str | None:
    if any(url in text for text in known):
        return None
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return None
    if not picture and _SEARCHES.fullmatch(host):
        return None
    query = f"{parts.query}{parts.fragment}" if picture else parts.query
    if any(_repeats(text, plain, FEWEST_CHARS) for text in _short(parts, host, picture=picture)):
        return REPEATS
    if not picture and any(
        _repeats(_letters(unquote(text)), plain, FEWEST_CHARS_OF_PATH)
        for text in (parts.path, parts.fragment)
    ):
        return REPEATS
    return LONG if len(query) >= (LONG_PICTURE_QUERY_CHARS if picture else LONG_QUERY_CHARS) else None


def _short(parts: SplitResult, host: str, *, picture: bool) -> Iterator[str]:
    """Yield the letters of the parts of an address in which 24 are too many."""
    spoken = [parts.query, host.replace(".", ""), parts.username or "", parts.password or ""]
    if picture:
        spoken += [parts.path, parts.fragment]
    for text in spoken:
        yield _letters(unquote_plus(unquote_plus(text)))
    for part in (parts.path, parts.query, parts.fragment, host):
        once = unquote(part)
        for match in _HEX.finditer(once.replace(".", "")):
            yield _letters(bytes.fromhex(match[0]).decode("utf-8", "ignore"))
        for piece in _CODED.findall(once):
            for decoded in _decoded(piece):
                yield _letters(decoded)


def _decoded(coded: str) -> Iterator[str]:
    """Yield what a word says in base64, whole and behind each slash, which is also a letter of base64."""
    for text in {coded, *coded.split("/")}:
        plain = text.replace("-", "+").replace("_", "/").rstrip("=")
        try:
            yield base64.b64decode(plain + "=" * (-len(plain) % 4)).decode("utf-8", "ignore")
        except (binascii.Error, ValueError):
            continue


def _letters(text: str) -> str:
    return _IGNORED.sub("", text).casefold()


def _repeats(text: str, known: Sequence[str], fewest: int) -> bool:
    """Return whether so many characters in a row stand in one of the texts."""
    text = text[:MOST_URL_CHARS]
    for at in range(0, len(text) - STRIDE + 1, STRIDE):
        piece = text[at : at + STRIDE]
        for other in known:
            place = other.find(piece)
            for _ in range(MOST_PLACES):
                if place < 0:
                    break
                if _run(text, at, other, place) >= fewest:
                    return True
                place = other.find(piece, place + 1)
    return False


def _run(text: str, at: int, other: str, place: int) -> int:
    """Return how long both are alike around two places."""
    start = end = 0
    while start < at and start < place and text[at - start - 1] == other[place - start - 1]:
        start += 1
    while at + end < len(text) and place + end < len(other) and text[at + end] == other[place + end]:
        end += 1
    return start + end
