"""A tree whose trunk and branches each go straight down, drawn by rich."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wcwidth import width

from chatcli.render.printing import plain_lines
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.shortening import shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Group, RenderableType
    from rich.tree import Tree as Node

_GAP: Final = "  "
_DEEPEST: Final = 8
"""Branches of deeper ones are drawn beside them."""
_UNCUT_COLUMNS: Final = 1_000_000  # labels fit already, and rich may take them for wider
# rich's guides without an end: below a branch, what it leaves goes on.
_GUIDES: Final = ("│ ", "│ ", "├─", "├─")


@dataclass(frozen=True, slots=True)
class BranchRow:
    """A row of a tree; ``begins`` marks the first of a branch, which leaves the row above with a lower depth."""

    name: str
    text: str
    depth: int
    begins: bool = False


def branched(rows: Sequence[BranchRow], columns: int) -> str:
    """Return ``rows`` as lines of at most ``columns``, with their names in a column of their own."""
    name_columns = max((width(row.name) for row in rows), default=0)
    room = columns - name_columns - len(_GAP)
    drawn = plain_lines(_Branches(rows, room).group(), _UNCUT_COLUMNS)
    lines = (f"{row.name:>{name_columns}}{_GAP}{line}" for row, line in zip(rows, drawn, strict=True))
    return "\n".join(shortened(line, columns) for line in lines)


class _Branches:
    """Reads rows from the top into trees of rich: the label of a tree is a row, that of a branch a stretch."""

    def __init__(self, rows: Sequence[BranchRow], room: int) -> None:
        self._rows = rows
        self._room = room
        self._at = 0

    def group(self) -> Group:
        from rich.console import Group  # noqa: PLC0415 - many conversations never need it

        # Branches from above the first row leave an invisible one.
        return Group(*self._stretch(0, [_node(Group())]))

    def _stretch(self, depth: int, nodes: list[Node]) -> list[Node]:
        """Add the rows that go on at ``depth`` to ``nodes``, and branches to the node they leave."""
        from rich.console import Group  # noqa: PLC0415 - as above

        while self._at < len(self._rows):
            row = self._rows[self._at]
            its_depth = min(row.depth, _DEEPEST)
            if row.begins and its_depth > depth:
                nodes[-1].add(Group(*self._stretch(its_depth, [self._take(row, its_depth)])))
            elif not row.begins and its_depth == depth:
                nodes.append(self._take(row, its_depth))
            else:
                break
        return nodes

    def _take(self, row: BranchRow, depth: int) -> Node:
        from rich.text import Text  # noqa: PLC0415 - as above

        self._at += 1
        text = shortened(sanitize_line(row.text), max(1, self._room - len(_GUIDES[0]) * depth))
        return _node(Text(text, no_wrap=True, overflow="ignore"))


def _node(label: RenderableType) -> Node:
    from rich.tree import Tree  # noqa: PLC0415 - as above

    node = Tree(label)
    node.TREE_GUIDES = [_GUIDES] * len(node.TREE_GUIDES)
    return node
