from __future__ import annotations

import stat
import sys
from threading import Event, Thread

import pytest

from chatcli.config.endpoints import OPENAI_URL, origin_of
from chatcli.config.key_commands import KeyCommands
from chatcli.config.report import rows
from chatcli.core.errors import ChatcliError, ConfigurationError, UsageError

KEY = "sk-from-a-program"
OPENAI = origin_of(OPENAI_URL)
HOST = "https://host.example/v1"


def python(code, *arguments):
    return (sys.executable, "-c", code, *arguments)


def printing(*lines):
    return python(f"print({chr(10).join(lines)!r})")


def key_of(command, **options):
    return KeyCommands({"PATH": ""}, **options).secret(command, OPENAI)


def failure_of(command, **options):
    with pytest.raises(ConfigurationError) as caught:
        key_of(command, **options).reveal()
    assert caught.value.exit_code == 3
    assert caught.value.hint
    return caught.value.message


def test_the_first_line_printed_is_the_key():
    assert key_of(printing(f"  {KEY} ", "user: ada", "url: host.example")).reveal() == KEY


def test_arguments_are_not_read_by_a_shell():
    code = "import sys; print('-'.join(sys.argv[1:]))"
    assert key_of(python(code, "$HOME", "*", "a;b", 'c"d')).reveal() == '$HOME-*-a;b-c"d'


def test_a_command_is_run_once_however_often_its_key_is_needed(tmp_path):
    log = tmp_path / "log"
    commands = KeyCommands({})
    command = python(f"open({str(log)!r}, 'a').write('x'); print({KEY!r})")
    for _ in range(3):
        assert commands.secret(command, OPENAI).reveal() == KEY
    assert log.read_text() == "x"
    assert commands.secret(command, origin_of(HOST)).reveal() == KEY
    assert log.read_text() == "xx"


def test_two_who_need_the_key_at_once_wait_for_one_run(tmp_path):
    log = tmp_path / "log"
    secret = key_of(python(f"open({str(log)!r}, 'a').write('x'); print({KEY!r})"))
    found = []
    threads = [Thread(target=lambda: found.append(secret.reveal())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [KEY] * 4
    assert log.read_text() == "x"


def test_nothing_is_run_to_show_a_key(tmp_path):
    log = tmp_path / "log"
    secret = key_of(python(f"open({str(log)!r}, 'a'); print({KEY!r})"))
    assert "python" in str(secret)
    assert "when a request needs it" in str(secret)
    assert repr(secret) == "Secret(…)"
    assert secret.revealed() is None
    assert not log.exists()
    secret.reveal()
    assert secret.revealed() == KEY
    assert KEY not in f"{secret} {secret!r}"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise SystemExit(3)", "failed with exit code 3"),
        ("print('')", "printed no key on its first line"),
        ("print('\\n' + 'sk-second')", "printed no key on its first line"),
        ("print('not a key')", "is not a key"),
        ("print('gehe\\u0000im')", "is not a key"),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\xfe geheim')", "is not a key"),
        ("print('geheim' * 3_000)", "printed more than 10,000 bytes"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "was stopped"),
    ],
)
def test_a_command_that_prints_no_key_is_a_mistake_of_the_configuration(code, message):
    shown = failure_of(python(code))
    assert message in shown
    assert shown.startswith("key_command: ")
    assert "geheim" not in shown


def test_a_failed_command_is_run_again_when_the_key_is_needed_again(tmp_path):
    mark = tmp_path / "mark"
    code = f"import os; ok = os.path.exists({str(mark)!r}); open({str(mark)!r}, 'w'); print({KEY!r} if ok else '')"
    secret = key_of(python(code))
    with pytest.raises(ConfigurationError):
        secret.reveal()
    assert secret.reveal() == KEY


def test_a_command_that_does_not_end_is_ended():
    assert "did not end within 0 s" in failure_of(python("import time; time.sleep(600)"), longest_s=0.3)


@pytest.mark.parametrize(
    "deaf",
    ["", "import signal; [signal.signal(n, signal.SIG_IGN) for n in (signal.SIGINT, signal.SIGTERM)]; "],
)
@pytest.mark.parametrize("stop", [KeyCommands.stop, KeyCommands.interrupt])
def test_a_command_can_be_stopped_whether_it_listens_or_not(tmp_path, deaf, stop):
    started = tmp_path / "started"
    commands = KeyCommands({}, ends_within_s=0.1)
    code = f"{deaf}open({str(started)!r}, 'w'); import time; time.sleep(600)"
    secret = commands.secret(python(code), OPENAI)
    failures, ended = [], Event()

    def reveal():
        try:
            secret.reveal()
        except ChatcliError as error:
            failures.append(error.message)
        ended.set()

    Thread(target=reveal, daemon=True).start()
    while not started.exists():
        ended.wait(0.01)
    stop(commands)
    assert ended.wait(20)
    assert "was stopped" in failures[0]


def test_a_program_left_behind_that_keeps_the_pipe_is_not_waited_for():
    code = (
        "import subprocess, sys; print('sk-key-1', flush=True);"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(5)'])"
    )
    assert key_of(python(code)).reveal() == "sk-key-1"


def test_a_missing_program_is_named_with_a_hint():
    with pytest.raises(ConfigurationError, match="the program no-such-program was not found") as caught:
        key_of(("no-such-program", "private argument")).reveal()
    assert "private" not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.skipif(sys.platform == "win32", reason="programs are found by their mode")
def test_a_program_is_found_by_path_but_never_in_the_folder_one_is_in(tmp_path, monkeypatch):
    program = tmp_path / "give-key"
    program.write_text(f"#!/bin/sh\necho {KEY}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.chdir(tmp_path)
    for path in ("", ".", f".:{tmp_path.parent}"):
        with pytest.raises(ConfigurationError, match="was not found"):
            KeyCommands({"PATH": path}).secret(("give-key",), OPENAI).reveal()
    assert KeyCommands({"PATH": f".:{tmp_path}"}).secret(("give-key",), OPENAI).reveal() == KEY
    assert KeyCommands({}).secret((str(program),), OPENAI).reveal() == KEY


# In the settings.


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ('"pass show openai"', "must be a list of texts, not one text"),
        ("[]", "must be a list of texts"),
        ("[1]", "must be a list of printable texts"),
        ('[" "]', "begins with a program"),
        ('["./give-key"]', "whole path"),
        ('["tools/give-key"]', "whole path"),
    ],
)
def test_what_is_no_list_with_a_program_is_refused_with_a_hint(machine, written, words):
    with pytest.raises(ConfigurationError, match=words) as caught:
        machine.resolve(config=f"key_command = {written}")
    assert caught.value.hint


def test_a_command_is_bound_to_the_url_beside_it(machine):
    found = machine.resolve(
        config='key_command = ["pass", "a"]\n'
        f'[profiles.work]\nbase_url = "{HOST}"\nkey_command = ["pass", "b"]\n',
        flags={"profile": "work"},
    )
    assert found.credential.endpoint_origin == origin_of(HOST)
    assert found.credential.source == "config.toml [profiles.work] key_command pass"
    assert [key.endpoint_origin for key in found.withheld] == [OPENAI]


@pytest.mark.parametrize(
    ("beside", "environment"),
    [('api_key = "sk-12345678"', {}), ('api_key_env = "MINE"', {"MINE": "sk-12345678"})],
)
def test_a_key_written_beside_a_command_wins(machine, beside, environment):
    found = machine.resolve(config=f'key_command = ["pass"]\n{beside}', environment=environment)
    assert found.credential.secret.reveal() == "sk-12345678"


def test_a_command_wins_over_a_stored_key_and_the_environment_over_the_command(machine):
    stored = {OPENAI_URL: "sk-stored"}
    config = 'key_command = ["pass"]'
    assert machine.resolve(config=config, keys=stored).credential.secret.command == "pass"
    found = machine.resolve(config=config, keys=stored, environment={"OPENAI_API_KEY": "sk-environment"})
    assert found.credential.secret.reveal() == "sk-environment"


@pytest.mark.parametrize("where", ["environment", "env_file", "dotenv", "trusted_dotenv"])
def test_no_variable_sets_a_command(machine, where):
    variable = '["pass"]'
    given = (
        {"CHATCLI_KEY_COMMAND": variable} if where == "environment" else f"CHATCLI_KEY_COMMAND='{variable}'\n"
    )
    found = machine.resolve(**{where: given})
    assert found.key_command is None
    assert found.credential is None


@pytest.mark.parametrize("where", ["flags", "changes"])
def test_no_flag_and_no_command_of_a_conversation_sets_a_command(machine, where):
    with pytest.raises(UsageError, match=r"only read from config\.toml"):
        machine.resolve(**{where: {"key_command": ("pass",)}})


def test_the_settings_are_shown_with_the_name_of_the_program_alone(machine, tmp_path):
    log = tmp_path / "log"
    code = f"open({str(log)!r}, 'w')"
    found = machine.resolve(config=f"key_command = {[sys.executable, '-c', code]!r}")
    shown = {row.name: row for row in rows(found, str)}
    assert shown["key_command"].value.startswith("python")
    assert shown["key_command"].value.endswith(" …")
    assert "when a request needs it" in shown["api_key"].value
    assert shown["api_key"].origin.startswith("config.toml key_command python")
    assert not log.exists()


def test_a_command_counts_as_another_key_for_what_an_untrusted_file_may_set(machine):
    found = machine.resolve(config='key_command = ["pass"]', dotenv="OPENAI_API_KEY=sk-12345678\n")
    assert found.credential.secret.command == "pass"
