"""The shapes of well-known providers' keys, and of the headers that carry any key.

A shape has a prefix and a length that ordinary text does not have, so that a key is recognized which this run has
never seen. Lengths and alphabets are those of keys handed out by the providers as of 2026, and of the rules of
gitleaks (https://github.com/gitleaks/gitleaks, ``config/gitleaks.toml``).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, Final

from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Span = tuple[int, int]

# Not inside a word; the letter of an escape such as \n, as in a Python repr, is not part of one.
_START: Final = r"(?:(?<![a-z0-9_-])|(?<=\\[nrt]))"
_END: Final = r"(?![a-z0-9])"

_SHAPES: Final = (
    # OpenAI's keys of projects, services and administrators; Anthropic; OpenRouter
    r"sk-(?:proj|svcacct|admin|none)-[a-z0-9_-]{40,}",
    r"sk-ant-(?:api|admin|sid|oat)[0-9]{2}-[a-z0-9_-]{40,}",
    r"sk-or-v1-[0-9a-f]{64,}",
    # OpenAI's older keys (48), Moonshot (48), DeepSeek and DashScope (32)
    r"sk-[a-z0-9]{32,}",
    r"gsk_[a-z0-9]{52,}",  # Groq
    r"csk-[a-z0-9]{48,}",  # Cerebras
    r"xai-[a-z0-9_]{80,}",
    r"pplx-[a-z0-9]{48,}",
    r"nvapi-[a-z0-9_-]{60,}",
    r"r8_[a-z0-9]{37,}",  # Replicate
    r"tvly-(?:dev-|prod-)?[a-z0-9]{32,}",  # Tavily
    r"hf_[a-z0-9]{34,}",
    rf"aiza[0-9a-z_-]{{35}}{_END}",  # Google
    rf"(?:akia|asia)[a-z2-7]{{16}}{_END}",  # AWS
    r"gh[opusr]_[a-z0-9]{36,}",
    r"github_pat_[a-z0-9]{22}_[a-z0-9]{59,}",
    # JSON Web Tokens, as Azure and Vertex hand out: both first parts begin with {" in base64
    r"eyj[a-z0-9_-]{8,}\.eyj[a-z0-9_-]{8,}\.[a-z0-9_-]{16,}",
)
_SHAPE: Final = lazy_pattern(rf"{_START}(?:{'|'.join(_SHAPES)})")
# A title or a line that was shortened within a key.
_CUT: Final = lazy_pattern(
    rf"{_START}(?:sk-|gsk_|csk-|xai-|pplx-|nvapi-|r8_|tvly-|hf_|aiza|gh[opusr]_|github_pat_)[a-z0-9_-]{{12,}}(?=…|\.{{3}})"
)
_KEY_HEADERS: Final = ("authorization", "api-key", "x-goog-api-key", "x-auth-token")
_HEADER: Final = lazy_pattern(
    rf"(?<![a-z0-9-])(?:proxy-|x-)?(?:{'|'.join(_KEY_HEADERS)})(?:\\?['\"])?"
    r"(?:\s{0,9}[:=,]\s{0,9}(?:b(?=\\?['\"]))?(?:\\?['\"])?|\s{1,9}(?=bearer\b))"
    r"(?:(?:bearer|basic|token|digest|apikey)\s{1,9})?(?P<value>[^\s'\"\\,;}\])>]+)"
)
_BEARER: Final = lazy_pattern(r"(?<![a-z0-9])bearer\s{1,9}(?P<value>[a-z0-9._~+/=-]+)")
_PLACEHOLDER: Final = lazy_pattern(r"[$<{%(\[…*.]|your|my[_-]|xxx|\.\.\.|bearer\b|none\b|null\b")
"""The beginning of what stands for a key: ``$OPENAI_API_KEY``, ``<key>``, ``…``."""
_WORD: Final = lazy_pattern(r"[a-z]{1,14}[.,:;!?-]*|[a-z]+(?:-[a-z]+)+")

_KEY_FIELD: Final = lazy_pattern(
    r"(?:[a-z0-9]+[_-])*(?:api[_-]?key|secret[_-]?key|access[_-]?token|auth[_-]?token|authorization|password)",
    re.IGNORECASE,
)

# What stands behind a name for keys, as in a .env file, in code, JSON or YAML, and the names.
_ASSIGNED: Final = lazy_pattern(
    r"(?:key|token|secret)(?:\\?['\"])?\s{0,3}[:=]>?\s{0,3}(?:\\?['\"])?(?P<value>[a-z0-9_+/=.~-]{20,})"
)
_ASSIGNED_NAME: Final = lazy_pattern(
    r"(?:(?:api|secret|access|private|auth|account|subscription)[_-]?(?:key|token|secret)(?:\\?['\"])?\s{0,3}[:=]>?\s{0,3}"
    r"|(?:^|[\s;])[a-z0-9_]*(?:key|token|secret)=)(?:\\?['\"])?$"
)
_LONGEST_NAME: Final = 60
_FEWEST_ASSIGNED: Final = 20

INVISIBLE: Final = (
    *((0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F)),
    *((0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F)),
    *((0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0)),
)
"""The first and the last of each range of characters that take no place, which a copied key may have in it."""
_INVISIBLE: Final = lazy_pattern(
    "[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in INVISIBLE) + "]+"
)
# A page or a terminal breaks a long key into lines; what goes on there is no word of a sentence.
_LINE_BREAK: Final = lazy_pattern(r"\n(?<=[a-z0-9_-]\n)[ \t]{0,80}(?=[a-z_-]{0,60}[0-9])(?=[a-z0-9_-]{12})")

_DIGIT: Final = lazy_pattern(r"[0-9]")
_LETTER: Final = lazy_pattern(r"[a-z]")
_FEWEST_CHARACTERS: Final = 8
"""How many different characters a key has at least: 40 random ones have more, ``sk-xxxx…`` has not."""
_MADE_UP: Final = lazy_pattern(
    r"(.)\1{4}|your|example|placeholder|dummy|fake|secret|redacted|replace|abcdefgh|12345678|01234567|deadbeef"
)


MAY_HOLD_KEY: Final = lazy_pattern(
    r"sk-|gsk_|xai-|pplx-|nvapi-|r8_|tvly-|hf_|aiza|akia|asia|gh[opusr]_|github_pat_|eyj"
    rf"|bearer|{'|'.join(_KEY_HEADERS)}"
)
"""What every shape and header has in it, in lower case. Most text has none of it, which is quick to find out."""


def names_key(name: str) -> bool:
    """Return whether a field of a request with this name holds a key, as some gateways take one."""
    return _KEY_FIELD.fullmatch(name.strip()) is not None


def shapes_in(text: str) -> Iterator[Span]:
    """Yield the spans of texts shaped like a well-known provider's key. ``text`` is in lower case."""
    for match in _SHAPE.finditer(text):
        if len(set(match[0])) >= _FEWEST_CHARACTERS:
            yield match.span()
    for match in _CUT.finditer(text):
        if _DIGIT.search(match[0]) and _is_random(match[0]):
            yield match.span()


def values_in_headers(text: str) -> Iterator[Span]:
    """Yield the spans of values that travel as a key, whatever they are: of ``Authorization`` and its like.

    ``text`` is in lower case. ``Bearer`` alone also stands in sentences: a short word of letters behind it is none.
    """
    if any(header in text for header in _KEY_HEADERS):
        for match in _HEADER.finditer(text):
            if _PLACEHOLDER.match(match["value"]) is None:
                yield match.span("value")
    if "bearer" in text:
        for match in _BEARER.finditer(text):
            if _WORD.fullmatch(match["value"]) is None and _PLACEHOLDER.match(match["value"]) is None:
                yield match.span("value")


def pasted_keys(text: str) -> list[Span]:
    """Return the spans of what a person who pasted ``text`` would call a key. ``text`` is in lower case.

    Those are well-known shapes, in one piece or broken into lines, and values that look random of headers and
    assignments for keys. What documentation has in place of one (``sk-xxxx``, ``sk-your-key``,
    ``sk-1234567890abcdef…``) is none.
    """
    found = _shapes_pasted(text)
    visible = text if text.isascii() else _INVISIBLE.sub("", text)
    closed = _LINE_BREAK.sub("", visible)
    if len(closed) < len(text) and (across := _shapes_pasted(closed)):
        in_visible, in_text = place_without(visible, _LINE_BREAK), place_without(text, _INVISIBLE)
        found += (in_text(in_visible(span)) for span in across)
    found += (span for span in values_in_headers(text) if _is_assigned_key(text[slice(*span)]))
    for match in _ASSIGNED.finditer(text):
        before = text[max(0, match.start() - _LONGEST_NAME) : match.start("value")]
        if _is_assigned_key(match["value"]) and _ASSIGNED_NAME.search(before):
            found.append(match.span("value"))
    return sorted(set(found))


def _shapes_pasted(text: str) -> list[Span]:
    if MAY_HOLD_KEY.search(text) is None:
        return []
    return [match.span() for match in _SHAPE.finditer(text) if _is_random(match[0])]


def _is_assigned_key(value: str) -> bool:
    return (
        len(value) >= _FEWEST_ASSIGNED
        and _DIGIT.search(value) is not None
        and _LETTER.search(value) is not None
        and _is_random(value)
    )


def place_without(text: str, gaps: re.Pattern[str]) -> Callable[[Span], Span]:
    """Return what gives the place in ``text`` of a span of ``text`` without ``gaps``, which is not empty."""
    starts, removed = [0], [0]
    for match in gaps.finditer(text):
        starts.append(match.start() - removed[-1])
        removed.append(removed[-1] + match.end() - match.start())

    def place(span: Span) -> Span:
        first, last = (at + removed[bisect_right(starts, at) - 1] for at in (span[0], span[1] - 1))
        return first, last + 1

    return place


def _is_random(key: str) -> bool:
    return len(set(key)) >= _FEWEST_CHARACTERS and _MADE_UP.search(key) is None
