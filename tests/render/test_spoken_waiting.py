from __future__ import annotations

from chatcli.core.events import LongProgress, Retrying, TextDelta, Waiting
from chatcli.render.spoken_waiting import SpokenWaiting


async def spoken_lines(*events):
    lines = []
    spoken = SpokenWaiting(lines.append, hint="Enter tries at once.")
    for event in events:
        await spoken(event)
    return lines


async def test_a_long_wait_is_reported_ever_more_rarely():
    waits = [Waiting(float(second), "waiting for api.example") for second in range(1, 31)]
    assert await spoken_lines(*waits) == [
        f"Waiting for api.example, {second} seconds so far." for second in (3, 6, 12, 24)
    ]


async def test_a_short_wait_is_passed_over():
    assert await spoken_lines(Waiting(1.0, ""), Waiting(2.0, ""), TextDelta("Paris")) == []


async def test_a_hint_is_written_before_another_attempt():
    assert await spoken_lines(Retrying(1, 60.0, "429")) == ["Enter tries at once."]


async def test_the_progress_of_a_long_text_is_reported_at_each_quarter():
    spoken = await spoken_lines(*(LongProgress(done, 8, 0) for done in range(9)))
    assert spoken == [f"{done} of 8 requests are answered." for done in (2, 4, 6, 8)]
