"""Exported pages in a real browser: they fit, are read aloud as they are meant, and ask for nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from chatcli.core.statistics import Figures, Group
from chatcli.render.html_export.statistics_page import statistics_to_html
from chatcli.sessions.exporting import TranscriptPart
from e2e.browser import CHROMIUM, browser
from render.html_export.html_reading import Tables
from render.html_export.made_up_reports import ANY_FIGURES, EMPTY, made_up_report, report
from render.html_export.test_document import ATTACKS
from render.html_export.test_document import page as conversation_page
from render.test_themes import contrast

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")

ANSWERS = Path(__file__).parent.parent / "render" / "answers"
HOSTILE = (
    "<script>document.title = 'owned'</script>",
    "\u202egnp.exe\x1b[31m",
    "通义千问" * 60,
    "x" * 4_000,
    "\u202e" * 300,
    "W" * 100,
    "نموذج",
    '"><img src=https://evil.example/x onerror=alert(1)>',
)

PAGES = {
    "week": made_up_report(slots=14),
    "hours": made_up_report(slots=72, is_hourly=True, models=40),
    "years": made_up_report(slots=1_500),
    "one": report(total=Figures(calls=1, succeeded=1, attempts=1)),
    "empty": EMPTY,
    "hostile": report(
        groups=[Group(name, ANY_FIGURES) for name in HOSTILE],
        total=replace(ANY_FIGURES, errors={"<b>": 1, "x" * 500: 1}),
        unreadable="y" * 500,
    ),
}
"""Periods by their names in the tests."""

CHARTS = ["latency", "success", "calls", "cost", "latencies"]

_TABLES = """
Object.fromEntries([...document.querySelectorAll("table")].map(table => [
    table.caption.textContent,
    [...table.rows].map(row => [...row.cells].map(cell => cell.textContent)),
]))
"""
_TOO_WIDE = """
[...document.querySelectorAll("body *")].filter(element => {
    const box = element.getBoundingClientRect();
    const inside = element.parentElement.closest(".scroll") || element.closest(".clipped");
    return !inside && box.width && (box.right > innerWidth + 0.5 || box.left < -0.5);
}).map(element => element.outerHTML.slice(0, 200))
"""
_SIZES = """
Object.fromEntries([...document.querySelectorAll("svg.chart")].map(chart => {
    const marks = [...chart.querySelectorAll(".line, .bar, .mark")]
        .map(mark => mark.getBoundingClientRect()).filter(mark => mark.width);
    const box = chart.getBoundingClientRect();
    return [chart.getAttribute("aria-labelledby").split("-title")[0], {
        width: box.width,
        height: box.height,
        drawn: marks.length,
        inside: marks.every(mark => mark.left > box.left - 6 && mark.right < box.right + 6
            && mark.top > box.top - 6 && mark.bottom < box.bottom + 6),
    }];
}))
"""
_OVERLAPPING = """
[...document.querySelectorAll("svg.chart")].flatMap(chart => [".moment", ".columns .value", ".rows .name"].flatMap(kind => {
    const boxes = [...chart.querySelectorAll(kind)].map(text => text.getBoundingClientRect()).filter(box => box.width);
    return boxes.filter((one, index) => boxes.some((other, at) => at > index && one.left < other.right
        && other.left < one.right && one.top < other.bottom && other.top < one.bottom)).map(() => chart.textContent.slice(0, 80));
}))
"""
_TEXT_COLORS = """
[...document.querySelectorAll("body *")].filter(element =>
    !["TITLE", "DESC", "STYLE"].includes(element.tagName.toUpperCase())
    && [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim())
).map(element => {
    let ground = element;
    while (ground && ["rgba(0, 0, 0, 0)", "transparent"].includes(getComputedStyle(ground).backgroundColor))
        ground = ground.parentElement;
    const style = getComputedStyle(element);
    return [element.namespaceURI.endsWith("svg") ? style.fill : style.color, getComputedStyle(ground).backgroundColor];
})
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for name, shown in PAGES.items():
        (folder / f"{name}.html").write_text(statistics_to_html(shown), "utf-8")
    return folder


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


def too_faint(window):
    """Return the pairs of a text's colour and its ground whose contrast is too low for reading."""
    pairs = {tuple(map(read_color, pair)) for pair in window.value(_TEXT_COLORS)}
    assert pairs
    return {pair: contrast(*pair) for pair in pairs if contrast(*pair) < 4.5}


def read_color(color):
    return tuple(map(int, re.findall(r"\d+", color)[:3]))


@pytest.mark.parametrize("columns", [1200, 360])
@pytest.mark.parametrize("name", PAGES)
def test_nothing_stands_out_of_the_page_at_any_width(window, pages, name, columns):
    window.open(pages / f"{name}.html", columns=columns)
    assert window.value("document.documentElement.scrollWidth") == columns
    assert window.value(_TOO_WIDE) == []
    assert window.value(_OVERLAPPING) == []


@pytest.mark.parametrize("columns", [1200, 390])
@pytest.mark.parametrize("name", ["week", "hours", "years"])
def test_every_chart_is_drawn_inside_its_frame(window, pages, name, columns):
    window.open(pages / f"{name}.html", columns=columns)
    sizes = window.value(_SIZES)
    assert list(sizes) == [*CHARTS, "groups"]
    for size in sizes.values():
        assert size["width"] > 250
        assert size["height"] > 100
        assert size["drawn"] > 0
        assert size["inside"]


def test_the_tables_hold_the_figures_of_the_report(window, pages):
    window.open(pages / "week.html")
    tables = window.value(_TABLES)
    shown = PAGES["week"]
    assert [row[1:] for row in tables["Calls over time"][1:]] == [
        [f"{each.calls:,}", f"{each.succeeded:,}", f"{sum(each.errors.values()):,}", f"{each.cancelled:,}"]
        for _, each in shown.slots
    ]
    assert [float(row[1].removesuffix(" s")) for row in tables["Latency over time"][1:]] == [
        pytest.approx(each.latency.p50_s, abs=0.05) for _, each in shown.slots
    ]
    assert tables == Tables((pages / "week.html").read_text("utf-8")).by_caption


@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_for_nothing_and_the_browser_has_nothing_to_complain_of(window, pages, name):
    window.open(pages / f"{name}.html")
    assert window.requests == [(pages / f"{name}.html").as_uri()]
    assert window.complaints == []


def test_hostile_names_are_text(window, pages):
    window.open(pages / "hostile.html")
    assert window.value("document.title").startswith("chatcli statistics")
    assert window.value("document.scripts.length + document.images.length") == 0
    shown = window.value("document.body.textContent")
    assert HOSTILE[0] in shown
    assert "<U+202E>gnp.exe␛[31m" in shown


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["hours", "hostile", "empty"])
def test_every_text_can_be_read(window, pages, name, scheme):
    window.open(pages / f"{name}.html", scheme=scheme)
    assert too_faint(window) == {}
    ground = read_color(window.value("getComputedStyle(document.body).backgroundColor"))
    assert (sum(ground) < 3 * 128) == (scheme == "dark")


def test_a_screen_reader_is_given_charts_with_descriptions_and_tables_with_headings(window, pages):
    window.open(pages / "week.html")
    window.value("document.querySelectorAll('details').forEach(details => details.open = true)")
    nodes = window.accessible()
    assert {name for role, name, _ in nodes if role == "heading"} >= {
        "Statistics of calls",
        "Charts",
        "Cost a day",
    }
    pictures = [(name, role) for role, name, _ in nodes if role in {"image", "img"}]
    assert len(pictures) == len(CHARTS) + 1
    assert all(
        re.match(r"(Line chart|Bar chart|Histogram): .*The figures are in the table below\.", name)
        for name, _ in pictures
    )
    assert {name for role, name, _ in nodes if role == "figure"} >= {
        "Latency over time",
        "Cost a day",
        "Calls by model",
    }
    roles = [role for role, _, _ in nodes]
    assert roles.count("table") == len(CHARTS) + 2
    assert roles.count("columnheader") > 20
    assert roles.count("rowheader") > 20
    assert {"main", "banner", "contentinfo"} <= set(roles)


def test_a_folded_table_opens_and_is_reached_with_the_keyboard(window, pages):
    window.open(pages / "hours.html", columns=390)
    opened = "document.querySelector('details').open"
    assert window.value(opened) is False
    for kind in ("keyDown", "keyUp"):
        window.do("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
    assert window.value("document.activeElement.textContent") == "Latency over time in figures"
    for kind in ("keyDown", "keyUp"):
        window.do(
            "Input.dispatchKeyEvent",
            type=kind,
            key="Enter",
            code="Enter",
            windowsVirtualKeyCode=13,
            text="\r",
        )
    assert window.value(opened) is True
    assert window.value("document.documentElement.scrollWidth") == 390


def test_on_paper_the_page_is_light_and_folded_tables_are_left_out(window, pages):
    window.open(pages / "week.html", scheme="dark")
    window.look(columns=700, scheme="dark", media="print")
    assert window.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert window.value("document.querySelector('details').getBoundingClientRect().height") == 0
    assert window.do("Page.printToPDF")["data"]


@pytest.mark.parametrize("columns", [1200, 360])
def test_an_exported_conversation_fits_and_asks_for_nothing_either(window, tmp_path, columns):
    answers = "\n\n".join(path.read_text("utf-8") for path in sorted(ANSWERS.glob("*.md")))
    parts = [TranscriptPart("words", "x" * 3_000), TranscriptPart("markdown", answers)]
    parts += [TranscriptPart("markdown", attack) for attack in ATTACKS]
    file = tmp_path / "conversation.html"
    file.write_text(conversation_page(*parts, title="t" * 900, facts=("f" * 400,)), "utf-8")
    for scheme in ("light", "dark"):
        window.open(file, columns=columns, scheme=scheme)
        assert window.value("document.documentElement.scrollWidth") == columns
        assert too_faint(window) == {}
        assert window.requests == [file.as_uri()]
        assert window.complaints == []
