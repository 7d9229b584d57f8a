"""What stands around a model, in the whole program: stand-ins, limits, refused parameters, the second API."""

from __future__ import annotations

import json

import pytest

from e2e.program import records_of
from scripted_server import CUT, Answer, event_stream, json_answer, serving_in_thread, text_events

PARIS = Answer(event_stream("Paris."))
BUSY = Answer(status=503)
NO_TEMPERATURE = json_answer(
    {"error": {"message": "Unsupported parameter", "code": "unsupported_parameter", "param": "temperature"}},
    status=400,
)


def write_config(program, text: str) -> None:
    (program.config_folder / "config.toml").write_text(text, encoding="utf-8")


def test_a_profile_stands_in_with_its_own_endpoint_key_and_model(program):
    with serving_in_thread(BUSY) as first, serving_in_thread(PARIS) as spare:
        write_config(
            program,
            'fallback = ["spare"]\n'
            f'[profiles.spare]\nbase_url = "{spare.base_url}"\napi_key = "sk-spare"\nmodel = "other"\n',
        )
        done = program.run("Capital?", server=first, CHATCLI_RETRIES="0")
    assert (done.stdout, done.exit_code) == ("Paris.\n", 0)
    assert "503 Service Unavailable; asking spare instead" in done.stderr
    assert spare.requests[0].json["model"] == "other"
    assert spare.requests[0].headers["authorization"] == "Bearer sk-spare"
    assert "authorization" not in first.requests[0].headers
    (path,) = program.session_paths
    assert records_of(path)[-1]["model"] == "small"


def test_a_profile_that_cannot_be_asked_is_passed_over(program):
    with serving_in_thread(BUSY, PARIS) as server:
        write_config(
            program, 'fallback = ["work", "other"]\n[profiles.work]\nbase_url = "https://api.openai.com/v1"\n'
        )
        done = program.run("Capital?", server=server, CHATCLI_RETRIES="0")
    assert done.stdout == "Paris.\n"
    assert "no key is set for api.openai.com; asking other instead" in done.stderr
    assert server.requests[1].json["model"] == "other"


def test_a_refused_parameter_is_not_sent_again_by_the_next_run(program):
    with serving_in_thread(NO_TEMPERATURE, PARIS) as server:
        for expected in ("small does not accept temperature; retried without it", ""):
            done = program.run("-t", "0.5", "Capital?", server=server)
            assert done.stdout == "Paris.\n"
            assert expected in done.stderr
    assert ["temperature" in request.json for request in server.requests] == [True, False, False]


def test_a_limit_the_server_told_is_waited_for_and_said(program):
    limits = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1200ms"}
    cut = Answer([*text_events("Par"), CUT], headers=limits)
    with serving_in_thread(cut, PARIS) as server:
        done = program.run("-o", "jsonl", "Capital?", server=server, CHATCLI_AUTO_CONTINUE="1")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["text"] == "Paris."
    assert "rate limit of requests (1 s left)" in [event.get("reason") for event in events]


def test_the_second_api_gives_the_same_events(program):
    def event(kind: str, **fields: object) -> bytes:
        return b"data: " + json.dumps({"type": kind, **fields}).encode() + b"\n\n"

    response = {"status": "completed", "model": "small", "usage": {"input_tokens": 5, "output_tokens": 1}}
    script = [
        event("response.output_text.delta", delta="Paris.", output_index=0),
        event("response.completed", response=response),
    ]
    with serving_in_thread(Answer(script)) as server:
        done = program.run("--api", "responses", "-o", "jsonl", "Capital?", server=server)
        assert server.requests[0].path == "/v1/responses"
    events = [json.loads(line) for line in done.stdout.splitlines()]
    # On a busy machine the answer may have to be waited for.
    assert [event["type"] for event in events if event["type"] != "waiting"] == [
        "turn_started",
        "context_fitted",
        "text_delta",
        "turn_finished",
    ]
    assert events[-1]["usage"]["input_tokens"] == 5


def test_a_dry_run_shows_the_request_of_the_api_that_would_be_asked(program):
    with serving_in_thread(PARIS) as server:
        done = program.run("--api", "responses", "--dry-run", "Hi", server=server)
    assert json.loads(done.stdout)["request"]["input"] == [{"role": "user", "content": "Hi"}]
    assert server.requests == []


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_a_dry_run_shows_the_very_body_that_is_sent(program, api):
    options = [
        *("-O", "top_k=4", "-O", "temperature=0.1", "-O", 'tools=[{"type": "web_search"}]'),
        *("-t", "0.5", "--seed", "7", "--max-tokens", "9", "--reasoning", "low", "--verbosity", "low"),
        *("--system", "Be brief."),
    ]
    with serving_in_thread(PARIS) as server:
        dry = program.run("--api", api, *options, "--dry-run", "Hi", server=server)
        program.run("--api", api, *options, "Hi", server=server)
        sent = next(request.json for request in server.requests if request.method == "POST")
    assert json.loads(dry.stdout)["request"] == sent
    assert sent["top_k"] == 4
    assert sent["temperature"] == 0.1


def test_a_dry_run_leaves_out_what_the_model_is_known_not_to_take(program):
    refused = json_answer(
        {
            "error": {
                "message": "Unsupported parameter: 'seed'",
                "code": "unsupported_parameter",
                "param": "seed",
            }
        },
        status=400,
    )
    with serving_in_thread(refused, PARIS) as server:
        program.run("--seed", "7", "Hi", server=server)
        dry = program.run("--seed", "7", "--dry-run", "Hi", server=server)
        sent = [request.json for request in server.requests if request.method == "POST"][-1]
    assert json.loads(dry.stdout)["request"] == sent
    assert "seed" not in sent
