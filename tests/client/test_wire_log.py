from __future__ import annotations

import json
import logging

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.wire_log import (
    LARGEST_BODY_BYTES,
    LoggedBody,
    WireLog,
    shown_body,
    shown_headers,
    shown_url,
)
from chatcli.core.event_log import current_call
from chatcli.telemetry.log_file import JsonLineFormatter
from chatcli.text.redaction import Redactor
from noted_events import NotedEvents

KEY = "tok-Zq8vLw2nR5xT7yB1cD3fG6hJ"
"""Of no provider's shape: only its place, or that the run knows it, makes it a key."""


@pytest.fixture
def log():
    return NotedEvents()


async def in_pieces(*pieces):
    for piece in pieces:
        yield piece


async def exchanged(log, answer, **request):
    """Return the response to a request over a client with the hooks."""
    wire = WireLog(log)
    hooks = {"request": [wire.on_request], "response": [wire.on_response]}
    async with httpx2.AsyncClient(
        transport=httpx2.MockTransport(lambda _: answer), event_hooks=hooks
    ) as client:
        response = await client.post("https://host.example/v1/chat", **request)
        return response.content


async def test_a_request_and_its_response_are_logged_with_their_bodies(log):
    answer = httpx2.Response(
        429, headers={"x-request-id": "req_1"}, content=in_pieces(b'{"error": ', b'"slow down"}')
    )
    content = await exchanged(log, answer, json={"messages": ["Hi"]})
    assert [event for event, _ in log.events] == ["http_request", "http_body", "http_response", "http_body"]
    (sent,), (answered,) = log.facts("http_request"), log.facts("http_response")
    assert (sent["method"], sent["url"]) == ("POST", "https://host.example/v1/chat")
    assert "content-type: application/json" in sent["headers"]
    assert answered["status"] == 429
    assert "x-request-id: req_1" in answered["headers"]
    bodies = [(body["way"], body["text"]) for body in log.facts("http_body")]
    assert bodies == [("sent", '{"messages":["Hi"]}'), ("received", content.decode())]


async def test_events_name_the_call_that_is_being_sent(log):
    token = current_call.set("c-1")
    try:
        await exchanged(log, httpx2.Response(200, content=b"{}"), content=b"{}")
    finally:
        current_call.reset(token)
    assert {fields.get("call") for _, fields in log.events} == {"c-1"}


class TestAStream:
    def test_is_logged_as_it_comes(self, log):
        now_s = [0.0]
        body = LoggedBody(log, "received", lambda: now_s[0])
        body.add(b"data: 1\n\ndata: ")
        assert log.events == []
        now_s[0] = 1.0
        body.add(b"2\n\nda")
        assert [each["text"] for each in log.facts("http_body")] == ["data: 1\n\ndata: 2\n\n"]
        body.add(b"ta: 3")
        body.end()
        assert log.facts("http_body")[-1]["text"] == "data: 3"

    def test_is_logged_up_to_a_size(self, log):
        body = LoggedBody(log, "received", lambda: 0.0)
        for _ in range(LARGEST_BODY_BYTES // 1000 * 2):
            body.add(b"x" * 999 + b"\n")
        body.end()
        body.end()
        logged = log.facts("http_body")
        size = sum(len(each["text"]) for each in logged)
        assert LARGEST_BODY_BYTES - 1000 <= size <= LARGEST_BODY_BYTES
        assert [each["left_out_bytes"] for each in logged if "left_out_bytes" in each] == [
            LARGEST_BODY_BYTES // 1000 * 2000 - LARGEST_BODY_BYTES
        ]

    @given(st.binary(max_size=300), st.lists(st.integers(1, 40)))
    def test_is_whole_however_it_is_cut(self, content, sizes):
        log = NotedEvents()
        body = LoggedBody(log, "received", lambda: 0.0)
        rest = content
        for size in sizes:
            body.add(rest[:size])
            rest = rest[size:]
        body.add(rest)
        body.end()
        text = "".join(each["text"] for each in log.facts("http_body"))
        assert text == shown_body(content.decode("utf-8", "replace"))


class TestWhatCarriesAKey:
    @pytest.mark.parametrize(
        "name",
        [
            *(
                "Authorization",
                "Proxy-Authorization",
                "api-key",
                "X-Api-Key",
                "x-goog-api-key",
                "Cookie",
                "Set-Cookie",
            ),
            *(
                "X-Auth-Token",
                "x-amz-security-token",
                "ocp-apim-subscription-key",
                "X-Secret",
                "apikey",
                "X-Signature",
            ),
        ],
    )
    def test_is_not_shown_of_headers(self, name):
        assert shown_headers([(name, KEY)]) == [f"{name}: [key]"]

    @pytest.mark.parametrize(
        "name", ["x-ratelimit-remaining-tokens", "retry-after", "x-request-id", "openai-model"]
    )
    def test_is_not_seen_in_harmless_headers(self, name):
        assert shown_headers({name: "17"}) == [f"{name}: 17"]

    def test_is_not_shown_of_urls(self):
        url = f"https://me:{KEY}@host.example/v1/chat?key={KEY}&api-version=2024-10-21&flag#{KEY}"
        assert shown_url(url) == "https://host.example/v1/chat?key=[key]&api-version=2024-10-21&flag"
        assert shown_headers({"location": url}) == [f"location: {shown_url(url)}"]
        assert shown_headers({"location": f"/next?key={KEY}"}) == ["location: /next?key=[key]"]

    def test_is_not_shown_of_urls_in_any_header(self):
        link = f'<https://me:{KEY}@host.example/n?token={KEY}>; rel="next", <https://host.example/p>'
        assert shown_headers({"link": link}) == [
            'link: <https://host.example/n?token=[key]>; rel="next", <https://host.example/p>'
        ]

    def test_is_not_shown_of_fields(self):
        text = json.dumps({"api_key": KEY, "model": "small", "nested": {"access_token": 'a"' + KEY}})
        assert json.loads(shown_body(text)) == {
            "api_key": "[key]",
            "model": "small",
            "nested": {"access_token": "[key]"},
        }

    @given(st.text(), st.text())
    def test_is_not_shown_of_fields_in_a_text_of_json(self, before, after):
        arguments = json.dumps({"text": before, "api_key": f"{before}{KEY}{after}", "more": after})
        text = json.dumps({"arguments": arguments, "text": before})
        shown = json.loads(shown_body(text))
        assert json.loads(shown["arguments"]) == {"text": before, "api_key": "[key]", "more": after}
        assert shown["text"] == before

    @given(
        st.sampled_from(
            [
                *(
                    "authorization",
                    "api-key",
                    "cookie",
                    "set-cookie",
                    "proxy-authorization",
                    "x-request-id",
                    "location",
                ),
                *("url user", "url parameter", "url path", "field", "content", "chunks", "long body"),
            ]
        ),
        st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=20),
        st.integers(1, 60),
    )
    def test_never_reaches_the_log_wherever_it_stands(self, place, text, size):
        redactor = Redactor()
        redactor.add_key(KEY)
        written = []

        class Written(NotedEvents):
            def write(self, level, event, facts):
                super().write(level, event, facts)
                record = {"levelname": "DEBUG", "event": event, "facts": facts}
                written.append(formatter.format(logging.makeLogRecord(record)))

        formatter = JsonLineFormatter(redactor.redact)
        log = Written()
        wire = WireLog(log)
        url, headers, body = "https://host.example/v1/chat", {}, text.encode()
        match place:
            case "url user":
                url = f"https://me:{KEY}@host.example/v1"
            case "url parameter":
                url = f"{url}?sig={KEY}"
            case "url path":
                url = f"{url}/{KEY}"
            case "field":
                body = json.dumps({"text": text, "api_key": KEY, "password": f"{KEY}{text}"}).encode()
            case "content":
                body = json.dumps({"messages": [f"{text}{KEY}{text}"]}).encode()
            case "chunks" | "long body":
                body = f"data: {text}\n\ndata: {KEY}\n\n{text}".encode()
            case _:
                headers = {place: f"{KEY}{text}"}
        if place == "long body":
            body = b"x" * (LARGEST_BODY_BYTES - 18 - size) + body
        wire.sent("POST", url, headers.items(), body)
        wire.answered(200, headers.items())
        received = LoggedBody(log, "received", lambda: 0.0)
        for at in range(0, len(body), size if place != "long body" else 60_000):
            received.add(body[at : at + (size if place != "long body" else 60_000)])
        received.end()
        lines = "".join(written)
        assert KEY not in lines
        assert KEY[:12] not in lines
        assert len(written) >= 2
