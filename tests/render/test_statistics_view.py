"""Statistics on a terminal, and that every figure is where it belongs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wcwidth import width

from chatcli.core.statistics import Figures, Percentiles
from chatcli.render.spoken_statistics import statistics_sentences
from chatcli.render.statistics_view import MOST_GROUPS, brief_view, statistics_view
from render.golden_screens import COLORED, UNCOLORED, Golden, described, shown
from render.made_statistics import figures, made, report, week

GOLDEN = Path(__file__).parent / "golden" / "screens"
PERIOD = "in the last 7 days"


def lines(found, columns, **options):
    return ["".join(text for text, _ in row) for row in statistics_view(found, PERIOD, columns, **options)]


def table(found, columns):
    """Return the cells of the table of groups, by their headings."""
    rows = lines(found, columns)
    at = next(at for at, row in enumerate(rows) if row.startswith(f"{found.grouped_by} "))
    return rows[at : at + 1 + len(found.groups)]


class TestScreens:
    def test_are_as_recorded(self):
        golden = Golden(GOLDEN / "statistics.txt", COLORED)
        for title, found in made().items():
            rows = {columns: statistics_view(found, PERIOD, columns) for columns in (40, 80)}
            golden.add(
                title,
                {
                    columns: described(
                        {mode: shown(look.painted(drawn), columns) for mode, look in COLORED.items()},
                        shown(UNCOLORED.painted(drawn), columns),
                    )
                    for columns, drawn in rows.items()
                },
            )
        golden.check()

    @pytest.mark.parametrize("columns", [10, 20, 39, 40, 79, 80, 120, 200])
    @pytest.mark.parametrize("name", made())
    def test_are_never_wider_than_the_terminal(self, name, columns):
        for line in lines(made()[name], columns):
            assert width(line) <= columns, line

    @settings(max_examples=50)
    @given(
        st.lists(
            st.tuples(st.integers(0, 50), st.floats(0.001, 1e5), st.integers(0, 3), st.floats(0, 1e4)),
            min_size=1,
            max_size=60,
        ),
        st.integers(12, 120),
        st.booleans(),
    )
    def test_fit_whatever_was_measured(self, measured, columns, is_hourly):
        slots = [
            figures(calls, p50_s=p50_s, failed=min(calls, failed), usd=usd)
            for calls, p50_s, failed, usd in measured
        ]
        found = report(slots, [("m", slots[0])], is_hourly=is_hourly)
        assert all(width(line) <= columns for line in lines(found, columns))
        assert statistics_sentences(found, PERIOD)


class TestASummary:
    def test_says_every_figure(self):
        assert lines(week(), 80)[:13] == [
            "Calls in the last 7 days",
            "calls         437 · 11 failed · 2 stopped",
            "success rate  97.4%",
            "latency       p50 1.2 s · p95 3.6 s · p99 6.0 s",
            "first token   p50 300 ms · p95 600 ms · p99 1.2 s",
            "speed         45.2 tokens/s",
            "tokens        354,844 in (43,700 cached) · 52,440 out",
            "cost          over $0.8740 · 3 calls at an unknown price",
            "retries       11 · 22.0 s waited",
            "rate limits   12.5 s waited",
            "cache         34 answers without a call",
            "traffic       1.4 MB sent · 99 kB received",
            "warnings      1 text with orders to the model",
        ]

    def test_leaves_out_what_there_is_nothing_of(self):
        found = report([figures(1)], total=figures(1, usd=0), bars=[])
        assert lines(found, 80)[:7] == [
            "Calls in the last 7 days",
            "calls         1",
            "success rate  100%",
            "latency       p50 1.2 s · p95 3.6 s · p99 6.0 s",
            "first token   p50 300 ms · p95 600 ms · p99 1.2 s",
            "speed         45.2 tokens/s",
            "tokens        812 in (100 cached) · 120 out",
        ]
        assert lines(found, 80)[7] == "cost          free"

    def test_says_why_it_is_incomplete(self):
        assert "incomplete: the disk was full" in lines(
            report([figures(1)], unreadable="the disk was full"), 80
        )

    def test_is_whole_on_a_narrow_terminal(self):
        words = " ".join(" ".join(lines(week(), 40)).split())
        assert "cost over $0.8740 · 3 calls at an unknown price" in words


class TestTheTable:
    def test_has_a_row_for_each_group(self):
        assert table(week(), 80) == [
            "model                  calls  success     p50     p95  1st token    cost",
            "gpt-5-mini-2026-08-07    320    98.7%   1.2 s   3.6 s     300 ms   $0.64",
            "claude-sonnet-4-5        100    93.0%   3.2 s   9.6 s     800 ms  >$0.20",
            "local/smollm2             17     100%  250 ms  750 ms      62 ms    free",
        ]

    def test_keeps_the_most_important_columns_where_there_is_little_room(self):
        assert [heading.split() for heading in (table(week(), 40)[0], table(week(), 30)[0])] == [
            ["model", "calls", "ok", "p50", "cost"],
            ["model", "calls", "ok", "p50"],
        ]

    def test_shows_the_end_of_a_long_name(self):
        assert [row.split()[0] for row in table(week(), 40)[1:]] == ["…026-08-07", "…onnet-4-5", "…l/smollm2"]

    def test_shows_costs_in_cents_and_what_is_unknown_of_them(self):
        groups = [
            ("cents", figures(1, usd=1.239)),
            ("tiny", figures(1, usd=0.0004)),
            ("free", figures(1, usd=0)),
            ("partly", figures(2, usd=0.5, unpriced=1)),
            ("unknown", figures(1, usd=0, unpriced=1)),
        ]
        rows = table(report([figures(6)], groups), 80)
        assert [row.split()[-1] for row in rows[1:]] == ["$1.24", "$0.0004", "free", ">$1.00", "?"]

    def test_may_be_wider_than_the_pictures(self):
        (row,) = [row for row in lines(week(), 40, table_columns=10_000) if row.startswith("gpt")]
        assert row.split() == [
            *(
                "gpt-5-mini-2026-08-07",
                "320",
                "98.7%",
                "1.2",
                "s",
                "3.6",
                "s",
                "6.0",
                "s",
                "300",
                "ms",
                "45.2",
            ),
            *("259,840", "38,400", "4", "$0.64"),
        ]

    def test_of_many_groups_shows_the_first_and_of_days_the_last(self):
        groups = [(f"g{at:03}", figures(100 - at)) for at in range(40)]
        by_model = lines(report([figures(9)], groups), 80)
        by_day = lines(report([figures(9)], groups, grouped_by="day"), 80)
        assert [sum(line.startswith("g") for line in found) for found in (by_model, by_day)] == [
            MOST_GROUPS - 1
        ] * 2
        assert "11 more: chatcli stats -o csv lists all" in by_model
        assert "g000" in "".join(by_model)
        assert "g000" not in "".join(by_day)

    def test_names_what_has_no_name(self):
        assert table(report([figures(1)], [("", figures(1))], grouped_by="profile"), 80)[1].startswith(
            "none "
        )


class TestErrors:
    def test_are_listed_by_their_codes_the_most_frequent_first(self):
        rows = lines(week(), 60)
        at = rows.index("Errors")
        assert [(row.split()[0], row.split()[-1]) for row in rows[at + 1 : at + 4]] == [
            ("rate_limited", "7"),
            ("timeout", "3"),
            ("context_too_long", "1"),
        ]

    def test_are_not_mentioned_if_there_are_none(self):
        assert "Errors" not in lines(report([figures(1)]), 80)


def test_percentiles_of_one_call_are_its_time():
    one = Figures(calls=1, succeeded=1, attempts=1, latency=Percentiles(0.24, 0.24, 0.24))
    assert "latency       p50 240 ms · p95 240 ms · p99 240 ms" in lines(report([one], total=one), 80)


def test_calls_that_a_person_stopped_are_called_so_and_a_model_keeps_its_name():
    by_outcome = report([figures(3)], [("ok", figures(2)), ("cancelled", figures(1))], grouped_by="outcome")
    assert [row.split()[0] for row in table(by_outcome, 80)] == ["outcome", "ok", "stopped"]
    assert "stopped: 1 call" in statistics_sentences(by_outcome, PERIOD)
    by_model = report([figures(1)], [("cancelled", figures(1))])
    assert table(by_model, 80)[1].startswith("cancelled ")


class TestABriefView:
    @pytest.mark.parametrize("rows", range(1, 60, 3))
    @pytest.mark.parametrize("name", made())
    def test_fits(self, name, rows):
        for columns in (40, 80):
            drawn = brief_view(made()[name], PERIOD, columns, rows)
            assert 0 < len(drawn) <= rows
            assert all(width("".join(text for text, _ in row)) <= columns for row in drawn)

    def test_shows_the_course_of_latency_before_the_rest(self):
        headings = [row[0][0] for row in brief_view(week(), PERIOD, 80, 23) if row[0][1] == "strong"]
        assert [heading.split()[0] for heading in headings] == ["Calls", "model", "Latency"]

    def test_of_a_tall_terminal_has_everything(self):
        drawn = ["".join(text for text, _ in row) for row in brief_view(week(), PERIOD, 80, 99)]
        assert "Errors" in drawn
        assert "Cost by day" in drawn
        assert not any(row.startswith("traffic") for row in drawn)

    def test_names_a_few_groups_where_there_is_little_room(self):
        found = report([figures(1), figures(2)], [(f"g{at}", figures(9 - at)) for at in range(9)])
        drawn = ["".join(text for text, _ in row) for row in brief_view(found, PERIOD, 80, 23)]
        assert [row.split()[0] for row in drawn[7:12]] == ["model", "g0", "g1", "g2", "6"]
