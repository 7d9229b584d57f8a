"""Pygments lexers by the language that a fence names."""

from __future__ import annotations

import re
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
    name = word[1].lower()
    name = _OTHER_NAMES.get(name, name)
    by_extension = None
    for title, aliases, patterns, _ in get_all_lexers(plugins=False):
        if title in _LEFT_OUT:
            continue
        if name in aliases:
            return find_lexer_class(title)()
        if by_extension is None and f"*.{name}" in patterns:
            by_extension = title
    return by_extension and find_lexer_class(by_extension)()
