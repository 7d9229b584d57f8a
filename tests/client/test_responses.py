from __future__ import annotations

import json

import pytest

from chatcli.client.endpoint import Endpoint
from chatcli.client.responses import Responses
from chatcli.client.trailing_parts import MOST_CALLS
from chatcli.core.errors import BadResponse, IncompleteAnswer, RateLimited, ServerFailed
from chatcli.core.events import CitedSource, Completion, Notice, ReasoningDelta, TextDelta, Usage
from chatcli.core.messages import Message, ToolCallPart, answer, question, system
from chatcli.core.request import Parameters, Request
from client.wire import QUESTION, entry_at, event, events_of, failure_of
from client.wire import asking as wire_asking
from scripted_server import CUT, HOLD, Answer, json_answer, serving

USAGE = {
    "input_tokens": 12,
    "output_tokens": 7,
    "input_tokens_details": {"cached_tokens": 8},
    "output_tokens_details": {"reasoning_tokens": 5},
}


def of_type(kind: str, **fields: object) -> bytes:
    return b"event: %b\n" % kind.encode() + event({"type": kind, **fields})


def text(delta: str, output_index: int = 0) -> bytes:
    return of_type("response.output_text.delta", delta=delta, output_index=output_index)


def response(status: str = "completed", **fields: object) -> dict[str, object]:
    return {"object": "response", "status": status, "model": "small-1", "error": None, **fields}


def completed(**fields: object) -> bytes:
    return of_type("response.completed", response=response(**fields))


def message(*parts: dict[str, str]) -> dict[str, object]:
    return {"type": "message", "role": "assistant", "content": list(parts)}


async def asking(*answers: Answer, request: Request = QUESTION, streamed: bool = True, ask=events_of):
    """Return the result of ``ask`` for these answers, and the requests sent."""
    async with serving(*answers) as server:
        endpoint = Endpoint(server.base_url, loopback=True)
        async with entry_at(endpoint) as entry:
            result = await ask(wire_asking(entry, Responses(), streamed=streamed), request)
    return result, server.requests


async def events_for(*script: object) -> list[object]:
    return (await asking(Answer(script)))[0]


async def test_a_streamed_answer_comes_piece_by_piece_and_ends_with_its_completion():
    script = (
        of_type("response.created", response=response("in_progress")),
        of_type("response.reasoning_summary_text.delta", delta="Hm."),
        text("Pa"),
        text("ris"),
        of_type("response.output_text.done", text="Paris"),
        completed(usage=USAGE),
    )
    assert await events_for(*script) == [
        ReasoningDelta("Hm."),
        TextDelta("Pa"),
        TextDelta("ris"),
        Completion("stop", "small-1", Usage(12, 7, 8, 5)),
    ]


async def test_nothing_is_waited_for_after_the_end():
    assert (await events_for(text("Paris"), completed(), HOLD))[-1] == Completion("stop", "small-1")


async def test_an_answer_in_one_piece_reads_the_same():
    output = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
        message({"type": "output_text", "text": "Paris"}),
    ]
    whole = response(output=output, usage=USAGE)
    events, _ = await asking(json_answer(whole), streamed=False)
    assert events == [
        ReasoningDelta("Hm."),
        TextDelta("Paris"),
        Completion("stop", "small-1", Usage(12, 7, 8, 5)),
    ]
    assert await events_for(completed(output=output, usage=USAGE)) == events


async def test_two_messages_are_two_paragraphs():
    assert [event.text for event in (await events_for(text("One", 0), text("Two", 1), completed()))[:-1]] == [
        "One",
        "\n\nTwo",
    ]


@pytest.mark.parametrize(
    ("reason", "finish_reason"),
    [("max_output_tokens", "length"), ("content_filter", "content_filter")],
)
async def test_an_incomplete_response_says_why(reason, finish_reason):
    ended = of_type(
        "response.incomplete", response=response("incomplete", incomplete_details={"reason": reason})
    )
    assert (await events_for(text("Par"), ended))[-1] == Completion(finish_reason, "small-1")


async def test_a_response_that_is_incomplete_for_an_unknown_reason_is_not_passed_off_as_whole():
    ended = of_type(
        "response.incomplete", response=response("incomplete", incomplete_details={"reason": "other"})
    )
    (seen, error), _ = await asking(Answer([text("Par"), ended, HOLD]), ask=failure_of)
    assert seen == [TextDelta("Par")]
    assert isinstance(error, IncompleteAnswer)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (
            of_type(
                "response.failed",
                response=response("failed", error={"code": "server_error", "message": "Oops"}),
            ),
            ServerFailed,
        ),
        (of_type("error", code="rate_limit_exceeded", message="Oops", param=None), RateLimited),
        (of_type("error", error={"code": "strange", "message": "Oops"}), BadResponse),
    ],
)
async def test_a_failure_says_what_it_is_and_after_text_makes_the_answer_incomplete(failure, kind):
    (_, error), _ = await asking(Answer([failure]), ask=failure_of)
    assert type(error) is kind
    assert error.message.endswith(": Oops")
    (seen, error), _ = await asking(Answer([text("Pa"), failure]), ask=failure_of)
    assert (seen, type(error)) == ([TextDelta("Pa")], IncompleteAnswer)


@pytest.mark.parametrize("ending", [[], [CUT]])
async def test_without_its_end_an_answer_is_incomplete(ending):
    (_, error), _ = await asking(Answer([text("Pa"), *ending]), ask=failure_of)
    assert type(error) is IncompleteAnswer


async def test_the_body_says_what_the_request_says_and_leaves_nothing_with_the_server():
    parameters = Parameters(
        temperature=0.5,
        top_p=0.9,
        max_tokens=100,
        seed=7,
        reasoning="low",
        verbosity="high",
        extra={"top_k": 4},
    )
    messages = (system("Be brief."), question("Hi"), answer("Hello"), question("Bye"))
    _, (sent,) = await asking(
        Answer([text("x"), completed()]), request=Request("small", messages, parameters)
    )
    assert sent.path.endswith("/responses")
    assert json.loads(sent.body) == {
        "model": "small",
        "input": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "Bye"},
        ],
        "stream": True,
        "store": False,
        "temperature": 0.5,
        "top_p": 0.9,
        "max_output_tokens": 100,
        "reasoning": {"effort": "low"},
        "text": {"verbosity": "high"},
        "seed": 7,
        "top_k": 4,
    }


async def test_what_the_endpoint_refuses_is_left_out():
    request = Request(
        "small",
        (question("Hi"),),
        Parameters(seed=7, temperature=1, verbosity="low"),
        without=frozenset({"seed", "store", "verbosity"}),
    )
    _, (sent,) = await asking(Answer([text("x"), completed()]), request=request)
    assert json.loads(sent.body).keys() == {"model", "input", "stream", "temperature"}


@pytest.mark.parametrize("odd", [{}, {"type": 3}, {"type": "response.output_text.delta", "delta": None}])
async def test_an_event_with_nothing_in_it_is_passed_over(odd):
    assert await events_for(event(odd), text("Paris"), event(odd), completed(usage=3, model=None)) == [
        TextDelta("Paris"),
        Completion("stop"),
    ]


REFUSED = [
    Notice("refusal", "the model refused to answer: No. Never."),
    Completion("stop", "small-1"),
]


@pytest.mark.parametrize("deltas", [["No. ", "Never."], []])
async def test_a_refusal_is_no_answer_but_said_and_in_the_completion(deltas):
    # https://platform.openai.com/docs/api-reference/responses-streaming/response/refusal
    script = [
        *(of_type("response.refusal.delta", delta=each, output_index=0) for each in deltas),
        of_type("response.refusal.done", refusal="No. Never.", output_index=0),
        completed(output=[message({"type": "refusal", "refusal": "No. Never."})]),
    ]
    events = await events_for(*script)
    assert events == REFUSED
    assert events[-1].message == answer("", "No. Never.")


async def test_a_refusal_in_one_piece_reads_the_same():
    whole = response(output=[message({"type": "refusal", "refusal": "No. Never."})])
    assert (await asking(json_answer(whole), streamed=False))[0] == REFUSED


FUNCTION_CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "get_weather",
    "arguments": '{"city":"Paris"}',
    "status": "completed",
}
CALLED = Message("assistant", (ToolCallPart("call_1", "get_weather", '{"city":"Paris"}'),))


@pytest.mark.parametrize("is_done", [True, False])
async def test_a_call_is_reported_once_whichever_events_have_it(is_done):
    # https://platform.openai.com/docs/guides/function-calling#streaming
    begun = {**FUNCTION_CALL, "arguments": "", "status": "in_progress"}
    script = [
        of_type("response.output_item.added", item=begun, output_index=0),
        of_type("response.function_call_arguments.delta", delta='{"city":', output_index=0),
        of_type("response.function_call_arguments.delta", delta='"Paris"}', output_index=0),
        *([of_type("response.output_item.done", item=FUNCTION_CALL, output_index=0)] if is_done else []),
        completed(output=[FUNCTION_CALL]),
    ]
    notice, completion = await events_for(*script)
    assert notice.message == "the model tried to call a tool that was not offered: get_weather"
    assert completion.message == CALLED


async def test_a_call_of_a_whole_answer_is_reported():
    assert (await asking(json_answer(response(output=[FUNCTION_CALL])), streamed=False))[0][
        -1
    ].message == CALLED


async def test_a_call_of_a_tool_that_was_offered_is_reported_to_be_that():
    tools = [{"type": "function", "name": "get_weather", "parameters": {}}]
    request = Request("small", (question("Hi"),), Parameters(extra={"tools": tools}))
    events, _ = await asking(Answer([completed(output=[FUNCTION_CALL])]), request=request)
    assert events[0].message == "the model called a tool, which chatcli does not run: get_weather"


@pytest.mark.parametrize(
    "kind",
    [
        "web_search_call",
        "file_search_call",
        "code_interpreter_call",
        "image_generation_call",
        "mcp_call",
        "mcp_list_tools",
        "tool_search_call",
        "a_tool_of_next_year_call",
    ],
)
async def test_a_tool_that_runs_with_the_server_is_nothing_to_say(kind):
    item = {"type": kind, "id": "x_1", "status": "completed"}
    script = [
        of_type("response.output_item.added", item={**item, "status": "in_progress"}, output_index=0),
        of_type(f"response.{kind}.searching", item_id="x_1", output_index=0),
        of_type("response.output_item.done", item=item, output_index=0),
        text("Paris.", 1),
        completed(output=[item, message({"type": "output_text", "text": "Paris."})]),
    ]
    assert await events_for(*script) == [TextDelta("Paris."), Completion("stop", "small-1")]


@pytest.mark.parametrize(
    "kind", ["custom_tool_call", "computer_call", "local_shell_call", "mcp_approval_request"]
)
async def test_what_only_the_persons_side_can_answer_is_a_call(kind):
    item = {"type": kind, "id": "x_1", "call_id": "call_1", "action": {"type": "screenshot"}}
    events = await events_for(completed(output=[item]))
    assert events[-1].message.tool_calls == (ToolCallPart("call_1", kind, '{"type": "screenshot"}'),)


async def test_what_the_answer_cites_is_reported_once_whichever_events_have_it():
    # https://platform.openai.com/docs/guides/tools-web-search#output-and-citations
    cited = {"type": "url_citation", "url": "https://example.com/paris", "title": "Paris", "start_index": 0}
    whole = message({"type": "output_text", "text": "Paris.", "annotations": [cited]})
    script = [
        text("Paris."),
        of_type("response.output_text.annotation.added", annotation=cited, output_index=0),
        of_type("response.output_item.done", item=whole, output_index=0),
        completed(output=[whole]),
    ]
    sources = (CitedSource(1, "Paris", "https://example.com/paris"),)
    assert await events_for(*script) == [TextDelta("Paris."), Completion("stop", "small-1", sources=sources)]
    assert (await asking(json_answer(response(output=[whole])), streamed=False))[0][-1].sources == sources


async def test_a_picture_is_reported_once_with_its_type_and_size():
    # https://platform.openai.com/docs/guides/tools-image-generation
    item = {"type": "image_generation_call", "id": "ig_1", "result": "AAAA" * 500, "output_format": "webp"}
    script = [
        of_type("response.image_generation_call.partial_image", partial_image_b64="AAAA", output_index=0),
        of_type("response.output_item.done", item=item, output_index=0),
        completed(output=[item]),
    ]
    assert (await events_for(*script))[0] == Notice(
        "media_not_shown", "the answer contains a picture (image/webp, 1.5 kB), which cannot be shown"
    )


async def test_calls_without_number_end_somewhere():
    items = [{**FUNCTION_CALL, "call_id": f"call_{number}"} for number in range(1000)]
    assert len((await events_for(completed(output=items)))[-1].message.tool_calls) == MOST_CALLS
