"""Pygments lexers by the language that a fence names."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from pygments.lexers import find_lexer_class, get_all_lexers  # type: ignore[import-untyped]

_WORD: Final = re.compile(r"[\s{.]*(?:language-)?([\w+#/-]+(?:\.[\w+#/-]+)*)")
_OTHER_NAMES: Final = {
    "jsonc": "json",
    "jsonl": "json",
    "ndjson": "json",
    "patch": "diff",
    "svelte": "vue",
    "terminal": "console",
}
_LONGEST_NAME: Final = 100
"""Longer than any there is; what is asked for is kept."""
# The first has nothing to colour; the second takes cubic time in the length of a line.
_LEFT_OUT: Final = {"Text only", "Easytrieve"}


def lexer_for(info: str) -> Any | None:
    """Return a Pygments lexer for a fence's info string (``{.python}``, ``py title=x``), ``None`` if unknown.

    Only the module of that lexer is imported. Lexers of plugins are excluded: each unknown word would cause a
    search through the metadata of every installed package.
    """
    word = _WORD.match(info)
    if word is None:
        return None
    title = _title(word[1].lower()[:_LONGEST_NAME])
    return title and find_lexer_class(title)()


@lru_cache
def _title(name: str) -> str | None:
    """Return the name by which Pygments knows a language, after a search through all of them."""
    name = _OTHER_NAMES.get(name, name)
    by_extension: str | None = None
    for title, aliases, patterns, _ in get_all_lexers(plugins=False):
        if title in _LEFT_OUT:
            continue
        if name in aliases:
            return str(title)
        if by_extension is None and f"*.{name}" in patterns:
            by_extension = title
    return by_extension
