from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.error_bodies import ErrorDetails, error_body, error_details, error_in
from chatcli.text.sanitizer import sanitize_line

KEY = "sk-0123456789abcdef"
SECRET = st.sampled_from([KEY, f"Incorrect key {KEY}", f"\x1b]0;{KEY}\x07", KEY[:9] + "\n" + KEY[9:]])
NAMES = st.sampled_from(
    [
        *("error", "errors", "message", "msg", "detail", "title", "base_resp", "status_msg", "status_code"),
        *(
            "code",
            "type",
            "status",
            "reason",
            "param",
            "loc",
            "field",
            "quotaId",
            "n_ctx",
            "object",
            "__type",
        ),
        *("fault", "faultstring", "errorcode"),
        *("response", "metadata", "raw", "provider_name", "headers", "X-RateLimit-Reset", "details"),
        *("retryDelay", "retry_after", "estimated_time", "choices"),
    ]
)
TEXTS = (
    st.text(max_size=20)
    | st.sampled_from(
        ["\ud800", "a\ud83d", "nul\0", "<html><title>\x1b[2J", "34s", "9" * 5000, "1e999s", "\u2028"]
    )
    | SECRET
)


def as_text(value: object) -> str:
    """Write an object into a text, as gateways quote a provider's error."""
    try:
        return f"upstream: {json.dumps(value)}"
    except ValueError:  # a number of more digits than Python writes
        return f"upstream: {value.keys()}"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMES, inner, max_size=4)
        | st.dictionaries(NAMES, inner, max_size=4).map(as_text)
    ),
    max_leaves=12,
)


@given(JSON_VALUES)
def test_whatever_a_body_is_its_error_is_read_on_one_short_line_without_the_key(body):
    details = error_details(body, key=KEY)
    for text in (details.message, details.code, details.type, details.parameter, details.provider):
        assert isinstance(text, str)
        assert len(text) <= 300
        assert KEY not in text
        text.encode()  # raises for half a character
        assert len(text.splitlines()) <= 1
        assert not any(unicodedata.category(character) == "Cc" for character in sanitize_line(text))
    assert KEY not in details.text
    assert details.wait_s is None or 0 <= details.wait_s < float("inf")
    for mark in ("choices", "data"):
        assert error_in(body, mark) is None or isinstance(body, dict | list)


@given(JSON_VALUES)
def test_a_body_that_is_written_and_read_again_says_the_same(body):
    try:
        content = json.dumps(body).encode()
    except ValueError:
        return
    assert isinstance(error_details(error_body(content), key=KEY), ErrorDetails)


def google(code: int, status: str, message: str, *details: dict[str, object]) -> list[object]:
    return [{"error": {"code": code, "message": message, "status": status, "details": list(details)}}]


def openrouter(raw: object, **metadata: object) -> dict[str, object]:
    metadata = {"provider_name": "X", "raw": raw, **metadata}
    return {
        "error": {"message": "Provider returned error", "code": 400, "metadata": metadata},
        "user_id": "u",
    }


RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}


@pytest.mark.parametrize(
    ("provider", "body", "message", "code"),
    [
        ("OpenAI", {"error": {"message": "No.", "type": "invalid_request_error", "param": None, "code": "bad"}}, "No.", "bad"),
        ("OpenAI Responses, an event", {"type": "error", "code": "server_error", "message": "Oops", "param": None}, "Oops", "server_error"),
        ("OpenAI Responses, failed", {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "Oops"}}}, "Oops", "server_error"),
        ("Anthropic", {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "Overloaded", "overloaded_error"),
        ("Azure", {"error": {"code": "content_filter", "message": "Filtered", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}, "Filtered", "content_filter"),
        ("Azure, the gateway", {"statusCode": 404, "message": "Resource not found"}, "Resource not found", ""),
        ("Google", google(400, "INVALID_ARGUMENT", "Bad", {"reason": "X_INVALID"}), "Bad", "X_INVALID"),
        ("Google, without details", google(503, "UNAVAILABLE", "Busy"), "Busy", "UNAVAILABLE"),
        ("AWS", {"Message": "Slow", "__type": "com.amazon.coral.service#ThrottlingException"}, "Slow", "ThrottlingException"),
        ("AWS, capitalised", {"Error": {"Code": "x", "Message": "Slow"}}, "Slow", ""),
        ("Mistral", {"object": "error", "message": {"detail": [{"type": "missing", "loc": ["body", "messages", 0], "msg": "Field required"}]}}, "messages.0: Field required", "missing"),
        ("Mistral, plain", {"object": "error", "message": "Invalid model", "type": "invalid_model", "code": "1500"}, "Invalid model (1500)", "invalid_model"),
        ("FastAPI", {"detail": [{"loc": ["body", "温度"], "msg": "too warm", "type": "value_error"}]}, "温度: too warm", "value_error"),
        ("FastAPI, two", {"detail": [{"loc": ["body", "a"], "msg": "no"}, {"loc": ["query", "b"], "msg": "nor"}]}, "a: no; query.b: nor", ""),
        ("FastAPI, a text", {"detail": "Not Found"}, "Not Found", ""),
        ("FastAPI, an object", {"detail": {"error": {"message": "deeper"}}}, "deeper", ""),
        ("vLLM", {"object": "error", "message": "Too warm", "type": "BadRequestError", "param": None, "code": 400}, "Too warm", "BadRequestError"),
        ("llama.cpp", {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}, "Loading model", "unavailable_error"),
        ("Ollama", {"error": "model 'x' not found"}, "model 'x' not found", ""),
        ("LM Studio", {"error": "No models loaded."}, "No models loaded.", ""),
        ("Hugging Face", {"error": "Model is loading", "error_type": "overloaded", "estimated_time": 20.0}, "Model is loading", "overloaded"),
        ("Hugging Face, a list", {"error": ["Error in `max`: too high"]}, "Error in `max`: too high", ""),
        ("xAI", {"code": "Client specified an invalid argument", "error": "Model not found: x"}, "Model not found: x", "Client specified an invalid argument"),
        ("Cohere", {"message": "invalid request: unknown field 'x'"}, "invalid request: unknown field 'x'", ""),
        ("DashScope", {"code": "InvalidParameter", "message": "Range wrong", "request_id": "7"}, "Range wrong", "InvalidParameter"),
        ("Zhipu", {"error": {"code": "1302", "message": "并发过高"}}, "并发过高 (1302)", "1302"),
        ("MiniMax", {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, "insufficient balance (1008)", "1008"),
        ("Baidu", {"error_code": 336100, "error_msg": "busy"}, "busy (336100)", ""),
        ("Cloudflare", {"success": False, "errors": [{"code": 7003, "message": "bad input"}], "result": None}, "bad input (7003)", "7003"),
        ("JSON:API, texts", {"errors": ["one", "two"]}, "one; two", ""),
        ("OpenRouter", openrouter('{"error":{"message":"too many pictures"}}'), "X: too many pictures", "400"),
        ("OpenRouter, an object", openrouter({"message": "too many pictures"}), "X: too many pictures", "400"),
        ("OpenRouter, a text", openrouter("x:free is temporarily rate-limited upstream"), "X: x:free is temporarily rate-limited upstream", "400"),
        ("OpenRouter, FastAPI behind it", openrouter('{"detail":[{"loc":["body","seed"],"msg":"no","type":"extra_forbidden"}]}'), "X: seed: no", "extra_forbidden"),
        ("OpenRouter, Cloudflare behind it", openrouter('{"errors":[{"code":7003,"message":"bad input"}]}'), "X: bad input (7003)", "7003"),
        ("OpenRouter, a page behind it", openrouter("<html><title>502 Bad Gateway</title>"), "X: Provider returned error", "400"),
        ("OpenRouter, nothing behind it", openrouter(None), "X: Provider returned error", "400"),
        ("LiteLLM", {"error": {"message": "litellm.BadRequestError: OpenAIException - Error code: 400 - {'error': {'message': \"Unknown 'x'\", 'code': None}}"}}, "litellm.BadRequestError: OpenAIException - Error code: 400 - Unknown 'x'", ""),
        ("LiteLLM, JSON", {"error": {"message": 'VertexAIException - {\n "error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "Unable"}}'}}, "VertexAIException - Unable", "INVALID_ARGUMENT"),
        ("a gateway, an error in an error", {"error": {"error": {"message": "deep", "type": "upstream"}}}, "deep", "upstream"),
        ("a gateway, JSON in the message", {"error": {"message": '{"message": "inner", "code": "x"}'}}, "inner", "x"),
        ("NestJS", {"statusCode": 400, "error": "Bad Request", "message": ["a must be a number", "b too"]}, "Bad Request: a must be a number; b too", ""),
        ("OAuth", {"error": "invalid_request", "error_description": "no such thing"}, "no such thing", ""),
        ("RFC 9457", {"title": "Bad Request", "detail": "x is wrong", "status": 400}, "x is wrong", "400"),
        ("RFC 9457, a title only", {"title": "Too large"}, "Too large", ""),
        ("Apigee", {"fault": {"faultstring": "Bad key", "detail": {"errorcode": "oauth.x"}}}, "Bad key", "oauth.x"),
        ("an error without a message", {"error": {"why": "so"}}, '{"why": "so"}', ""),
        ("an error with an unknown text", {"error": {"text": "No.", "code": "x"}}, '{"text": "No.", "code": "x"}', "x"),
        ("a shape nobody knows", {"mishap": {"why": "so"}}, '{"mishap": {"why": "so"}}', ""),
        ("known words of an unknown shape", {"detail": {"why": ["so"]}}, '{"why": ["so"]}', ""),
        ("a page", "<!DOCTYPE html><html><head><title>Just a moment...</title>", 'a web page titled "Just a moment..."', ""),
        ("a page that says its status", "<html><head><title>502 Bad Gateway</title></head>", "", ""),
        ("a page in JSON", {"error": "<html><title>Sign &lt;in&#10;</title>"}, 'a web page titled "Sign in"', ""),
        ("plain text", "upstream connect error", "upstream connect error", ""),
        ("nothing", "", "", ""),
        ("nothing, in JSON", {"error": None}, "", ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_the_words_and_the_code_are_found_in_the_shape_of_each_provider(provider, body, message, code):
    details = error_details(body)
    assert (details.message, details.code) == (message, code), provider


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"error": {"message": "No.", "param": "seed"}}, "seed"),
        ({"detail": [{"loc": ["body", "stream_options", "include_usage"], "msg": "no"}]}, "stream_options.include_usage"),
        (google(400, "INVALID_ARGUMENT", "Bad", {"fieldViolations": [{"field": "seed", "description": "no"}]}), "seed"),
        (openrouter('{"error": {"message": "no", "param": "top_p"}}'), "top_p"),
        ({"error": {"message": "No.", "param": ["seed"]}}, ""),
    ],
)  # fmt: skip
def test_what_an_error_names_in_the_request_is_found_in_each_shape(body, parameter):
    assert error_details(body).parameter == parameter


@pytest.mark.parametrize(
    ("body", "wait_s"),
    [
        (google(429, "RESOURCE_EXHAUSTED", "", RETRY_INFO), 34),
        ({"error": {"code": 429, "details": [{"retryDelay": "34s"}]}}, 34),
        ({"error": {"message": "x" * 320 + " Please retry in 34.07s."}}, 34.07),
        ({"error": {"message": "x" * 200_000 + " Please retry in 34.07s."}}, 34.07),
        (google(429, "RESOURCE_EXHAUSTED", "Please retry in 34.07s.", RETRY_INFO), 34.07),
        (openrouter(json.dumps(google(429, "RESOURCE_EXHAUSTED", "Slow", RETRY_INFO))), 34),
        ({"error": "Model is loading", "estimated_time": 20.5}, 20.5),
        ({"error": {"message": "Slow", "retry_after": 7}}, 7),
        ({"error": {"message": "Slow", "retry_after_ms": "500"}}, 0.5),
        ({"message": "Please wait 20 seconds", "retryAfter": "1m2.5s"}, 62.5),
        ({"error": {"details": [{"retryDelay": "soon"}]}}, None),
        ({"error": {"retry_after": True}}, None),
        ({"error": {"retry_after": -1}}, None),
        ({"error": {"retry_after": float("inf")}}, None),
    ],
)  # fmt: skip
def test_how_long_to_wait_is_read_from_the_details_and_from_all_of_the_words(body, wait_s):
    assert error_details(body).wait_s == wait_s


def test_until_when_to_wait_stands_in_the_headers_a_gateway_repeats():
    body = openrouter(None, headers={"X-RateLimit-Reset": "1741305600000"})
    assert error_details(body).resets_at_s == 1_741_305_600


@pytest.mark.parametrize(
    ("provider", "body"),
    [
        ("Google", google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", {"reason": "API_KEY_INVALID"})),
        ("Google, by its words", {"error": {"message": "API key not valid. Please pass a valid API key."}}),
        ("Google, expired", {"error": {"message": "API key expired. Please renew the API key."}}),
        ("Google, leaked", {"error": {"message": "Your API key was reported as leaked. Please use another API key."}}),
        ("Google, none", {"error": {"message": "Method doesn't allow unregistered callers (callers without established identity)."}}),
        ("xAI", {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: xa***."}),
        ("Anthropic", {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}),
        ("OpenAI", {"error": {"message": "You didn't provide an API key.", "code": None}}),
        ("DashScope", {"code": "InvalidApiKey", "message": "Invalid API-key provided."}),
        ("MiniMax", {"base_resp": {"status_code": 2049, "status_msg": "no"}}),
        ("Moonshot", {"error": {"message": "no", "type": "invalid_authentication_error"}}),
        ("AWS", {"message": "The security token included in the request is invalid."}),
        ("Cloudflare", {"success": False, "errors": [{"code": 10000, "message": "Authentication error"}]}),
        ("Ollama", {"error": "unauthorized"}),
    ],
)  # fmt: skip
def test_a_wrong_key_is_known_by_what_each_provider_says(provider, body):
    assert error_details(body).is_wrong_key, provider


@pytest.mark.parametrize(
    "wording",
    [
        "Rate limited. Add your own key to accumulate your rate limits",
        "invalid token 'x' in the prompt",
        "Country not supported",
        "This key may not use gpt-x",
        "messages.0.content: invalid",
    ],
)
def test_other_words_about_keys_are_no_wrong_key(wording):
    assert not error_details({"error": {"message": wording}}).is_wrong_key


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"type": "exceeded_current_quota_error", "message": "No."}},
        {"error": {"type": "invalid_request_error", "message": "Your credit balance is too low to access the API."}},
        {"code": "Arrearage", "message": "Access denied"},
        {"error": {"code": "1113", "message": "余额不足"}},
        {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
        {"error": {"message": "Quota exceeded for metric: g.com/free_tier_requests, limit: 0, model: x. Please retry in 34s."}},
    ],
)  # fmt: skip
def test_what_has_to_be_paid_for_is_a_quota(body):
    assert error_details(body).is_quota


DAILY = {"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier", "quotaValue": "20"}]}
PER_MINUTE = {"violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"}]}
EXCEEDED = (
    "You exceeded your current quota, please check your plan and billing details. "
    "* Quota exceeded for metric: g.com/free_tier_requests, limit: 20, model: x. Please retry in 34.07s."
)


@pytest.mark.parametrize(
    ("body", "is_daily"),
    [
        (google(429, "RESOURCE_EXHAUSTED", EXCEEDED, DAILY, RETRY_INFO), True),
        (google(429, "RESOURCE_EXHAUSTED", EXCEEDED, PER_MINUTE, RETRY_INFO), False),
        ({"error": {"message": "Rate limit exceeded: free-models-per-day"}}, True),
        ({"error": {"message": "Limit reached on tokens per day (TPD). Please try again in 7m12s."}}, False),
    ],
)
def test_a_limit_for_a_day_is_no_bill_and_known_from_one_that_a_wait_ends(body, is_daily):
    details = error_details(body)
    assert not details.is_quota
    assert details.is_used_up_for_today is is_daily


@pytest.mark.parametrize(
    ("body", "mark", "is_error"),
    [
        ({"success": False, "errors": [{"message": "no"}]}, "choices", True),
        ({"choices": None, "base_resp": {"status_code": 1008, "status_msg": "no"}}, "choices", True),
        ({"choices": [], "base_resp": {"status_code": 0, "status_msg": "success"}}, "choices", False),
        ({"choices": [], "errors": [], "error": None}, "choices", False),
        ([{"error": {"message": "no"}}], "choices", True),
        ([{"id": "small"}], "data", False),
        ({"object": "error", "message": {"detail": []}}, "choices", True),
        ({"code": "Throttling", "message": "slow"}, "choices", True),
        ({"error_code": 17, "error_msg": "slow"}, "choices", True),
        ({"fault": {"faultstring": "slow"}}, "choices", True),
        ({"choices": [], "fault": None}, "choices", False),
        ({"message": {"role": "assistant"}}, "choices", False),
        ({"choices": [{"finish_reason": "error", "error": {"message": "no"}}]}, "choices", True),
        ({"choices": [{"delta": {"content": "a"}, "error": None}]}, "choices", False),
        ({"data": [], "message": "fine"}, "data", False),
        ({}, "data", False),
        ([], "data", False),
        (None, "data", False),
    ],
)
def test_an_error_that_comes_with_status_200_is_reported_from_an_answer(body, mark, is_error):
    assert (error_in(body, mark) is not None) is is_error


def test_bytes_that_are_no_json_are_a_text():
    assert error_body(b"\xef\xbb\xbf[1]") == [1]
    assert error_body(b"Busy \xff") == "Busy \ufffd"
    assert error_body(b"[" * 100_000) == "[" * 100_000
    assert error_body(b"9" * 5000) == "9" * 5000


@pytest.mark.parametrize("part", ["9", "1m", "wait 1 ", "{'message': '", '[{"', "<title", "a\\", "api key "])
def test_a_long_text_that_was_made_to_be_slow_to_read_is_read_at_once(part):
    text = part * (300_000 // len(part))
    for body in (text, {"error": {"message": text, "retry_after": text}}, openrouter(text)):
        assert len(error_details(body).message) <= 300


def test_what_is_packed_into_each_other_without_end_is_read_as_deep_as_makes_sense():
    body: object = {"message": "deep"}
    for _ in range(12):
        body = {"error": json.dumps(body)}
    for _ in range(300):
        body = {"error": body}
    assert error_details(body).message == ""


def test_the_parameter_an_error_names_is_kept():
    body = {"error": {"message": "No.", "code": "unsupported_parameter", "param": "temperature"}}
    assert error_details(body) == ErrorDetails("No.", "unsupported_parameter", "", "temperature")


def test_a_code_that_only_repeats_the_status_gives_way_to_a_word():
    assert error_details([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}]).is_rate_limit
    assert error_details({"error": {"code": 503, "message": "busy"}}).status == 503


def test_an_error_inside_a_response_event_is_found():
    event = {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "Oops"}}}
    assert error_details(event) == ErrorDetails("Oops", "server_error")


def test_a_quota_is_no_rate_limit_that_passes():
    assert error_details({"error": {"type": "insufficient_quota", "message": "No."}}).is_quota
    assert not error_details({"error": {"code": "rate_limit_exceeded", "message": "No."}}).is_quota


def test_a_single_request_above_the_tokens_a_minute_is_an_overflow():
    wording = "Request too large for gpt-x on tokens per min (TPM): Limit 30000, Requested 50000."
    assert error_details({"error": {"message": wording, "code": "rate_limit_exceeded"}}).is_overflow


def test_what_is_nested_as_deep_as_can_be_read_breaks_nothing():
    for depth in range(900, 1000):
        try:
            value = json.loads('{"message": ' + "[" * depth + "]" * depth + "}")
        except RecursionError:
            break
        assert isinstance(error_details({"error": value}).message, str)


def test_bytes_that_are_no_text_are_no_words():
    assert error_details("\x1f\x8b\x08\0\0\0").message == ""


@pytest.mark.parametrize(
    "wording",
    [
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
        "input length and `max_tokens` exceed context limit: prompt is too long",
        "Input is too long for requested model.",
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048",
        "Prompt exceeds max length",
    ],
)
def test_an_overflow_is_known_in_the_words_of_each_provider(wording):
    assert error_details({"error": {"message": wording}}).is_overflow


@pytest.mark.parametrize(("key", "is_secret"), [("k" * 11, False), ("k" * 12, True)])
def test_what_is_long_enough_to_be_a_secret_is_taken_out(key, is_secret):
    assert (key not in error_details({"error": f"no {key}"}, key=key).message) is is_secret


@pytest.mark.parametrize(
    ("reported", "tokens"), [(63, None), (64, 64), (100_000_000, 100_000_000), (100_000_001, None)]
)
def test_a_window_is_of_a_size_that_models_have(reported, tokens):
    assert error_details({"message": f"context length is {reported}"}).window_tokens == tokens
    assert error_details({"message": "x", "n_ctx": reported}).window_tokens == tokens


def test_a_word_that_serves_as_a_key_stays_in_a_message():
    assert error_details({"error": "ollama is loading"}, key="ollama").message == "ollama is loading"


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({"message": "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens."}, 8192),
        ({"message": "This model's maximum context length is 128,000 tokens"}, 128_000),
        ({"error": {"message": "request exceeds the context size", "n_prompt_tokens": 5507, "n_ctx": 4096}}, 4096),
        ({"message": "request (5507 tokens) exceeds the available context size (2048 tokens), try increasing it"}, 2048),
        ({"message": "prompt is too long: 210000 tokens > 200000 maximum"}, 200_000),
        ({"message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."}, 1_048_576),
        ({"message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context length"}, 32_768),
        ({"error": "This model's maximum prompt length is 131072 but the request contains 537812 tokens."}, 131_072),
        ({"message": "Request body too large for gpt-4o model. Max size: 8000 tokens."}, 8000),
        ({"message": "prompt token count of 130000 exceeds the limit of 128000"}, 128_000),
        ({"message": "Range of input length should be [1, 30720]"}, 30_720),
        ({"message": "the model is loaded with context length of only 4096 tokens"}, 4096),
        (openrouter('{"error": {"message": "maximum context length is 8192 tokens"}}'), 8192),
        ({"message": "Request too large for gpt-4o: Limit 6000, Requested 9000"}, None),
        ({"message": "the context window is too small"}, None),
        ({"message": "context length 3"}, None),
        ({"message": "context length " + "9" * 5000}, None),
        ({"message": "x", "n_ctx": True}, None),
        ({"message": "x", "n_ctx": "4096"}, None),
    ],
)  # fmt: skip
def test_the_size_of_a_window_is_taken_from_where_servers_tell_it(body, tokens):
    assert error_details(body).window_tokens == tokens
