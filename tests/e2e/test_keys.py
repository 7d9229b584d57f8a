"""Keys, from where they come to where they go."""

from __future__ import annotations

import json
import sys

import pytest

import chatcli
from scripted_server import Answer, event_stream, json_answer, serving_in_thread

FINE = Answer(event_stream("Fine."))
KEY = "sk-printed-by-a-program-1"
ENTER = "\r"


def configure(program, server, code, more=""):
    """Write a configuration whose key is printed by a Python program."""
    command = json.dumps([sys.executable, "-c", code])
    (program.config_folder / "config.toml").write_text(
        f'base_url = "{server.base_url}"\nmodel = "small"\ncontext_window = 4096\nkey_command = {command}\n{more}',
        encoding="utf-8",
    )


def logging_key(program):
    return f"open({str(program.working_folder / 'log')!r}, 'a').write('x'); print({KEY!r})"


def runs(program):
    log = program.working_folder / "log"
    return log.read_text() if log.exists() else ""


class TestCommand:
    def test_its_key_is_sent_and_shown_nowhere(self, program):
        with serving_in_thread(json_answer({"error": {"message": f"{KEY} is wrong"}}, status=401)) as server:
            configure(program, server, logging_key(program))
            done = program.run("Hi")
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
        assert done.exit_code == 4
        assert KEY not in done.stderr + done.stdout
        assert runs(program) == "x"

    def test_it_is_not_run_for_anything_but_a_request(self, program):
        with serving_in_thread(FINE) as server:
            configure(program, server, logging_key(program))
            shown = program.run("config", "show")
            program.run("sessions", "list")
            program.run("--dry-run", "--help")
        assert "run when a request needs it" in shown.stdout
        assert KEY not in shown.stdout
        assert runs(program) == ""

    def test_it_is_run_once_in_a_conversation_and_not_before_the_first_question(self, program, terminal):
        with serving_in_thread(FINE, FINE, FINE) as server:
            configure(program, server, logging_key(program))
            with terminal() as screen:
                screen.wait_for("/help lists the commands")
                screen.settle()
                assert runs(program) == ""
                screen.type("Hi" + ENTER)
                screen.wait_for("Fine.")
                screen.type("/model small" + ENTER)
                screen.wait_for("model: small")
                screen.type("And now?" + ENTER)
                screen.wait_for("And now?")
        assert runs(program) == "x"
        assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {KEY}"}

    def test_it_may_ask_the_person_in_a_conversation(self, program, terminal):
        code = "import sys; sys.stderr.write('Passphrase: '); sys.stderr.flush(); print('sk-' + input())"
        with serving_in_thread(FINE) as server:
            configure(program, server, code)
            with terminal() as screen:
                screen.wait_for("/help lists the commands")
                screen.type("Hi" + ENTER)
                screen.wait_for("Passphrase:")
                screen.type("opensesame\n")
                screen.wait_for("Fine.")
        assert server.requests[-1].headers["authorization"] == "Bearer sk-opensesame"

    def test_ctrl_c_ends_it_and_the_conversation_goes_on(self, program, terminal):
        code = "import sys, time; sys.stderr.write('Passphrase: '); sys.stderr.flush(); time.sleep(600)"
        with serving_in_thread(FINE) as server:
            configure(program, server, code)
            with terminal() as screen:
                screen.wait_for("/help lists the commands")
                screen.type("Hi" + ENTER)
                screen.wait_for("Passphrase:")
                screen.type("\x03")
                screen.wait_for("key_command: python")
                screen.type("/session" + ENTER)
                screen.wait_for("turns  0")
        assert server.requests == []

    @pytest.mark.parametrize(
        ("code", "words"),
        [("raise SystemExit(7)", "failed with exit code 7"), ("print('')", "printed no key")],
    )
    def test_its_failure_is_a_mistake_of_the_configuration_with_a_hint(self, program, code, words):
        with serving_in_thread(FINE) as server:
            configure(program, server, code)
            done = program.run("Hi")
        assert done.exit_code == 3
        assert words in done.stderr
        assert "→ run it in a terminal" in done.stderr
        assert server.requests == []

    def test_its_key_does_not_go_to_another_endpoint(self, program):
        with serving_in_thread(FINE) as server, serving_in_thread(FINE) as other:
            configure(program, server, logging_key(program))
            done = program.run("--base-url", other.base_url, "Hi")
        assert done.stdout == "Fine.\n"
        assert "authorization" not in other.requests[0].headers
        assert runs(program) == ""

    def test_doctor_names_it_and_checks_its_key(self, program):
        models = json_answer({"data": [{"id": "small", "object": "model"}]})
        with serving_in_thread(choose=lambda request: models if request.method == "GET" else FINE) as server:
            configure(program, server, logging_key(program))
            done = program.run("doctor")
        assert "a key is set (config.toml key_command python" in done.stdout
        assert KEY not in done.stdout + done.stderr
        assert runs(program) == "x"

    def test_from_python_it_is_run_only_with_the_persons_configuration(self, program, monkeypatch):
        with serving_in_thread(FINE, FINE, FINE) as server:
            configure(program, server, logging_key(program))
            for name, value in program.environment().items():
                monkeypatch.setenv(name, value)
            monkeypatch.chdir(program.working_folder)
            assert chatcli.ask("Hi", base_url=server.base_url, model="small").text == "Fine."
            assert runs(program) == ""
            assert chatcli.ask("Hi", config=True).text == "Fine."
            assert chatcli.ask("Hi", config=True).text == "Fine."
            with pytest.raises(chatcli.UsageError, match="only read from config"):
                chatcli.ask("Hi", base_url=server.base_url, settings={"key_command": [sys.executable]})
        assert runs(program) == "x"


def test_a_server_in_the_local_network_works_over_http_without_a_key(program):
    """No key, no question about encryption: what is refused is sending a key in clear."""
    with serving_in_thread(FINE) as server:
        lan = server.base_url.replace("127.0.0.1", "desk.lan")
        proxy = server.base_url.removesuffix("/v1")
        done = program.run(
            "--base-url", lan, "-m", "small", "Hi", HTTP_PROXY=proxy, CHATCLI_CONTEXT_WINDOW="4096"
        )
        refused = program.run(
            "-m", "small", "Hi", HTTP_PROXY=proxy, CHATCLI_BASE_URL=lan, CHATCLI_API_KEY="sk-12345678"
        )
    assert done.stdout == "Fine.\n"
    assert refused.exit_code == 3
    assert "unencrypted" in refused.stderr
    assert len(server.requests) == 1
