from __future__ import annotations

import pytest

from chatcli.client.fallback import Fallback, FallbackModel
from chatcli.core.errors import (
    BadResponse,
    ConfigurationError,
    ContextOverflow,
    EndpointError,
    IncompleteAnswer,
    KeyRefused,
    NetworkError,
    QuotaExceeded,
    RateLimited,
    RequestRefused,
    ServerFailed,
    TimedOut,
)
from chatcli.core.events import Completion, Notice, ReasoningDelta, TextDelta
from client.scripted_model import ScriptedModel
from client.wire import QUESTION, events_of, failure_of

BUSY = ServerFailed("models.example: 503")
PARIS = [TextDelta("Paris"), Completion("stop")]


def candidate(name: str, model: ScriptedModel | Exception) -> Fallback:
    async def open_() -> tuple[ScriptedModel, str]:
        if isinstance(model, Exception):
            raise model
        return model, name

    return Fallback(name, open_)


async def test_a_model_that_answers_is_the_only_one_asked():
    other = ScriptedModel()
    events = await events_of(FallbackModel(ScriptedModel(PARIS), [candidate("other", other)]))
    assert events == [TextDelta("Paris"), Completion("stop", "small")]
    assert other.requests == []


@pytest.mark.parametrize(
    "failure",
    [
        BUSY,
        ServerFailed("503 for good", retryable=False),
        TimedOut("silence"),
        NetworkError("no certificate", retryable=False),
        RateLimited("429"),
        RateLimited("429 for today", retryable=False),
        BadResponse("empty", retryable=True),
    ],
    ids=lambda error: error.message,
)
async def test_where_one_fails_the_next_is_asked_visibly_and_named(failure):
    other = ScriptedModel(PARIS)
    events = await events_of(FallbackModel(ScriptedModel([failure]), [candidate("other", other)]))
    assert events == [
        Notice("fallback", f"{failure.message}; asking other instead"),
        TextDelta("Paris"),
        Completion("stop", "other"),
    ]
    assert (other.requests[0].model, other.requests[0].messages) == ("other", QUESTION.messages)


@pytest.mark.parametrize(
    "failure",
    [
        KeyRefused("401"),
        RequestRefused("400"),
        QuotaExceeded("quota"),
        ContextOverflow("too long"),
        BadResponse("a page"),
        IncompleteAnswer("cut"),
        EndpointError("unknown"),
    ],
    ids=lambda error: error.code,
)
async def test_what_is_not_the_endpoints_trouble_is_not_passed_on(failure):
    other = ScriptedModel(PARIS)
    _, error = await failure_of(FallbackModel(ScriptedModel([failure]), [candidate("other", other)]))
    assert error is failure
    assert other.requests == []


@pytest.mark.parametrize("said", [TextDelta("Pa"), ReasoningDelta("Hm")])
async def test_once_something_was_said_nobody_else_is_asked(said):
    other = ScriptedModel(PARIS)
    cut = IncompleteAnswer("cut") if isinstance(said, TextDelta) else BUSY
    _, error = await failure_of(FallbackModel(ScriptedModel([said, cut]), [candidate("other", other)]))
    assert error is cut
    assert other.requests == []


async def test_one_that_cannot_be_opened_is_passed_over_and_said():
    others = [
        candidate("keyless", ConfigurationError("no key is set")),
        candidate("other", ScriptedModel(PARIS)),
    ]
    events = await events_of(FallbackModel(ScriptedModel([BUSY]), others))
    assert [event.message for event in events if isinstance(event, Notice)] == [
        "models.example: 503; asking keyless instead",
        "no key is set; asking other instead",
    ]


@pytest.mark.parametrize("last", [TimedOut("silence"), KeyRefused("401")], ids=lambda error: error.code)
async def test_when_all_fail_the_last_failure_tells_what_the_others_said(last):
    others = [
        candidate("full", ScriptedModel([ServerFailed("529")])),
        candidate("other", ScriptedModel([last])),
    ]
    said = last.message
    _, error = await failure_of(FallbackModel(ScriptedModel([BUSY]), others))
    assert (type(error), error.__cause__, last.message) == (type(last), last, said)
    assert error.message == f"{said} (before that: models.example: 503; 529)"


async def test_a_last_one_that_cannot_be_opened_tells_what_the_others_said():
    others = [candidate("keyless", ConfigurationError("no key is set"))]
    with pytest.raises(ConfigurationError) as caught:
        await events_of(FallbackModel(ScriptedModel([BUSY]), others))
    assert caught.value.message == "no key is set (before that: models.example: 503)"


async def test_every_question_begins_with_the_first():
    first, other = ScriptedModel([BUSY], PARIS), ScriptedModel(PARIS)
    model = FallbackModel(first, [candidate("other", other)])
    await events_of(model)
    await events_of(model)
    assert (len(first.requests), len(other.requests)) == (2, 1)
