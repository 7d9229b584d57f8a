"""Keys, from where they come to where they go."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap

import pytest

from e2e.program import asked
from scripted_server import Answer, event_stream, json_answer, serving_in_thread

FINE = Answer(event_stream("Fine."))
KEY = "sk-printed-by-a-program-1"
PASTED = "sk-proj-aB3dE5gH7jK9mN2pQ4rS6tU8vW0xY1zA3bC5dE7fG9hJ1kL3"
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


def python(program, script):
    """Run a Python script in the person's folders and return all it printed."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=program.environment(),
        cwd=program.working_folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


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

    @pytest.mark.parametrize("deaf", ["", "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "])
    def test_ctrl_c_ends_it_and_the_conversation_goes_on(self, program, terminal, deaf):
        code = (
            f"{deaf}import sys, time; sys.stderr.write('Passphrase: '); sys.stderr.flush(); time.sleep(600)"
        )
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

    def test_from_python_it_is_run_only_with_the_persons_configuration(self, program):
        with serving_in_thread(FINE, FINE, FINE) as server:
            configure(program, server, logging_key(program))
            script = f"""
                import os, chatcli
                url = {server.base_url!r}
                assert chatcli.ask("Hi", base_url=url, model="small").text == "Fine."
                assert not os.path.exists("log")
                assert chatcli.ask("Hi", config=True).text == "Fine."
                assert chatcli.ask("Hi", config=True).text == "Fine."
                try:
                    chatcli.ask("Hi", base_url=url, settings={{"key_command": ["pass"]}})
                except chatcli.UsageError as error:
                    print(error)
            """
            done = python(program, script)
        assert "only read from config" in done
        assert runs(program) == "x"


def test_an_exception_of_the_python_api_shows_no_key(program):
    refused = json_answer(
        {"error": {"message": f"bad key {KEY}, Authorization: Bearer other {PASTED}"}}, status=401
    )
    with serving_in_thread(refused) as server:
        script = f"""
            import chatcli, traceback
            try:
                chatcli.ask("Hi", base_url={server.base_url!r}, model="small", api_key={KEY!r}, settings={{"retries": 0}})
            except chatcli.KeyRefused as error:
                print(error, error.hint, error.provider_message, repr(error))
                traceback.print_exc()
            try:
                chatcli.ask("Hi", base_url="{PASTED} there", model="small")
            except chatcli.ChatcliError as error:
                traceback.print_exc()
        """
        done = python(program, script)
    assert done.count("Traceback") >= 2
    assert "[key]" in done
    assert KEY[:15] not in done
    assert PASTED[:20] not in done


def test_a_key_among_the_fields_of_the_request_is_refused_on_the_command_line_and_masked_elsewhere(program):
    with serving_in_thread(FINE) as server:
        refused = program.run("-O", "api_key=geheim", "Hi", server=server)
        shown = program.run("config", "show", server=server, CHATCLI_OPTIONS='{"api_key": "geheim"}')
        dry = program.run("--dry-run", "Hi", server=server, CHATCLI_OPTIONS='{"api_key": "geheim"}')
    assert refused.exit_code == 2
    assert "must not hold a key" in refused.stderr
    assert dry.exit_code == 0
    assert '"api_key": "…"' in dry.stdout
    assert "geheim" not in refused.stderr + shown.stdout + dry.stdout
    assert server.requests == []


def test_names_of_models_addresses_and_settings_are_listed_without_keys(program):
    listed = json_answer({"data": [{"id": f"m-{KEY}"}, {"id": "small"}]})
    with serving_in_thread(listed, listed, listed, listed, listed, listed) as server:
        (program.config_folder / "config.toml").write_text(
            f'base_url = "{server.base_url}"\nmodel = "small"\napi_key = "{KEY}"\ncontext_window = 4096\n'
            f'[profiles.work]\nbase_url = "{server.base_url}/{KEY}"\nsystem = "Use {KEY}."\n',
            encoding="utf-8",
        )
        shown = [
            program.run(*arguments)
            for arguments in (
                ["models"],
                ["models", "-o", "json"],
                ["-p", "work", "config", "show"],
                ["-p", "work", "config", "show", "--json"],
                ["config", "profiles"],
                ["config", "profiles", "--json"],
            )
        ]
        dry = program.run("-p", "work", "-S", "none", "--dry-run", "Hi")
    for done in shown:
        assert done.exit_code == 0
        assert "[key]" in done.stdout
        assert KEY not in done.stdout + done.stderr
    assert f'"endpoint": "{server.base_url}/[key]"' in dry.stdout
    assert KEY not in dry.stdout


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


def files_with(program, text):
    """Return the names of all files of the program that contain ``text``."""
    folders = (program.data_folder, program.cache_folder, program.config_folder)
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in paths if text.encode() in path.read_bytes()]


class TestPasted:
    """A key pasted at the prompt is noticed before it is sent."""

    def test_it_is_dropped_by_default_and_is_in_no_file(self, program, terminal):
        with serving_in_thread(FINE) as server, terminal(server=server) as screen:
            screen.wait_for("/help lists the commands")
            screen.type(f"\x1b[200~Is {PASTED} a good key?\x1b[201~" + ENTER)
            screen.wait_for("Send it anyway?")
            screen.type(ENTER)
            screen.wait_for("dropped; it is not in the input history")
            screen.wait_for("> Is [key] a good key?")
            screen.type(ENTER)
            screen.wait_for("Fine.")
            screen.type("\x04")
            screen.wait_for_exit()
        assert asked(server)[-1] == ("user", "Is [key] a good key?")
        assert files_with(program, PASTED[-12:]) == []
        assert program.saved[0] == ("user", "Is [key] a good key?")

    def test_who_insists_sends_it_and_the_window_title_does_not_show_it(self, program, terminal):
        with serving_in_thread(FINE) as server, terminal(server=server) as screen:
            screen.wait_for("/help lists the commands")
            screen.type(f"Is {PASTED} a good key?" + ENTER)
            screen.wait_for("Send it anyway?")
            screen.type("y" + ENTER)
            screen.wait_for("Fine.")
            screen.type("And now?" + ENTER)
            screen.wait_for("And now?")
            screen.type("\x04")
            screen.wait_for_exit()
        assert asked(server, 0)[-1] == ("user", f"Is {PASTED} a good key?")
        titles = re.findall(rb"\x1b\][02];([^\x07\x1b]*)", screen.received)
        assert any(b"[key]" in title for title in titles)
        assert not any(PASTED[:14].encode() in title for title in titles)
        assert files_with(program, PASTED) == [program.session_paths[0].name]

    def test_one_in_a_queued_line_is_asked_about_when_its_turn_comes(self, program, terminal):
        slow = Answer([*event_stream("Fine.")[:1], 0.5, *event_stream("Fine.")[1:]])
        with serving_in_thread(slow, FINE) as server, terminal(server=server) as screen:
            screen.wait_for("/help lists the commands")
            screen.type("Hi" + ENTER)
            screen.type(f"{PASTED}" + ENTER)
            screen.wait_for("Send it anyway?")
            screen.type("n" + ENTER)
            screen.wait_for("dropped; it is not in the input history")
        assert len(server.requests) == 1
        assert files_with(program, PASTED[-12:]) == []

    def test_one_behind_a_command_is_asked_about_as_well(self, program, terminal):
        with serving_in_thread(FINE) as server, terminal(server=server) as screen:
            screen.wait_for("/help lists the commands")
            screen.type(f"/note {PASTED}" + ENTER)
            screen.wait_for("Run it anyway?")
            screen.type("n" + ENTER)
            screen.wait_for("dropped")
        assert files_with(program, PASTED[-12:]) == []

    def test_a_file_that_is_mentioned_is_not_searched(self, program, terminal):
        (program.working_folder / "keys.txt").write_text(PASTED)
        with serving_in_thread(FINE) as server, terminal(server=server) as screen:
            screen.wait_for("/help lists the commands")
            screen.type("Look at @keys.txt " + ENTER)
            screen.wait_for("Fine.")
        assert PASTED in str(asked(server))

    def test_line_by_line_it_is_asked_about_too(self, program, terminal):
        with serving_in_thread(FINE) as server, terminal("--plain", server=server) as screen:
            screen.wait_for("You:")
            screen.type(f"Is {PASTED} good?\n")
            screen.wait_for("Send it anyway?")
            screen.type("\n")
            screen.wait_for("To send it again: Is [key] good?")
        assert server.requests == []
        assert files_with(program, PASTED[-12:]) == []

    @pytest.mark.parametrize("placeholder", ["sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "sk-...", "YOUR_KEY"])
    def test_a_placeholder_is_sent_without_a_question(self, program, terminal, placeholder):
        with serving_in_thread(FINE) as server, terminal(server=server) as screen:
            screen.wait_for("/help lists the commands")
            screen.type(f"What is OPENAI_API_KEY={placeholder} for?" + ENTER)
            screen.wait_for("Fine.")
        assert placeholder in str(asked(server))

    @pytest.mark.parametrize(
        "arguments", [["-S", f"Use {PASTED}."], ["-T", "explain", "--var", f"to={PASTED}"]]
    )
    def test_so_it_says_of_a_system_prompt_and_a_variable(self, program, arguments):
        with serving_in_thread(FINE) as server:
            done = program.run(*arguments, "What is it?", server=server)
        assert done.stdout == "Fine.\n"
        assert done.stderr.count("contains what looks like a key") == 1

    @pytest.mark.parametrize("where", ["argument", "stdin", "beside"])
    def test_in_a_single_question_one_line_says_so_and_it_is_sent(self, program, where):
        arguments = {"argument": [f"Is {PASTED} good?"], "stdin": [], "beside": ["Is it good?"]}[where]
        stdin = "" if where == "argument" else f"key = {PASTED}"
        with serving_in_thread(FINE, FINE) as server:
            done = program.run(*arguments, server=server, stdin=stdin)
            quiet = program.run("-q", *arguments, server=server, stdin=stdin)
        assert done.stdout == quiet.stdout == "Fine.\n"
        assert done.stderr.count("contains what looks like a key") == 1
        assert PASTED not in done.stderr
        assert quiet.stderr == ""
        assert all(PASTED in str(asked(server, number)) for number in (0, 1))
