"""Status lines as sentences, without signs that screen readers spell out or skip."""

from __future__ import annotations

import re
from typing import Final

from chatcli.text.lazy_pattern import lazy_pattern

_CTRL: Final = lazy_pattern(r"\bCtrl-(?=[A-Z]\b)")
_SPOKEN: Final = (
    (re.compile(r"\A→ "), "what to do: "),
    (re.compile(r"\A… "), ""),
    (re.compile(r"\A\[(\d+)\] "), r"source \1: "),
    (re.compile(r" · "), ", "),
    (re.compile(r"~(?=\d)"), "about "),
    (re.compile(r"(?<=\d)–(?=\d)"), " to "),
    (_CTRL, "Control "),
)
# A name such as gpt-5 or config.toml stays as written.
_FIRST_WORD: Final = lazy_pattern(r"\A[a-z]+(?=[\s:,;]|\Z)")
_OPEN_END: Final = lazy_pattern(r"[\w)%]\Z")
_ADDRESS_AT_END: Final = lazy_pattern(r"https?://\S+\Z")
"""A URL to copy or open would break with a full stop."""


def with_keys_spoken(text: str) -> str:
    """Return ``text`` with the names of keys in words."""
    return _CTRL.sub("Control ", text)


def sentence(line: str) -> str:
    """Return ``line`` as a sentence for reading aloud."""
    for sign, spoken in _SPOKEN:
        line = sign.sub(spoken, line)
    line = _FIRST_WORD.sub(lambda word: word[0].capitalize(), line)
    return f"{line}." if _OPEN_END.search(line) and not _ADDRESS_AT_END.search(line) else line
