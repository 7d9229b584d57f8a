from __future__ import annotations

from dataclasses import replace

import pytest

from chatcli.core.statistics import Figures, HistogramBar, Percentiles
from chatcli.render.html_export.statistics_figures import FiguresOverTime
from render.html_export.html_reading import Looked, Tables
from render.html_export.made_up_reports import ANY_FIGURES, made_up_report, report

QUIET = Figures()
GOOD = Figures(calls=10, succeeded=10, latency=Percentiles(1.0, 2.0, 3.0), cost_usd=0.25)
BAD = Figures(calls=8, succeeded=4, cancelled=2, errors={"timed_out": 2}, latency=Percentiles(2.0, 4.0, 9.0))


def drawn(shown):
    return "\n".join(FiguresOverTime(shown).lines())


def tables(shown):
    return Tables(drawn(shown)).by_caption


def explained(html, chart):
    """Return what the columns of a chart say under the mouse."""
    return Looked(html[html.index(f'id="{chart}-title"') :].partition("</svg>\n<details")[0]).text


def test_each_chart_has_a_table_of_the_same_figures():
    by_caption = tables(report((GOOD, BAD)))
    assert by_caption["Latency over time"] == [
        ["Day", "p50", "p95", "p99", "Succeeded"],
        ["22 Nov", "1.0 s", "2.0 s", "3.0 s", "10"],
        ["23 Nov", "2.0 s", "4.0 s", "9.0 s", "4"],
    ]
    assert by_caption["Success rate over time"] == [
        ["Day", "Success", "Succeeded", "Failed"],
        ["22 Nov", "100%", "10", "0"],
        ["23 Nov", "66.6%", "4", "2"],
    ]
    assert by_caption["Calls over time"] == [
        ["Day", "Calls", "Succeeded", "Failed", "Stopped"],
        ["22 Nov", "10", "10", "0", "0"],
        ["23 Nov", "8", "4", "2", "2"],
    ]
    assert by_caption["Cost a day"] == [
        ["Day", "Cost", "Calls"],
        ["22 Nov", "$0.25", "10"],
        ["23 Nov", "free", "8"],
    ]
    latencies = by_caption["Latencies"]
    assert latencies[0] == ["Latency", "Calls", "Share"]
    assert latencies[1] == ["under 250 ms", "0", "0%"]
    assert ["1 to 2 s", "17", "100%"] in latencies
    assert latencies[-1] == ["60 s or more", "0", "0%"]


def test_slots_without_calls_are_counted_instead_of_listed():
    rows = tables(report((GOOD, QUIET, QUIET, BAD)))["Calls over time, without 2 days that had no calls"]
    assert [row[0] for row in rows] == ["Day", "20 Nov", "23 Nov"]


def test_hours_have_their_time_and_cost_is_added_up_by_day():
    by_caption = tables(report((GOOD,) * 30, is_hourly=True))
    assert by_caption["Calls over time"][1][0] == "21 Nov, 19:00"
    assert by_caption["Cost a day"][1:] == [
        ["21 Nov", "$1.25", "50"],
        ["22 Nov", "$6.00", "240"],
        ["23 Nov", "$0.25", "10"],
    ]


def test_the_summaries_say_the_extremes():
    html = drawn(report((GOOD, BAD), total=replace(ANY_FIGURES, cost_usd=0.25, unpriced=0)))
    for words in (
        "p50 was between 1.0 s and 2.0 s; the highest p99 was 9.0 s (23 Nov).",
        "89.4% in all; the lowest was 66.6% (23 Nov). The axis begins at 50%.",
        "20 calls in all; at most 10 in one day (22 Nov).",
        "<p>$0.25 in all.</p>",
        "most often 1 to 2 s: 17 of 17.",
    ):
        assert words in html


def test_a_column_says_its_figures_under_the_mouse():
    html = drawn(report((BAD, QUIET)))
    assert "22 Nov\np50 2.0 s, p95 4.0 s, p99 9.0 s\n4 calls" in explained(html, "latency")
    assert "23 Nov\nno call that succeeded" in explained(html, "latency")
    assert "22 Nov\n66.6%: 4 of 6 calls" in explained(html, "success")
    assert "22 Nov\n4 succeeded, 2 failed, 2 stopped" in explained(html, "calls")
    assert "23 Nov\nno calls" in explained(html, "calls")


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        (Figures(calls=1, errors={"timed_out": 1}), "No call succeeded, so there are no latencies."),
        (Figures(calls=1, cancelled=1), "You stopped every call, so there is no rate."),
        (Figures(calls=1, succeeded=1), "All calls were free."),
        (Figures(calls=2, succeeded=2, unpriced=2), "Unknown: 2 calls at an unknown price."),
    ],
)
def test_what_cannot_be_drawn_is_said(figures, words):
    assert words in drawn(report((figures,), total=figures))


def test_calls_at_an_unknown_price_are_said_beside_the_cost():
    figures = replace(GOOD, unpriced=3)
    assert "$0.25 in all. There are 3 calls at an unknown price besides." in drawn(
        report((figures,), total=figures)
    )


def test_latencies_far_apart_are_drawn_logarithmically_and_it_is_said():
    slow = replace(GOOD, latency=Percentiles(0.5, 30.0, 300.0))
    assert "Each line of the grid is ten times the one below." in drawn(report((slow,)))


def test_only_outcomes_that_happened_are_in_the_legend():
    assert "stopped by you" not in drawn(report((GOOD,)))
    assert "stopped by you" in drawn(report((BAD,)))


def test_a_report_without_a_histogram_says_so():
    assert "no latencies" in drawn(replace(report(), latencies=()))
    only = replace(report(), latencies=(HistogramBar(0.0, None, 1),))
    assert "most often 0 or more: 1 of 1." in drawn(only)


def test_a_busy_half_year_of_hours_stays_a_page_a_browser_can_show():
    assert len(drawn(made_up_report(slots=24 * 180, is_hourly=True))) < 4_000_000
