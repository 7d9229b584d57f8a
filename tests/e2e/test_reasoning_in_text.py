"""Reasoning that a server leaves in the text of an answer: not in the answer, wherever that goes."""

from __future__ import annotations

import json
import signal
import sys
import time

import pytest

from e2e.program import asked, records_of
from scripted_server import (
    HOLD,
    Answer,
    event_stream,
    json_answer,
    reasoning_events,
    serving_in_thread,
    text_events,
)

CODE = "```python\nx = 1\n```\n"
OPENED = ("<think>\nh", "m\n</th", "ink>\n\nPa", "ris.")
UNOPENED = ("hm", ", hm\n</th", "ink>\n\nPa", "ris.")
CHANNELS = ("<|channel|>analysis<|message|>hm.<|end|><|start|>assistant<|channel|>final<|mess", "age|>Paris.")
NOTICE = "the text before </think> is reasoning, not the answer\n"

MARKED = pytest.mark.parametrize("chunks", [OPENED, CHANNELS], ids=["tags", "channels"])


def answer(*chunks, finish_reason="stop"):
    return Answer(event_stream(*chunks, finish_reason=finish_reason))


def whole(text):
    message = {"role": "assistant", "content": text}
    return json_answer({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})


class TestInAPipe:
    @MARKED
    def test_only_the_answer_is_written_and_stored(self, program, chunks):
        with serving_in_thread(answer(*chunks)) as server:
            done = program.run("Capital?", server=server)
        assert (done.exit_code, done.stdout, done.stderr) == (0, "Paris.\n", "")
        assert program.saved == [("user", "Capital?"), ("assistant", "Paris.")]

    @MARKED
    def test_it_is_not_sent_back(self, program, chunks):
        with serving_in_thread(answer(*chunks)) as server:
            program.run("-s", "trip", "Capital?", server=server)
            program.run("-s", "trip", "And of Spain?", server=server)
        assert asked(server) == [("user", "Capital?"), ("assistant", "Paris."), ("user", "And of Spain?")]

    @pytest.mark.parametrize(
        "chunks", [OPENED, UNOPENED, CHANNELS], ids=["tags", "no opening tag", "channels"]
    )
    def test_an_answer_in_one_piece_is_the_answer_alone(self, program, chunks):
        with serving_in_thread(whole("".join(chunks))) as server:
            done = program.run("--no-stream", "Capital?", server=server)
        assert (done.exit_code, done.stdout, done.stderr) == (0, "Paris.\n", "")

    def test_json_has_the_answer_alone(self, program):
        with serving_in_thread(answer(*UNOPENED)) as server:
            done = program.run("-o", "json", "Capital?", server=server)
        assert json.loads(done.stdout)["text"] == "Paris."
        assert done.stderr == ""

    @MARKED
    def test_json_lines_have_it_as_reasoning(self, program, chunks):
        with serving_in_thread(answer(*chunks)) as server:
            done = program.run("-o", "jsonl", "Capital?", server=server)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        text_of = lambda kind: "".join(event["text"] for event in events if event["type"] == kind)  # noqa: E731
        assert text_of("reasoning_delta").startswith("hm")
        assert text_of("text_delta") == events[-1]["text"] == "Paris."

    def test_json_lines_tell_when_text_turns_out_to_be_reasoning(self, program):
        with serving_in_thread(answer(*UNOPENED)) as server:
            done = program.run("-o", "jsonl", "Capital?", server=server)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        assert {"type": "text_reclassified", "text": "hm, hm\n", "is_reasoning": True} in events
        assert events[-1]["text"] == "Paris."

    @pytest.mark.parametrize("chunks", [OPENED, UNOPENED], ids=["tags", "no opening tag"])
    def test_code_is_extracted_from_the_answer(self, program, chunks):
        reasoning = "```python\nx = 0\n```\n"
        with serving_in_thread(answer(chunks[0], "\n", reasoning, *chunks[1:3], "\n", CODE)) as server:
            done = program.run("-x", "Code?", server=server)
        assert (done.exit_code, done.stdout, done.stderr) == (0, "x = 1\n", "")

    def test_left_in_the_text_it_is_text(self, program):
        with serving_in_thread(answer(*OPENED)) as server:
            done = program.run("Capital?", server=server, CHATCLI_THOUGHTS_IN_TEXT="off")
            program.run("-c", "Again?", server=server, CHATCLI_THOUGHTS_IN_TEXT="off")
        assert done.stdout == "<think>\nhm\n</think>\n\nParis.\n"
        assert asked(server)[1] == ("assistant", "<think>\nhm\n</think>\n\nParis.")

    def test_cut_at_the_token_limit_leaves_no_answer_and_says_so(self, program):
        with serving_in_thread(answer(*OPENED[:2], finish_reason="length")) as server:
            done = program.run("-o", "json", "Capital?", server=server)
        result = json.loads(done.stdout)
        assert (done.exit_code, result["text"], result["finish_reason"]) == (7, "", "length")
        assert done.stderr.splitlines() == [
            "the model sent reasoning but no answer",
            "cut at the token limit before the answer began: raise max_tokens",
        ]

    def test_beside_a_field_of_its_own_it_is_not_confused(self, program):
        script = [*reasoning_events("a"), *event_stream(*OPENED)]
        with serving_in_thread(Answer(script)) as server:
            done = program.run("Capital?", server=server)
        assert (done.stdout, done.stderr) == ("Paris.\n", "")


class TestWithoutItsOpeningTag:
    def test_it_is_closed_off_once_and_from_then_on_held_back(self, program):
        with serving_in_thread(answer(*UNOPENED)) as server:
            first = program.run("Capital?", server=server)
            second = program.run("Capital?", server=server)
        assert (first.stdout, first.stderr) == ("hm, hm\n</think>\n\nParis.\n", NOTICE)
        assert (second.stdout, second.stderr) == ("Paris.\n", "")
        assert [message for path in program.session_paths for message in _answers(path)] == ["Paris."] * 2

    def test_the_answer_may_come_without_any(self, program):
        with serving_in_thread(answer(*UNOPENED), answer("Paris", " is it.\n")) as server:
            program.run("Capital?", server=server)
            done = program.run("Capital?", server=server)
        assert (done.exit_code, done.stdout, done.stderr) == (0, "Paris is it.\n", "")

    def test_of_a_known_model_nothing_is_written_until_it_is_known(self, program):
        script = [*text_events("hm", "hm"), HOLD]
        with serving_in_thread(answer(*UNOPENED), Answer(script)) as server:
            program.run("Capital?", server=server)
            with program.started("Capital?", "-o", "jsonl", server=server) as process:
                assert process.stdout is not None
                # The reasoning has come, so has its time been to be written.
                while b"reasoning_delta" not in (line := process.stdout.readline()):
                    assert b"text_delta" not in line

    def test_rendered_it_is_closed_off_as_well(self, program):
        with serving_in_thread(answer(*UNOPENED)) as server:
            done = program.run("-o", "markdown", "Capital?", server=server)
        assert (done.stdout, done.stderr) == ("hm, hm\n</think>\n\nParis.\n", NOTICE)

    @pytest.mark.skipif(sys.platform == "win32", reason="a process is ended otherwise there")
    def test_a_killed_program_leaves_none_of_it_in_the_session(self, program):
        script = [*text_events("hm, hm\n"), 1.2, *text_events("</think>\n\nPar"), HOLD]
        with (
            serving_in_thread(Answer(script), answer("is.")) as server,
            program.started("-s", "trip", "Capital?", server=server) as process,
        ):
            path = program.data_folder / "sessions" / "trip.jsonl"
            _wait_until(lambda: path.exists() and "Par" in path.read_text())
            process.send_signal(signal.SIGKILL)
            process.wait()
            program.run("-s", "trip", "Go on", server=server)
        assert asked(server) == [("user", "Capital?"), ("assistant", "Par"), ("user", "Go on")]


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal of POSIX")
class TestInTheConversation:
    def test_it_is_folded_and_not_copied(self, terminal):
        with serving_in_thread(answer(*OPENED)) as server, terminal(server=server) as screen:
            screen.wait_for("\n>")
            screen.type("Capital?\r")
            screen.wait_for("Paris.")
            shown = "\n".join(screen.everything)
            assert "thought briefly (1 word)" in shown
            assert "<think>" not in shown
            screen.type("/copy\r")
            screen.wait_until_received("\x1b]52;c;UGFyaXMu\x07")

    def test_without_its_opening_tag_it_is_closed_off_and_then_folded(self, terminal):
        with serving_in_thread(answer(*UNOPENED)) as server, terminal(server=server) as screen:
            screen.wait_for("\n>")
            screen.type("Capital?\r")
            screen.wait_for("Paris.")
            shown = "\n".join(screen.everything)
            assert "hm, hm\n\nthe text above was reasoning\n\nParis." in shown
            screen.type("Again?\r")
            screen.wait_for("thought briefly (2 words)")
            screen.wait_for("thought briefly (2 words)\n\nParis.")
        assert asked(server)[:2] == [("user", "Capital?"), ("assistant", "Paris.")]

    def test_a_single_answer_folds_it(self, terminal):
        with serving_in_thread(answer(*CHANNELS)) as server, terminal("Capital?", server=server) as screen:
            assert screen.wait_for_exit() == 0
        assert "\n".join(screen.everything).strip() == "thought briefly (1 word)\n\nParis."


def _answers(path):
    return [
        record["message"]["parts"][0]["text"]
        for record in records_of(path)
        if record["type"] == "message" and record["message"]["role"] == "assistant"
    ]


def _wait_until(condition):
    for _ in range(1_000):
        if condition():
            return
        time.sleep(0.02)
    raise TimeoutError
