from __future__ import annotations

from contextlib import aclosing

import pytest

from chatcli.client.endpoint import Endpoint
from chatcli.client.endpoint_facts import Facts, LearnedCounts
from chatcli.client.usage_calibration import UsageCalibrationModel
from chatcli.core.errors import ContextOverflow
from chatcli.core.events import Completion, Notice, TextDelta
from chatcli.core.messages import question
from chatcli.core.request import Request
from chatcli.core.usage import Usage
from conversation.fakes import ScriptedModel

ENDPOINT = Endpoint("http://127.0.0.1:8080/v1", loopback=True)


def answered(usage, *, cached=False):
    return (TextDelta("Hi"), Completion("stop", "small", usage, cached=cached))


def asking(counted_tokens, **request):
    return Request("small", (question("Hi"),), counted_tokens=counted_tokens, **request)


async def told(model, request):
    async with aclosing(model.stream(request)) as events:
        return [event async for event in events]


async def test_a_prompt_of_which_the_server_read_far_less_is_told_of_once():
    model = ScriptedModel(*[answered(Usage(4096, 5))] * 2)
    measuring = UsageCalibrationModel(model, ENDPOINT, LearnedCounts(), Facts())
    _, notice, completion = await told(measuring, asking(7900))
    assert isinstance(completion, Completion)
    assert notice.code == "prompt_cut_by_server"
    assert "4,096" in notice.message
    assert "7,900" in notice.message
    assert "num_ctx" in notice.message
    assert not any(isinstance(event, Notice) for event in await told(measuring, asking(7900)))


@pytest.mark.parametrize(
    ("counted", "usage", "cached"),
    [
        (None, Usage(10, 5), False),
        (900, Usage(500, 5), False),
        (2000, Usage(1300, 5), False),
        (2000, Usage(1200, 5), False),
        (1000, Usage(500, 5), False),
        (2000, Usage(100, 5, cached_tokens=1800), False),
        (2000, Usage(100, 5, estimated=True), False),
        (2000, Usage(100, 5), True),
        (2000, Usage(None, 5), False),
        (2000, None, False),
    ],
    ids=["not counted", "few", "another vocabulary", "just as many", "just as few", "cached apart", "counted here", "kept answer", "not told", "none"],
)  # fmt: skip
async def test_what_can_be_explained_otherwise_is_not_told(counted, usage, cached):
    measuring = UsageCalibrationModel(
        ScriptedModel(answered(usage, cached=cached)), ENDPOINT, LearnedCounts(), Facts()
    )
    assert [type(event) for event in await told(measuring, asking(counted))] == [TextDelta, Completion]


@pytest.mark.parametrize(("counted", "read"), [(2000, 1199), (1000, 499)])
async def test_the_least_that_is_far_less_is_told(counted, read):
    model = ScriptedModel(answered(Usage(read, 5)))
    _, notice, _ = await told(
        UsageCalibrationModel(model, ENDPOINT, LearnedCounts(), Facts()), asking(counted)
    )
    assert notice.code == "prompt_cut_by_server"


async def test_what_the_server_counts_beyond_the_vocabulary_is_learned():
    counts = LearnedCounts()
    await told(
        UsageCalibrationModel(ScriptedModel(answered(Usage(1100, 5))), ENDPOINT, counts, Facts()),
        asking(1000),
    )
    assert counts.share("small") == 0.1


async def test_of_the_rest_of_an_answer_nothing_is_learned():
    counts = LearnedCounts()
    measuring = UsageCalibrationModel(ScriptedModel(answered(Usage(1900, 5))), ENDPOINT, counts, Facts())
    await told(measuring, asking(1000, answer_so_far="Paris is"))
    assert counts.share("small") == 0


async def test_a_window_that_a_refusal_names_is_remembered(tmp_path):
    windows = Facts(ENDPOINT.base_url, tmp_path / "windows.json")
    error = ContextOverflow("too long")
    error.window_tokens = 4096
    measuring = UsageCalibrationModel(
        ScriptedModel((error,), (ContextOverflow("too long"),)),
        ENDPOINT,
        LearnedCounts(),
        windows,
    )
    for _ in range(2):
        with pytest.raises(ContextOverflow):
            await told(measuring, asking(5000))
    assert Facts(ENDPOINT.base_url, tmp_path / "windows.json").recall("small") == (True, 4096)
