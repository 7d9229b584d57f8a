"""The commands, as they are typed."""

from __future__ import annotations

import json

import pytest

from chatcli import __version__
from chatcli.cli.commands import COMMANDS
from chatcli.core.errors import ExitCode
from scripted_server import Answer, event_stream, json_answer, serving_in_thread


@pytest.fixture
def with_a_session(program):
    with serving_in_thread(Answer(event_stream("Par\x1bis."))) as server:
        program.run("-s", "trip", "Capital\nof France?", server=server)
    return program


def test_version_and_help_need_no_home(program):
    assert program.run("--version", HOME="").stdout == f"chatcli {__version__}\n"
    assert program.run("--help", HOME="").stdout.startswith("usage: chatcli [OPTIONS] [PROMPT]...")


@pytest.mark.parametrize("name", [command.name for command in COMMANDS if command.help])
def test_every_command_explains_itself(program, name):
    done = program.run(name, "--help")
    assert done.exit_code == 0
    assert done.stdout.startswith(f"usage: chatcli {name} ")


def test_config_show_tells_every_value_and_where_it_came_from(program):
    (program.config_folder / "config.toml").write_text('model = "small"\n', encoding="utf-8")
    done = program.run("config", "show", "--timeout", "7", OPENAI_API_KEY="sk-0123456789abcdef")
    lines = {line.split()[0]: line.split(maxsplit=1)[1] for line in done.stdout.splitlines()}
    assert done.exit_code == 0
    assert lines["model"] == "small  (config.toml)"
    assert lines["timeout_s"] == "7.0  (flag --timeout)"
    assert lines["temperature"] == "not set  (default)"
    assert lines["api_key"].endswith("(environment OPENAI_API_KEY)")
    assert "0123456789" not in done.stdout


def test_config_show_is_json_for_programs(program):
    shown = json.loads(program.run("config", "show", "--json", "-m", "small").stdout)
    assert shown["model"] == {"value": "small", "origin": "flag --model"}


def test_config_path_is_the_file_to_edit(program):
    assert program.run("config", "path").stdout == f"{program.config_folder / 'config.toml'}\n"


def test_models_of_an_endpoint_without_any_says_so(program):
    with serving_in_thread(json_answer({"data": []})) as server:
        done = program.run("models", server=server)
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == f"127.0.0.1:{server.port} lists no models\n"


def test_models_of_a_server_that_is_not_there_is_a_network_error(program):
    done = program.run("models", "--base-url", "http://127.0.0.1:1/v1")
    assert (done.exit_code, done.stdout) == (6, "")
    assert done.stderr.startswith("error: 127.0.0.1:1: ")


def test_sessions_are_listed_shown_and_removed(with_a_session):
    program = with_a_session
    name, *_, title = program.run("sessions", "list").stdout.rstrip().split("  ")
    shown = program.run("sessions", "show", "trip").stdout
    assert (name, title) == ("trip", "Capital of France?")
    assert "── user · " in shown
    assert "Capital\nof France?\n" in shown
    assert "Par␛is.\n" in shown
    assert program.run("sessions", "rm", "trip").stderr == "removed trip\n"
    assert program.session_paths == []
    gone = program.run("sessions", "show", "trip")
    assert (gone.exit_code, gone.stdout) == (2, "")
    assert gone.stderr.startswith("error: there is no session trip\n→ ")


def test_sessions_are_json_for_programs(with_a_session):
    (listed,) = json.loads(with_a_session.run("sessions", "list", "--json").stdout)
    shown = json.loads(with_a_session.run("sessions", "show", "trip", "--json").stdout)
    assert (listed["name"], listed["turns"]) == ("trip", 1)
    assert [(message["role"], message["text"]) for message in shown] == [
        ("user", "Capital\nof France?"),
        ("assistant", "Par\x1bis."),
    ]


def test_no_sessions_is_no_error(program):
    done = program.run("sessions", "list")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr.startswith("no sessions yet")


def test_showing_or_removing_needs_to_know_which(program):
    done = program.run("sessions", "rm")
    assert done.exit_code == 2
    assert done.stderr.startswith("error: which session? chatcli sessions rm NAME\n")


def test_what_is_no_session_is_not_removed(program):
    letter = program.working_folder / "letter.jsonl"
    letter.write_text("Dear all", encoding="utf-8")
    done = program.run("sessions", "rm", "./letter.jsonl")
    assert done.exit_code == 3
    assert letter.read_text(encoding="utf-8") == "Dear all"


def test_the_embedded_model_that_is_not_there_is_reported_with_the_way_to_it(program):
    status = program.run("local", "status")
    asked = program.run("--local", "Hi")
    assert status.exit_code == 3
    assert "chatcli local setup" in status.stdout
    assert asked.exit_code == 3
    assert "chatcli local setup" in asked.stderr


def test_profiles_are_listed_with_the_one_in_force(program):
    (program.config_folder / "config.toml").write_text(
        '[profiles.desk]\nmodel = "qwen3"\nbase_url = "http://127.0.0.1:11434/v1"\n[profiles.warm]\ntemperature = 1\n',
        encoding="utf-8",
    )
    assert (
        program.run("config", "profiles", "-p", "warm").stdout == "   desk  qwen3  127.0.0.1:11434\n→  warm\n"
    )
    desk, warm = json.loads(program.run("config", "profiles", "--json").stdout)
    assert desk == {
        "name": "desk",
        "model": "qwen3",
        "base_url": "http://127.0.0.1:11434/v1",
        "system": None,
        "in_force": False,
    }
    assert warm["model"] is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["stats", "--out", "{path}.html"],
        ["batch", "{path}", "--out", "rows.jsonl", "-m", "small"],
        ["trust", "{path}"],
        ["sessions", "import", "{path}.json"],
        ["templates", "import", "{path}"],
        ["cache", "warm", "{path}", "-m", "small"],
        ["-f", "{path}", "Hi"],
        ["--out", "{path}", "Hi"],
    ],
    ids=" ".join,
)
def test_a_home_folder_of_nobody_is_a_path_that_is_not_there(program, arguments):
    path = "~nobody-of-that-name/notes"
    with serving_in_thread() as server:
        done = program.run(*(argument.format(path=path) for argument in arguments), server=server)
    assert done.exit_code in {ExitCode.USAGE, ExitCode.CONFIGURATION, ExitCode.LOCAL_IO}
    assert done.stdout == ""
    assert path in done.stderr
    assert "Traceback" not in done.stderr
