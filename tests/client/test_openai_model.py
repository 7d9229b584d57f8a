from __future__ import annotations

import asyncio
import json
import math
import time
from contextlib import aclosing, suppress
from dataclasses import replace

import httpcore2
import httpx
import pytest

from chatcli.client.endpoint import Endpoint, Proxy
from chatcli.client.endpoint_facts import Facts, UnsupportedParametersModel
from chatcli.client.rate_limit import Claim
from chatcli.core.errors import (
    AnswerTooLarge,
    BadResponse,
    ContextOverflow,
    ExitCode,
    IncompleteAnswer,
    NetworkError,
    QuotaExceeded,
    RateLimited,
    RequestRefused,
    ServerFailed,
    TimedOut,
)
from chatcli.core.events import Completion, Notice, ReasoningDelta, TextDelta, Usage
from chatcli.core.messages import Message, TextPart, answer, question, system
from chatcli.core.request import LIMIT_FIELDS, Parameters, Request
from chatcli.storage.cache import JsonFileCache
from client.wire import (
    DONE,
    QUESTION,
    asked,
    asking,
    chat_at,
    completion,
    delta,
    end,
    entry_at,
    event,
    events_of,
    failure_of,
)
from network_servers import listening, stay_silent
from scripted_server import Answer, json_answer, serving

SMALL = Endpoint("https://models.example/v1", largest_answer_mb=1)
PARIS = [TextDelta("Paris"), Completion("stop", "small-1")]
USAGE = {
    "prompt_tokens": 12,
    "completion_tokens": 7,
    "prompt_tokens_details": {"cached_tokens": 8},
    "completion_tokens_details": {"reasoning_tokens": 5},
}


def body_of(route) -> dict:
    return json.loads(route.calls.last.request.content)


def stream_that_breaks(*parts: bytes, broken_by: Exception) -> httpx.Response:
    async def body():
        for part in parts:
            yield part
        raise broken_by

    return httpx.Response(200, content=body(), headers={"content-type": "text/event-stream"})


async def test_a_streamed_answer_comes_piece_by_piece_and_ends_with_its_completion(chat, streams):
    streams(delta("Pa"), delta("ris"), end())
    assert await events_of(chat) == [TextDelta("Pa"), TextDelta("ris"), Completion("stop", "small-1")]


@pytest.mark.parametrize("streamed", [True, False])
async def test_names_of_a_server_are_no_longer_than_a_name(streamed):
    endless = "x" * 100_000
    choice = {"index": 0, "message": {"content": "Paris"}, "finish_reason": endless}
    whole = json_answer({"model": endless, "choices": [choice]})
    events = [each.replace(b"small-1", endless.encode()) for each in (delta("Paris"), end(endless))]
    async with (
        serving(Answer(events) if streamed else whole) as server,
        entry_at(Endpoint(server.base_url)) as entry,
    ):
        done = (await events_of(asking(entry, streamed=streamed)))[-1]
    assert (len(done.finish_reason), len(done.model)) == (200, 200)


async def test_an_answer_that_is_not_streamed_comes_as_one_piece(unstreamed, completions):
    completions.respond(json=completion("Paris", usage=USAGE))
    assert await events_of(unstreamed) == [
        TextDelta("Paris"),
        Completion("stop", "small-1", Usage(12, 7, 8, 5)),
    ]
    assert body_of(completions)["stream"] is False
    assert "stream_options" not in body_of(completions)


async def test_a_stream_is_asked_to_tell_its_usage_and_does(chat, streams):
    route = streams(delta("Paris"), delta(finish_reason="stop"), event({"choices": [], "usage": USAGE}), DONE)
    assert (await events_of(chat))[-1] == Completion("stop", "small-1", Usage(12, 7, 8, 5))
    assert (await events_of(chat))[-1].requested_model == "small"
    assert body_of(route)["stream"] is True
    assert body_of(route)["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": "12"},
        {"prompt_tokens_details": None},
        {},
        {"prompt_tokens": -1, "completion_tokens": 10**400},
    ],
)
async def test_usage_of_an_unexpected_shape_is_unknown_usage(chat, streams, usage):
    streams(delta("Paris"), event({"usage": usage}), end())
    assert (await events_of(chat))[-1] == Completion("stop", "small-1", Usage())


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        # Anthropic's counts: what was read and written is beside the input.
        (
            {"prompt_tokens": 10, "cache_read_input_tokens": 2_000, "cache_creation_input_tokens": 390},
            (2_400, 2_000, 390),
        ),
        # LiteLLM's: it is part of it.
        (
            {"prompt_tokens": 2_400, "cache_read_input_tokens": 2_000, "cache_creation_input_tokens": 390},
            (2_400, 2_000, 390),
        ),
        ({"prompt_tokens": 2_400, "prompt_cache_hit_tokens": 2_000}, (2_400, 2_000, None)),
        # Absurd, and left to the layer that believes no such thing.
        ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 99}}, (10, 99, None)),
    ],
)
async def test_tokens_of_the_providers_cache_are_among_those_of_the_input(chat, streams, usage, expected):
    usage |= {"completion_tokens": 3, "total_tokens": expected[0] + 3}
    streams(delta("Paris"), event({"usage": usage}), end())
    read = (await events_of(chat))[-1].usage
    assert (read.input_tokens, read.cached_tokens, read.cache_write_tokens) == expected
    assert read.output_tokens == 3


@pytest.mark.parametrize(
    ("total", "reasoning", "output"),
    [
        (20, 5, 8),  # OpenAI: reasoning is part of the output
        (25, 5, 13),  # xAI: it is counted separately
        (25, None, 13),  # Gemini: only the total includes it
        (22, 5, 8),
        (None, 5, 8),
        (3, None, 8),
    ],
)
async def test_thoughts_count_as_part_of_the_answer_wherever_they_are_reported(
    chat, streams, total, reasoning, output
):
    usage = {"prompt_tokens": 12, "completion_tokens": 8, "total_tokens": total}
    if reasoning is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    streams(delta("Paris"), event({"usage": usage}), end())
    assert (await events_of(chat))[-1].usage == Usage(12, output, None, reasoning)


@pytest.mark.parametrize(
    "last",
    [
        {"choices": [], "x_groq": {"id": "req_1", "usage": USAGE}},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}]},
        {"choices": [{"index": 0, "delta": {}, "usage": {"prompt_tokens": 1}}], "usage": USAGE},
        {"x_groq": {"usage": None}, "choices": None, "usage": USAGE},
    ],
)
async def test_usage_is_read_where_groq_and_moonshot_tell_it(chat, streams, last):
    streams(delta("Paris"), delta(finish_reason="stop"), event(last), DONE)
    assert (await events_of(chat))[-1].usage == Usage(12, 7, 8, 5)


@pytest.mark.parametrize("holder", ["x_groq", [], {"usage": "12"}, {}])
async def test_a_groq_field_of_an_unexpected_shape_is_ignored(chat, streams, holder):
    streams(delta("Paris"), event({"x_groq": holder}), end())
    assert (await events_of(chat))[-1] == Completion("stop", "small-1")


async def test_a_cost_the_endpoint_tells_is_known(chat, streams):
    streams(delta("Paris"), event({"usage": USAGE | {"cost": 0.00014}}), end())
    assert (await events_of(chat))[-1].cost_usd == 0.00014


@pytest.mark.parametrize("cost", ["0.1", None, -1, 10**400, True, {}])
async def test_a_cost_that_is_none_is_unknown(chat, streams, cost):
    streams(delta("Paris"), event({"usage": USAGE | {"cost": cost}}), end())
    assert (await events_of(chat))[-1].cost_usd is None


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
async def test_reasoning_comes_apart_from_the_text_under_either_of_its_names(chat, streams, name):
    streams(delta(**{name: "France? "}), delta(**{name: "Easy."}), delta("Paris"), end())
    assert await events_of(chat) == [ReasoningDelta("France? "), ReasoningDelta("Easy."), *PARIS]


async def test_reasoning_of_an_answer_in_one_piece_is_kept(unstreamed, completions):
    whole = completion("Paris")
    whole["choices"][0]["message"]["reasoning_content"] = "Easy."
    completions.respond(json=whole)
    assert await events_of(unstreamed) == [ReasoningDelta("Easy."), *PARIS]


@pytest.mark.parametrize(
    "nothing",
    [
        {"choices": None},
        {"choices": []},
        {"choices": [None]},
        {"choices": [{"index": 0, "delta": None}]},
        {"choices": [{"index": 0, "delta": {"content": None, "reasoning": None}}]},
        {"choices": [{"index": 0, "delta": {"content": ["?"]}, "finish_reason": 1}]},
        {"choices": "?", "model": None, "usage": None},
        {},
    ],
)
async def test_a_chunk_with_nothing_in_it_is_passed_over(chat, streams, nothing):
    streams(event(nothing), delta("Paris"), event(nothing), end())
    assert await events_of(chat) == PARIS


async def test_content_in_parts_is_text_and_thoughts(chat, streams):
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Easy."}]}
    odd = [None, "?", {"type": "text", "text": None}, {"type": "thinking", "thinking": "?"}]
    streams(delta([thought, *odd]), delta([{"type": "text", "text": "Par"}, *odd]), delta("is"), end())
    assert await events_of(chat) == [
        ReasoningDelta("Easy."),
        TextDelta("Par"),
        TextDelta("is"),
        Completion("stop", "small-1"),
    ]


async def test_only_the_first_choice_is_read(chat, streams):
    other = {"index": 1, "delta": {"content": "London"}, "finish_reason": "length"}
    first = {"index": 0, "delta": {"content": "Paris"}, "finish_reason": None}
    streams(event({"choices": [other]}), event({"choices": [other, first]}), end())
    assert await events_of(chat) == PARIS


async def test_every_finish_reason_completes_an_answer(chat, streams):
    streams(delta("Par"), end("length"))
    assert (await events_of(chat))[-1] == Completion("length", "small-1")


@pytest.mark.parametrize(
    ("word", "finish_reason"),
    [
        ("max_tokens", "length"),
        ("MAX_TOKENS", "length"),
        ("model_length", "length"),
        ("content_filter: SAFETY", "content_filter"),
        ("SAFETY", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("STOP", "stop"),
        ("end_turn", "stop"),
        ("eos", "stop"),
        ("tool_use", "tool_calls"),
        ("refusal", "refusal"),
        ("something new", "something new"),
    ],
)
async def test_an_answer_that_was_cut_is_known_in_the_words_of_other_apis(chat, streams, word, finish_reason):
    streams(delta("Par"), end(word))
    assert (await events_of(chat))[-1] == Completion(finish_reason, "small-1")


@pytest.mark.parametrize("word", ["error", "abort", "insufficient_system_resource"])
async def test_a_finish_reason_that_tells_of_a_failure_completes_nothing(chat, streams, word):
    streams(delta("Par"), end(word))
    _, error = await failure_of(chat)
    assert type(error) is IncompleteAnswer
    streams(end(word))
    _, error = await failure_of(chat)
    assert error.retryable


async def test_a_stream_with_a_finish_reason_needs_no_done(chat, streams):
    streams(delta("Paris"), delta(finish_reason="stop"))
    assert await events_of(chat) == PARIS


async def test_done_without_a_finish_reason_is_an_orderly_end_which_is_reported_once(
    completions, endpoint, tmp_path
):
    completions.respond(content=delta("Paris") + DONE, content_type="text/event-stream")
    notice = Notice(
        "no_finish_reason",
        "models.example sends no finish reason; an answer counts as complete when its stream ends properly",
    )

    async def asked_of(model):
        async with entry_at(endpoint) as entry:
            chat = asking(entry, endings=Facts(endpoint.base_url, JsonFileCache(tmp_path / "endings.json")))
            return [await events_of(chat, Request(model, QUESTION.messages)) for _ in range(2)]

    assert await asked_of("small") == [[TextDelta("Paris"), notice, Completion("stop", "small-1")], PARIS]
    assert await asked_of("another") == [PARIS, PARIS]


async def test_done_where_nothing_of_an_answer_came_is_no_end(chat, streams):
    streams(delta(""), DONE)
    _, error = await failure_of(chat)
    assert error.retryable


async def test_without_a_finish_reason_and_done_an_answer_is_incomplete(chat, streams):
    streams(delta("Pa"), delta("ris"))
    seen, error = await failure_of(chat)
    assert seen == [TextDelta("Pa"), TextDelta("ris")]
    assert isinstance(error, IncompleteAnswer)
    assert not error.retryable
    assert error.message == "models.example: the answer was cut after 5 characters"


@pytest.mark.parametrize("parts", [[], [DONE], [b": keep-alive\n\n"], [delta(reasoning="Hm.")]])
async def test_a_stream_without_any_text_is_worth_another_try(chat, streams, parts):
    streams(*parts)
    _, error = await failure_of(chat)
    assert isinstance(error, BadResponse)
    assert error.retryable


async def test_a_page_instead_of_an_answer_is_named_but_not_shown(chat, completions):
    completions.respond(html="<html><body>Sign in</body></html>")
    _, error = await failure_of(chat)
    assert isinstance(error, BadResponse)
    assert not error.retryable
    assert error.message == "models.example: answered with text/html instead of a completion"
    assert "base_url" in error.hint
    assert error.status == 200


async def test_the_title_of_a_page_instead_of_an_answer_is_reported(chat, completions):
    completions.respond(html="<html><title>Sign in to Acme</title>")
    _, error = await failure_of(chat)
    reported = 'answered with text/html instead of a completion: a web page titled "Sign in to Acme"'
    assert error.message == f"models.example: {reported}"


@pytest.mark.parametrize("headers", [{}, {"content-type": "application/json"}, {"content-type": "text/html"}])
async def test_an_empty_answer_is_worth_another_try(chat, unstreamed, completions, headers):
    completions.respond(content=b"", headers=headers)
    for model in (chat, unstreamed):
        _, error = await failure_of(model)
        assert isinstance(error, BadResponse)
        assert error.retryable
        assert error.message == "models.example: answered with an empty response instead of a completion"


@pytest.mark.parametrize(
    "headers", [{"content-type": "application/json"}, {"content-type": "text/plain"}, {}]
)
async def test_a_whole_completion_is_read_where_a_stream_was_asked_for(chat, completions, headers):
    completions.respond(content=json.dumps(completion("Paris")).encode(), headers=headers)
    assert await events_of(chat) == PARIS


async def test_a_stream_is_read_where_none_was_asked_for(unstreamed, streams):
    streams(delta("Paris"), end())
    assert await events_of(unstreamed) == PARIS


@pytest.mark.parametrize(
    "broken", [b'{"choices": [', b"\xff\xfe", b"Internal error", b"[" * 100_000, b"[1]", b'"text"']
)
async def test_what_is_not_a_json_object_is_a_bad_response_and_after_text_an_incomplete_answer(
    chat, streams, broken
):
    streams(b"data: " + broken + b"\n\n")
    _, error = await failure_of(chat)
    assert type(error) is BadResponse

    streams(delta("Pa"), b"data: " + broken + b"\n\n", delta("ris"), end())
    seen, error = await failure_of(chat)
    assert seen == [TextDelta("Pa")]
    assert type(error) is IncompleteAnswer


@pytest.mark.parametrize(
    ("reported", "kind"),
    [
        ({"message": "Slow down", "code": "rate_limit_exceeded"}, RateLimited),
        ({"message": "Slow down", "code": 429}, RateLimited),
        ({"message": "Pay first", "code": "insufficient_quota"}, QuotaExceeded),
        ({"message": "Too long", "code": "context_length_exceeded"}, ContextOverflow),
        ({"message": "This model's maximum context length is 8192 tokens"}, ContextOverflow),
        ({"message": "Overloaded", "type": "overloaded_error"}, ServerFailed),
        ({"message": "Bad gateway", "code": 502}, ServerFailed),
        ({"message": "Strange"}, BadResponse),
        ("Strange", BadResponse),
    ],
)
async def test_an_error_event_says_what_it_is_and_after_text_makes_the_answer_incomplete(
    chat, streams, reported, kind
):
    streams(event({"error": reported}))
    _, error = await failure_of(chat)
    assert type(error) is kind
    words = reported if isinstance(reported, str) else reported["message"]
    assert error.message == f"models.example: {words}"

    streams(delta("Pa"), event({"error": reported}))
    seen, error = await failure_of(chat)
    assert seen == [TextDelta("Pa")]
    assert type(error) is IncompleteAnswer
    assert error.message == f"models.example: {words}; the answer was cut after 2 characters"
    assert not error.retryable


@pytest.mark.parametrize(
    ("broken_by", "kind"),
    [
        (httpcore2.ReadTimeout("silent"), TimedOut),
        (httpcore2.ReadError("reset by peer"), NetworkError),
        (httpcore2.RemoteProtocolError("peer closed without the whole body"), NetworkError),
    ],
)
async def test_a_connection_that_breaks_is_a_network_error_and_after_text_an_incomplete_answer(
    chat, completions, broken_by, kind
):
    completions.mock(return_value=stream_that_breaks(b": hello\n\n", broken_by=broken_by))
    _, error = await failure_of(chat)
    assert type(error) is kind
    assert error.retryable

    completions.mock(return_value=stream_that_breaks(delta("Pa"), broken_by=broken_by))
    seen, error = await failure_of(chat)
    assert seen == [TextDelta("Pa")]
    assert type(error) is IncompleteAnswer


@pytest.mark.parametrize("before", [[], [delta("Pa")]])
async def test_a_line_without_an_end_is_given_up(completions, before):
    async def endless():
        for part in [*before, *[bytes(400_000)] * 6]:
            yield part

    completions.respond(content=endless(), content_type="text/event-stream")
    async with chat_at(SMALL) as chat:
        seen, error = await failure_of(chat)
    assert seen == [TextDelta("Pa")] * len(before)
    assert_too_large(error)


@pytest.mark.parametrize("text", ["x" * 3_000, "\N{CJK UNIFIED IDEOGRAPH-4EAC}" * 1_000])
@pytest.mark.parametrize("field", ["content", "reasoning"])
async def test_of_an_answer_without_an_end_as_much_is_kept_as_may_be(completions, text, field):
    chunks = [delta(**{field: text})] * 400
    completions.respond(content=b"".join(chunks), content_type="text/event-stream")
    async with chat_at(SMALL) as chat:
        seen, error = await failure_of(chat)
    kept = "".join(event.text for event in seen)
    assert 999_990 <= len(kept.encode()) <= 1_000_000
    assert kept == (text * 400)[: len(kept)]
    assert_too_large(error)


async def test_an_answer_that_is_just_as_large_as_it_may_be_is_complete(completions):
    chunks = [delta("x" * 500_000), delta("y" * 500_000), end()]
    completions.respond(content=b"".join(chunks), content_type="text/event-stream")
    async with chat_at(SMALL) as chat:
        assert (await events_of(chat))[-1] == Completion("stop", "small-1")


PICTURE = {"image_url": {"url": "data:image/png;base64," + "A" * 30_000}}


@pytest.mark.parametrize(
    "held",
    [
        {"refusal": "x" * 30_000},
        {"tool_calls": [{"index": 0, "function": {"arguments": "x" * 30_000}}]},
        {"images": [PICTURE]},
        {"content": "x", "images": [PICTURE]},
        {"content": [PICTURE]},
        {"content": None, "audio": {"data": "A" * 30_000}},
        {"audio": {"data": "A" * 30_000, "transcript": "x"}},
        {"audio": {"unknown": "A" * 30_000}},
        {"tool_calls": [{"unknown": "A" * 30_000}]},
    ],
    ids=str,
)
async def test_what_waits_for_the_end_has_the_same_limit(completions, held):
    completions.respond(content=delta(**held) * 40 + end(), content_type="text/event-stream")
    async with chat_at(SMALL) as chat:
        _, error = await failure_of(chat)
    assert_too_large(error)


async def test_what_is_as_large_as_it_may_be_beside_the_text_is_no_trouble(chat, completions):
    completions.respond(
        content=delta("Paris", images=[PICTURE]) * 40 + end(), content_type="text/event-stream"
    )
    assert (await events_of(chat))[-1] == Completion("stop", "small-1")


def assert_too_large(error):
    assert type(error) is AnswerTooLarge
    assert error.exit_code == ExitCode.INCOMPLETE
    assert error.message == "models.example: the answer is larger than 1 MB, the rest was left out"
    assert not error.retryable


async def test_the_body_says_what_the_request_says(chat, streams):
    route = streams(delta("Paris"), end())
    messages = (system("Be brief."), question("Capital?", "France"), answer("Paris"), question("Sure?"))
    await events_of(chat, Request("small", messages))
    assert body_of(route) == {
        "model": "small",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Capital?\n\nFrance"},
            {"role": "assistant", "content": "Paris"},
            {"role": "user", "content": "Sure?"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_what_a_provider_wants_echoed_is_sent_with_its_message(chat, streams):
    route = streams(delta("Paris"), end())
    echoed = Message(
        "assistant", (TextPart("Paris"),), {"reasoning_content": "Easy.", "signature": [1, None]}
    )
    await events_of(chat, Request("small", (echoed,)))
    assert body_of(route)["messages"] == [
        {"role": "assistant", "content": "Paris", "reasoning_content": "Easy.", "signature": [1, None]}
    ]


async def test_named_parameters_go_into_the_body_under_the_names_of_the_api(chat, streams):
    route = streams(delta("Paris"), end())
    await events_of(
        chat, asked(temperature=0.0, top_p=0.5, max_tokens=9, seed=0, reasoning="low", verbosity="high")
    )
    sent = body_of(route)
    expected = {
        "temperature": 0.0,
        "top_p": 0.5,
        "max_tokens": 9,
        "seed": 0,
        "reasoning_effort": "low",
        "verbosity": "high",
    }
    assert {name: sent[name] for name in expected} == expected
    assert "max_completion_tokens" not in sent


async def test_openai_is_asked_for_completion_tokens(network):
    route = network.post("https://api.openai.com/v1/chat/completions").respond(json=completion("Paris"))
    async with chat_at(Endpoint("https://api.openai.com/v1", key="sk-o")) as model:
        await events_of(model, asked(max_tokens=9))
    assert body_of(route)["max_completion_tokens"] == 9
    assert "max_tokens" not in body_of(route)


async def test_an_extra_wins_over_a_named_parameter_and_over_what_chatcli_sets(chat, streams):
    route = streams(delta("Paris"), end())
    extra = {
        "temperature": 1.5,
        "model": "large",
        "stream_options": None,
        "logit_bias": {"7": -100},
        "top_k": 40,
        "stop": ["\n"],
        "别名": True,
    }
    await events_of(chat, asked(temperature=0.2, max_tokens=5, extra=extra))
    sent = body_of(route)
    assert {name: sent[name] for name in extra} == extra
    assert sent["max_tokens"] == 5
    assert "extra_body" not in sent
    assert route.calls.last.request.content.count(b'"temperature"') == 1


async def test_a_lone_surrogate_becomes_the_replacement_character_and_a_pair_its_character(chat, streams):
    route = streams(delta("Paris"), end())
    await events_of(chat, Request("small", (question("a\ud83db \ud83d\ude00 \ufeff😀\udc00"),)))
    assert body_of(route)["messages"][0]["content"] == "a\ufffdb 😀 \ufeff😀\ufffd"


@pytest.mark.parametrize(
    "request_",
    [
        Request("sm\udcffall", ()),
        asked(extra={"user": "\udcff"}),
        asked(temperature=math.nan),
        asked(extra={"top_k": math.inf}),
        asked(extra={"stop": {"a set"}}),
    ],
)
async def test_a_value_that_json_does_not_know_is_refused_before_anything_is_sent(chat, streams, request_):
    route = streams(delta("Paris"), end())
    _, error = await failure_of(chat, request_)
    assert type(error) is RequestRefused
    assert not error.retryable
    assert not route.called


async def test_a_character_that_a_server_cut_in_two_comes_whole(chat, streams):
    streams(delta("a\ud83d"), delta("\ude00b"), delta("\ud83d"), delta("\ude00"), end())
    seen = await events_of(chat)
    assert seen[:-1] == [TextDelta("a"), TextDelta("😀b"), TextDelta("😀")]


async def test_half_a_character_is_reported_though_its_other_half_never_comes(chat, streams):
    streams(delta("a\ud83d"), delta("b"), delta("\ude00"), delta("c\ud83d"), end())
    texts = [event.text for event in (await events_of(chat))[:-1]]
    assert "".join(texts) == "a\ud83db\ude00c\ud83d"


async def test_nothing_is_asked_twice(chat, completions):
    completions.respond(500)
    await failure_of(chat)
    assert completions.call_count == 1


async def test_bytes_that_are_no_utf_8_cost_a_character_not_the_answer(chat, streams):
    streams(delta("Paris").replace(b"Paris", b"Par\xffs"), end())
    assert (await events_of(chat))[0] == TextDelta("Par\ufffds")


@pytest.mark.parametrize("content_type", ["text/event-stream", "text/plain", "application/octet-stream", ""])
async def test_a_stream_is_known_by_its_bytes_whatever_its_type_says(chat, completions, content_type):
    body = b"\xef\xbb\xbf\n\n: hello\n\n" + delta("Paris") + end()
    completions.respond(content=body, headers={"content-type": content_type})
    assert await events_of(chat) == PARIS


@pytest.mark.parametrize("content_type", ["text/event-stream", "application/json", "text/plain"])
async def test_a_whole_answer_is_known_by_its_bytes_whatever_its_type_says(chat, completions, content_type):
    completions.respond(
        content=b"\n\n" + json.dumps(completion("Paris")).encode(), headers={"content-type": content_type}
    )
    assert await events_of(chat) == PARIS


async def test_a_page_that_calls_itself_a_stream_is_not_shown_either(chat, streams):
    streams(b"<html><body>Sign in</body></html>")
    _, error = await failure_of(chat)
    assert isinstance(error, BadResponse)
    assert "Sign in" not in error.message


async def test_an_answer_in_one_piece_without_an_end_is_given_up(completions):
    completions.respond(content=b"{" + b" " * 1_000_000, headers={"content-type": "application/json"})
    async with chat_at(SMALL, streamed=False) as unstreamed:
        _, error = await failure_of(unstreamed)
    assert_too_large(error)


SIGNS_OF_LIFE = [
    b"data:\n\n",
    b"data: \n\n",
    b"data\n\n",
    b"data: null\n\n",
    b'data: ""\n\n',
    b"data: ping\n\n",
    b"event: ping\ndata: 2026-11-28 12:00:00\n\n",
    b'event: ping\ndata: {"type": "ping"}\n\n',
    b"event: keepalive\n\n",
    b": OPENROUTER PROCESSING\n\n",
]


@pytest.mark.parametrize("sign", SIGNS_OF_LIFE)
async def test_a_sign_of_life_is_no_part_of_the_answer_before_or_between_its_chunks(chat, streams, sign):
    streams(sign, delta("Par"), sign, sign, delta("is"), sign, end())
    assert await events_of(chat) == [TextDelta("Par"), TextDelta("is"), Completion("stop", "small-1")]


@pytest.mark.parametrize("broken", [b"data: {\n\n", event({"error": {"message": "late"}})])
async def test_what_breaks_after_the_finish_reason_costs_nothing(chat, streams, broken):
    streams(delta("Paris"), delta(finish_reason="stop"), broken)
    assert await events_of(chat) == PARIS


@pytest.mark.parametrize(
    "reported",
    [
        {"detail": "Out of memory"},
        {"message": "Out of memory", "code": 503},
        {"type": "error", "message": "Out of memory"},
    ],
)
async def test_an_event_that_is_no_chunk_but_has_words_is_an_error(
    chat, unstreamed, streams, completions, reported
):
    streams(event(reported))
    _, error = await failure_of(chat)
    assert error.message == "models.example: Out of memory"
    completions.respond(json=reported)
    _, error = await failure_of(unstreamed)
    assert error.message == "models.example: Out of memory"


@pytest.mark.parametrize("more", [event({"choices": []}), delta("?"), delta(finish_reason="stop")])
async def test_a_server_that_does_not_end_after_the_end_is_left(more, monkeypatch):
    monkeypatch.setattr("chatcli.client.answer_bytes._AFTER_END_S", 0.1)
    async with serving(Answer([delta("Paris"), delta(finish_reason="stop"), *[more, 0.01] * 6000])) as server:
        async with chat_at(Endpoint(server.base_url, loopback=True)) as model, asyncio.timeout(20):
            assert (await events_of(model))[-1] == Completion("stop", "small-1")
        await server.requests[0].hung_up()


FLOODS = [
    b": ping\n\n" * 8_000,
    b"data:\n\n" * 8_000,
    b"data: {}\n\n" * 8_000,
    b"event: ping\ndata: x\n\n" * 4_000,
    b"\n" * 65_536,
]


@pytest.mark.parametrize(
    ("flood", "word"),
    [*[(flood, b"") for flood in FLOODS], (FLOODS[0], delta("Par")), (FLOODS[2], delta("Par"))],
)
async def test_a_flood_of_nothing_outruns_no_limit_and_takes_no_core(flood, word):
    async def pour(_, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + word)
        with suppress(ConnectionError):
            while True:
                writer.write(flood)
                await writer.drain()

    async with listening(pour) as port:
        endpoint = Endpoint(f"http://127.0.0.1:{port}/v1", loopback=True, timeout_s=0.5, idle_timeout_s=0.5)
        async with chat_at(endpoint) as model, asyncio.timeout(10):
            used_s = time.thread_time()
            _, error = await failure_of(model)
            used_s = time.thread_time() - used_s
    assert isinstance(error, IncompleteAnswer if word else TimedOut)
    assert used_s < 0.4


KEEP_ALIVE = [b": still here\n\n", delta(""), delta(None), event({"choices": []})]


@pytest.mark.parametrize("nothing", KEEP_ALIVE)
async def test_what_only_keeps_the_connection_alive_is_silence(nothing):
    async with serving(Answer([*[nothing, 0.01] * 1000])) as server:
        endpoint = Endpoint(server.base_url, loopback=True, timeout_s=0.1)
        async with chat_at(endpoint) as model:
            _, error = await failure_of(model)
    assert isinstance(error, TimedOut)
    assert error.message.endswith("no answer within 0.1 s")


async def test_silence_behind_a_proxy_names_the_proxy():
    async with listening(stay_silent) as port:
        proxy = Proxy(f"http://127.0.0.1:{port}", "HTTPS_PROXY")
        endpoint = Endpoint("https://models.example/v1", timeout_s=0.1, proxy=proxy)
        async with chat_at(endpoint) as model:
            _, error = await failure_of(model)
    assert isinstance(error, TimedOut)
    assert error.message.endswith(
        f"no answer within 0.1 s, through the proxy http://127.0.0.1:{port} (HTTPS_PROXY)"
    )


async def test_silence_in_an_answer_has_a_limit_of_its_own():
    async with serving(Answer([delta("Par"), *[b": still here\n\n", 0.01] * 1000])) as server:
        endpoint = Endpoint(server.base_url, loopback=True, timeout_s=60, idle_timeout_s=0.1)
        async with chat_at(endpoint) as model:
            seen, error = await failure_of(model)
    assert seen == [TextDelta("Par")]
    assert isinstance(error, IncompleteAnswer)
    assert "nothing received for 0.1 s; the answer was cut after 3 characters" in error.message


async def test_text_that_trickles_is_no_silence():
    async with serving(Answer([*[delta("x"), 0.02] * 20, end()])) as server:
        endpoint = Endpoint(server.base_url, loopback=True, timeout_s=60, idle_timeout_s=0.3)
        async with chat_at(endpoint) as model:
            assert len(await events_of(model)) == 21


async def test_a_reader_that_takes_its_time_is_not_the_servers_silence():
    async with serving(Answer([delta("Pa"), delta("ris"), end()])) as server:
        endpoint = Endpoint(server.base_url, loopback=True, timeout_s=60, idle_timeout_s=0.05)
        async with chat_at(endpoint) as model, aclosing(model.stream(QUESTION)) as events:
            seen = []
            async for model_event in events:
                seen.append(model_event)
                await asyncio.sleep(0.1)
    assert seen[-1] == Completion("stop", "small-1")


async def test_headers_that_trickle_are_silence():
    async def trickle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n")
        try:
            while not reader.at_eof():
                writer.write(b"x: y\r\n")
                await asyncio.sleep(0.01)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        endpoint = Endpoint(f"http://127.0.0.1:{port}/v1", loopback=True, timeout_s=0.2)
        async with chat_at(endpoint) as model:
            _, error = await failure_of(model)
    assert isinstance(error, TimedOut)


@pytest.mark.parametrize("status", [200, 429])
async def test_of_the_headers_of_every_response_the_limits_are_learned(completions, endpoint, status):
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1h"}
    completions.respond(status, json=completion("Paris"), headers=headers)
    async with entry_at(endpoint) as entry:
        with suppress(RateLimited):
            await events_of(asking(entry))
        async with entry.meter.call("answer", Claim(lambda: 1, "small")) as call:
            assert not call.is_admitted
        async with entry.meter.call("answer", Claim(lambda: 1, "another")) as call:
            assert call.is_admitted


async def test_a_kept_connection_that_was_closed_is_opened_anew_at_once(completions, endpoint):
    stale = httpcore2.RemoteProtocolError("Server disconnected without sending a response.")
    async with chat_at(endpoint) as model:
        completions.mock(
            side_effect=[
                httpx.Response(200, json=completion("Paris")),
                stale,
                httpx.Response(200, json=completion("Paris")),
            ]
        )
        assert await events_of(model) == PARIS
        assert await events_of(model) == PARIS
    assert completions.call_count == 3


async def test_a_connection_that_closes_at_the_first_question_is_a_failure(completions, endpoint):
    stale = httpcore2.RemoteProtocolError("Server disconnected without sending a response.")
    completions.mock(side_effect=stale)
    async with chat_at(endpoint) as model:
        _, error = await failure_of(model)
    assert isinstance(error, NetworkError)
    assert completions.call_count == 1


async def test_what_the_endpoint_refuses_is_left_out_or_spelled_otherwise(chat, streams):
    route = streams(delta("x"), end())
    parameters = Parameters(temperature=1, seed=3, max_tokens=9, extra={"top_k": 4, "min_p": 0.1})
    refused = frozenset({"temperature", "stream_options", "top_k", "max_tokens"})
    await events_of(chat, Request("small", (question("Hi"),), parameters, without=refused))
    body = body_of(route)
    assert body.keys() == {"model", "messages", "stream", "seed", "max_completion_tokens", "min_p"}


async def test_a_server_that_wants_max_output_tokens_gets_it_as_the_third_try(network):
    def answer(request):
        limit = next((name for name in LIMIT_FIELDS if name in json.loads(request.content)), None)
        if limit == "max_output_tokens":
            return httpx.Response(200, json=completion("Paris"))
        text = f"{limit} is unknown here, use max_output_tokens instead"
        return httpx.Response(400, json={"error": {"message": text, "code": "unsupported_field"}})

    route = network.post("https://api.example-ai.com/v1/chat/completions").mock(side_effect=answer)
    async with chat_at(Endpoint("https://api.example-ai.com/v1", key="sk-e"), streamed=False) as chat:
        model = UnsupportedParametersModel(chat, Facts())
        first, second = (
            await events_of(model, asked(max_tokens=9)),
            await events_of(model, asked(max_tokens=9)),
        )
    assert [event.message for event in first if isinstance(event, Notice)] == [
        "small does not accept max_tokens; retried with max_completion_tokens",
        "small does not accept max_completion_tokens; retried with max_output_tokens",
    ]
    assert second == PARIS
    assert body_of(route)["max_output_tokens"] == 9


def choice(finish_reason=None, **fields):
    return event({"model": "small-1", "choices": [{"index": 0, "finish_reason": finish_reason, **fields}]})


@pytest.mark.parametrize(
    "chunks",
    [
        [choice(message={"role": "assistant", "content": "Paris"}), choice("stop")],
        [choice("stop", message={"role": "assistant", "content": "Paris"})],
        [choice("stop", delta={}, message={"content": "Paris"})],
        [choice(message={"content": "Par"}), choice("stop", message={"content": "is"})],
        [choice(text="Par"), choice("stop", text="is")],
        [choice(delta={"role": "assistant"}), choice("stop", delta=None, text="Paris")],
        [
            choice(delta={"content": "Paris"}),
            choice("stop", delta={}, message={"content": "Paris"}, text="Paris"),
        ],
    ],
)
async def test_a_stream_may_hold_messages_or_bare_text_in_the_place_of_deltas(chat, streams, chunks):
    streams(*chunks, DONE)
    *deltas, completion = await events_of(chat)
    assert "".join(event.text for event in deltas) == "Paris"
    assert completion == Completion("stop", "small-1")


async def test_a_whole_answer_may_hold_bare_text(unstreamed, completions):
    completions.respond(json={"model": "small-1", "choices": [{"text": "Paris", "finish_reason": "stop"}]})
    assert await events_of(unstreamed) == PARIS


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b'error: {"code":500,"message":"slot unavailable","type":"server_error"}\n\n', "slot unavailable"),
        (b"error: out of memory\n", "out of memory"),
        (b"event: error\ndata: kaboom, all of it\n\n", "kaboom, all of it"),
        (b'event: error\ndata: "kaboom"\n\n', "kaboom"),
        (b"event: error\ndata:\n\n", "an error"),
        (b'event: error\ndata: {"message":"kaboom"}\n\n', "kaboom"),
    ],
)
@pytest.mark.parametrize("before", [[], [delta("Par")]])
async def test_an_error_that_is_reported_by_its_name_only_is_shown_in_its_words(
    chat, streams, before, sent, words
):
    streams(*before, sent)
    seen, error = await failure_of(chat)
    assert seen == [TextDelta("Par")] * len(before)
    assert words in error.message


async def test_events_without_blank_lines_between_them_are_an_answer(chat, streams):
    streams(*(part.replace(b"\n\n", b"\n") for part in (delta("Par"), delta("is"), end())))
    *deltas, completion = await events_of(chat)
    assert "".join(event.text for event in deltas) == "Paris"
    assert completion == Completion("stop", "small-1")


async def test_who_is_known_not_to_stream_is_not_asked_to(chat, completions):
    completions.respond(json=completion("Paris"))
    assert await events_of(chat, replace(QUESTION, without=frozenset({"stream"}))) == PARIS
    assert not {"stream", "stream_options"} & set(body_of(completions))
