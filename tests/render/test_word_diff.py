"""What differs between two texts, in words and in lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import width

from chatcli.render.word_diff import ADDED, REMOVED, diff_of_lines, diff_of_words
from chatcli.text.sanitizer import sanitize

HEADS = [("- 1 a", REMOVED), ("+ 2 b", ADDED)]
WIDE = 10_000
TEXTS = st.text(st.sampled_from("ab, \n中京.") | st.characters(), max_size=60)


def rows_of(draw, before, after, columns=WIDE):
    """Return the rows below the heads as texts."""
    return ["".join(text for text, _ in row) for row in draw(HEADS, before, after, columns)[2:]]


def pieces_of(before, after, columns=WIDE):
    return [piece for row in diff_of_words(HEADS, before, after, columns)[2:] for piece in row]


def joined(pieces, without):
    return "".join(text for text, role in pieces if role != without)


@pytest.mark.parametrize(
    ("before", "after", "removed", "added"),
    [
        ("It is red.", "It is blue.", ["red"], ["blue"]),
        ("It is red.", "It is dark red.", [], ["dark", " "]),
        ("首都是巴黎", "首都是北京", ["巴", "黎"], ["北", "京"]),
        ("one\ntwo\nthree", "one\n2\nthree", ["two"], ["2"]),
    ],
)
def test_only_the_words_that_differ_are_marked(before, after, removed, added):
    pieces = pieces_of(before, after)
    assert [text for text, role in pieces if role == REMOVED] == removed
    assert [text for text, role in pieces if role == ADDED] == added


@given(TEXTS, TEXTS)
def test_without_what_is_added_it_is_the_first_text_and_without_what_is_removed_the_second(before, after):
    pieces = pieces_of(before, after)
    for text, without in ((before, ADDED), (after, REMOVED)):
        words = "".join(sanitize(text).strip("\n").replace("\t", "    ").split("\n"))
        shown = joined(pieces, without)
        assert shown == words or "equal line" in shown


@given(TEXTS, TEXTS)
def test_without_colours_lines_are_marked_and_make_up_both_texts(before, after):
    rows = rows_of(diff_of_lines, before.replace("\t", " "), after.replace("\t", " "))
    for text, other in ((before, "+"), (after, "-")):
        lines = [line.rstrip() for line in sanitize(text.replace("\t", " ")).strip("\n").split("\n")]
        shown = [row[2:] for row in rows if not row.startswith(other)]
        assert shown == lines or any("equal line" in row for row in rows)


@given(TEXTS, TEXTS, st.integers(10, 40), st.sampled_from([diff_of_words, diff_of_lines]))
def test_no_row_is_wider_than_the_terminal(before, after, columns, draw):
    for row in rows_of(draw, before.replace("\t", " "), after.replace("\t", " "), columns):
        assert width(row) <= columns


def test_rows_end_between_words_and_no_row_begins_with_the_blank_between_them():
    rows = rows_of(diff_of_words, "one two three", "one two four", 8)
    assert [row.rstrip() for row in rows] == ["one two", "three", "four"]


def test_lines_far_from_any_difference_are_counted():
    same = [f"line {number}" for number in range(20)]
    rows = rows_of(diff_of_lines, "\n".join([*same, "old"]), "\n".join([*same, "new"]))
    assert rows == ["  line 0", "  line 1", "  … 16 equal lines", "  line 18", "  line 19", "- old", "+ new"]


def test_texts_too_long_to_compare_by_words_are_shown_whole():
    before, after = "a b " * 3_000, "c d " * 3_000
    pieces = pieces_of(before, after)
    assert joined(pieces, ADDED).split() == before.split()
    assert joined(pieces, REMOVED).split() == after.split()
