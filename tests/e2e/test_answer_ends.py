"""What comes beside the text of an answer, in the whole program: refusals, tool calls, pictures, sources."""

from __future__ import annotations

import json
import sys

import pytest

from e2e.program import records_of
from scripted_server import Answer, event_stream, serving_in_thread

ENTER, READY = "\r", "\n>"
LONG = "https://example.com/a/very-long/address-that-no-narrow-terminal/holds?in=one&row=true"


def chunk(delta: dict[str, object], **fields: object) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta}], **fields}).encode() + b"\n\n"


PARIS = Answer(event_stream("Paris."))
REFUSED = Answer([chunk({"refusal": "I cannot "}), chunk({"refusal": "say."}), *event_stream()[-2:]])
CITED = Answer(
    [
        chunk({"content": "Paris [1]."}),
        chunk(
            {},
            citations=["https://example.com/paris", LONG],
            search_results=[{"title": "All of \x1b[31mParis", "url": "https://example.com/paris"}],
        ),
        *event_stream()[-2:],
    ]
)
NO_REASON = Answer([*event_stream("Paris.")[:-2], b"data: [DONE]\n\n"])


def test_a_refusal_leaves_stdout_empty_and_is_kept_as_one(program):
    with serving_in_thread(REFUSED, PARIS) as server:
        refused = program.run("-s", "trip", "Capital?", server=server)
        assert (refused.stdout, refused.exit_code) == ("", 7)
        assert refused.stderr == "the model refused to answer: I cannot say.\n"
        program.run("-s", "trip", "And now?", server=server)
        sent = server.requests[-1].json["messages"]
    assert [(message["role"], message["content"]) for message in sent] == [
        ("user", "Capital?"),
        ("assistant", "I cannot say."),
        ("user", "And now?"),
    ]
    (path,) = program.session_paths
    parts = [record["message"]["parts"] for record in records_of(path) if record["type"] == "message"]
    assert parts[1] == [{"type": "refusal", "text": "I cannot say."}]


def test_sources_are_listed_beside_the_answer_in_a_pipe_and_kept(program):
    with serving_in_thread(CITED) as server:
        done = program.run("-s", "trip", "Capital?", server=server)
    assert (done.stdout, done.exit_code) == ("Paris [1].\n", 0)
    assert done.stderr.splitlines() == [
        "sources:",
        "[1] All of ␛[31mParis · https://example.com/paris",
        f"[2] {LONG}",
    ]
    (path,) = program.session_paths
    assert next(record["sources"] for record in records_of(path) if "sources" in record)[1] == {
        "n": 2,
        "title": "",
        "url": LONG,
    }


def test_an_endpoint_without_finish_reasons_is_reported_of_once(program):
    with serving_in_thread(NO_REASON, NO_REASON) as server:
        first, second = (program.run("Capital?", server=server) for _ in range(2))
    assert first.stdout == second.stdout == "Paris.\n"
    assert "sends no finish reason" in first.stderr
    assert second.stderr == ""
    assert first.exit_code == second.exit_code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal of POSIX")
class TestOnATerminal:
    def test_a_refusal_and_sources_stand_below_what_came_and_again_on_resuming(self, terminal):
        with serving_in_thread(REFUSED, CITED) as server:
            with terminal("-s", "trip", server=server) as screen:
                screen.wait_for(READY)
                screen.type("Capital?" + ENTER)
                screen.wait_for("> Capital?\n\nthe model refused to answer: I cannot say.\n\n>")
                screen.type("/copy" + ENTER)
                screen.wait_for("so there is no answer")
                screen.type("/exit" + ENTER)
                assert screen.wait_for_exit() == 0
            with terminal("-s", "trip", server=server) as screen:
                screen.wait_for("the model refused to answer: I cannot say.\n\n>")
                screen.type("And now?" + ENTER)
                listed = "Paris [1].\nsources:\n[1] All of ␛[31mParis · https://example.com/paris\n"
                screen.wait_for(listed)
                screen.type("/exit" + ENTER)
                assert screen.wait_for_exit() == 0
            with terminal("-s", "trip", server=server) as screen:
                shown = screen.wait_for("https://example.com/paris\n")
                assert "Paris [1].\n" in shown
                assert "sources:\n[1] All of ␛[31mParis · https://example.com/paris\n" in shown

    def test_an_address_is_not_broken_where_a_row_is_narrow(self, terminal):
        with serving_in_thread(CITED) as server, terminal(server=server, columns=60) as screen:
            screen.wait_for(READY)
            screen.type("Capital?" + ENTER)
            screen.wait_for("[1] All of ␛[31mParis · https://example.com/paris\n")
            screen.wait_for(f"[2]\n{LONG[:60]}\n{LONG[60:]}\n")

    def test_sources_are_read_aloud_as_words(self, terminal):
        with serving_in_thread(CITED) as server, terminal("--plain", "Capital?", server=server) as screen:
            assert screen.wait_for_exit() == 0
        assert "Sources:\nSource 1: All of ␛[31mParis, https://example.com/paris\n" in screen.shown
