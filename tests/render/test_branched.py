"""Trees whose trunk and branches go straight down."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from wcwidth import width

from chatcli.render.branched import BranchRow, branched


@st.composite
def trees(draw):
    """Return rows from the top: each goes on in a stretch there is, or begins a branch of the row above."""
    rows = [BranchRow("0", "0", 0)]
    depth = 0
    for at in range(1, draw(st.integers(1, 30))):
        begins = draw(st.booleans())
        depth = depth + 1 if begins else draw(st.integers(0, depth))
        rows.append(BranchRow(str(at), draw(st.sampled_from([f"{at}", "北京", "👨‍👩‍👧 家"])), depth, begins))
    return rows


def lead(row, deepest=8):
    depth = min(row.depth, deepest)
    return "│ " * (depth - 1) + ("├─" if row.begins else "│ ") if depth else ""


@given(trees())
def test_each_row_stands_behind_the_guides_of_the_branches_it_is_in(rows):
    columns = max(len(row.name) for row in rows)
    assert branched(rows, 200).split("\n") == [
        f"{row.name:>{columns}}  {lead(row)}{row.text}" for row in rows
    ]


@given(trees(), st.integers(1, 40))
def test_no_row_is_wider_than_the_terminal(rows, columns):
    assert all(width(line) <= columns for line in branched(rows, columns).split("\n"))


def test_branches_above_the_first_row_leave_nothing_that_is_shown():
    rows = [BranchRow("2", "other", 1, begins=True), BranchRow("1", "first", 0)]
    assert branched(rows, 80) == "2  ├─other\n1  first"


def test_a_row_of_many_joined_emoji_is_not_cut_by_what_rich_takes_it_for():
    assert branched([BranchRow("1", "👨‍👩‍👧" * 100, 0)], 203) == f"1  {'👨‍👩‍👧' * 100}"


def test_nothing_is_nothing():
    assert branched([], 80) == ""
