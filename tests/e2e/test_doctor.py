"""``chatcli doctor`` as a person runs it, and attaches it to a report."""

from __future__ import annotations

import json
import signal
import socket
import sys

import pytest

from e2e.program import command, ended
from network_servers import MODELS, Authority, listening_in_thread, speaking
from scripted_server import SILENCE, Answer, event_stream, json_answer, serving_in_thread

KEY = "sk-proj-0123456789abcdefghij"
WELL = (json_answer({"data": [{"id": "small"}]}), Answer(event_stream("Hi")))


@pytest.fixture(autouse=True)
def _private(program) -> None:
    program.config_folder.chmod(0o700)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_a_server_that_is_well_gives_no_problem_and_code_0(program):
    with serving_in_thread(*WELL) as server:
        done = program.run("doctor", server=server, CHATCLI_API_KEY=KEY)
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert "ok  models    1 offered, small among them" in lines
    assert "ok  config    a key is set (environment CHATCLI_API_KEY)" in lines
    assert lines[-1] == "no problem"
    assert KEY not in done.stdout


def test_a_problem_is_code_13_and_tells_what_to_do(program):
    port = closed_port()
    done = program.run("doctor", f"http://127.0.0.1:{port}/v1")
    assert (done.exit_code, done.stderr) == (13, "")
    lines = done.stdout.splitlines()
    at = lines.index(
        f"!!  connect   127.0.0.1:{port}: connection refused; nothing is listening on port {port}"
    )
    assert lines[at + 1].startswith("    → ")
    assert "--  answer    needs auth" in lines
    assert lines[-1] == "1 problem"


def test_the_address_given_is_looked_at_in_place_of_the_configured_one(program):
    with serving_in_thread(*WELL) as server:
        done = program.run("doctor", server.base_url, CHATCLI_BASE_URL="http://127.0.0.1:1/v1")
    assert done.exit_code == 0
    assert f"endpoint {server.base_url} (flag --base-url)" in done.stdout


def test_with_nothing_configured_the_embedded_model_is_looked_at(program):
    done = program.run("doctor")
    assert done.exit_code == 13
    assert "!!  embedded  the weights are not here" in done.stdout
    assert "dns" not in done.stdout


def test_a_configuration_that_cannot_be_read_is_one_finding_among_others(program):
    (program.config_folder / "config.toml").write_text("model = \n")
    done = program.run("doctor")
    assert (done.exit_code, done.stderr) == (13, "")
    assert "!!  config    " in done.stdout
    assert "ok  versions  chatcli " in done.stdout


def test_the_home_folder_is_not_reported(program):
    done = program.run("doctor")
    assert str(program.working_folder.parent) not in done.stdout
    assert "data ~" in done.stdout


def test_a_program_gets_one_object(program):
    with serving_in_thread(json_answer({"error": {"message": "no"}}, status=401)) as server:
        done = program.run("doctor", "-o", "json", server=server, CHATCLI_API_KEY=KEY)
    assert (done.exit_code, done.stderr) == (13, "")
    report = json.loads(done.stdout)
    assert report["ok"] is False
    auth = next(check for check in report["checks"] if check["name"] == "auth")
    assert auth["status"] == "problem"
    assert set(auth) == {"name", "status", "text", "hint"}
    assert str(program.working_folder.parent) not in done.stdout
    assert KEY not in done.stdout


def test_quiet_it_tells_only_what_is_wrong(program):
    done = program.run("doctor", "-q", f"http://127.0.0.1:{closed_port()}/v1")
    assert done.exit_code == 13
    assert [line[:4] for line in done.stdout.splitlines()] == ["!!  ", "    "]


def test_what_a_server_or_a_certificate_says_cannot_act_on_the_terminal(program):
    context = Authority().server_context("127.0.0.1", organization_name="\x1b[31mRed")
    with listening_in_thread(speaking(MODELS), tls=context) as port:
        done = program.run("doctor", f"https://127.0.0.1:{port}/v1")
    assert done.exit_code == 13
    assert "\x1b" not in done.stdout
    assert "␛[31mRed signed by" in done.stdout


def test_the_help_has_examples(program):
    done = program.run("doctor", "--help")
    assert done.exit_code == 0
    assert "chatcli doctor > report.txt" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_ends_it_at_once_wherever_it_waits(program):
    with (
        serving_in_thread(SILENCE) as server,
        program.started("doctor", server=server) as process,
    ):
        read = b""
        while b"connect" not in read:
            read += process.stdout.readline()
        process.send_signal(signal.SIGINT)
        done = ended(process, read)
    assert done.exit_code == 130
    assert "Traceback" not in done.stderr


def test_it_fits_a_terminal_of_40_columns(program):
    pytest.importorskip("pty", reason="there is no pseudo-terminal on Windows")
    from e2e.pseudo_terminal import on_terminal  # noqa: PLC0415 - it needs a pseudo-terminal to be imported

    with serving_in_thread(*WELL) as server:
        environment = program.environment(server, NO_COLOR="1")
        started = on_terminal(
            command("doctor"), environment=environment, folder=program.working_folder, columns=40
        )
        with started as terminal:
            assert terminal.wait_for_exit() == 0
    lines = terminal.received.decode().split("\r\n")
    assert "ok  terminal  a terminal" in terminal.received.decode()
    assert lines[-2:] == ["no problem", ""]
    # A word that is longer than a line has nowhere to be broken.
    assert all(len(line) < 40 or " " not in line.strip() for line in lines)
