from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.statistics import Figures, Group, Percentiles
from chatcli.render.html_export.statistics_page import statistics_to_html
from chatcli.text.sanitizer import sanitize_line
from render.html_export.html_reading import Looked, Tables, refuse_loose_ends
from render.html_export.made_up_reports import ANY_FIGURES, EMPTY, made_up_report, report
from render.html_export.test_document import ATTACKS

ONE_CALL = Figures(calls=1, succeeded=1, attempts=1, latency=Percentiles(1.0, 1.0, 1.0), cost_usd=0.0004)
ALL_FAILED = Figures(calls=3, errors={"timed_out": 3}, attempts=9, retries=6)
ALL_STOPPED = Figures(calls=2, cancelled=2, attempts=2)

ALLOWED_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "footer", "section", "div"),
    *(
        "h1",
        "h2",
        "h3",
        "p",
        "code",
        "dl",
        "dt",
        "dd",
        "ul",
        "li",
        "figure",
        "figcaption",
        "details",
        "summary",
    ),
    *("table", "caption", "thead", "tbody", "tr", "th", "td", "span", "bdi"),
    *("svg", "defs", "desc", "pattern", "rect", "circle", "path", "line", "text", "use"),
}


def text_of(html):
    return " ".join("".join(Looked(html).text).split())


def refuse_anything_active(html):
    looked = Looked(html)
    assert set(looked.tags) <= ALLOWED_TAGS
    assert all(link.startswith("#") for link in looked.links)
    names = {name for _, name, _ in looked.attributes}
    assert not [name for name in names if name.startswith("on") or name in {"style", "src", "action"}]
    style = html.partition("<style>")[2].partition("</style>")[0]
    assert set(re.findall(r"url\(([^)]*)\)", style)) == {"#hatch"}
    assert "@import" not in style


def headings(html):
    return [int(tag[1]) for tag in Looked(html).tags if re.fullmatch("h[1-6]", tag)]


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_name_runs_or_fetches_anything(attack):
    figures = replace(ANY_FIGURES, errors={attack: 2})
    shown = report(groups=[Group(attack, figures), Group("", figures)], total=figures, unreadable=attack)
    html = statistics_to_html(shown, about=((attack, attack),))
    refuse_anything_active(html)
    refuse_loose_ends(html)
    assert sanitize_line(attack).split("\n")[0] in "".join(Looked(html).text)


def test_it_needs_nothing_beside_it_and_forbids_the_rest():
    html = statistics_to_html(made_up_report())
    assert html.startswith('<!DOCTYPE html>\n<html lang="en">')
    policy = next(
        value for _, name, value in Looked(html).attributes if name == "content" and "default" in value
    )
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html
    refuse_anything_active(html)


@pytest.mark.parametrize(
    "shown",
    [
        EMPTY,
        made_up_report(),
        made_up_report(slots=48, is_hourly=True, models=40),
        report((ONE_CALL,), total=ONE_CALL),
        report((ALL_FAILED, Figures()), total=ALL_FAILED),
        report((ALL_STOPPED,), total=ALL_STOPPED),
        report((), total=ONE_CALL),
        report(grouped_by="day", groups=[Group("2026-11-23", ANY_FIGURES)]),
        replace(EMPTY, total=Figures(cache_hits=3)),
    ],
    ids=[
        "nothing",
        "a week",
        "hours",
        "one call",
        "all failed",
        "all stopped",
        "no slots",
        "days",
        "cache hits only",
    ],
)
def test_any_period_makes_a_well_formed_page(shown):
    html = statistics_to_html(shown)
    refuse_anything_active(html)
    refuse_loose_ends(html)
    levels = headings(html)
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))
    ids = [value for _, name, value in Looked(html).attributes if name == "id"]
    assert len(ids) == len(set(ids))
    labelled = {
        each
        for _, name, value in Looked(html).attributes
        if name == "aria-labelledby"
        for each in value.split()
    }
    assert labelled <= set(ids)


def test_the_period_is_in_the_title_and_the_time_zone_is_named():
    html = statistics_to_html(report())
    assert "<title>chatcli statistics, 23 Nov 2026, 00:00 to 23 Nov 2026, 10:30</title>" in html
    assert "Times are in UTC+01:00." in html
    in_utc = replace(report(), until=datetime(2026, 11, 23, 9, 30, tzinfo=UTC))
    assert "Times are in UTC." in statistics_to_html(in_utc)


def test_a_period_without_calls_says_so_and_has_no_charts():
    html = statistics_to_html(EMPTY)
    assert "No calls in this period." in html
    assert 'class="chart' not in html
    assert "<figure" not in html


def test_answers_from_the_cache_alone_are_counted():
    text = text_of(statistics_to_html(replace(EMPTY, total=Figures(cache_hits=3))))
    assert "Cache hits3" in text
    assert "No calls in this period." in text


def test_the_figures_at_a_glance_are_those_of_the_report():
    text = text_of(statistics_to_html(report()))
    for words in (
        "Calls202 failed, 1 stopped",
        "Success89.4%of the calls you did not stop",
        "Latency, p501.2 sp95 3.4 s, p99 8.1 s",
        "First token, p50240 msp95 900 ms, p99 2.0 s",
        "Tokens a second48.2",
        "Tokens in12,3454,000 from the provider's cache",
        "Tokens out6,789",
        "Costover $0.00342 calls at an unknown price",
        "Retries49.0 s between them, 2.0 s for rate limits",
        "Cache hits3",
    ):
        assert words in text


def test_texts_that_seemed_to_give_orders_are_counted_if_there_were_any():
    assert "Warnings" not in statistics_to_html(report())
    assert "Warnings2texts of others" in text_of(
        statistics_to_html(report(total=replace(ANY_FIGURES, findings=2)))
    )


def test_groups_have_a_chart_and_a_table():
    html = statistics_to_html(
        report(groups=[Group("large", ANY_FIGURES), Group("小さい", replace(ANY_FIGURES, calls=5))])
    )
    assert '<h3 id="calls-by-model">Calls by model</h3>' in html
    assert "2 models, the one with the most calls first." in html
    rows = Tables(html).by_caption["Figures by model"]
    assert [row[:2] for row in rows] == [["Model", "Calls"], ["large", "20"], ["小さい", "5"]]


def test_days_are_not_drawn_twice():
    html = statistics_to_html(report(grouped_by="day", groups=[Group("2026-11-22", ANY_FIGURES)] * 40))
    assert "Calls by day" not in html
    assert len(Tables(html).by_caption["Figures by day"]) == 41


def test_hundreds_of_models_are_summed_up_and_still_listed():
    groups = [Group(f"model-{number}", replace(ANY_FIGURES, calls=500 - number)) for number in range(400)]
    html = statistics_to_html(report(groups=groups))
    tables = Tables(html).by_caption
    shown, others = tables["Figures by model"], tables["Figures by model: the 390 others"]
    assert shown[-1][:2] == ["390 others", f"{sum(500 - number for number in range(10, 400)):,}"]
    assert [row[0] for row in others[1:]] == [f"model-{number}" for number in range(10, 400)]


def test_errors_are_listed_by_code_the_most_frequent_first():
    figures = replace(ANY_FIGURES, errors={"timed_out": 2, "rate_limited": 3}, succeeded=14)
    rows = Tables(statistics_to_html(report(total=figures))).by_caption["Errors by code"]
    assert rows == [
        ["Code", "Calls", "Share of all calls"],
        ["rate_limited", "3", "15.0%"],
        ["timed_out", "2", "10.0%"],
    ]


def test_what_older_figures_lack_is_said():
    html = statistics_to_html(report(unreadable="the file is <damaged>"))
    assert '<p class="warning">Older figures are missing: the file is &lt;damaged&gt;</p>' in html


def test_what_was_asked_for_is_named():
    html = statistics_to_html(report(), about=(("Model", "small"),))
    assert "<dt>Model</dt><dd><bdi>small</bdi></dd>" in html


@given(st.text(max_size=300), st.integers(1, 30))
def test_any_name_is_safe(name, count):
    groups = [Group(name, ANY_FIGURES)] * count
    html = statistics_to_html(report(groups=groups))
    refuse_anything_active(html)
    refuse_loose_ends(html)
