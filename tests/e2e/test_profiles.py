"""Profiles, as they are typed."""

from __future__ import annotations

import sys

import pytest

from e2e.program import asked, command
from scripted_server import Answer, event_stream, json_answer, serving_in_thread

FINE = Answer(event_stream("Fine."))


def configure(program, server):
    (program.config_folder / "config.toml").write_text(
        f'base_url = "{server.base_url}"\nmodel = "small"\ncontext_window = 4096\n'
        '[profiles.desk]\nmodel = "large"\nsystem = "Be brief."\ntemperature = 0\nmax_tokens = 9\napi_key = "sk-12345678"\n'
        f'base_url = "{server.base_url}"\n',
        encoding="utf-8",
    )


def test_a_profile_brings_all_that_belongs_together(program):
    with serving_in_thread(FINE) as server:
        configure(program, server)
        program.run("-p", "desk", "Hi")
        program.run("-p", "desk", "-m", "small", "Hi")
    first, second = server.requests[-2:]
    assert (first.json["model"], first.json["temperature"]) == ("large", 0)
    assert first.headers["authorization"] == "Bearer sk-12345678"
    assert asked(server)[0] == ("system", "Be brief.")
    assert second.json["model"] == "small"


def test_a_profile_named_for_this_call_counts_in_a_session_that_is_resumed(program):
    with serving_in_thread(FINE) as server:
        configure(program, server)
        program.run("-s", "trip", "-S", "Talk like a pirate.", "Hi")
        program.run("-s", "trip", "-p", "desk", "Hi")
        assert server.requests[-1].json["model"] == "large"
        assert asked(server)[0] == ("system", "Be brief.")
        program.run("-s", "trip", "Hi")
    # What was asked last is what a session goes on with.
    assert server.requests[-1].json["model"] == "large"
    assert asked(server)[0] == ("system", "Be brief.")


def test_a_profile_the_configuration_chooses_leaves_a_session_its_system_prompt(program):
    with serving_in_thread(FINE) as server:
        configure(program, server)
        program.run("-s", "trip", "-S", "Talk like a pirate.", "Hi")
        program.run("-s", "trip", "Hi", CHATCLI_PROFILE="desk")
    assert asked(server)[0] == ("system", "Talk like a pirate.")


def test_a_profile_there_is_not_names_the_nearest(program):
    with serving_in_thread(FINE) as server:
        configure(program, server)
        done = program.run("-p", "dsek", "Hi")
    assert (done.exit_code, done.stdout, server.requests) == (2, "", [])
    assert done.stderr == ("error: flag --profile: config.toml has no profile 'dsek'\n→ did you mean desk?\n")


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal of POSIX")
def test_line_by_line_the_profile_in_use_is_reported_in_words(program):
    from e2e.pseudo_terminal import on_terminal  # noqa: PLC0415 - unknown on Windows

    with serving_in_thread(FINE) as server:
        configure(program, server)
        with on_terminal(
            command("--plain"), environment=program.environment(), folder=program.working_folder
        ) as screen:
            screen.wait_for("leaves.\nYou:")
            screen.type("/profile desk\n")
            screen.wait_for(f"large at 127.0.0.1:{server.port} (profile desk)")
            screen.type("/profile\n")
            screen.wait_for("desk: in use, large, 127.0.0.1")
            screen.type("/exit\n")
            assert screen.wait_for_exit() == 0


def models_asked(server):
    return [request.json["model"] for request in server.requests if request.method == "POST"]


def test_a_session_goes_on_with_the_model_it_was_last_asked_with(program):
    with serving_in_thread(*[FINE] * 6) as server:
        program.run("-m", "large", "-s", "trip", "One?", server=server)
        again = program.run("-s", "trip", "Two?", server=server)
        last = program.run("-c", "-q", "Three?", server=server)
        program.run("-m", "tiny", "-c", "Four?", server=server)
        program.run("-c", "Five?", server=server, CHATCLI_MODEL="tiny")
        program.run("Another?", server=server)
        assert models_asked(server) == ["large", "large", "large", "tiny", "tiny", "small"]
    assert again.stderr.splitlines() == [
        "model large, as before in this conversation (-m or /model changes it)"
    ]
    assert last.stderr == ""


def test_a_model_of_another_endpoint_is_not_asked_for_by_its_name(program):
    with serving_in_thread(FINE) as there:
        program.run("-m", "large", "-s", "trip", "One?", server=there)
        host = there.base_url.removeprefix("http://").removesuffix("/v1")
    with serving_in_thread(FINE, FINE) as here:
        done = program.run("-s", "trip", "Two?", server=here)
        again = program.run("-s", "trip", "Three?", server=here)
        assert models_asked(here) == ["small", "small"]
    assert f"; before it was large at {host} (-m or /model changes it)" in done.stderr
    assert again.stderr == ""


def test_a_model_that_another_endpoint_offers_as_well_is_asked_there(program):
    with serving_in_thread(FINE) as there:
        program.run("-m", "large", "-s", "trip", "One?", server=there)
    offered = json_answer({"object": "list", "data": [{"id": "first"}, {"id": "large"}]})
    with serving_in_thread(choose=lambda request: offered if request.method == "GET" else FINE) as here:
        program.run("-s", "trip", "Two?", CHATCLI_BASE_URL=here.base_url, CHATCLI_CONTEXT_WINDOW="4096")
        assert models_asked(here) == ["large"]
