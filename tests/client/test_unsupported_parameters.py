from __future__ import annotations

import pytest

from chatcli.client.endpoint_facts import Facts
from chatcli.client.unsupported_parameters import UnsupportedParametersModel, refused_field
from chatcli.core.errors import RequestRefused
from chatcli.core.events import Completion, Notice, TextDelta
from chatcli.core.messages import question
from chatcli.core.request import Parameters, Request
from client.scripted_model import ScriptedModel
from client.wire import events_of, failure_of

URL = "https://models.example/v1"
REQUEST = Request(
    "small",
    (question("Hi"),),
    Parameters(temperature=0.5, max_tokens=9, seed=1, extra={"top_k": 4, "model": "x"}),
)
PARIS = [TextDelta("Paris"), Completion("stop")]


def refusal(
    message: str,
    code: str | None = None,
    parameter: str | None = None,
    status: int = 400,
    full: str | None = None,
) -> RequestRefused:
    return RequestRefused(
        message, status=status, provider_code=code, parameter=parameter, provider_message=full
    )


TEMPERATURE = refusal(
    "Unsupported value: 'temperature' does not support 0.5 with this model.",
    "unsupported_value",
    "temperature",
)


async def test_a_refused_field_is_left_out_and_that_is_said():
    inner = ScriptedModel([TEMPERATURE], PARIS)
    events = await events_of(UnsupportedParametersModel(inner, Facts()), REQUEST)
    assert events == [
        Notice("parameter_dropped", "small does not accept temperature; retried without it"),
        *PARIS,
    ]
    assert [request.without for request in inner.requests] == [frozenset(), frozenset({"temperature"})]


async def test_what_was_learned_is_not_tried_again_nor_said_again():
    inner = ScriptedModel([TEMPERATURE], PARIS, PARIS)
    model = UnsupportedParametersModel(inner, Facts())
    await events_of(model, REQUEST)
    assert await events_of(model, REQUEST) == PARIS
    assert inner.requests[2].without == {"temperature"}


async def test_what_was_learned_is_known_to_the_next_run_for_that_model_only(tmp_path):
    def remembered() -> Facts:
        return Facts(URL, tmp_path / "parameters.json")

    await events_of(UnsupportedParametersModel(ScriptedModel([TEMPERATURE], PARIS), remembered()), REQUEST)
    inner = ScriptedModel(PARIS, PARIS)
    model = UnsupportedParametersModel(inner, remembered())
    await events_of(model, REQUEST)
    await events_of(model, Request("large", REQUEST.messages))
    assert [request.without for request in inner.requests] == [{"temperature"}, frozenset()]


async def test_a_limit_is_spelled_otherwise_before_it_is_left_out():
    inner = ScriptedModel(
        [refusal("'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.")],
        [refusal("Unrecognized request argument supplied: max_completion_tokens")],
        PARIS,
    )
    told = [
        event.message
        for event in await events_of(UnsupportedParametersModel(inner, Facts()), REQUEST)
        if isinstance(event, Notice)
    ]
    assert told == [
        "small does not accept max_tokens; retried with max_completion_tokens",
        "small does not accept max_completion_tokens; retried without it",
    ]


async def test_a_field_that_is_refused_again_is_a_failure():
    _, error = await failure_of(
        UnsupportedParametersModel(ScriptedModel([TEMPERATURE], [TEMPERATURE]), Facts()), REQUEST
    )
    assert error is TEMPERATURE


@pytest.mark.parametrize(
    ("error", "field"),
    [
        (refusal("No.", "unsupported_parameter", "temperature"), "temperature"),
        (refusal("Unrecognized request argument supplied: stream_options"), "stream_options"),
        (refusal("Unknown field 'top_k'"), "top_k"),
        (refusal("stream_options.include_usage is not supported", status=422), "stream_options"),
        (refusal('[{"type": "extra_forbidden", "loc": ["body", "seed"]}]', status=422), "seed"),
        (refusal("Unknown parameter: 'store'.", "unknown_parameter", "store"), "store"),
        (refusal("Model grok does not support parameter topP."), None),
        (refusal("Model grok does not support parameter topK."), "top_k"),
        (refusal("invalid temperature: only 1 is allowed for this model"), "temperature"),
        (refusal("seed: Extra inputs are not permitted", status=200), "seed"),
        (refusal("No.", "extra_forbidden", "stream_options.include_usage", 422), "stream_options"),
        (refusal("x" * 300 + "…", full="x" * 300 + " is wrong: unknown field 'top_k'"), "top_k"),
        (refusal("temperature is not supported", status=403), None),
        (refusal("temperature must be at most 2"), None),
        (refusal("The model 'x' is not supported"), None),
        (refusal("Unsupported value: this model has no reasoning and no top_p"), None),
        (refusal("Unsupported parameter: 'messages'", "unsupported_parameter", "messages"), None),
        (refusal("No."), None),
    ],
)
def test_the_field_is_found_however_the_server_names_it(error, field):
    assert refused_field(error, REQUEST, frozenset()) == field


STREAMED = Request("small", (question("Hi"),))


@pytest.mark.parametrize(
    "error",
    [
        refusal("Streaming is not supported for this model"),
        refusal("stream: Input should be False", parameter="stream", status=422),
        refusal("stream: Extra inputs are not permitted", status=422, parameter="stream"),
        refusal("Unsupported value: 'stream' does not support true with this model.", parameter="stream"),
    ],
)
async def test_who_does_not_stream_is_asked_for_the_whole_answer_and_that_is_said_once(error, tmp_path):
    path = tmp_path / "parameters.json"
    inner = ScriptedModel([error], PARIS, PARIS, PARIS)
    model = UnsupportedParametersModel(inner, Facts(URL, path))
    notice = Notice("parameter_dropped", "small does not stream its answers: they come whole")
    assert await events_of(model, STREAMED) == [notice, *PARIS]
    assert await events_of(model, STREAMED) == PARIS
    assert await events_of(UnsupportedParametersModel(inner, Facts(URL, path)), STREAMED) == PARIS
    assert [request.without for request in inner.requests] == [frozenset(), *[{"stream"}] * 3]


def test_a_refused_option_of_streaming_is_not_taken_for_streaming():
    error = refusal("stream_options is not supported when stream is true")
    assert refused_field(error, STREAMED, frozenset()) == "stream_options"
