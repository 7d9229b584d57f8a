"""Statistics for programs."""

from __future__ import annotations

import csv
import io
import json

from chatcli.render.statistics_output import statistics_csv, statistics_json
from render.made_statistics import NONE, figures, made, report, week

FIGURES = [
    *("calls", "succeeded", "failed", "cancelled", "success_rate", "errors"),
    *("p50_latency_s", "p95_latency_s", "p99_latency_s", "p50_ttft_s", "p95_ttft_s", "p99_ttft_s"),
    *("tokens_per_s", "input_tokens", "cached_tokens", "output_tokens", "cost_usd", "unpriced_calls"),
    *("cache_hits", "attempts", "retries", "retry_wait_s", "limit_wait_s", "sent_bytes", "received_bytes"),
    "injection_findings",
]
"""The keys are part of the public surface: they may grow at the end."""


def test_the_keys_of_the_object_are_as_promised():
    found = json.loads(statistics_json(week()))
    assert list(found) == [
        *(
            "since",
            "until",
            "grouped_by",
            "total",
            "groups",
            "slot",
            "slots",
            "latency_histogram",
            "incomplete",
        )
    ]
    assert list(found["total"]) == FIGURES
    assert list(found["groups"][0]) == ["name", *FIGURES]
    assert list(found["slots"][0]) == ["start", *FIGURES]
    assert list(found["latency_histogram"][0]) == ["from_s", "to_s", "calls"]


def test_every_figure_is_written():
    found = json.loads(statistics_json(week()))
    assert found["total"] == {
        "calls": 437,
        "succeeded": 424,
        "failed": 11,
        "cancelled": 2,
        "success_rate": 0.974713,
        "errors": {"context_too_long": 1, "rate_limited": 7, "timeout": 3},
        "p50_latency_s": 1.2,
        "p95_latency_s": 3.6,
        "p99_latency_s": 6.0,
        "p50_ttft_s": 0.3,
        "p95_ttft_s": 0.6,
        "p99_ttft_s": 1.2,
        "tokens_per_s": 45.25,
        "input_tokens": 354_844,
        "cached_tokens": 43_700,
        "output_tokens": 52_440,
        "cost_usd": 0.874,
        "unpriced_calls": 3,
        "cache_hits": 34,
        "attempts": 448,
        "retries": 11,
        "retry_wait_s": 22.0,
        "limit_wait_s": 12.5,
        "sent_bytes": 1_423_000,
        "received_bytes": 98_700,
        "injection_findings": 1,
    }
    assert (found["since"], found["until"]) == ("2026-11-23T00:00:00+00:00", "2026-11-30T14:05:00+00:00")
    assert (found["slot"], len(found["slots"]), found["incomplete"]) == ("day", 8, None)
    assert found["slots"][0]["start"] == "2026-11-23T00:00:00+00:00"
    assert found["latency_histogram"][-1] == {"from_s": 60, "to_s": None, "calls": 1}
    assert [group["name"] for group in found["groups"]][1] == "claude-sonnet-4-5"


def test_what_was_not_measured_is_null():
    total = json.loads(statistics_json(report([NONE], total=NONE, bars=[])))["total"]
    assert [name for name, value in total.items() if value is None] == [
        *("success_rate", "p50_latency_s", "p95_latency_s", "p99_latency_s"),
        *("p50_ttft_s", "p95_ttft_s", "p99_ttft_s", "tokens_per_s"),
    ]


def test_an_object_fits_on_one_line_whatever_names_hold():
    for found in made().values():
        line = statistics_json(found, as_line=True)
        assert line.isascii()
        assert line.isprintable()
        assert json.loads(line) == json.loads(statistics_json(found))


def test_a_table_has_a_line_for_each_group_and_the_same_names():
    rows = list(csv.DictReader(io.StringIO(statistics_csv(week()), newline="")))
    objects = json.loads(statistics_json(week()))["groups"]
    assert list(rows[0]) == ["model", *FIGURES]
    for row, group in zip(rows, objects, strict=True):
        assert row["model"] == group["name"]
        for name in FIGURES:
            written = row[name]
            assert (json.loads(written) if written else {} if name == "errors" else None) == group[name]


def test_no_cell_of_a_table_is_a_formula():
    found = report(
        [figures(1)], [("=HYPERLINK(1)", figures(1)), ('a,"b"\nc', figures(1)), ("\x1b[31m", figures(1))]
    )
    assert [row["model"] for row in csv.DictReader(io.StringIO(statistics_csv(found), newline=""))] == [
        "'=HYPERLINK(1)",
        'a,"b"\nc',
        "␛[31m",
    ]
