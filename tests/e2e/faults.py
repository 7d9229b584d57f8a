"""All failures of a request, as rows of a table: the server's behaviour, and the question."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scripted_server import CUT, HOLD, RESET, SILENCE, Answer, event_stream, json_answer, raw, text_events

if TYPE_CHECKING:
    from collections.abc import Mapping

PARIS = Answer(event_stream("Paris."))
PAR = text_events("Par")
WORD = text_events("Par")[0]


@dataclass(frozen=True)
class Fault:
    """``answers`` come one a request, ``PARIS`` after them; ``settings`` are variables of the environment.

    ``group`` is the heading it stands under.
    """

    group: str
    name: str
    answers: tuple[Answer, ...]
    settings: Mapping[str, str] = field(default_factory=dict)


def refusal(status: int, message: str, code: str = "", parameter: str = "", **headers: str) -> Answer:
    error = {"message": message, "code": code, "param": parameter}
    return json_answer(
        {"error": error}, status=status, **{name.replace("_", "-"): value for name, value in headers.items()}
    )


def stream(*parts: bytes | object) -> Answer:
    return Answer(parts)


def chunk(**choice: object) -> bytes:
    return b"data: " + json.dumps({"model": "small", "choices": [{"index": 0, **choice}]}).encode() + b"\n\n"


def page(status: int) -> Answer:
    body = b"<html><head><title>Oops</title></head><body>nginx</body></html>"
    return Answer([body], status, {"content-type": "text/html"})


def error_event(message: str, code: str) -> bytes:
    return b"data: " + json.dumps({"error": {"message": message, "code": code}}).encode() + b"\n\n"


def stalled(status: int) -> Answer:
    head = f"HTTP/1.1 {status} No\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n"
    return raw(head.encode(), b'{"error": {"message": "Bad temp', HOLD)


CHANNELS = (
    "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary to=functions.search "
    '<|constrain|>json<|message|>{"q":1}<|call|>'
)
ONLY_TWO = "Input should be 'user' or 'assistant'"
END = event_stream()[-2:]
DONE = END[-1]
PICTURE = {"image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
FEW = {"CHATCLI_RETRIES": "1", "CHATCLI_RETRY_BUDGET_S": "30"}
IMPATIENT = {"CHATCLI_TIMEOUT_S": "1", "CHATCLI_RETRIES": "0"}
IDLE = {"CHATCLI_IDLE_TIMEOUT_S": "0.4"}
NONE = {"CHATCLI_RETRIES": "0"}

_NET, _STATUS, _STREAM, _END = (
    "The connection",
    "The status",
    "The stream",
    "The end of the answer",
)

FAULTS: tuple[Fault, ...] = (
    Fault(_NET, "reset as soon as the question is there, once", (raw(RESET),), FEW),
    Fault(_NET, "reset every time", (raw(RESET),) * 2, FEW),
    Fault(_NET, "closed without an answer", (raw(),), NONE),
    Fault(_NET, "closed in the middle of the headers", (raw(b"HTTP/1.1 200 OK\r\ncontent-"),), NONE),
    Fault(_NET, "something that is not HTTP", (raw(b"220 mail.example ESMTP\r\n\r\n"),), NONE),
    Fault(
        _NET,
        "a body shorter than announced",
        (raw(b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{}"),),
        NONE,
    ),
    Fault(_NET, "not a word", (SILENCE,), IMPATIENT),
    Fault(
        _NET,
        "headers without end, one at a time",
        (raw(b"HTTP/1.1 200 OK\r\n", *[b"x: y\r\n", 0.05] * 400),),
        IMPATIENT,
    ),
    Fault(
        _NET,
        "comments that keep the connection alive and nothing else",
        (stream(*[b": ping\n\n", 0.05] * 400),),
        IMPATIENT,
    ),
    Fault(_STATUS, "401", (refusal(401, "Incorrect API key"),)),
    Fault(_STATUS, "403", (refusal(403, "Not for you"),)),
    Fault(_STATUS, "404", (refusal(404, "No such model"),)),
    Fault(_STATUS, "400", (refusal(400, "Bad temperature"),)),
    Fault(_STATUS, "413", (refusal(413, "Too much"),)),
    Fault(_STATUS, "422", (refusal(422, "What?"),)),
    Fault(
        _STATUS,
        "429 of a rate limit, which then lets us in",
        (refusal(429, "Slow down", "rate_limit_exceeded", retry_after_ms="20"),),
        FEW,
    ),
    Fault(
        _STATUS,
        "429 that names its wait in words",
        (refusal(429, "Rate limit reached. Please try again in 20ms."),),
        FEW,
    ),
    Fault(_STATUS, "429 that wants an hour", (refusal(429, "Slow down", retry_after="3600"),), FEW),
    Fault(
        _STATUS,
        "429 that wants to be left alone until a year that is none",
        (refusal(429, "Slow down", retry_after="Mon, 01 Nov 99999999999 00:00:00 GMT"),),
        FEW,
    ),
    Fault(_STATUS, "429 of a quota", (refusal(429, "You exceeded your quota", "insufficient_quota"),), FEW),
    Fault(_STATUS, "500 every time", (refusal(500, "Oops", retry_after_ms="10"),) * 2, FEW),
    Fault(_STATUS, "502 with a page, once", (page(502),), FEW),
    Fault(
        _STATUS,
        "503 that says not to try again",
        (refusal(503, "Gone for good", x_should_retry="false"),),
        FEW,
    ),
    Fault(
        _STATUS,
        "529 of overload, once",
        (refusal(529, "Overloaded", "overloaded_error", retry_after_ms="10"),),
        FEW,
    ),
    Fault(
        _STATUS,
        "503 in a charset that is none",
        (Answer([b"Busy"], 503, {"content-type": "text/plain; charset=zlib"}),),
        NONE,
    ),
    Fault(
        _STATUS,
        "400, packed though nobody asked for that",
        (
            Answer(
                [gzip.compress(b'{"error": "Bad temperature"}')],
                400,
                {"content-type": "application/json", "content-encoding": "gzip"},
            ),
        ),
    ),
    Fault(_STATUS, "408, once", (refusal(408, "Too slow", retry_after_ms="10"),), FEW),
    Fault(_STATUS, "409, once", (refusal(409, "Locked", retry_after_ms="10"),), FEW),
    Fault(
        _STATUS,
        "a redirect to another host",
        (Answer([], 307, {"location": "https://elsewhere.example/v1"}),),
    ),
    Fault(
        _STATUS,
        "400: the parameter is not supported",
        (refusal(400, "Unsupported parameter: 'temperature'", "unsupported_parameter", "temperature"),),
        {"CHATCLI_TEMPERATURE": "0.5"},
    ),
    Fault(
        _STATUS,
        "400: stream_options is not known",
        (refusal(400, "Unrecognized request argument supplied: stream_options"),),
    ),
    Fault(
        _STATUS,
        "400: the system role is not known",
        (refusal(400, "System role not supported"),),
        {"CHATCLI_SYSTEM": "Be brief."},
    ),
    Fault(
        _STATUS,
        "400: neither system nor developer is known",
        (
            refusal(400, "System role not supported"),
            refusal(
                400,
                "'messages[0].role' does not support 'developer'",
                "unsupported_value",
                "messages[0].role",
            ),
        ),
        {"CHATCLI_SYSTEM": "Be brief."},
    ),
    Fault(
        _STATUS,
        "400: the context is too long",
        (refusal(400, "maximum context length is 10 tokens", "context_length_exceeded"),),
    ),
    Fault(
        _STATUS,
        "503, and a model that stands in",
        (refusal(503, "Busy"),),
        {**NONE, "CHATCLI_FALLBACK": "spare"},
    ),
    Fault(
        _STATUS,
        "400 that says the key is wrong (Gemini)",
        (
            json_answer(
                [{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}}],
                status=400,
            ),
        ),
    ),
    Fault(
        _STATUS,
        "400 of a provider behind a gateway (OpenRouter)",
        (
            json_answer(
                {
                    "error": {
                        "message": "Provider returned error",
                        "code": 400,
                        "metadata": {
                            "provider_name": "X",
                            "raw": '{"error": {"message": "too many pictures"}}',
                        },
                    }
                },
                status=400,
            ),
        ),
    ),
    Fault(
        _STATUS,
        "400 with a list of errors (Cloudflare)",
        (json_answer({"success": False, "errors": [{"code": 7003, "message": "bad input"}]}, status=400),),
    ),
    Fault(
        _STATUS,
        "422 that names the places (FastAPI, Mistral)",
        (json_answer({"detail": [{"loc": ["body", "messages", 0], "msg": "Field required"}]}, status=422),),
    ),
    Fault(
        _STATUS,
        "422: stream_options is not known, which only the place tells (Mistral)",
        (
            json_answer(
                {"message": {"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"]}]}},
                status=422,
            ),
        ),
    ),
    Fault(
        _STATUS,
        "429 whose details ask for 34 s (Gemini)",
        (json_answer({"error": {"code": 429, "details": [{"retryDelay": "34s"}]}}, status=429),),
        {**FEW, "CHATCLI_RETRY_BUDGET_S": "20"},
    ),
    Fault(
        _STATUS,
        "429 of a limit for the day (Gemini)",
        (
            json_answer(
                {
                    "error": {
                        "code": 429,
                        "message": "You exceeded your current quota.",
                        "details": [
                            {"violations": [{"quotaId": "GenerateRequestsPerDay-FreeTier"}]},
                            {"retryDelay": "34s"},
                        ],
                    }
                },
                status=429,
            ),
        ),
        FEW,
    ),
    Fault(
        _STATUS,
        "403 of a moderation (OpenRouter)",
        (
            json_answer(
                {"error": {"message": "Your input was flagged", "metadata": {"reasons": ["violence"]}}},
                status=403,
            ),
        ),
    ),
    Fault(
        _STATUS,
        "422 that lists the roles it takes (FastAPI)",
        (json_answer({"detail": [{"loc": ["body", "messages", 0, "role"], "msg": ONLY_TWO}]}, status=422),),
        {"CHATCLI_SYSTEM": "Be brief."},
    ),
    Fault(
        _STATUS,
        "400: streaming is not supported",
        (refusal(400, "Streaming is not supported for this model"),),
    ),
    Fault(_STATUS, "400 whose words stop in the middle", (stalled(400),), IMPATIENT),
    Fault(_STATUS, "403 with nothing", (Answer([], 403),)),
    Fault(_STREAM, "a page with status 200", (page(200),)),
    Fault(
        _STREAM,
        "an error of MiniMax with status 200",
        (
            json_answer(
                {"choices": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}
            ),
        ),
        FEW,
    ),
    Fault(
        _STREAM,
        "a list with an error as an event (Gemini)",
        (stream(b'data: [{"error": {"code": 503, "message": "Busy", "status": "UNAVAILABLE"}}]\n\n'),),
        FEW,
    ),
    Fault(_STREAM, "a JSON error with status 200", (json_answer({"error": {"message": "Strange"}}),)),
    Fault(
        _STREAM,
        "one JSON answer where a stream was asked",
        (json_answer({"choices": [{"message": {"content": "Paris."}, "finish_reason": "stop"}]}),),
    ),
    Fault(
        _STREAM,
        "a whole message in the place of a delta (gateways that pretend to stream)",
        (stream(chunk(message={"content": "Paris."}, finish_reason="stop"), DONE),),
    ),
    Fault(
        _STREAM,
        "events without blank lines between them",
        (stream(*(part.replace(b"\n\n", b"\n") for part in event_stream("Paris."))),),
    ),
    Fault(
        _STREAM,
        "an error line (older llama.cpp)",
        (stream(b'error: {"code": 500, "message": "no slot is free", "type": "server_error"}\n\n'),),
        NONE,
    ),
    Fault(
        _END,
        "a call of a tool in the channels of gpt-oss",
        (Answer(event_stream(CHANNELS)),),
    ),
    Fault(_STREAM, "an error event in plain text", (stream(b"event: error\ndata: out of memory\n\n"),), NONE),
    Fault(
        _STREAM,
        "pictures without end",
        (stream(*[chunk(delta={"images": [PICTURE]})] * 12),),
        {"CHATCLI_LARGEST_ANSWER_MB": "1"},
    ),
    Fault(_STREAM, "nothing, once", (Answer(),), FEW),
    Fault(
        _STREAM, "nothing but comments and [DONE], once", (stream(b": hello\n\n", b"data: [DONE]\n\n"),), FEW
    ),
    Fault(
        _STREAM,
        "events with no data, null and pings before and between the words",
        (
            stream(
                b"data:\n\n",
                b"event: ping\ndata: 2026-11-28\n\n",
                chunk(delta={"content": "Par"}),
                b"data: null\n\n",
                b"data: ping\n\n",
                chunk(delta={"content": "is."}),
                *END,
            ),
        ),
    ),
    Fault(_STREAM, "a flood of comments", (stream(*[b": ping\n\n" * 8_000] * 400),), IMPATIENT),
    Fault(
        _STREAM,
        "a flood of empty events after a word",
        (stream(WORD, *[b"data: {}\n\n" * 8_000] * 400),),
        {**FEW, **IDLE},
    ),
    Fault(
        _STREAM,
        "an answer that is larger than it may be",
        (stream(chunk(delta={"content": "Par"}), *[chunk(delta={"reasoning": "Hm. " * 10_000})] * 40),),
        {**FEW, "CHATCLI_LARGEST_ANSWER_MB": "1"},
    ),
    Fault(_STREAM, "malformed JSON", (stream(b'data: {"choices": [\n\n'),)),
    Fault(_STREAM, "malformed JSON in the middle", (stream(WORD, b"data: {\n\n", *END),)),
    Fault(
        _STREAM,
        "bytes that are no UTF-8",
        (
            stream(
                chunk(delta={"content": "Paris."}).replace(b"i", b"\xff", 0).replace(b"Paris", b"Par\xffs"),
                *END,
            ),
        ),
    ),
    Fault(
        _STREAM,
        "empty and null deltas between the words",
        (
            stream(
                chunk(delta=None),
                chunk(delta={"content": None}),
                b'data: {"choices": []}\n\n',
                *event_stream("Paris."),
            ),
        ),
    ),
    Fault(
        _STREAM,
        "content in parts",
        (stream(chunk(delta={"content": [{"type": "text", "text": "Paris."}]}), *END),),
    ),
    Fault(
        _STREAM,
        "a stream that unpacks to gigabytes",
        (Answer([gzip.compress(b"data: " + bytes(100_000_000))], headers={"content-encoding": "gzip"}),),
        {"CHATCLI_LARGEST_ANSWER_MB": "2"},
    ),
    Fault(
        _STREAM,
        "several choices",
        (
            stream(
                b'data: {"choices": [{"index": 1, "delta": {"content": "London."}}, {"index": 0, "delta": {"content": "Paris."}}]}\n\n',
                *END,
            ),
        ),
    ),
    Fault(
        _STREAM,
        "an error event of a rate limit before the first word, once",
        (stream(error_event("Slow down. Try again in 10 ms.", "rate_limit_exceeded")),),
        FEW,
    ),
    Fault(
        _STREAM,
        "an error event that only has words",
        (stream(b'event: error\ndata: {"detail": "Out of memory"}\n\n'),),
    ),
    Fault(
        _STREAM,
        "an error event of overload after a word",
        (stream(WORD, error_event("Overloaded", "overloaded_error")),),
        FEW,
    ),
    Fault(_STREAM, "closed after a word", (stream(WORD, CUT),), FEW),
    Fault(_STREAM, "reset after a word", (stream(WORD, 0.1, RESET),), FEW),
    Fault(_STREAM, "silent after a word", (stream(WORD, HOLD),), {**FEW, **IDLE}),
    Fault(
        _STREAM,
        "comments and nothing else after a word",
        (stream(WORD, *[b": ping\n\n", 0.05] * 400),),
        {**FEW, **IDLE},
    ),
    Fault(
        _STREAM,
        "closed after a word, with auto_continue",
        (stream(WORD, CUT), Answer(event_stream("Paris is it."))),
        {"CHATCLI_AUTO_CONTINUE": "2"},
    ),
    Fault(_END, "no finish reason", (stream(WORD),)),
    Fault(_END, "[DONE] without a finish reason", (stream(WORD, b"data: [DONE]\n\n"),)),
    Fault(_END, "a finish reason without [DONE]", (stream(WORD, chunk(delta={}, finish_reason="stop")),)),
    Fault(
        _END,
        "a finish reason that tells of an error",
        (stream(WORD, chunk(delta={}, finish_reason="error"), b"data: [DONE]\n\n"),),
    ),
    Fault(
        _END,
        "events without end after the finish reason",
        (stream(WORD, chunk(delta={}, finish_reason="stop"), *[b'data: {"choices": []}\n\n', 0.1] * 200),),
        IDLE,
    ),
    Fault(
        _END,
        "the connection breaks after the finish reason",
        (stream(WORD, chunk(delta={}, finish_reason="stop"), RESET),),
    ),
    Fault(_END, "the token limit", (Answer(event_stream("Par", finish_reason="length")),)),
    Fault(_END, "the content filter", (Answer(event_stream("Par", finish_reason="content_filter")),)),
    Fault(
        _END,
        "the content filter, before the first word",
        (Answer(event_stream(finish_reason="content_filter")),),
    ),
    Fault(_END, "a refusal", (stream(chunk(delta={"refusal": "No."}), *END),)),
    Fault(_END, "a refusal after a word", (stream(WORD, chunk(delta={"refusal": "No."}), *END),)),
    Fault(
        _END,
        "a call of a tool nobody offered",
        (
            stream(
                chunk(delta={"tool_calls": [{"function": {"name": "search"}}]}),
                chunk(delta={}, finish_reason="tool_calls"),
            ),
        ),
    ),
    Fault(
        _END,
        "a picture in the answer",
        (
            stream(
                WORD,
                chunk(delta={"images": [{"image_url": {"url": "data:image/png;base64," + "AAAA" * 400}}]}),
                *END,
            ),
        ),
    ),
    Fault(
        _END,
        "sources",
        (
            stream(
                b'data: {"choices": [], "citations": ["https://example.com/paris"]}\n\n',
                WORD,
                chunk(
                    delta={
                        "annotations": [
                            {
                                "type": "url_citation",
                                "url_citation": {"url": "https://example.com/paris", "title": "All of Paris"},
                            }
                        ]
                    }
                ),
                *END,
            ),
        ),
    ),
    Fault(_END, "an answer without a word", (Answer(event_stream()),)),
    Fault(_END, "thoughts and no answer", (stream(chunk(delta={"reasoning_content": "Hm."}), *END),)),
    Fault(_END, "thoughts in the text", (Answer(event_stream("<think>Hm.</th", "ink>\n\n", "Par")),)),
    Fault(
        _END,
        "thoughts in the text without their opening tag",
        (Answer(event_stream("Hm.", "\n</think>\n\nPar")),),
    ),
    Fault(
        _END,
        "thoughts in the text, cut by the token limit",
        (Answer(event_stream("<think>Hm.", finish_reason="length")),),
    ),
    Fault(
        _END,
        "thoughts in the text, and the connection ends",
        (stream(chunk(delta={"content": "<think>Hm."})),),
    ),
)
