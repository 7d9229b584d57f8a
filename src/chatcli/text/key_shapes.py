"""The shapes of well-known providers' keys, and of the headers that carry any key.

A shape has a prefix and a length that ordinary text does not have, so that a key is recognized which this run has
never seen. Lengths and alphabets are those of keys handed out by the providers as of 2026, and of the rules of
gitleaks (https://github.com/gitleaks/gitleaks, ``config/gitleaks.toml``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

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
_SHAPE: Final = re.compile(rf"{_START}(?:{'|'.join(_SHAPES)})")
# A title or a line that was shortened within a key.
_CUT: Final = re.compile(
    rf"{_START}(?:sk-|gsk_|csk-|xai-|pplx-|nvapi-|r8_|tvly-|hf_|aiza|gh[opusr]_|github_pat_)[a-z0-9_-]{{12,}}(?=…|\.{{3}})"
)
_KEY_HEADERS: Final = ("authorization", "api-key", "x-goog-api-key", "x-auth-token")
_HEADER: Final = re.compile(
    rf"(?<![a-z0-9-])(?:proxy-|x-)?(?:{'|'.join(_KEY_HEADERS)})(?:\\?['\"])?"
    r"(?:\s{0,9}[:=,]\s{0,9}(?:b(?=\\?['\"]))?(?:\\?['\"])?|\s{1,9}(?=bearer\b))"
    r"(?:(?:bearer|basic|token|digest|apikey)\s{1,9})?(?P<value>[^\s'\"\\,;}\])>]+)"
)
_BEARER: Final = re.compile(r"(?<![a-z0-9])bearer\s{1,9}(?P<value>[a-z0-9._~+/=-]+)")
_PLACEHOLDER: Final = re.compile(r"[$<{%(\[…*.]|your|my[_-]|xxx|\.\.\.|bearer\b|none\b|null\b")
"""The beginning of what stands for a key: ``$OPENAI_API_KEY``, ``<key>``, ``…``."""
_WORD: Final = re.compile(r"[a-z]{1,14}[.,:;!?-]*|[a-z]+(?:-[a-z]+)+")

_KEY_FIELD: Final = re.compile(
    r"(?:[a-z0-9]+[_-])*(?:api[_-]?key|secret[_-]?key|access[_-]?token|auth[_-]?token|authorization|password)",
    re.IGNORECASE,
)

_DIGIT: Final = re.compile(r"[0-9]")
_FEWEST_CHARACTERS: Final = 8
"""How many different characters a key has at least: 40 random ones have more, ``sk-xxxx…`` has not."""
_MADE_UP: Final = re.compile(
    r"(.)\1{4}|your|example|placeholder|dummy|fake|secret|redacted|replace|abcdefgh|12345678|01234567|deadbeef"
)


MAY_HOLD_KEY: Final = re.compile(
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

    What documentation has in place of one (``sk-xxxx``, ``sk-your-key``, ``sk-1234567890abcdef…``) is none.
    """
    return [match.span() for match in _SHAPE.finditer(text) if _is_random(match[0])]


def _is_random(key: str) -> bool:
    return len(set(key)) >= _FEWEST_CHARACTERS and _MADE_UP.search(key) is None
