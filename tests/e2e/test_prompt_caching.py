"""Claude behind a compatible gateway: what it caches, and what that saves."""

from __future__ import annotations

import json

import pytest

from scripted_server import Answer, event_stream, json_answer, serving_in_thread

LONG = "Be brief. " * 300
PRICES = '[prices."claude-x"]\ninput = 100\ncached = 10\noutput = 100\n'
OPENROUTER = {
    "prompt_tokens": 1_000,
    "completion_tokens": 10,
    "prompt_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 200},
}
LITELLM = {
    "prompt_tokens": 1_000,
    "completion_tokens": 10,
    "prompt_tokens_details": {"cached_tokens": 600},
    "cache_creation_input_tokens": 200,
    "cache_read_input_tokens": 600,
}
COST = (200 * 100 + 600 * 10 + 200 * 125 + 10 * 100) / 1_000_000


def counted(usage):
    *words, done = event_stream("Paris.", model="claude-x")
    chunk = {"object": "chat.completion.chunk", "model": "claude-x", "choices": [], "usage": usage}
    return Answer([*words, f"data: {json.dumps(chunk)}\n\n".encode(), done])


@pytest.mark.parametrize("usage", [OPENROUTER, LITELLM], ids=["OpenRouter", "LiteLLM"])
def test_what_is_read_and_written_is_priced_and_reported(program, usage):
    (program.config_folder / "config.toml").write_text(PRICES)
    with serving_in_thread(counted(usage)) as server:
        arguments = ("-m", "claude-x", "-S", LONG, "-s", "trip")
        result = json.loads(program.run(*arguments, "-o", "json", "Capital?", server=server).stdout)
        shown = program.run(*arguments, "-v", "Capital?", server=server)
        first, second = server.requests[-2:]
    assert result["cost_usd"] == pytest.approx(COST)
    assert result["usage"]["cached_tokens"] == 600
    assert result["usage"]["cache_write_tokens"] == 200
    assert "1,000 in (600 cached, 200 written to its cache)" in shown.stderr
    assert [isinstance(each["content"], list) for each in first.json["messages"]] == [True, False]
    assert [isinstance(each["content"], list) for each in second.json["messages"]] == [
        True,
        False,
        True,
        True,
    ]


def test_a_dry_run_shows_the_marks(program):
    with serving_in_thread() as server:
        done = program.run("-m", "claude-x", "-S", LONG, "--dry-run", "Capital?", server=server)
    messages = json.loads(done.stdout)["request"]["messages"]
    assert [isinstance(each["content"], list) for each in messages] == [True, False]


def test_it_can_be_turned_off(program):
    (program.config_folder / "config.toml").write_text("prompt_caching = false\n")
    with serving_in_thread(counted(OPENROUTER)) as server:
        program.run("-m", "claude-x", "-S", LONG, "Capital?", server=server)
        assert server.requests[-1].json["messages"][0]["content"] == LONG


def test_a_gateway_that_takes_no_marks_is_asked_without_them_from_then_on(program):
    refused = json_answer(
        {"error": {"message": "messages.0.content.0.cache_control: Extra inputs are not permitted"}},
        status=400,
    )
    with serving_in_thread(refused, counted(OPENROUTER), counted(OPENROUTER)) as server:
        first, second = (
            program.run("-m", "claude-x", "-S", LONG, "Capital?", server=server) for _ in range(2)
        )
        sent = [
            request.json["messages"][0]["content"] for request in server.requests if request.method == "POST"
        ]
    assert (first.stdout, second.stdout) == ("Paris.\n", "Paris.\n")
    assert "does not take marks for its prompt cache" in first.stderr
    assert second.stderr == ""
    assert [isinstance(content, list) for content in sent] == [True, False, False]
