"""Closing marks for the comments and strings that a fragment of code may leave open."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST: Final = 16

_CLOSERS: Final = {
    '"""': '"""',
    "'''": "'''",
    "/*": "*/",
    "<!--": "-->",
    "<![CDATA[": "]]>",
    "<!": ">",
    "<?": "?>",
    "<%": "%>",
    "{{": "}}",
    "{%": "%}",
    "{#": "#}",
    "<#": "#>",
    "(*": "*)",
    "=begin": "\n=end",
    '@"': '"@',
    "@'": "'@",
    '"': '"',
    "'": "'",
    "`": "`",
}
_NAMED: Final = {
    "heredoc": "\n{}",
    "raw": '){}"',  # R"name(...)name" of C++
    "hashes": '"{}',  # r#"..."# of Rust
    "equals": "]{}]",  # [==[...]==] of Lua
    "dollars": "{}",  # $name$...$name$ of PostgreSQL
}
_RETURN_TYPE: Final = re.compile(r"^[ \t]*\w[\w:<>, ]*[\w>*& ]\Z", re.MULTILINE)
_OPENER: Final = re.compile(
    r"""<<[<~-]?[ ]*["'\\]?(?P<heredoc>\w+)|R"(?P<raw>[^()\s\\]{0,16})\(|r(?P<hashes>\#+)"|"""
    r"""\[(?P<equals>=*)\[|(?P<dollars>\$\w*\$)|""" + "|".join(map(re.escape, _CLOSERS))
)


def closers(code: str) -> str:
    """Return lines that close whatever ``code`` may leave open, judged by its opening marks alone.

    A closer without an opener is harmless: only a match that crosses the end of the line reaches it.
    """
    found = dict.fromkeys(_closer(opener) for opener in _OPENER.finditer(code))
    return "".join(f"{closer}\n" for closer in (*_completions(code), *islice(found, _MOST)))


def _closer(opener: re.Match[str]) -> str:
    name = opener.lastgroup
    return _NAMED[name].format(opener[name]) if name else _CLOSERS[opener[0]]


def _completions(code: str) -> Iterator[str]:
    """Yield completions for a match that needs the next line: a continued line, or a C function's brace."""
    if code.endswith("\\\n"):
        yield "..."
    code = code.rstrip()
    if code.count("(") > code.count(")"):
        yield "){"
    elif code.endswith(")"):
        yield "{"
    elif _RETURN_TYPE.search(code):
        yield "f(){"
