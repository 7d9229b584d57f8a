from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from chatcli.render.html_export.chart_axes import Tick, scale_of_counts
from chatcli.render.html_export.svg_charts import (
    SHARED_SHAPES,
    Bar,
    Chart,
    Series,
    bar_chart,
    line_chart,
    row_chart,
    swatch,
)


def chart(count, largest=10):
    columns = [f"column {index}" for index in range(count)]
    ticks = [Tick(0.5, "noon"), Tick(0.98, "night", is_extra=True)]
    return Chart("calls", "Chart: <calls>", "All & more", scale_of_counts(largest), columns, ticks)


def drawn(lines):
    """Return the root of a chart, which has to be well-formed."""
    return ET.fromstring("".join(lines))


def of_class(root, name):
    return [element for element in root.iter() if name in element.get("class", "").split()]


def test_a_chart_is_one_picture_with_a_title_and_a_description():
    root = drawn(line_chart(chart(2), [Series("one", [1, 2])]))
    assert root.get("role") == "img"
    ids = root.get("aria-labelledby").split()
    labels = {element.get("id"): element.text for element in root if element.get("id")}
    assert [labels[each] for each in ids] == ["Chart: <calls>", "All & more"]


def test_a_line_runs_through_its_values_from_the_ground_to_the_top():
    root = drawn(line_chart(chart(3), [Series("two", [0, 5, 10])]))
    (line,) = of_class(root, "line")
    assert line.get("d") == "M166.667,200 500,100 833.333,0"
    assert [(mark.get("x"), mark.get("y")) for mark in of_class(root, "mark")] == [
        ("16.667%", "200"),
        ("50%", "100"),
        ("83.333%", "0"),
    ]


def test_a_line_is_broken_where_a_value_is_missing_and_a_lonely_one_has_a_marker():
    root = drawn(line_chart(chart(100), [Series("one", [1, 2, None, 3, None, *[4] * 95])]))
    (line,) = of_class(root, "line")
    assert line.get("d").count("M") == 2
    assert [mark.get("x") for mark in of_class(root, "mark")] == ["3.5%"]


def test_each_line_differs_by_its_marker_too():
    root = drawn(line_chart(chart(1), [Series(style, [1]) for style in ("one", "two", "three")]))
    shapes = {mark.get("href") for mark in of_class(root, "mark")}
    assert len(shapes) == 3
    assert all(f'id="{shape[1:]}"' in SHARED_SHAPES for shape in shapes)


def test_the_markers_of_many_points_leave_narrow_screens():
    root = drawn(line_chart(chart(30), [Series("one", [1] * 30)]))
    assert len(of_class(root, "extra")) == 30 + 1


def bars_of(*values, largest=1_000):
    kinds = [Series(style, [value]) for style, value in zip(("ok", "failed", "stopped"), values, strict=True)]
    return [
        (bar.get("class").split()[1], float(bar.get("y")), float(bar.get("height")))
        for bar in of_class(drawn(bar_chart(chart(1, largest), kinds)), "bar")
    ]


def test_a_bar_is_as_high_as_its_value():
    assert bars_of(250, 0, 0) == [("ok", 150, 50)]


@pytest.mark.parametrize(
    "values", [(999, 1, 0), (998, 1, 1), (1, 1, 1), (0, 1, 999), (300, 400, 300), (333, 1, 0)]
)
def test_bars_stand_on_each_other_inside_the_chart_and_the_smallest_shows(values):
    bars = bars_of(*values)
    assert [style for style, _, _ in bars] == [
        style for style, value in zip(("ok", "failed", "stopped"), values, strict=True) if value
    ]
    ground = 200
    for _, y, height in bars:
        assert height >= 2
        assert y >= -0.01
        assert y + height <= ground + 0.01
        ground = y
    assert ground == pytest.approx(200 - sum(values) / 5, abs=9)


def test_one_of_a_few_bars_is_not_broad():
    (bar,) = of_class(drawn(bar_chart(chart(1), [Series("ok", [1])])), "bar")
    assert (bar.get("x"), bar.get("width")) == ("44%", "12%")


def test_the_bars_of_a_histogram_touch():
    bars = of_class(drawn(bar_chart(chart(2), [Series("ok", [1, 1])], are_adjacent=True)), "bar")
    assert [(bar.get("x"), bar.get("width")) for bar in bars] == [("1%", "48%"), ("51%", "48%")]


def test_a_column_says_its_figures_under_the_mouse():
    root = drawn(bar_chart(chart(3), [Series("ok", [1, 2, 3])]))
    columns = of_class(root, "column")
    assert [column[0].text for column in columns] == ["column 0", "column 1", "column 2"]
    assert [column.get("x") for column in columns] == ["0%", "33.333%", "66.667%"]


def test_thousands_of_columns_say_nothing():
    root = drawn(line_chart(chart(5_000), [Series("one", [1] * 5_000)]))
    assert of_class(root, "column") == []


def test_labels_that_need_room_leave_narrow_screens_and_the_last_does_not_stand_out():
    root = drawn(line_chart(chart(1), [Series("one", [1])]))
    noon, night = of_class(root, "moment")
    assert (noon.get("class"), night.get("class")) == ("moment", "moment extra end")


def test_rows_have_a_name_a_label_and_a_bar_of_the_right_length():
    root = drawn(row_chart("groups", "Calls", "by model", [Bar("a<b", 10, "10"), Bar("界" * 100, 5, "5")]))
    assert [text.text for text in of_class(root, "name")] == ["a<b", "界" * 15 + "…"]
    assert [text.text for text in of_class(root, "value")] == ["10", "5"]
    assert [bar.get("width") for bar in of_class(root, "bar")] == ["100%", "50%"]


def test_direction_characters_in_names_are_made_visible():
    root = drawn(row_chart("groups", "Calls", "by model", [Bar("a\u202eb\x1b", 0, "0")]))
    assert of_class(root, "name")[0].text == "a<U+202E>b␛"
    root = drawn(row_chart("groups", "Calls", "by model", [Bar("\u202e" * 100, 0, "0")]))
    assert of_class(root, "name")[0].text == "<U+202E>" * 3 + "<U+202E…"


def test_a_swatch_is_no_picture_to_a_screen_reader():
    for is_line in (True, False):
        assert drawn([swatch("one", is_line=is_line)]).get("aria-hidden") == "true"


def test_all_references_lead_into_the_page():
    text = "".join(line_chart(chart(2), [Series("one", [1, 2])])) + SHARED_SHAPES
    assert all(link.startswith("#") for link in re.findall(r'href="([^"]*)"', text))
