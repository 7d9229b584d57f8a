from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.render.html_export.chart_axes import (
    edge_ticks,
    moment_ticks,
    scale_of_counts,
    scale_of_dollars,
    scale_of_shares,
    scale_of_times,
)


def labels(scale):
    return [tick.label for tick in scale.ticks]


def hours(start, count):
    return [start + timedelta(hours=index) for index in range(count)]


MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    ("largest", "expected"),
    [
        (0, ["0", "1"]),
        (1, ["0", "1"]),
        (3, ["0", "1", "2", "3"]),
        (89, ["0", "50", "100"]),
        (1_234_567, ["0", "500,000", "1,000,000", "1,500,000"]),
    ],
)
def test_counts_have_whole_round_numbers(largest, expected):
    assert labels(scale_of_counts(largest)) == expected


@pytest.mark.parametrize(
    ("largest", "expected"),
    [
        (0.28, ["$0.00", "$0.10", "$0.20", "$0.30"]),
        (0.0034, ["$0.000", "$0.001", "$0.002", "$0.003", "$0.004"]),
        (1.5, ["$0.00", "$0.50", "$1.00", "$1.50"]),
        (3_000, ["$0", "$1,000", "$2,000", "$3,000"]),
    ],
)
def test_amounts_have_as_many_decimals_as_their_step(largest, expected):
    assert labels(scale_of_dollars(largest)) == expected


@pytest.mark.parametrize(
    ("times_s", "expected"),
    [
        ([0.35], ["0 ms", "100 ms", "200 ms", "300 ms", "400 ms"]),
        ([1.2], ["0 s", "0.5 s", "1 s", "1.5 s"]),
        ([14.8, 2], ["0 s", "5 s", "10 s", "15 s"]),
        ([70], ["0 s", "20 s", "40 s", "60 s", "80 s"]),
        ([500, 300], ["0 min", "5 min", "10 min"]),
        ([400_000], ["0 h", "48 h", "96 h", "144 h"]),
    ],
)
def test_times_have_steps_of_a_clock(times_s, expected):
    assert labels(scale_of_times(times_s)) == expected


def test_times_far_apart_have_a_logarithmic_axis():
    scale = scale_of_times([0.25, 130])
    assert scale.is_logarithmic
    assert labels(scale) == ["100 ms", "1 s", "10 s", "100 s", "1,000 s"]
    assert scale.share(1) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("least", "first", "count"), [(1, "80%", 5), (0.8, "80%", 5), (0.79, "50%", 6), (0.1, "0%", 5)]
)
def test_an_axis_of_shares_begins_where_the_differences_show(least, first, count):
    scale = scale_of_shares(least)
    assert (labels(scale)[0], labels(scale)[-1], len(scale.ticks)) == (first, "100%", count)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20))
def test_every_time_has_its_place_on_its_axis(times_s):
    scale = scale_of_times(times_s)
    assert all(0 <= scale.share(time_s) <= 1 for time_s in times_s)
    assert [scale.share(tick.at) for tick in scale.ticks] == sorted(
        scale.share(tick.at) for tick in scale.ticks
    )
    assert scale.ticks[-1].at >= max(times_s) * (1 - 1e-9)
    assert 2 <= len(scale.ticks) <= 12


@given(st.integers(0, 10**12), st.floats(0, 1e9))
def test_every_count_and_amount_has_its_place_on_its_axis(count, usd):
    for scale, value in ((scale_of_counts(count), count), (scale_of_dollars(usd), usd)):
        assert scale.ticks[-1].at >= value * (1 - 1e-9)
        assert 2 <= len(scale.ticks) <= 5
        assert len(set(labels(scale))) == len(scale.ticks)


def test_days_are_labelled_at_even_distances():
    ticks = moment_ticks([MIDNIGHT + timedelta(days=index) for index in range(30)], is_hourly=False)
    assert [tick.label for tick in ticks] == ["21 Nov", "28 Nov", "5 Dec", "12 Dec", "19 Dec"]
    assert [tick.is_extra for tick in ticks] == [False, True, False, True, False]


def test_days_of_years_are_labelled_by_their_months():
    ticks = moment_ticks([MIDNIGHT + timedelta(days=index) for index in range(800)], is_hourly=False)
    assert [tick.label for tick in ticks] == ["Nov 2026", "May 2027", "Nov 2027", "May 2028", "Nov 2028"]


def test_hours_are_labelled_at_round_hours_and_days_first():
    ticks = moment_ticks(hours(MIDNIGHT - timedelta(hours=13), 48), is_hourly=True)
    assert [(tick.label, tick.is_extra) for tick in ticks] == [
        ("12:00", True),
        ("21 Nov", False),
        ("12:00", True),
        ("22 Nov", False),
    ]


def test_hours_of_many_days_are_labelled_by_the_days():
    ticks = moment_ticks(hours(MIDNIGHT, 24 * 14), is_hourly=True)
    assert [tick.label for tick in ticks] == [
        "21 Nov",
        "23 Nov",
        "25 Nov",
        "27 Nov",
        "29 Nov",
        "1 Dec",
        "3 Dec",
    ]


def test_a_day_of_25_hours_has_its_midnights():
    zone = ZoneInfo("Europe/Berlin")
    start = datetime(2026, 10, 24, 22, tzinfo=UTC)
    ticks = moment_ticks([moment.astimezone(zone) for moment in hours(start, 26)], is_hourly=True)
    assert [tick.label for tick in ticks if not tick.is_extra] == ["25 Oct", "26 Oct"]


@given(st.integers(0, 5_000), st.booleans(), st.integers(0, 23))
def test_there_are_never_more_labels_than_fit(count, is_hourly, hour):
    step = timedelta(hours=1) if is_hourly else timedelta(days=1)
    starts = [MIDNIGHT.replace(hour=hour) + step * index for index in range(count)]
    ticks = moment_ticks(starts, is_hourly=is_hourly)
    assert len(ticks) <= 7
    assert all(0 < tick.at < 1 for tick in ticks)


def test_edges_are_labelled_between_the_bars():
    ticks = edge_ticks([0.0, 0.5, 1.0], None)
    assert [(tick.label, round(tick.at, 2)) for tick in ticks] == [
        ("0", 0),
        ("500 ms", 0.33),
        ("1 s", 0.67),
    ]
    assert edge_ticks([0.0, 0.5], 1.0)[-1] == (1.0, "1 s", False)
    assert len(edge_ticks([float(index) for index in range(40)], None)) <= 7
