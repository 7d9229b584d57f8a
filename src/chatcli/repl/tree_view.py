"""The tree of a conversation in rows: the current path straight down, other branches indented."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from chatcli.render.branched import BranchRow, branched
from chatcli.render.markdown.inline import words_alone
from chatcli.sessions.titles import beginning_of, one_line
from chatcli.text.shortening import shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chatcli.sessions.tree import Exchange, Tree

HERE: Final = "← here"
_PREVIEW_CHARACTERS: Final = 200
_LONGEST_RUN: Final = 8
_SHOWN_OF_RUN: Final = 3
_NARROW_COLUMNS: Final = 60
_ROWS_SHOWN_WHOLE: Final = 30
_CODE_OR_TABLE: Final = re.compile(r"^ *(?:```|~~~|\|)", re.MULTILINE)
_LINE_MARKS: Final = re.compile(r"^ *(?:#+|>) ", re.MULTILINE)
_UNKNOWN: Final = "…"  # no message has this id: its parent is not listed


class _TreeRow:
    """An exchange and its indent; ``begins`` marks the first of a branch."""

    def __init__(self, exchange: Exchange, depth: int, *, begins: bool) -> None:
        self.exchange = exchange
        self.depth = depth
        self.begins = begins


def tree_rows(tree: Tree, columns: int) -> str:
    """Return the tree in rows of at most ``columns``; each begins with the number of its exchange.

    A filled dot marks the current path. Of a long stretch without branches only the ends are shown.
    """
    on_path = {exchange.id for exchange in tree.path}
    last = tree.path[-1].id if tree.path else None
    rows = list(_rows(tree, on_path))
    nodes: list[BranchRow] = []
    for row in rows if len(rows) <= _ROWS_SHOWN_WHOLE else _shortened(rows, last):
        if isinstance(row, int):
            nodes.append(BranchRow("", f"⋮ {row} more", nodes[-1].depth))
            continue
        exchange = row.exchange
        dot = "●" if exchange.id in on_path else "○"
        here = f"{HERE} " if exchange.id == last else ""
        words = f"{dot} {here}{_words(exchange, columns)}"
        nodes.append(BranchRow(str(exchange.number), words, row.depth, begins=row.begins))
    return branched(nodes, columns)


def tree_sentences(tree: Tree) -> str:
    """Return the tree for reading aloud: a line per exchange, with its parent unless that is just above."""
    on_path = {exchange.id for exchange in tree.path}
    last = tree.path[-1].id if tree.path else None
    by_id = {exchange.id: exchange for exchange in tree.exchanges}
    rows = list(_rows(tree, on_path))
    lines = []
    above: str | None = None
    for row in rows if len(rows) <= _ROWS_SHOWN_WHOLE else _shortened(rows, last):
        if isinstance(row, int):
            lines.append(f"{row:,} more, not listed.")
            above = _UNKNOWN
            continue
        exchange = row.exchange
        facts = [str(exchange.number)]
        before = by_id.get(exchange.before or "")
        if above not in {exchange.before, _UNKNOWN}:
            facts.append(f"follows {before.number}" if before else "at the beginning")
        if exchange.id not in on_path:
            facts.append("another branch")
        if exchange.id == last:
            facts.append("you are here")
        lines.append(f"{', '.join(facts)}. {_spoken_words(exchange)}")
        above = exchange.id
    return "\n".join(lines)


def _spoken_words(exchange: Exchange) -> str:
    asked = f"Question: {words_alone(beginning_of(exchange.question.message, _PREVIEW_CHARACTERS))}"
    if exchange.answer is None:
        return f"{asked} No answer."
    model = exchange.answer.reply.shown_model if exchange.answer.reply else None
    by = f" by {model}" if model else ""
    prose = _CODE_OR_TABLE.split(exchange.answer.message.text, maxsplit=1)[0]
    begun = _LINE_MARKS.sub("", prose[: 10 * _PREVIEW_CHARACTERS])
    words = one_line(words_alone(begun), _PREVIEW_CHARACTERS) or "code or a table"
    return f"{asked} Answer{by}: {words}"


def _words(exchange: Exchange, columns: int) -> str:
    asked = beginning_of(exchange.question.message, _PREVIEW_CHARACTERS)
    if exchange.answer is None:
        return f"{asked} (no answer)"
    # Both are shown if there is room.
    room = max(12, columns // 2 - 8)
    shown = asked if columns < _NARROW_COLUMNS else shortened(asked, room)
    model = exchange.answer.reply.shown_model if exchange.answer.reply else None
    by = f" [{model}]" if model and columns >= _NARROW_COLUMNS else ""
    return f"{shown} → {beginning_of(exchange.answer.message, _PREVIEW_CHARACTERS)}{by}"


def _rows(tree: Tree, on_path: set[str]) -> Iterator[_TreeRow]:
    """Yield the rows from the top; of alternatives, the one on the path, else the newest, goes straight on."""
    waiting: list[_TreeRow | tuple[Exchange | None, int]] = [(None, 0)]
    visited: set[str] = set()
    while waiting:
        item = waiting.pop()
        if isinstance(item, _TreeRow):
            yield item
            continue
        exchange, depth = item
        following = [later for later in tree.following(exchange) if later.id not in visited]
        visited.update(later.id for later in following)
        if not following:
            continue
        straight = next((later for later in following if later.id in on_path), following[-1])
        waiting += [(straight, depth), _TreeRow(straight, depth, begins=False)]
        for other in reversed(following):
            if other is not straight:
                waiting += [(other, depth + 1), _TreeRow(other, depth + 1, begins=True)]


def _shortened(rows: Sequence[_TreeRow], last: str | None) -> Iterator[_TreeRow | int]:
    """Yield the rows, with a count in place of the middle of a long stretch."""
    at = 0
    while at < len(rows):
        end = at + 1
        while end < len(rows) and rows[end].depth == rows[at].depth and not rows[end].begins:
            end += 1
        stretch = rows[at:end]
        if len(stretch) > _LONGEST_RUN:
            middle = stretch[_SHOWN_OF_RUN:-_SHOWN_OF_RUN]
            here = [row for row in middle if row.exchange.id == last]
            yield from stretch[:_SHOWN_OF_RUN]
            yield len(middle) - len(here)
            yield from here
            yield from stretch[-_SHOWN_OF_RUN:]
        else:
            yield from stretch
        at = end
