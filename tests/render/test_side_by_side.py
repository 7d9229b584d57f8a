"""Answers in columns: what stays on the screen, cell by cell, and what is redrawn meanwhile.

To update the golden file: ``WRITE_SCREENS=1 scripts/test tests/render/test_side_by_side.py``.
"""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatcli.cli.live_screen import LiveScreen
from chatcli.core.errors import Cancelled, NetworkError
from chatcli.core.events import (
    ReasoningDelta,
    Retrying,
    TextDelta,
    TextReclassified,
    TurnCancelled,
    TurnFailed,
    TurnFinished,
    TurnResult,
    Usage,
)
from chatcli.render.side_by_side import LEAST_COLUMNS, SideBySide, column_width
from cli.sized_terminal import SizedTerminal
from conversation.fakes import ManualClock
from render.golden_screens import COLORED, UNCOLORED, Golden, described, shown

GOLDEN = Path(__file__).parent / "golden" / "screens"
LINES = 24
ALPHA = "Paris is the capital of **France**.\n\n- It lies on the *Seine*.\n- It is old.\n"
BETA = """\
首都是巴黎。它位于塞纳河畔，是法国最大的城市，也是欧洲重要的文化中心之一。

```python
def capital(country: str = "France") -> str:  # a line too long for a column
\treturn "巴黎 👍"
```

| city | people |
|---|---|
| Paris | 2 M |
"""
FAILURE = NetworkError(
    "example.com does not answer", hint="look at https://status.example.com/a/long/path/of/it"
)


def end_of(text, *, error=None):
    kind = TurnFinished if error is None else TurnCancelled if isinstance(error, Cancelled) else TurnFailed
    return kind(TurnResult(text, "m", latency_s=2.5, ttft_s=0.5, cost_usd=0.0012, error=error))


class Drawing:
    """Turns drawn on a terminal; the clock moves past a frame with every event if there are ``frames``."""

    def __init__(self, names, look, columns, *, frames=False, **options):
        self.file, self.clock = io.BytesIO(), ManualClock()
        self.frames = frames
        self.columns = columns
        self.terminal = SizedTerminal(self.file, columns, LINES)
        canvas = LiveScreen(self.terminal, clock=self.clock)
        self.drawn = SideBySide(canvas, look, names, clock=self.clock, cpu_clock=lambda: 0.0, **options)

    async def show(self, at, event):
        self.clock.now_s += self.frames
        await self.drawn.turn(at)(event)

    @property
    def rows(self):
        return shown(self.file.getvalue().decode(), self.columns)

    @property
    def text(self):
        return "\n".join(row.text.rstrip() for row in self.rows).rstrip("\n")


async def drawing_of(texts, look, columns, *, frames=False, order=None, pieces=7):
    """Return the drawing of whole turns, the text of each in pieces, in the order of ``order``."""
    drawing = Drawing([f"model-{at}" for at in range(1, len(texts) + 1)], look, columns, frames=frames)
    waiting = [
        [
            *(TextDelta(text[at : at + pieces]) for at in range(0, len(text), pieces)),
            end_of(text, error=None if text else FAILURE),
        ]
        for text in texts
    ]
    for at in order or ():
        if waiting[at % len(texts)]:
            await drawing.show(at % len(texts), waiting[at % len(texts)].pop(0))
    for at, events in enumerate(waiting):
        for event in events:
            await drawing.show(at, event)
    return drawing


@pytest.mark.parametrize("texts", [(ALPHA, BETA), (ALPHA, BETA, "")])
async def test_screens_are_as_recorded(texts):
    golden = Golden(GOLDEN / f"comparison-of-{len(texts)}.txt", COLORED)
    golden.add(
        f"{len(texts)} models",
        {
            columns: described(
                {mode: (await drawing_of(texts, look, columns)).rows for mode, look in COLORED.items()},
                (await drawing_of(texts, UNCOLORED, columns)).rows,
            )
            for columns in (40, 80, 120)
        },
    )
    golden.check()


@given(
    st.lists(st.sampled_from([ALPHA, BETA, "", "short", BETA * 5]), min_size=1, max_size=3),
    st.sampled_from([40, 80, 120]),
    st.lists(st.integers(0, 2), max_size=200),
    st.booleans(),
    st.integers(1, 50),
)
@settings(max_examples=25, deadline=None)
async def test_are_the_same_however_the_answers_arrive_and_are_drawn_meanwhile(
    texts, columns, order, frames, pieces
):
    whole = await drawing_of(texts, COLORED["dark"], columns)
    other = await drawing_of(texts, COLORED["dark"], columns, frames=frames, order=order, pieces=pieces)
    assert other.rows == whole.rows


@given(st.lists(st.text(max_size=300), min_size=2, max_size=2), st.sampled_from([80, 100, 120]))
@settings(max_examples=60, deadline=None)
async def test_no_row_is_wider_than_the_terminal_and_every_bar_is_in_its_column(texts, columns):
    drawing = await drawing_of([f"x{text}" for text in texts], UNCOLORED, columns)
    each = column_width(columns - 1, len(texts))
    for row in drawing.rows[: len(drawing.text.split("\n"))]:
        assert not row.wraps
        assert row.cells[each + 1].data == "│"


@pytest.mark.parametrize(
    ("columns", "count", "expected"),
    [(119, 3, 37), (79, 2, 38), (79, 3, None), (39, 2, None), (39, 1, 39), (119, 4, None)],
)
def test_columns_are_of_one_width_and_not_too_narrow(columns, count, expected):
    assert column_width(columns, count) == expected
    assert LEAST_COLUMNS == 37


async def test_with_verbose_each_answer_and_each_failure_names_its_call():
    drawing = Drawing(["a", "b"], UNCOLORED, 100, verbose=True)
    answer = TurnResult("Yes", "m", usage=Usage(output_tokens=3), latency_s=2.5, call_id="c-1")
    await drawing.show(0, TextDelta("Yes"))
    await drawing.show(0, TurnFinished(answer))
    await drawing.show(1, TurnFailed(TurnResult("", "n", error=FAILURE.of_call("c-2", "req_9"))))
    assert [cell.strip() for cell in drawing.text.split("\n")[-1].split("│")] == [
        "3 out · 2.5 s · m · c-1",
        "n · c-2 = req_9",
    ]


class TestWhileTheyArrive:
    async def test_rows_all_have_are_printed_and_the_newest_of_the_others_are_redrawn(self):
        drawing = Drawing(["a", "b"], UNCOLORED, 80, frames=True)
        await drawing.show(0, TextDelta("".join(f"{n}\n\n" for n in range(40))))
        await drawing.show(1, TextDelta("begun"))
        text = drawing.text
        assert "39" in text
        assert "\n0 " not in text  # nothing is lost: it is printed once b has as many rows
        await drawing.show(1, end_of("begun"))
        await drawing.show(0, end_of("numbers"))
        rows = [row.split("│")[0].strip() for row in drawing.text.split("\n")]
        assert [row for row in rows if row.isdecimal()] == [str(n) for n in range(40)]

    async def test_each_says_what_it_is_doing_and_for_how_long(self):
        drawing = Drawing(["a", "b", "c"], UNCOLORED, 120, frames=True)
        await drawing.show(0, ReasoningDelta("hm"))
        await drawing.show(1, Retrying(2, 5.0, "busy"))
        await drawing.show(2, TextDelta("Hi"))
        assert [cell.strip() for cell in drawing.text.split("\n")[-1].split("│")] == [
            "thinking 3 s",
            "attempt 2 in 5 s 3 s",
            "writing 3 s",
        ]

    async def test_reasoning_that_was_taken_for_the_answer_is_marked(self):
        drawing = Drawing(["a"], UNCOLORED, 80)
        await drawing.show(0, TextDelta("I think.\n\n"))
        await drawing.show(0, TextReclassified("I think.\n\n"))
        await drawing.show(0, TextDelta("Yes."))
        await drawing.show(0, end_of("Yes."))
        rows = [row for row in drawing.text.split("\n") if row]
        assert rows[:4] == ["a", "I think.", "the text above was reasoning", "Yes."]

    async def test_stopping_says_so_in_each_column_below_what_came(self):
        drawing = Drawing(["a", "b"], UNCOLORED, 80)
        await drawing.show(0, TextDelta("half"))
        for at, text in enumerate(("half", "")):
            await drawing.show(at, end_of(text, error=Cancelled(Cancelled.PARTIAL_KEPT)))
        cells = [[cell.strip() for cell in row.split("│")] for row in drawing.text.split("\n")]
        assert cells[:4] == [["a", "b"], ["half", "stopped"], ["", ""], ["stopped", ""]]

    @pytest.mark.parametrize(("before", "after"), [(80, 120), (120, 80), (80, 40), (40, 80)])
    async def test_another_width_lays_all_out_again_below_and_loses_nothing(self, before, after):
        drawing = Drawing(["a", "b"], UNCOLORED, before, frames=True)
        for at in range(2):
            await drawing.show(at, TextDelta("one\n\ntwo\n\nthr"))
        drawing.terminal.resize(after, LINES)
        drawing.clock.now_s += 5  # the size is stable
        for at in range(2):
            await drawing.show(at, TextDelta("ee\n"))
            await drawing.show(at, end_of("one\n\ntwo\n\nthree\n"))
        drawing.columns = max(before, after)
        anew = Drawing(["a", "b"], UNCOLORED, after)
        for at in range(2):
            await anew.show(at, TextDelta("one\n\ntwo\n\nthree\n"))
            await anew.show(at, end_of("one\n\ntwo\n\nthree\n"))
        assert drawing.text.endswith("\n" + anew.text)

    async def test_a_question_to_the_person_stands_below_what_is_printed(self):
        drawing = Drawing(["a", "b"], UNCOLORED, 80, frames=True)
        await drawing.show(0, TextDelta("half a line"))
        assert "writing" in drawing.text
        drawing.drawn.clear()
        assert "writing" not in drawing.text
        for at in range(2):
            await drawing.show(at, end_of("half a line"))
        assert "half a line" in drawing.text
