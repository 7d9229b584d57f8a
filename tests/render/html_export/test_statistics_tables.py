from __future__ import annotations

from dataclasses import replace

import pytest

from chatcli.core.statistics import Figures, Group, Percentiles
from chatcli.render.html_export.statistics_tables import (
    cost_words,
    figures_rows,
    folded_table,
    group_tables,
    named_groups,
    rate_words,
    summed,
    table,
    time_words,
)
from render.html_export.html_reading import Looked, Tables
from render.html_export.made_up_reports import ANY_FIGURES


def test_a_table_has_a_caption_and_headings_for_its_columns_and_rows():
    html = "".join(table("Cost a day", ("Day", "Cost"), [("23 Nov", "$1.00")]))
    assert "<caption><span>Cost a day</span></caption>" in html
    assert '<th scope="col">Day</th><th scope="col">Cost</th>' in html
    assert '<tr><th scope="row">23 Nov</th><td>$1.00</td></tr>' in html


def test_a_table_can_be_scrolled_with_the_keyboard():
    html = "".join(table("Cost a day", ("Day",), [("23 Nov",)] * 40))
    assert html.startswith('<div class="scroll tall" role="region" aria-label="Cost a day" tabindex="0">')


def test_a_folded_table_has_a_summary():
    html = "".join(folded_table("Cost a day in figures", "Cost a day", ("Day",), []))
    assert html.startswith("<details><summary>Cost a day in figures</summary>")


def test_a_long_name_is_shortened_and_kept_in_its_direction():
    html = "".join(table("x", ("Model",), [("א" * 500,)], names=True))
    assert f"<bdi>{'א' * 119}…</bdi>" in html


def test_a_group_has_all_its_figures():
    rows = Tables("\n".join(group_tables([Group("small", ANY_FIGURES)], "model"))).by_caption[
        "Figures by model"
    ]
    assert dict(zip(*rows, strict=True)) == {
        "Model": "small",
        "Calls": "20",
        "Success": "89.4%",
        "Failed": "2",
        "p50": "1.2 s",
        "p95": "3.4 s",
        "p99": "8.1 s",
        "First token p50": "240 ms",
        "First token p95": "900 ms",
        "Tokens a second": "48.2",
        "Tokens in": "12,345",
        "Cached": "4,000",
        "Tokens out": "6,789",
        "Cost": "over $0.0034",
        "Cache hits": "3",
        "Retries": "4",
    }


def test_calls_that_a_person_stopped_are_called_so():
    ((name, _),), _ = named_groups([Group("cancelled", Figures(calls=1, cancelled=1))], "outcome")
    assert name == "stopped"


def test_a_group_without_a_name_is_called_so():
    rows, others = named_groups([Group("", ANY_FIGURES)], "profile")
    assert [name for name, _ in rows] == ["no profile"]
    assert others == []


@pytest.mark.parametrize(("count", "shown", "others"), [(1, 1, 0), (11, 11, 0), (12, 11, 2), (300, 11, 290)])
def test_many_groups_are_summed_up_but_never_a_single_one(count, shown, others):
    groups = [Group(str(number), ANY_FIGURES) for number in range(count)]
    rows, summed_up = named_groups(groups, "model")
    assert (len(rows), len(summed_up)) == (shown, others)


def test_sums_are_those_of_all_and_percentiles_of_none():
    total = summed([ANY_FIGURES, replace(ANY_FIGURES, errors={"timed_out": 2})])
    assert total == Figures(
        calls=40,
        succeeded=34,
        cancelled=2,
        errors={"rate_limited": 2, "timed_out": 2},
        retries=8,
        input_tokens=24_690,
        cached_tokens=8_000,
        output_tokens=13_578,
        cost_usd=0.0068,
        unpriced=4,
        cache_hits=6,
    )
    assert summed([]) == Figures()


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        (Figures(), "–"),
        (Figures(calls=1), "free"),
        (Figures(calls=1, cost_usd=0.5, unpriced=1), "over $0.50"),
        (Figures(calls=2, unpriced=1), "unknown"),
    ],
)
def test_a_cost_that_is_not_known_is_not_free(figures, words):
    assert cost_words(figures) == words


def test_what_there_is_not_is_a_dash():
    assert rate_words(Figures(calls=1, cancelled=1)) == "–"
    assert time_words(None, 1) == "–"
    assert time_words(Percentiles(0.5, 1.5, 2.0), 1) == "1.5 s"


def test_cells_are_escaped():
    looked = Looked("".join(table("<x>", ("<y>",), [("<z>", "<script>")])))
    assert "script" not in looked.tags
    assert list(figures_rows([], ())) == []
