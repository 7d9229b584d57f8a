"""Statistics as sentences."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chatcli.render.spoken_statistics import statistics_sentences
from render.made_statistics import NONE, figures, made, report, week

PERIOD = "in the last 7 days"
BLOCKS = set("▁▂▃▄▅▆▇█░▏▎▍▌▋▊▉┤│┴─·")


def test_every_figure_is_said():
    assert statistics_sentences(week(), PERIOD).split("\n") == [
        "Calls in the last 7 days: 437 calls, 97.4% succeeded, 11 failed, 2 stopped, half took up to 1.2 s, 95% up to 3.6 s, over $0.8740.",
        "Latency: p50 1.2 s, p95 3.6 s, p99 6.0 s.",
        "First token: p50 300 ms, p95 600 ms, p99 1.2 s.",
        "Speed: 45.2 tokens/s.",
        "Tokens: 354,844 in (43,700 cached), 52,440 out.",
        "Cost: over $0.8740, 3 calls at an unknown price.",
        "Retries: 11, 22.0 s waited.",
        "Rate limits: 12.5 s waited.",
        "Cache: 34 answers without a call.",
        "Traffic: 1.4 MB sent, 99 kB received.",
        "Warnings: 1 text with orders to the model.",
        "By model: 3 models.",
        "gpt-5-mini-2026-08-07: 320 calls, 98.7% succeeded, 4 failed, half took up to 1.2 s, 95% up to 3.6 s, $0.64.",
        "claude-sonnet-4-5: 100 calls, 93.0% succeeded, 7 failed, half took up to 3.2 s, 95% up to 9.6 s, over $0.20.",
        "local/smollm2: 17 calls, 100% succeeded, half took up to 250 ms, 95% up to 750 ms, free.",
        "Errors: rate_limited 7 times, timeout 3 times, context_too_long 1 time.",
        "Calls by latency: 12 of 200 to 300 ms, 140 of 300 to 500 ms, 900 of 750 ms to 1 s, 1,200 of 1 to 2 s, 1 of 60 s or more.",
        "23 Nov: 27 calls, 100% succeeded, half took up to 2.3 s, 95% up to 6.9 s, $0.0540.",
        "24 Nov: 23 calls, 78.2% succeeded, 5 failed, half took up to 2.9 s, 95% up to 8.7 s, $0.0460.",
        "25 Nov: 113 calls, 100% succeeded, half took up to 1.1 s, 95% up to 3.3 s, $0.2260.",
        "27 Nov: 96 calls, 98.9% succeeded, 1 failed, half took up to 1.2 s, 95% up to 3.6 s, $0.1920.",
        "28 Nov: 3 calls, 0% succeeded, 3 failed, $0.0060.",
        "29 Nov: 47 calls, 100% succeeded, half took up to 2.2 s, 95% up to 6.6 s, $0.0940.",
        "30 Nov: 128 calls, 98.4% succeeded, 2 failed, half took up to 300 ms, 95% up to 900 ms, $0.2560.",
    ]


def test_of_many_days_those_that_stand_out_are_said():
    slots = [figures(5) for _ in range(60)]
    slots[7] = figures(5, p50_s=30)
    slots[20] = figures(5, failed=4)
    slots[30] = figures(50)
    said = statistics_sentences(report(slots, total=figures(345, failed=4)), PERIOD).split("\n")
    assert [line.partition(",")[0] for line in said[-3:]] == [
        "Slowest day: 9 Oct",
        "Day with the lowest success rate: 22 Oct",
        "Dearest day: 1 Nov",
    ]


def test_a_cost_that_is_unknown_is_said_to_be_the_cost():
    total = replace(figures(2), cost_usd=0.0, unpriced=2)
    first, *_ = statistics_sentences(report([NONE, total], total=total), PERIOD).split("\n")
    assert first.endswith(", cost unknown.")


def test_a_single_day_is_not_said_twice():
    said = statistics_sentences(report([NONE, figures(2)]), PERIOD)
    assert "30 Nov" not in said


def test_days_that_are_the_groups_are_not_said_twice():
    found = report(
        [figures(1), figures(2)], [("2026-11-29", figures(1)), ("2026-11-30", figures(2))], grouped_by="day"
    )
    said = statistics_sentences(found, PERIOD)
    assert "By day: 2 days." in said
    assert "29 Nov" not in said


@pytest.mark.parametrize("name", made())
def test_no_picture_is_read_aloud(name):
    assert not BLOCKS & set(statistics_sentences(made()[name], PERIOD))
