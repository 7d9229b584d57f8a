"""What ``--debug`` prints: where it went wrong, nothing that acts on a terminal, and no key, whoever repeats it."""

from __future__ import annotations

import json
import re

import pytest

from e2e.program import NO_BYTECODE
from scripted_server import Answer, event_stream, json_answer, raw, serving_in_thread

BODY = "Ab3dEf6hIj9lMn2pQr5tUv8xYz1aBc4d"
KEY = f"sk-proj-{BODY}"
SHORTENED = f"sk-proj-{BODY[:4]}***{BODY[-4:]}"
HOSTILE = "\x1b]0;owned\x07\u202e"

HEAD = f"x-request-id: {KEY}\x1b[2J\r\nwww-authenticate: Bearer {KEY}\r\nconnection: close\r\n"
BODIES = {
    "whole": f"bad key {KEY}",
    "shortened": f"Incorrect API key provided: {SHORTENED}. You can find your API key at https://x.example.",
    "in part": f"no such key: {BODY[3:20]}",
    "lower case": f"{KEY.lower()} is unknown {HOSTILE}",
}


def answered(status, body):
    content = json.dumps({"error": {"message": body}}, ensure_ascii=False).encode()
    head = f"HTTP/1.1 {status} No {KEY} {SHORTENED}\r\ncontent-type: application/json\r\n{HEAD}"
    return raw(f"{head}content-length: {len(content)}\r\n\r\n".encode(), content)


ANSWERS = {
    f"{status} {name}": answered(status, body) for status in (400, 401, 500) for name, body in BODIES.items()
}
ANSWERS |= {
    "in the stream": Answer(
        [b"data: " + json.dumps({"error": {"message": BODIES["shortened"] + HOSTILE}}).encode()]
    ),
    "broken json": Answer([f'data: {{"choices": "{KEY} {SHORTENED} {BODY[5:]}'.encode() + b"\x1b[2J\n\n"]),
    "a page": Answer(
        [f"<html>{KEY} {BODY[6:25]}\x1b[2J</html>".encode()], 502, {"content-type": "text/html"}
    ),
    "no http": raw(f"{KEY} {BODY[6:25]} \x1b[2J\r\n\r\n".encode()),
    "a redirect": Answer([b""], 302, {"location": f"https://x.example/?key={KEY}"}),
    "a bad header": raw(f"HTTP/1.1 200 OK\r\n{KEY}\x1b[2J\r\n\r\n".encode()),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_debug_shows_no_key_and_nothing_unsanitized(program, name):
    with serving_in_thread(ANSWERS[name]) as server:
        done = program.run(
            *("--debug", "Hi"), server=server, CHATCLI_API_KEY=KEY, CHATCLI_RETRIES="0", **NO_BYTECODE
        )
    assert done.exit_code not in {0, 1}
    assert "Traceback" in done.stderr
    assert leaks(done.stderr) == []
    assert re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", done.stderr) is None


def test_a_key_with_a_password_of_a_proxy_beside_it_is_in_no_traceback(program):
    with serving_in_thread(raw(b"HTTP/1.1 407 no\r\n\r\n")) as proxy:
        done = program.run(
            *("--debug", "-m", "small", "--base-url", "https://host.example/v1", "Hi"),
            HTTPS_PROXY=f"http://ada:hunter2pass@127.0.0.1:{proxy.port}",
            CHATCLI_API_KEY=KEY,
            CHATCLI_BASE_URL="https://host.example/v1",
            CHATCLI_RETRIES="0",
            CHATCLI_CONTEXT_WINDOW="4096",
        )
    assert "Traceback" in done.stderr
    assert "hunter2pass" not in done.stderr
    assert leaks(done.stderr) == []


def test_a_key_that_is_just_being_given_is_in_no_traceback(program):
    refused = json_answer({"error": {"message": BODIES["shortened"]}}, status=401)
    with serving_in_thread(refused) as server:
        done = program.run("config", "login", "--debug", "--base-url", server.base_url, stdin=KEY)
    assert done.exit_code == 4
    assert "Traceback" in done.stderr
    assert leaks(done.stderr) == []


def test_without_a_failure_debug_adds_nothing(program):
    with serving_in_thread(Answer(event_stream("Paris."))) as server:
        done = program.run("--debug", "Hi", server=server, CHATCLI_API_KEY=KEY)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "Paris.\n", "")


def leaks(text):
    """Return the parts of the key of 12 characters that ``text`` holds, and its ends around a mask."""
    lowered = text.lower()
    parts = [BODY[at : at + 12] for at in range(len(BODY) - 11)]
    return [part for part in [*parts, f"{BODY[:4]}*", f"*{BODY[-4:]}"] if part.lower() in lowered]
