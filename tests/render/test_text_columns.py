"""Rows that fit a terminal: tables, and lists of choices."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import width

from chatcli.render.text_columns import hanging, labelled, numbered, sentences, table

SETTINGS = [
    ("base_url", "https://llm.example.com/v1/of/some/length", "config.toml, profile work"),
    ("model", "gpt-5-mini", "default"),
    ("temperature", "0.7", ""),
]
COUNTS = [("北京的天气怎么样", "1,234", "free"), ("system prompt", "20", "$0.0001")]
CELLS = st.text(st.sampled_from("ab 北京é👍🏽\x1b\t"), max_size=20)


def test_columns_stand_one_below_the_other_in_any_script():
    assert table(COUNTS, 80, right={1}).splitlines() == [
        "北京的天气怎么样  1,234  free",
        "system prompt        20  $0.0001",
    ]


def test_a_pipe_gets_a_table_whole():
    assert table([("a", "b" * 500), ("c", "d")], sys.maxsize).splitlines() == [f"a  {'b' * 500}", "c  d"]


def test_where_a_table_is_too_wide_later_columns_are_cut_and_all_can_still_be_read():
    assert table(SETTINGS, 62).splitlines() == [
        "base_url     https://llm.example.com/v1/of/some/len…  config.…",
        "model        gpt-5-mini                               default",
        "temperature  0.7",
    ]
    assert table(SETTINGS, 40).splitlines() == [
        "base_url     https://llm.exam…  config.…",
        "model        gpt-5-mini         default",
        "temperature  0.7",
    ]


def test_numbers_are_cut_last():
    assert table(COUNTS, 24, right={1}).splitlines() == ["北京的…   1,234  free", "system…      20  $0.0001"]
    assert table(COUNTS, 12, right={1}).splitlines() == ["北京的…   1…", "system……"]


def test_a_column_without_anything_in_it_takes_no_room():
    assert table([("a", "", "b"), ("c", "", "")], 80) == "a  b\nc"
    assert table([], 80) == ""
    assert table([("", "")], 80) == ""


@given(
    st.integers(1, 4).flatmap(lambda count: st.lists(st.tuples(*[CELLS] * count), max_size=6)),
    st.integers(1, 60),
    st.sets(st.integers(0, 3)),
)
def test_a_table_has_a_line_a_row_and_none_is_too_wide_or_ends_in_blanks(rows, columns, right):
    lines = table(rows, columns, right=right).split("\n")
    assert len(lines) == max(1, len(rows)) or not any(map(str.strip, lines))
    assert all(width(line) <= columns and line == line.rstrip() for line in lines)


def test_later_rows_of_a_choice_hang_under_the_first():
    assert numbered(["the built-in model: small, just for trying", "b"], 30) == [
        "  1  the built-in model:",
        "     small, just for trying",
        "  2  b",
    ]


@pytest.mark.parametrize("columns", [1, 5, 20, 40, 80])
@given(st.lists(st.text(st.characters(categories=["L", "N", "Zs"]), max_size=60), max_size=12))
def test_no_row_of_a_list_is_wider_than_the_terminal_and_nothing_is_lost(columns, choices):
    rows = numbered(choices, columns)
    # A single character may be wider than a terminal of one column.
    assert all(width(row) <= max(columns, 2) for row in rows)
    expected = "".join(f"{number}{choice}" for number, choice in enumerate(choices, start=1))
    assert "".join("".join(rows).split()) == "".join(expected.split())


def test_a_head_that_leaves_no_room_is_hung_under_a_little():
    assert hanging("a head of many letters ", "and text", 26) == ["a head of many letters and", "  text"]


def test_a_value_without_room_wraps_under_itself_and_a_path_stays_whole():
    rows = [
        ("name", "trip"),
        ("title", "What is the capital of France?"),
        ("file", "/home/me/sessions/trip.jsonl"),
    ]
    assert labelled(rows, 30, whole=["file"]).splitlines() == [
        "name   trip",
        "title  What is the capital of",
        "       France?",
        "file",
        "/home/me/sessions/trip.jsonl",
    ]
    assert labelled(rows, 80, whole=["file"]).splitlines()[-1] == "file   /home/me/sessions/trip.jsonl"


@pytest.mark.parametrize("columns", [1, 5, 20, 40, 80])
@given(st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=200))
def test_a_value_that_is_to_stay_whole_is_in_one_row_on_every_terminal(columns, value):
    assert any(
        row.endswith(value) for row in labelled([("file", value)], columns, whole=["file"]).split("\n")
    )


def test_a_row_without_a_subject_is_read_out_behind_the_one_before():
    rows = [("saved", "$0.50"), ("", "20 tokens in"), ("", "3 out"), ("ahead", "none")]
    assert sentences(rows) == "saved: $0.50, 20 tokens in, 3 out.\nahead: none."
