"""What ``--debug`` prints: where it went wrong, nothing that acts on a terminal, and no key, whoever repeats it."""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest

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
        done = program.run(*("--debug", "Hi"), server=server, CHATCLI_API_KEY=KEY, CHATCLI_RETRIES="0")
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


SIGNED_KEY = f"sk-proj-{BODY}+/="
ENCODED = {
    "as it is": SIGNED_KEY,
    "percent": quote(SIGNED_KEY, safe=""),
    "all percent": "".join(f"%{ord(c):02X}" for c in SIGNED_KEY),
    "unicode": "".join(f"\\u{ord(c):04x}" for c in SIGNED_KEY),
    "hex": SIGNED_KEY.encode().hex(),
    "base64": b64encode(SIGNED_KEY.encode()).decode(),
    "base64 of the header": b64encode(f"Bearer {SIGNED_KEY}".encode()).decode().rstrip("="),
    "base64 for URLs": urlsafe_b64encode(SIGNED_KEY.encode()).decode(),
}


@pytest.mark.parametrize(
    "arguments",
    [
        ["Hi"],
        ["--debug", "Hi"],
        ["-o", "json", "Hi"],
        ["-v", "-o", "jsonl", "Hi"],
        ["doctor"],
        ["doctor", "-o", "json"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("status", [401, 429])
def test_no_way_out_shows_a_key_however_the_server_spells_it(program, arguments, status):
    content = json.dumps(
        {"error": {"message": " ".join(ENCODED.values()), "code": ENCODED["base64"], "type": ENCODED["hex"]}}
    ).encode()
    head = f"HTTP/1.1 {status} {ENCODED['percent']}\r\nx-request-id: {SIGNED_KEY}\r\nconnection: close\r\n"
    answer = raw(f"{head}retry-after: 0\r\ncontent-length: {len(content)}\r\n\r\n".encode(), content)
    with serving_in_thread(*[answer] * 4) as server:
        done = program.run(*arguments, server=server, CHATCLI_API_KEY=SIGNED_KEY, CHATCLI_RETRIES="1")
    assert done.exit_code in {4, 6, 13}
    shown = f"{done.stdout}{done.stderr}".lower()
    assert "[key]" in shown
    assert [name for name, text in ENCODED.items() if text[8:40].lower() in shown] == []
