"""Link definitions, ``[label]: address "title"``: collecting them, and waiting for them."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it import MarkdownIt

References: TypeAlias = dict[str, dict[str, Any]]
"""Definitions as markdown-it keeps them: by normalized label, ``href`` and ``title``."""

_CODE_OR_ESCAPED: Final = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)|\\.|<[a-zA-Z][^<>\s]*>", re.DOTALL)
_LINK: Final = re.compile(r"\[[^\[\]]*\]\(\s*(?:<[^<>\n]*>|[^\s<>()]*)(?:\s+\"[^\"]*\"|\s+'[^']*')?\s*\)")
_LABEL: Final = re.compile(r"\[(?!\^)([^\[\]]*[^\[\]\s][^\[\]]*)\]")
_TASK: Final = re.compile(r"\[[ xX]\](?=\s)")


def without_definitions(lines: Sequence[str], references: References) -> list[str]:
    """Return ``lines`` of a paragraph without its leading definitions, which are added to ``references``."""
    if not lines[0].startswith("[") or lines[0].startswith("[^"):  # the latter is a footnote
        return list(lines)
    tokens = _parser().parse("\n".join(lines), env := {"references": references})
    references.update(env["references"])
    text = "".join(token.content for token in tokens if token.type == "inline")
    return text.split("\n") if text else []


def waits_for_definition(text: str, references: References) -> bool:
    """Whether ``text`` may hold a link whose definition has not arrived yet."""
    if "[" not in text:
        return False
    from markdown_it.common.utils import normalizeReference  # noqa: PLC0415 - as below

    bare = _LINK.sub("", _TASK.sub("", _CODE_OR_ESCAPED.sub("", text), count=1))
    return any(normalizeReference(label) not in references for label in _LABEL.findall(bare))


@cache
def _parser() -> MarkdownIt:
    # Imported late: only rendering Markdown needs the parser.
    from markdown_it import MarkdownIt  # noqa: PLC0415

    parser = MarkdownIt("zero")
    parser.block.ruler.enableOnly(["reference", "paragraph"])
    return parser
