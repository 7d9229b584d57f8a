"""Pictures in characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import width

from chatcli.render.charts import (
    Axis,
    TextBar,
    TimeColumn,
    bars,
    columns_over_time,
    headed,
    room_for_columns,
    round_above,
    sparkline,
)

VALUES = st.none() | st.floats(0, 1e12)


def lines(rows):
    return ["".join(text for text, _ in row) for row in rows]


def percent(value):
    return f"{value:.0%}"


def seconds(value):
    return f"{value:g} s"


class TestASparkline:
    def test_rises_with_its_values(self):
        assert sparkline([1, 2, 3, 4, 5, 6, 7, 8], 8) == "▁▂▃▄▅▆▇█"

    def test_begins_at_nothing(self):
        assert sparkline([99, 100], 2) == "██"

    def test_shows_the_last_values_if_there_are_more(self):
        assert sparkline([100, 4, 8], 2) == "▄█"

    def test_has_a_dot_where_nothing_was_measured(self):
        assert sparkline([None, 8, None], 9) == "·█·"

    @pytest.mark.parametrize(("values", "columns"), [([], 5), ([1.0], 0), ([1.0], -1)])
    def test_of_nothing_is_empty(self, values, columns):
        assert sparkline(values, columns) == ""

    def test_shows_the_smallest_value_beside_the_largest(self):
        assert sparkline([0, 1e-9, 1e9], 3) == "▁▁█"

    @given(st.lists(VALUES), st.integers(0, 50))
    def test_has_a_column_for_each_value(self, values, columns):
        assert width(sparkline(values, columns)) == min(len(values), columns)


class TestBars:
    def test_are_as_long_as_their_values(self):
        rows = bars([TextBar("one", 10, "10"), TextBar("two", 5, "5"), TextBar("none", 0, "0")], 20)
        assert lines(rows) == [" one ████████████ 10", " two ██████ 5", "none 0"]

    def test_end_in_eighths(self):
        assert lines(bars([TextBar("a", 16, "16"), TextBar("b", 1, "1")], 7)) == ["a ██ 16", "b ▏ 1"]

    def test_of_names_too_wide_have_room_all_the_same(self):
        (row,) = lines(bars([TextBar("東京の天気はとても暑いです", 1, "1")], 20))
        assert row == "東京の天気は… ████ 1"

    def test_names_cannot_command_the_terminal(self):
        assert "\x1b" not in lines(bars([TextBar("\x1b[31m", 1, "1")], 20))[0]

    @given(
        st.lists(st.builds(TextBar, st.text(max_size=30), st.floats(0, 1e12), st.just("123")), max_size=5),
        st.integers(12, 100),
    )
    def test_fit(self, rows, columns):
        drawn = bars(rows, columns)
        assert len(drawn) == len(rows)
        assert all(width(line) <= columns for line in lines(drawn))

    @given(st.lists(st.floats(0, 1e12), min_size=2, max_size=5), st.integers(20, 100))
    def test_of_more_are_not_shorter(self, values, columns):
        rows = lines(bars([TextBar("x", value, "1") for value in sorted(values)], columns))
        lengths = [(row.count("█"), row) for row in rows]
        assert [length for length, _ in lengths] == sorted(length for length, _ in lengths)
        assert all(
            ("█" in row or set(row) & set("▏▎▍▌▋▊▉"))
            for row, value in zip(rows, sorted(values), strict=True)
            if value
        )


class TestColumns:
    def test_stand_between_axes_with_labels(self):
        drawn = [TimeColumn("Mon", 4), TimeColumn("Tue", 2, 4), TimeColumn("Wed", None), TimeColumn("Thu", 1)]
        rows = columns_over_time(drawn, Axis.up_to(4, seconds), 40, height=4)
        assert lines(rows) == [
            "4 s ┤██████ ░░░░░░",
            "    │██████ ░░░░░░",
            "2 s ┤██████ ██████",
            "    │██████ ██████ ······ ██████",
            "0 s ┴────────────────────────────",
            "     Mon    Tue    Wed    Thu",
        ]

    def test_are_narrow_where_there_are_many(self):
        drawn = [TimeColumn(f"{at:02}", at % 9) for at in range(30)]
        rows = columns_over_time(drawn, Axis.up_to(8, seconds), 35, height=2)
        assert lines(rows) == [
            "8 s ┤     ▂▄▆█     ▂▄▆█     ▂▄▆█",
            "4 s ┤▁▂▄▆█████▁▂▄▆█████▁▂▄▆█████▁▂▄",
            "0 s ┴──────────────────────────────",
            "     00 03 06 09 12 15 18 21 24 27",
        ]

    def test_of_the_smallest_value_are_not_nothing(self):
        drawn = [TimeColumn("a", 0.001), TimeColumn("b", 1000)]
        assert "▁" in lines(columns_over_time(drawn, Axis.up_to(1000, seconds), 20, height=4))[3]

    def test_may_begin_above_nothing(self):
        drawn = [TimeColumn("a", 0.95), TimeColumn("b", 1.0)]
        rows = lines(columns_over_time(drawn, Axis(0.9, 1.0, percent), 18, height=2))
        assert rows[:3] == ["100% ┤      █████", " 95% ┤█████ █████", " 90% ┴────────────"]

    @given(
        st.lists(
            st.builds(TimeColumn, st.text("abc中", max_size=8), VALUES, VALUES), min_size=1, max_size=200
        ),
        st.integers(20, 200),
        st.sampled_from([2, 4, 6]),
    )
    def test_fit(self, drawn, columns, height):
        axis = Axis.up_to(max(max(column.value or 0, column.upper or 0) for column in drawn), "{:.3g}".format)
        drawn = drawn[: room_for_columns(axis, columns)]
        rows = columns_over_time(drawn, axis, columns, height=height)
        assert height < len(rows) <= height + 2
        assert all(width(line) <= columns for line in lines(rows))


@pytest.mark.parametrize(
    ("value", "end"),
    [
        (0, 1),
        (0.0011, 0.0012),
        (1, 1),
        (1.01, 1.2),
        (2.3, 3),
        (7, 8),
        (8.1, 10),
        (9.99, 10),
        (1234, 1500),
        (1e-320, 1e-300),
    ],
)
def test_an_axis_ends_with_a_round_number(value, end):
    assert round_above(value) == pytest.approx(end)


@given(st.floats(0, 1e300))
def test_an_axis_is_not_shorter_than_its_values(value):
    assert round_above(value) >= value


def test_a_legend_stands_behind_its_heading_or_below():
    assert lines(headed("Latency", 40, "█ p50", "", "· none")) == ["Latency  █ p50  · none"]
    assert lines(headed("Latency", 16, "█ p50", "· no calls")) == ["Latency", "█ p50", "· no calls"]
    assert lines(headed("Latency", 5)) == ["Late…"]
    assert lines(headed("Latency", 12, "the slowest of 6 hours", "· none")) == [
        "Latency",
        "the slowest",
        "of 6 hours",
        "· none",
    ]
