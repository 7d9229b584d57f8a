"""Rows that fit a terminal: tables, and lists to choose from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import width

from chatcli.render.text_columns import hanging, labelled, numbered


def test_what_follows_the_first_row_of_a_choice_hangs_under_it():
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
    told = "".join(f"{number}{choice}" for number, choice in enumerate(choices, start=1))
    assert "".join("".join(rows).split()) == "".join(told.split())


def test_a_head_that_leaves_no_room_is_hung_under_a_little():
    assert hanging("a head of many letters ", "and text", 26) == ["a head of many letters and", "  text"]


def test_a_value_without_room_beside_its_label_goes_on_under_itself_and_a_path_stands_whole():
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
