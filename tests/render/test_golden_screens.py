"""Golden screen files: what counts as a difference, and how it is reported."""

from __future__ import annotations

import pytest

from render.golden_screens import Golden, described, shown

MODES = ("dark", "light")


@pytest.fixture(autouse=True)
def _not_recording(monkeypatch):
    monkeypatch.delenv("WRITE_SCREENS", raising=False)


def record(path, monkeypatch, *rows, **options):
    with monkeypatch.context() as recording:
        recording.setenv("WRITE_SCREENS", "1")
        check(path, *rows, **options)


def check(path, *rows, light=None):
    """Compare bytes with ``path`` in both modes, in 20 columns; ``light`` replaces them in the light one."""
    golden = Golden(path, MODES)
    for number, row in enumerate(rows, start=1):
        colored = {"dark": shown(row, 20), "light": shown(light or row, 20)}
        golden.add(f"answer-{number}", {20: described(colored, shown("word", 20))})
    golden.check()


def test_how_a_style_is_switched_on_and_off_makes_no_difference(tmp_path, monkeypatch):
    path = tmp_path / "screens.txt"
    record(path, monkeypatch, "\x1b[1;36mtwo words\x1b[0m\n")
    check(path, "\x1b[36m\x1b[1mtwo\x1b[0m \x1b[1m\x1b[36mwords\x1b[39;22m  \n")


@pytest.mark.parametrize(
    "row",
    [
        "\x1b[36mtwo words\x1b[0m\n",
        "\x1b[1;36mtwo word\x1b[0ms\n",
        "\x1b[1;36mtwo\x1b[4m \x1b[24mwords\x1b[0m\n",
        "\x1b[1;36mtwo  words\x1b[0m\n",
        "\x1b]8;;https://a.b\x1b\\\x1b[1;36mtwo words\x1b[0m\x1b]8;;\x1b\\\n",
        "\x1b[1;36mtwo words\x1b[0m\n\n",
    ],
)
def test_a_visible_change_is_a_difference(tmp_path, monkeypatch, row):
    path = tmp_path / "screens.txt"
    record(path, monkeypatch, "\x1b[1;36mtwo words\x1b[0m\n")
    with pytest.raises(AssertionError, match="not as recorded"):
        check(path, row)


def test_a_style_of_one_mode_is_recorded_once(tmp_path, monkeypatch):
    path = tmp_path / "screens.txt"
    record(path, monkeypatch, "\x1b[36mword\x1b[0m\n", light="\x1b[34mword\x1b[0m\n")
    assert path.read_text("utf-8").split("\n") == [
        *("== styles: dark / light", "cyan = cyan / blue", ""),
        *("== answer-1", "-- 20", "|word", "  1-4 cyan", ""),
    ]


def test_rows_that_differ_are_shown_with_those_around_them(tmp_path, monkeypatch):
    path = tmp_path / "screens.txt"
    record(path, monkeypatch, "one\ntwo\nthree\n", "same\n")
    with pytest.raises(AssertionError) as failure:
        check(path, "one\ntwo!\nthree\n", "same\n")
    complaint = str(failure.value).split("\n")
    assert complaint[1:9] == [
        "== answer-1",
        "@@ -1,6 +1,6 @@",
        " -- 20",
        " |one",
        "-|two",
        "+|two!",
        " |three",
        " -- without colours 20",
    ]
    assert "WRITE_SCREENS=1" in complaint[-1]


def test_modes_that_show_other_texts_are_a_mistake(tmp_path):
    with pytest.raises(AssertionError, match="light shows another text than dark"):
        check(tmp_path / "screens.txt", "one\n", light="two\n")
