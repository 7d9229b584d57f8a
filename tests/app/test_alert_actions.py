"""Commands and webhooks of alerts: what they are told, and those that hang, fail or are missing."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace

import pytest

from chatcli.app.alert_actions import AlertActions
from chatcli.app.run_context import RunContext
from chatcli.config.paths import Paths
from chatcli.config.settings import Settings
from chatcli.core.alert_rules import AlertRule
from chatcli.core.event_log import NO_LOG
from chatcli.telemetry.alert_states import AlertEvent
from chatcli.telemetry.alerts import AlertChange
from chatcli.text.redaction import Redactor
from network_servers import Authority, http_response, listening_in_thread
from noted_events import NotedEvents

RULE = AlertRule("errors", "error_count", 900, threshold=3, recover=2, minimum_calls=0)
WRITE = "import json, sys; open(sys.argv[1], 'w').write(json.dumps(sys.argv[2:]))"
KEY = "sk-abcdefghijklmnopqrstuvwx"


def change(*, is_firing=True, value=4.0, **of_rule):
    rule = replace(RULE, **of_rule)
    return AlertChange(rule, AlertEvent(1_000.5, rule.name, rule.metric, is_firing, value, 9), 900.25)


@pytest.fixture
def actions(tmp_path):
    def make(*, longest_s=60.0, log=NO_LOG, **settings):
        folders = Paths(*[tmp_path / name for name in ("config", "data", "cache", "local")])
        redactor = Redactor()
        redactor.add_key(KEY)
        return AlertActions(
            Settings(**settings),
            RunContext(dict(os.environ), folders, redactor=redactor, log=log),
            longest_s=longest_s,
        )

    return make


def python(code, *arguments):
    return (sys.executable, "-c", code, *map(str, arguments))


def test_a_command_gets_the_facts_as_arguments(actions, tmp_path):
    written = tmp_path / "written"
    words = [
        "{name}",
        "{state}",
        "{metric}={value}>{threshold}",
        "{calls}",
        "{message}",
        "{other} {}",
        "$HOME `id`",
    ]
    (result,) = actions().perform(change(command=python(WRITE, written, *words)))
    assert result.problem == ""
    assert json.loads(written.read_text()) == [
        "errors",
        "firing",
        "error_count=4>3",
        "9",
        "alert errors: errors 4 over 15 min, above 3 (9 calls)",
        "{other} {}",
        "$HOME `id`",
    ]


def test_a_recovery_without_a_value_leaves_it_out(actions, tmp_path):
    written = tmp_path / "written"
    actions().perform(
        change(is_firing=False, value=None, command=python(WRITE, written, "{state}", "[{value}]"))
    )
    assert json.loads(written.read_text()) == ["recovered", "[]"]


def test_a_name_with_a_placeholder_in_it_is_not_filled_in_again(actions, tmp_path):
    written = tmp_path / "written"
    actions().perform(change(name="{message} {calls}", command=python(WRITE, written, "{name}")))
    assert json.loads(written.read_text()) == ["{message} {calls}"]


def test_a_key_and_a_control_character_in_a_name_do_not_leave(actions, tmp_path):
    written = tmp_path / "written"
    actions().perform(change(model=f"{KEY}\x1b[2J", command=python(WRITE, written, "{message}")))
    (message,) = json.loads(written.read_text())
    assert KEY not in message
    assert "\x1b" not in message


def test_a_missing_program_is_reported(actions):
    (result,) = actions().perform(change(command=("no-such-program-here", "{message}")))
    assert (result.kind, result.name, result.problem) == (
        "command",
        "no-such-program-here",
        "the program was not found, or cannot be run",
    )


def test_a_program_that_cannot_be_run_is_reported(actions, tmp_path):
    script = tmp_path / "script"
    script.write_bytes(b"\x00\x01not a program")
    script.chmod(0o700)
    (result,) = actions().perform(change(command=(str(script),)))
    assert result.problem


def test_the_exit_code_of_a_program_is_reported(actions):
    (result,) = actions().perform(change(command=python("import sys; sys.exit(3)")))
    assert result.problem == "exit code 3"


def test_what_a_program_prints_goes_nowhere_and_there_is_nothing_to_read(actions, capfd):
    code = "import sys; sys.stdin.read(); print('\\x1b[2J' * 1_000_000); print('x', file=sys.stderr)"
    (result,) = actions().perform(change(command=python(code)))
    assert result.problem == ""
    assert capfd.readouterr() == ("", "")


HANG = "import subprocess, sys, time; open(sys.argv[1], 'w').close(); subprocess.run([sys.executable, '-c', sys.argv[2], sys.argv[1]])"
TOUCH = "import sys, time\nwhile True: open(sys.argv[1], 'a').write('.'); time.sleep(0.01)"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no group of processes")
def test_a_program_that_hangs_is_ended_with_what_it_started(actions, tmp_path):
    written = tmp_path / "written"
    (result,) = actions(longest_s=2.0).perform(change(command=python(HANG, written, TOUCH)))
    assert result.problem == "did not end within 2 s, and was ended"
    size = written.stat().st_size
    time.sleep(0.2)
    assert written.stat().st_size == size


def test_nobody_waits_for_what_was_begun_until_the_end(actions, tmp_path):
    written = tmp_path / "written"
    begun = actions()
    begun.start(change(command=python(WRITE, written, "{name}")))
    begun.start(change(command=("no-such-program-here",)))
    begun.finish()
    assert json.loads(written.read_text()) == ["errors"]


def test_what_failed_while_nobody_looked_is_in_the_log_without_an_address(actions):
    log = NotedEvents()
    begun = actions(log=log)
    begun.start(change(command=python("import sys; sys.exit(3)"), webhook="https://127.0.0.1:1/secret"))
    begun.start(change(command=python("")))
    begun.finish()
    failed = {facts["kind"]: facts for facts in log.facts("alert_action")}
    assert {kind: facts["name"] for kind, facts in failed.items()} == {
        "command": "errors",
        "webhook": "errors",
    }
    assert failed["command"]["problem"] == "exit code 3"
    assert failed["webhook"]["to"] == "127.0.0.1"
    assert "secret" not in str(log.events)


def test_the_end_does_not_wait_for_ever(actions):
    begun = actions(longest_s=0.5)
    began_s = time.monotonic()
    for _ in range(3):
        begun.start(change(command=python("import time; time.sleep(600)")))
    begun.finish()
    assert time.monotonic() - began_s < 60
    assert all(process.poll() is not None for process in begun._running)


def test_a_rule_without_actions_does_nothing(actions):
    assert actions().perform(change()) == []


def test_a_webhook_to_this_machine_is_refused_by_the_guard(actions):
    (result,) = actions().perform(change(webhook="https://127.0.0.1:1/secret"))
    assert (result.kind, result.name) == ("webhook", "127.0.0.1")
    assert "this machine" in result.problem
    assert "secret" not in result.problem


def test_what_a_webhook_is_told_holds_the_facts_and_no_text(actions):
    facts = actions().facts(
        change(model="gpt-5", endpoint="api.example", webhook="https://hooks.example/secret")
    )
    assert facts == {
        "message": "alert errors: errors 4 over 15 min, model gpt-5, endpoint api.example, above 3 (9 calls)",
        "name": "errors",
        "state": "firing",
        "test": False,
        "metric": "error_count",
        "value": 4.0,
        "threshold": 3,
        "window_s": 900,
        "calls": 9,
        "model": "gpt-5",
        "endpoint": "api.example",
        "since": "1970-01-01T00:15:00.250Z",
        "at": "1970-01-01T00:16:40.500Z",
    }


def test_a_webhook_of_an_allowed_host_gets_the_facts(actions, tmp_path):
    bodies = []

    async def keep(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        bodies.append(await reader.readexactly(int(head.split("content-length: ")[1].split("\r\n")[0])))
        assert KEY not in head
        writer.write(http_response("204 No Content"))
        await writer.drain()

    authority = Authority()
    bundle = str(authority.write_bundle(tmp_path))
    with listening_in_thread(keep, tls=authority.server_context("127.0.0.1")) as port:
        url = f"https://127.0.0.1:{port}/secret"
        doing = actions(private_hosts=("127.0.0.1",), ca_bundle=bundle)
        begun = change(webhook=url, model=KEY)
        (result,) = doing.perform(begun)
    assert result == ("webhook", "127.0.0.1", "")
    told = json.loads(bodies[0])
    assert told.pop("text").startswith("alert errors: errors 4 over 15 min")
    assert told.pop("app").startswith("chatcli ")
    assert told == {name: value for name, value in doing.facts(begun).items() if name != "message"}
    assert KEY.encode() not in bodies[0]
