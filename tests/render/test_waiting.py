"""The waiting line."""

from __future__ import annotations

from chatcli.core.events import TextDelta, TurnFinished, TurnResult, Waiting
from chatcli.render.waiting import WaitingLine
from render.turns import show


async def written(*events, color=False):
    pieces = []
    await show(WaitingLine(pieces.append, color=color), events)
    return pieces


async def test_one_line_is_redrawn_and_taken_back_before_anything_else():
    end = TurnFinished(TurnResult("", "m"))
    assert await written(Waiting(1.0, ""), Waiting(2.2, "model"), TextDelta("a"), TextDelta("b"), end) == [
        "\rwaiting 1 s…\x1b[K",
        "\rwaiting 2 s… (model)\x1b[K",
        "\r\x1b[K",
    ]


async def test_nothing_is_taken_back_where_nothing_was_drawn():
    assert await written(TextDelta("a"), TurnFinished(TurnResult("", "m"))) == []


async def test_a_reason_from_outside_stays_short_and_harmless():
    (line,) = await written(Waiting(1.0, "\x1b[2J" + "x" * 500))
    assert "\x1b[2J" not in line
    assert len(line) < 80


async def test_with_color_the_line_is_dim():
    assert await written(Waiting(1.0, ""), color=True) == ["\r\x1b[2mwaiting 1 s…\x1b[0m\x1b[K"]
