"""What the model sees, looked at in a terminal and line by line."""

from __future__ import annotations

import json
import re
import sys

import pytest

from e2e.program import asked
from scripted_server import Answer, event_stream, json_answer, serving_in_thread

PARIS = Answer(event_stream("Paris."))
MADRID = Answer(event_stream("Madrid."))
MODELS = json_answer({"data": [{"id": "small", "context_length": 4096}]})
ENTER = "\r"


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal of POSIX")
@pytest.mark.parametrize("columns", [80, 40])
def test_context_is_a_bar_and_a_table_as_wide_as_the_terminal(program, terminal, columns):
    with (
        serving_in_thread(PARIS, MADRID) as server,
        terminal("-s", "trip", "-S", "Be brief.", server=server, columns=columns) as screen,
    ):
        screen.wait_for("\n>")
        screen.type("France?" + ENTER)
        screen.wait_for("Paris.\n\n>")
        screen.type("/note I am Ada." + ENTER)
        screen.wait_for("removes it")
        screen.type("/context" + ENTER)
        screen.wait_for("strategy truncate: the newest turns")
        rows = screen.shown.split("\n")
        (bar,) = (row for row in rows if row.startswith("[S"))
        assert len(bar) == min(columns - 1, 78)
        assert bar.strip("[]").lstrip("SNTt").strip(".").strip("A") == ""
        assert any(row.startswith("N  notes") for row in rows)
        assert any(row.startswith("T  turn 1: France?") for row in rows)


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal of POSIX")
@pytest.mark.parametrize(
    ("how", "row"),
    [
        ({"TERM": "dumb"}, r"T  turn 1: France\?"),
        # Until the vocabulary is loaded, the count is an estimate.
        ({"CHATCLI_PLAIN": "1"}, r"Turn 1, (about )?12 tokens: France\?"),
    ],
    ids=["dumb", "plain"],
)
def test_line_by_line_it_is_the_same_table_and_read_aloud_it_is_sentences(program, terminal, how, row):
    with serving_in_thread(PARIS) as server, terminal("-s", "trip", server=server, **how) as screen:
        screen.type("France?" + ENTER)
        screen.wait_for("Paris.")
        screen.type("/context" + ENTER)
        screen.wait_for("trategy truncate")
        assert re.search(row, screen.shown)
        assert ("[T" in screen.shown) is ("TERM" in how)


def test_a_dry_run_tells_the_parts(program):
    with serving_in_thread(PARIS) as server:
        program.run("-s", "trip", "France?", server=server)
        done = program.run("-s", "trip", "--dry-run", "Spain?", server=server)
    assert '"kind": "turn"' in done.stdout
    assert '"left_out": []' in done.stdout
    assert asked(server) == [("user", "France?")]


@pytest.mark.parametrize(
    ("model", "owner", "window"),
    [
        ("deepseek/deepseek-v4-flash", "openai", 65_536),
        ("qwen3:8b", "library", 16_384),
        ("nobody-knows-it", "openai", 32_768),
    ],
)
def test_a_conversation_is_fitted_into_the_window_the_model_has(program, model, owner, window):
    answers = {
        "/v1/models": json_answer({"data": [{"id": model, "owned_by": owner}]}),
        "/api/ps": json_answer({"models": [{"name": model, "context_length": window}]}),
        "/api/show": json_answer({}),
    }
    with serving_in_thread(choose=lambda request: answers.get(request.path, PARIS)) as server:
        done = program.run("-o", "jsonl", "-m", model, "--base-url", server.base_url, "Hi")
    fitted = next(
        event for event in map(json.loads, done.stdout.splitlines()) if event["type"] == "context_fitted"
    )
    assert fitted["budget_tokens"] >= window - 4096
    assert done.exit_code == 0
