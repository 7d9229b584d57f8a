from __future__ import annotations

import json
from datetime import UTC, datetime

import httpcore2
import httpx2
import openai
import pytest

from chatcli.client.endpoint import Endpoint
from chatcli.client.openai_errors import translated, wait_hint
from chatcli.core.errors import (
    BadResponse,
    ContextOverflow,
    KeyRefused,
    NetworkError,
    QuotaExceeded,
    RateLimited,
    RequestRefused,
    ServerFailed,
    TimedOut,
)
from client.wire import chat_at, failure_of

HERE = Endpoint("https://models.example/v1", key="sk-here")
PAGE = "<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, {"message": "Unknown parameter: 'x'"}, (RequestRefused, "request_refused")),
        (
            400,
            {"message": "Too long", "code": "context_length_exceeded"},
            (ContextOverflow, "context_overflow"),
        ),
        (400, {"code": 400, "type": "exceed_context_size_error"}, (ContextOverflow, "context_overflow")),
        (400, {"message": "prompt is too long: 9 tokens > 8"}, (ContextOverflow, "context_overflow")),
        (401, {"message": "Incorrect API key", "code": "invalid_api_key"}, (KeyRefused, "key_refused")),
        (401, {"code": "insufficient_quota"}, (KeyRefused, "key_refused")),
        (402, {"message": "Insufficient balance"}, (QuotaExceeded, "quota_exceeded")),
        (403, {"message": "Country not supported"}, (RequestRefused, "request_refused")),
        (403, {"code": "billing_not_active"}, (QuotaExceeded, "quota_exceeded")),
        (404, {"code": "model_not_found"}, (RequestRefused, "request_refused")),
        (408, {}, (RequestRefused, "request_refused")),
        (409, {}, (RequestRefused, "request_refused")),
        (413, {}, (RequestRefused, "request_refused")),
        (413, {"message": "too many input tokens"}, (ContextOverflow, "context_overflow")),
        (422, {}, (RequestRefused, "request_refused")),
        (429, {"code": "rate_limit_exceeded"}, (RateLimited, "rate_limited")),
        (429, {}, (RateLimited, "rate_limited")),
        (429, {"code": "insufficient_quota"}, (QuotaExceeded, "quota_exceeded")),
        (429, {"type": "insufficient_quota", "code": "billing"}, (QuotaExceeded, "quota_exceeded")),
        (500, {}, (ServerFailed, "server_failed")),
        (500, {"message": "maximum context length exceeded"}, (ServerFailed, "server_failed")),
        (503, {}, (ServerFailed, "server_failed")),
        (529, {"type": "overloaded_error"}, (ServerFailed, "server_failed")),
    ],
)
async def test_each_status_and_code_is_its_error(chat, completions, status, body, expected):
    kind, code = expected
    completions.respond(status, json={"error": body}, headers={"x-request-id": "req-7"})
    seen, error = await failure_of(chat)
    assert seen == []
    assert type(error) is kind
    assert error.code == code
    assert error.status == status
    assert error.request_id == "req-7"
    assert error.hint
    assert error.message.startswith(f"models.example: {status}")
    assert body.get("message", "") in error.message


@pytest.mark.parametrize(
    "status", [400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529]
)
async def test_what_may_go_well_another_time_is_retryable(chat, completions, status):
    completions.respond(status)
    _, error = await failure_of(chat)
    assert error.retryable is (status in {408, 409, 429} or status >= 500)
    assert not (error.retryable and "will not help" in error.hint)


async def test_a_quota_that_is_used_up_is_not_retryable(chat, completions):
    completions.respond(429, json={"error": {"code": "insufficient_quota"}})
    _, error = await failure_of(chat)
    assert not error.retryable
    assert "billing" in error.hint


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "It broke", "code": None, "type": None}},
        {"error": "It broke"},
        {"object": "error", "message": "It broke", "code": 400},
        {"detail": "It broke"},
        [{"error": {"code": 400, "message": "It broke", "status": "INVALID_ARGUMENT"}}],
    ],
)
async def test_the_words_of_the_server_are_found_in_every_known_shape(chat, completions, body):
    completions.respond(400, json=body)
    _, error = await failure_of(chat)
    assert error.message == "models.example: 400 Bad Request: It broke"


async def test_the_places_that_were_found_wrong_are_reported_in_words(chat, completions):
    completions.respond(422, json={"detail": [{"loc": ["body", "温度"], "msg": "too warm"}]})
    _, error = await failure_of(chat)
    assert error.message.endswith(": 温度: too warm")


async def test_what_stands_beside_an_empty_error_is_read_as_well(chat, completions):
    completions.respond(400, json={"error": None, "detail": "It broke"})
    _, error = await failure_of(chat)
    assert error.message == "models.example: 400 Bad Request: It broke"


@pytest.mark.parametrize("status", [200, 400, 403, 422, 500])
async def test_a_wrong_key_is_one_whatever_its_status(chat, completions, status):
    wording = "API key not valid. Please pass a valid API key."
    completions.respond(
        status, json=[{"error": {"code": 400, "message": wording, "status": "INVALID_ARGUMENT"}}]
    )
    _, error = await failure_of(chat)
    assert type(error) is KeyRefused
    assert not error.retryable
    assert error.hint == "the key set for models.example is wrong or expired; set a new one"


async def test_a_key_that_a_gateway_has_of_its_own_is_not_the_persons(chat, completions):
    metadata = {"provider_name": "X", "raw": '{"error": {"message": "Incorrect API key provided"}}'}
    completions.respond(400, json={"error": {"message": "no", "code": 400, "metadata": metadata}})
    _, error = await failure_of(chat)
    assert type(error) is KeyRefused
    assert error.message.endswith(": X: Incorrect API key provided")
    assert error.hint == "models.example uses its own key for X: correct it in its settings"


def quota_failure(period: str) -> list[object]:
    violation = {"quotaId": f"GenerateRequests{period}PerProjectPerModel-FreeTier"}
    details = [{"violations": [violation]}, {"retryDelay": "34s"}]
    wording = "You exceeded your current quota, please check your plan and billing details."
    return [{"error": {"code": 429, "message": wording, "status": "RESOURCE_EXHAUSTED", "details": details}}]


async def test_a_limit_for_a_minute_is_waited_for_and_one_for_a_day_is_not(chat, completions):
    completions.respond(429, json=quota_failure("PerMinute"))
    _, error = await failure_of(chat)
    assert (type(error), error.retryable, error.retry_after_s) == (RateLimited, True, 34)
    completions.respond(429, json=quota_failure("PerDay"))
    _, error = await failure_of(chat)
    assert (type(error), error.retryable) == (RateLimited, False)
    assert "today" in error.hint


@pytest.mark.parametrize(
    ("body", "kind", "retryable"),
    [
        ({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, QuotaExceeded, False),
        ({"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, RateLimited, True),
        ({"base_resp": {"status_code": 1004, "status_msg": "no"}}, KeyRefused, False),
        ({"base_resp": {"status_code": 1013, "status_msg": "internal"}}, ServerFailed, True),
        ({"base_resp": {"status_code": 2013, "status_msg": "invalid params"}}, RequestRefused, False),
        ({"base_resp": {"status_code": 7, "status_msg": "strange"}}, BadResponse, False),
        ({"success": False, "errors": [{"code": 7003, "message": "bad input"}]}, BadResponse, False),
        ([{"error": {"code": 503, "message": "busy"}}], ServerFailed, True),
        ({"error": {"code": 402, "message": "pay"}}, QuotaExceeded, False),
        ({"error": {"code": 400, "message": "no"}}, RequestRefused, False),
        ({"error": {"message": "cache_control is not supported"}}, RequestRefused, False),
        ({"error": "Unknown parameter: plugins"}, RequestRefused, False),
        ({"error": {"type": "invalid_request_error", "message": "no"}}, RequestRefused, False),
    ],
)
async def test_an_error_with_status_200_is_of_the_kind_its_body_says(
    chat, completions, body, kind, retryable
):
    in_a_stream = f"data: {json.dumps(body)}\n\ndata: [DONE]\n\n".encode()
    for answer in (
        {"json": body},
        {"content": in_a_stream, "content_type": "text/event-stream"},
    ):
        completions.respond(**answer)
        _, error = await failure_of(chat)
        assert (type(error), error.retryable, error.status) == (kind, retryable, 200)


@pytest.mark.parametrize(
    ("headers", "asked_s"),
    [({"retry-after": "7"}, 7), ({"retry-after": "0"}, 34), ({"retry-after": "soon"}, 34), ({}, 34)],
)
async def test_a_header_that_asks_to_wait_comes_before_the_details(chat, completions, headers, asked_s):
    completions.respond(429, json={"error": {"details": [{"retryDelay": "34s"}]}}, headers=headers)
    _, error = await failure_of(chat)
    assert error.retry_after_s == asked_s


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        ({"status_code": 429, "headers": {"retry-after": "3600"}}, "the server asks to wait 1 h: try again after "),
        ({"status_code": 503, "headers": {"retry-after": "7"}}, "the server asks to wait 7 s: try again after "),
        ({"status_code": 429, "headers": {"retry-after": "1"}}, "wait a little and try again"),
        ({"status_code": 402, "headers": {"retry-after": "3600"}}, "check the plan and billing"),
    ],
)  # fmt: skip
async def test_the_hint_says_until_when_a_server_asks_to_wait(chat, completions, answer, hint):
    completions.respond(**answer)
    _, error = await failure_of(chat)
    assert error.hint.startswith(hint)


async def test_a_wait_until_a_moment_is_reckoned_by_the_servers_clock(chat, completions):
    metadata = {"headers": {"X-RateLimit-Reset": "1741305600000"}}
    body = {
        "error": {"message": "Rate limit exceeded: free-models-per-day", "code": 429, "metadata": metadata}
    }
    completions.respond(429, json=body, headers={"date": "Thu, 06 Mar 2025 23:59:00 GMT"})
    _, error = await failure_of(chat)
    assert (type(error), error.retryable, error.retry_after_s) == (RateLimited, True, 60)


async def test_all_that_a_provider_says_is_kept_beside_the_line_that_is_shown(chat, completions):
    wording = "x" * 320 + " retry in 34.07s."
    completions.respond(429, json={"error": {"message": wording}})
    _, error = await failure_of(chat)
    assert error.message.endswith("x…")
    assert error.provider_message == wording
    assert error.retry_after_s == 34.07


async def test_plain_text_is_reported_on_one_line_and_shortened(chat, completions):
    completions.respond(502, text="upstream\r\n  connect error\n" + "x" * 5000)
    _, error = await failure_of(chat)
    assert error.message.startswith("models.example: 502 Bad Gateway: upstream connect error xxx")
    assert error.message.endswith("x…")
    assert len(error.message) < 400


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (PAGE.encode(), "text/html; charset=utf-8"),
        (b"\n\n  " + PAGE.encode(), "text/html"),
        (b"\xef\xbb\xbf" + PAGE.encode(), "text/html"),
        (PAGE.encode("utf-16"), "text/html; charset=utf-16"),
        (b"502 Bad Gateway\n" + PAGE.encode(), "text/html"),
        (PAGE.encode(), "text/plain"),
        (PAGE.encode(), "application/json"),
        (json.dumps(PAGE).encode(), "application/json"),
        (json.dumps({"error": PAGE}).encode(), "application/json"),
        (json.dumps({"error": {"message": PAGE}}).encode(), "application/json"),
        (json.dumps({"error": {"message": f"Upstream said: {PAGE}"}}).encode(), "application/json"),
        (json.dumps({"detail": PAGE}).encode(), "application/json"),
    ],
)
async def test_a_page_is_never_in_the_message(chat, completions, content, content_type):
    completions.respond(502, content=content, content_type=content_type)
    _, error = await failure_of(chat)
    assert type(error) is ServerFailed
    assert "<" not in error.message
    assert "nginx" not in error.message
    assert error.message.startswith("models.example: 502 Bad Gateway")


async def test_the_title_of_a_page_is_reported(chat, completions):
    completions.respond(403, html="<html><head><title>Just a moment...</title></head><body>x</body></html>")
    _, error = await failure_of(chat)
    assert error.message == 'models.example: 403 Forbidden: a web page titled "Just a moment..."'


async def test_an_error_without_a_body_is_reported_by_its_status(chat, completions):
    completions.respond(503)
    _, error = await failure_of(chat)
    assert error.message == "models.example: 503 Service Unavailable"
    assert error.request_id is None


async def test_a_body_that_breaks_off_is_still_told_by_its_status_and_what_came_of_its_words(
    chat, completions
):
    async def body():
        yield b'{"error": {"message": "Out of mem'
        raise httpcore2.ReadError("reset by peer")

    completions.respond(500, content=body())
    _, error = await failure_of(chat)
    assert type(error) is ServerFailed
    assert error.message == "models.example: 500 Internal Server Error: Out of mem"


async def test_a_wrong_key_says_whose_it_is(chat, completions):
    completions.respond(401)
    _, error = await failure_of(chat)
    assert error.hint == "the key set for models.example is wrong or expired; set a new one"


@pytest.mark.parametrize(
    ("withheld", "hint"),
    [
        (
            ("environment OPENAI_API_KEY",),
            "environment OPENAI_API_KEY belongs to another endpoint and was not sent",
        ),
        (
            ("environment OPENAI_API_KEY", "config.toml"),
            "environment OPENAI_API_KEY, config.toml belong to other endpoints and were not sent",
        ),
    ],
)
async def test_a_missing_key_says_which_keys_were_withheld(completions, withheld, hint):
    completions.respond(401)
    async with chat_at(Endpoint(HERE.base_url, withheld=withheld)) as model:
        _, error = await failure_of(model)
    assert error.hint == f"no key is set for models.example; {hint}"


async def test_a_missing_key_is_named_where_none_was_withheld(completions):
    completions.respond(401)
    async with chat_at(Endpoint(HERE.base_url)) as model:
        _, error = await failure_of(model)
    assert error.hint == "no key is set for models.example: chatcli config login stores one"


@pytest.mark.parametrize("status", [401, 403, 500])
async def test_no_error_shows_the_key(chat, completions, status):
    completions.respond(status, json={"error": {"message": "No."}})
    _, error = await failure_of(chat)
    assert "sk-here" not in f"{error.message} {error.hint}"


@pytest.mark.parametrize("length", [24, 2000])
async def test_a_key_that_the_server_repeats_is_not_shown(completions, length):
    key = "sk-" + "k" * (length - 3)
    repeated = f"Incorrect key {key}, sent as Bearer {key}"
    async with chat_at(Endpoint("https://models.example/v1", key=key)) as model:
        for answer in (
            {"status_code": 401, "json": {"error": {"message": repeated}}},
            {"status_code": 401, "text": repeated},
            {"status_code": 200, "json": {"error": {"message": repeated}}},
        ):
            completions.respond(**answer)
            _, error = await failure_of(model)
            assert error.message.endswith("Incorrect key [key], sent as Bearer [key]")


@pytest.mark.parametrize(
    ("headers", "asked_s"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "2"}, 2.0),
        ({"retry-after": "Mon, 23 Nov 2026 10:00:30 GMT", "date": "Mon, 23 Nov 2026 10:00:00 GMT"}, 30.0),
        ({"retry-after": "Mon, 23 Nov 2026 10:00:00 GMT", "date": "Mon, 23 Nov 2026 10:00:30 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
async def test_how_long_the_server_asks_to_wait_is_kept(chat, completions, headers, asked_s):
    completions.respond(429, headers=headers)
    _, error = await failure_of(chat)
    assert error.retry_after_s == asked_s


async def test_a_refused_connection_is_a_network_error(closed_port):
    async with chat_at(Endpoint(f"http://127.0.0.1:{closed_port}/v1", loopback=True)) as model:
        _, error = await failure_of(model)
    assert type(error) is NetworkError
    assert error.retryable
    assert error.message.startswith(f"127.0.0.1:{closed_port}: ")
    assert "connect" in error.message.lower()
    assert "start the server" in error.hint


def test_the_innermost_reason_is_the_one_told():
    with pytest.raises(NetworkError) as raised, translated(HERE):
        raise httpx2.ConnectError("All connection attempts failed") from OSError("Name or service not known")
    assert raised.value.message == "models.example: Name or service not known"


def test_a_certificate_nobody_trusts_is_not_worth_another_try():
    with pytest.raises(NetworkError) as raised, translated(HERE):
        raise httpx2.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate")
    assert not raised.value.retryable
    assert "SSL_CERT_FILE" in raised.value.hint


@pytest.mark.parametrize(
    ("foreign", "message", "hint"),
    [
        (httpcore2.ConnectTimeout(""), "models.example: no connection within 10 s", "the address"),
        (httpcore2.ReadTimeout(""), "models.example: no answer within 600 s", "--timeout"),
        (httpcore2.WriteTimeout(""), "models.example: no answer within 600 s", "--timeout"),
    ],
)
async def test_a_time_out_says_what_was_waited_for_and_how_long(chat, completions, foreign, message, hint):
    completions.side_effect = foreign
    _, error = await failure_of(chat)
    assert type(error) is TimedOut
    assert error.retryable
    assert error.message == message
    assert hint in error.hint


@pytest.mark.parametrize(
    "foreign", [httpcore2.ReadError(""), httpcore2.RemoteProtocolError(""), httpcore2.ProxyError("502")]
)
async def test_a_connection_that_breaks_before_the_answer_is_a_network_error(chat, completions, foreign):
    completions.side_effect = foreign
    _, error = await failure_of(chat)
    assert type(error) is NetworkError
    assert error.retryable


def test_a_failure_without_words_is_reported_by_its_name():
    with pytest.raises(NetworkError) as raised, translated(HERE):
        raise httpx2.ReadError("")
    assert raised.value.message == "models.example: ReadError"


@pytest.mark.parametrize(
    "foreign",
    [
        openai.OpenAIError("odd"),
        httpx2.DecodingError("bad gzip"),
        httpx2.InvalidURL("odd"),
        httpx2.ResponseNotRead(),
    ],
)
def test_whatever_else_the_libraries_raise_is_a_bad_response(foreign):
    with pytest.raises(BadResponse) as raised, translated(HERE):
        raise foreign
    assert raised.value.__cause__ is foreign


def test_what_is_not_of_the_libraries_passes():
    with pytest.raises(KeyError), translated(HERE):
        raise KeyError("a bug")


@pytest.mark.parametrize("page", ["<table><tr><td>nginx", "Busy <span class=x>nginx</span>", "<h4>nginx"])
async def test_a_part_of_a_page_is_not_shown_either(chat, completions, page):
    completions.respond(502, json={"error": {"message": page}})
    _, error = await failure_of(chat)
    assert "nginx" not in error.message


async def test_whatever_a_server_calls_itself_a_line_stays_a_line(chat, completions):
    completions.respond(400, headers={"x-request-id": "r" * 9000})
    _, error = await failure_of(chat)
    assert len(error.request_id) == 200


FLAGGED = "the question was flagged for what it says: ask in other words, or another model"


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (
            403,
            {"message": "Your input was flagged", "code": 403, "metadata": {"reasons": ["violence", "hate"]}},
            "403 Forbidden: Your input was flagged: violence, hate",
        ),
        (400, {"message": "No.", "code": "content_filter"}, "400 Bad Request: No."),
        (
            400,
            {"message": "No.", "innererror": {"code": "ResponsibleAIPolicyViolation"}},
            "400 Bad Request: No.",
        ),
    ],
)
async def test_a_question_that_was_flagged_is_refused_for_what_it_is(chat, completions, status, error, words):
    completions.respond(status, json={"error": error})
    _, seen = await failure_of(chat)
    assert seen.message.endswith(words)
    assert (type(seen), seen.hint, seen.refuses_question) == (RequestRefused, FLAGGED, True)


@pytest.mark.parametrize("words", ["This key is flagged", "the red flag was shown to the input"])
async def test_a_flag_elsewhere_is_no_objection_to_the_question(chat, completions, words):
    completions.respond(403, json={"error": {"message": words}})
    _, seen = await failure_of(chat)
    assert seen.hint != FLAGGED


@pytest.mark.parametrize("status", [600, 999])
async def test_a_status_that_is_none_of_http_is_reported_with_its_words(chat, completions, status):
    completions.respond(status, json={"error": {"message": "Strange"}})
    _, error = await failure_of(chat)
    assert (type(error), error.status, error.retryable) == (RequestRefused, status, False)
    assert error.message.endswith(f"{status}: Strange")


@pytest.mark.parametrize(
    ("asked_s", "hint"),
    [
        (3600, "the server asks to wait 1 h: try again after 22:05:00"),
        (2.0, "the server asks to wait 2 s: try again after 21:05:02"),
        (86_400, "the server asks to wait 24 h: try again after 2026-11-25 21:05"),
        (1e300, "the server asks to wait"),
        (1.99, None),
        (None, None),
    ],
)
def test_a_wait_of_two_seconds_is_worth_telling_with_its_end(asked_s, hint):
    wording = wait_hint(asked_s, datetime(2026, 11, 24, 21, 5, tzinfo=UTC))
    assert wording is None if hint is None else wording.startswith(hint)


@pytest.mark.parametrize(
    "error",
    [
        {
            "message": "Invalid model name passed in model=smal. Call `/v1/models` to view available models."
        },  # LiteLLM
        {"message": "Invalid model: smal", "type": "invalid_model", "code": "1500"},  # Mistral
        {"message": "invalid model ID", "type": "invalid_request_error"},  # OpenAI
        {"message": "maker/smal is not a valid model ID", "code": 400},  # OpenRouter
        {"message": "Model Not Exist", "type": "invalid_request_error"},  # DeepSeek
        {"message": "The model `smal` does not exist", "code": "model_not_found"},
    ],
)
async def test_a_400_about_the_name_of_the_model_says_where_the_names_are(chat, completions, error):
    completions.respond(400, json={"error": error})
    _, seen = await failure_of(chat)
    assert (seen.code, seen.refuses_question) == ("request_refused", False)
    assert seen.hint == "check the model's name: chatcli models lists those of this endpoint"


@pytest.mark.parametrize(
    "words",
    [
        "Invalid model parameter: temperature",
        "The model does not support tools",
        "Unknown parameter: 'model'",
    ],
)
async def test_other_words_about_a_model_are_no_wrong_name(chat, completions, words):
    completions.respond(400, json={"error": {"message": words}})
    _, seen = await failure_of(chat)
    assert seen.hint == "change the request; sending it again will not help"
