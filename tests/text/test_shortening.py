from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import width

from chatcli.text.sanitizer import sanitize_line
from chatcli.text.shortening import shortened, shortened_before

LINES = st.text(max_size=40).map(sanitize_line)


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("as it is", 8, "as it is"),
        ("too long", 7, "too lo…"),
        ("no blank before", 9, "no blank…"),
        ("no blank before", 4, "no…"),
        ("北京的天气", 6, "北京…"),
        ("word", 1, "…"),
        ("word", 0, ""),
        ("word", -3, ""),
        ("", 0, ""),
    ],
)
def test_what_does_not_fit_is_cut_at_its_end(text, columns, shown):
    assert shortened(text, columns) == shown


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("as it is", 8, "as it is"),
        ("too long", 7, "…o long"),
        ("the blank goes", 6, "…goes"),
        ("北京的天气", 6, "…天气"),
        ("word", 1, "…"),
        ("word", 0, ""),
    ],
)
def test_or_at_its_beginning(text, columns, shown):
    assert shortened_before(text, columns) == shown


def test_a_terminal_of_ascii_has_a_mark_of_its_own():
    assert shortened("too long", 4, mark="~") == "too~"
    assert shortened_before("too long", 4, mark="~") == "~ong"


@pytest.mark.parametrize("cut", [shortened, shortened_before])
@given(LINES, st.integers(0, 50))
def test_no_line_is_wider_than_its_room_and_one_that_fits_is_whole(cut, text, columns):
    assert width(cut(text, columns)) <= columns
    assert (cut(text, columns) == text) is (width(text) <= columns)
