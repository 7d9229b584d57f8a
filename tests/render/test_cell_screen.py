"""The recording terminal for golden screens: its additions to pyte."""

from __future__ import annotations

import pytest

from render.cell_screen import CellScreen


def rows(written, columns=10):
    screen = CellScreen(columns, 20)
    screen.feed(written)
    return screen.rows()


@pytest.mark.parametrize(
    ("codes", "style"),
    [
        ("1;2;3", "bold dim italic"),
        ("4;9;7;5", "underline strike reverse blink"),
        ("2;22", ""),
        ("2;0;1", "bold"),
        ("38;5;2", "#00cd00"),
        ("38;2;2;2;2", "#020202"),
        ("33;48;2;1;2;3;2", "dim yellow on #010203"),
        ("95", "brightmagenta"),
    ],
)
def test_a_style_is_described_in_words(codes, style):
    (row,) = rows(f"\x1b[{codes}mx\x1b[0my")
    assert [cell.style for cell in row.cells] == [style, ""]


def test_a_link_holds_until_it_is_ended_whatever_the_style():
    (row,) = rows("\x1b]8;id=1;https://a.b\x1b\\x\x1b[1my\x1b[0mz\x1b]8;;\x1b\\!")
    assert [cell.link for cell in row.cells] == ["https://a.b"] * 3 + [""]


def test_joined_characters_are_one_and_zero_width_takes_no_column():
    (row,) = rows("\u2068👨\u200d👩\u200d👧é\u2069!")
    assert [cell.data for cell in row.cells] == ["\u2068👨\u200d👩\u200d👧", "", "é\u2069", "!"]


def test_a_full_row_continues_in_the_next_and_is_marked():
    assert [(row.text, row.wraps) for row in rows("123456789中\nab\n")] == [
        ("123456789", True),
        ("中", False),
        ("ab", False),
    ]


def test_where_rows_do_not_wrap_the_last_column_is_written_over():
    assert [row.text for row in rows("\x1b[?7l1234567890ab")] == ["123456789b"]


def test_erased_text_is_gone():
    (row,) = rows("123456789012\r\x1b[2K\x1b[A\x1b[2Kab")
    assert (row.text, row.wraps) == ("ab", False)
