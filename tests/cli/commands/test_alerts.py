"""``chatcli alerts``: what it lists, how it exits, and what its test does."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
import time
from dataclasses import replace

import pytest
from wcwidth import width

from chatcli.core.call_records import CallRecord
from chatcli.core.errors import ExitCode
from chatcli.telemetry.call_store import FILE_NAME, CallStore

WRITE = "import json, sys; open(sys.argv[1], 'a').write(json.dumps(sys.argv[2:]) + '\\n')"
GOOD = CallRecord(0.0, "api.example", "m", ttft_s=0.5, latency_s=1.0, cost_usd=0.25)
BAD = replace(GOOD, outcome="server_failed", ttft_s=None)


@pytest.fixture
def calls(tmp_path):
    """Return a function that stores calls, some minutes old."""
    (tmp_path / "data").mkdir()

    def store(*records, minutes_ago=1.0):
        opened = CallStore(tmp_path / "data" / FILE_NAME)
        opened.append([replace(record, at_s=time.time() - 60 * minutes_ago) for record in records])
        opened.close()

    return store


@pytest.fixture
def config(tmp_path):
    def write(text):
        (tmp_path / "config").mkdir(exist_ok=True)
        (tmp_path / "config" / "config.toml").write_text(text, encoding="utf-8")

    return write


def test_without_calls_nothing_fires_and_nothing_is_made(command, tmp_path):
    code, screen = command("alerts", "check")
    assert (code, screen.out, screen.err) == (ExitCode.DONE, "", "")
    code, screen = command("alerts", "list")
    assert code == ExitCode.DONE
    assert [line.split()[0] for line in screen.out.splitlines()] == ["NAME", "success", "first-token"]
    assert screen.out.count("too few calls") == 2
    assert not (tmp_path / "data" / FILE_NAME).exists()


def test_check_prints_what_fires_and_exits_with_11(command, calls):
    calls(*[BAD] * 4, GOOD)
    for _ in range(2):
        code, screen = command("alerts", "check")
        assert code == ExitCode.ALERT == 11
        assert screen.out.startswith("alert success: success rate 20% (5 calls), firing for ")
        assert screen.out.endswith(", over at 95%\n")
        assert screen.out.count("\n") == 1
        assert screen.err == ""


def test_check_is_silent_where_it_is_told_to_be(command, calls):
    calls(*[BAD] * 5)
    code, screen = command("alerts", "check", "-q")
    assert (code, screen.out, screen.err) == (ExitCode.ALERT, "", "")


def test_a_recovery_is_told_once(command, calls):
    calls(*[BAD] * 5)
    assert command("alerts", "check")[0] == ExitCode.ALERT
    calls(*[GOOD] * 200)
    code, screen = command("alerts", "check")
    assert (code, screen.out) == (ExitCode.DONE, "")
    assert screen.err == "alert success is over: success rate 97.5% over 15 min (205 calls)\n"
    assert command("alerts", "check")[1].err == ""


def test_the_list_shows_values_states_and_what_happened(command, calls):
    calls(*[BAD] * 5)
    command("alerts", "check")
    code, screen = command("alerts", "list")
    assert code == ExitCode.DONE
    heads, success, first_token, _, event = screen.out.splitlines()
    assert heads.split() == ["NAME", "STATE", "NOW", "FIRES", "AT"]
    assert "firing for " in success
    assert "0%, 5 calls" in success
    assert success.endswith("success rate below 90% over 15 min")
    assert "too few calls" in first_token
    assert event.endswith("success fired: success rate 0% (5 calls)")


def test_programs_get_everything_but_arguments_and_addresses(command, calls, config):
    config(
        """
        [[alerts]]
        name = "spending"
        metric = "cost_usd"
        window = "1h"
        threshold = 1
        model = "m"
        command = ["mail", "secret@example.com"]
        webhook = "https://hooks.example/secret"
        [[alerts]]
        metric = "p95_ttft_s"
        threshold = 3
        minimum_calls = 100
        """
    )
    calls(*[GOOD] * 3)
    for arguments in (("-o", "json"), ("--json",)):
        code, screen = command("alerts", "list", *arguments)
        assert code == ExitCode.DONE
        shown = json.loads(screen.out)
        spending, slow = shown["alerts"]
        assert spending == {
            "name": "spending",
            "state": "ok",
            "value": 0.75,
            "calls": 3,
            "since": None,
            "metric": "cost_usd",
            "window_s": 3600,
            "threshold": 1.0,
            "recover": 0.8,
            "minimum_calls": 0,
            "model": "m",
            "endpoint": None,
            "notify": ["toolbar"],
            "command": "mail",
            "webhook": "hooks.example",
        }
        assert (slow["state"], slow["value"], slow["calls"]) == ("unknown", None, 3)
        assert (shown["firing"], shown["events"]) == (0, [])
        assert "secret" not in screen.out


def test_check_says_everything_to_programs(command, calls):
    calls(*[BAD] * 5)
    code, screen = command("alerts", "check", "-o", "json")
    assert code == ExitCode.ALERT
    shown = json.loads(screen.out)
    assert shown["firing"] == 1
    assert (shown["alerts"][0]["state"], shown["alerts"][0]["value"]) == ("firing", 0.0)
    (event,) = shown["events"]
    assert event.pop("at") == shown["alerts"][0]["since"]
    assert event == {"name": "success", "metric": "success_rate", "state": "firing", "value": 0.0, "calls": 5}


def test_a_crossing_runs_the_command_once(command, calls, config, tmp_path):
    written = tmp_path / "written"
    words = [sys.executable, "-c", WRITE, str(written), "{name}", "{state}", "{value}"]
    config(
        f'[[alerts]]\nname = "errors"\nmetric = "error_count"\nthreshold = 2\ncommand = {json.dumps(words)}\n'
    )
    calls(*[BAD] * 3)
    for _ in range(3):
        assert command("alerts", "check", PATH="")[0] == ExitCode.ALERT
    assert [json.loads(line) for line in written.read_text().splitlines()] == [["errors", "firing", "3"]]


def test_the_test_does_what_a_rule_does_and_says_so(command, config, tmp_path):
    written = tmp_path / "written"
    words = [sys.executable, "-c", WRITE, str(written), "{message}"]
    config(
        f"""
        [[alerts]]
        name = "errors"
        metric = "error_count"
        threshold = 2
        notify = ["toolbar", "bell", "desktop"]
        command = {json.dumps(words)}
        """
    )
    code, screen = command("alerts", "test")
    assert code == ExitCode.DONE
    assert screen.out.splitlines() == [
        "test: alert errors: errors 4 over 15 min, above 2 (1 call)",
        "  toolbar: shown in a conversation",
        "  bell: there is no terminal here",
        "  desktop: there is no terminal here",
        f"  command {words[0].rpartition('/')[2]}: done",
    ]
    assert json.loads(written.read_text()) == ["test: alert errors: errors 4 over 15 min, above 2 (1 call)"]
    code, screen = command("alerts", "list", "--json")
    assert json.loads(screen.out)["events"] == []


def test_the_test_rings_at_a_terminal(command, config):
    config('[[alerts]]\nmetric = "tokens"\nthreshold = 1\nnotify = "bell"\n')
    _, screen = command("alerts", "test", is_terminal=True)
    assert screen.err == "\x07"
    assert "bell: sent to the terminal" in screen.out


def test_what_fails_in_a_test_is_said_and_gives_a_code(command, config):
    config(
        """
        [[alerts]]
        name = "one"
        metric = "tokens"
        threshold = 1
        command = ["no-such-program-here"]
        [[alerts]]
        name = "two"
        metric = "tokens"
        threshold = 2
        webhook = "https://127.0.0.1:9/secret"
        """
    )
    code, screen = command("alerts", "test", "one")
    assert code == ExitCode.LOCAL_IO
    assert "command no-such-program-here: the program was not found" in screen.out
    code, screen = command("alerts", "test", "-o", "json")
    assert code == ExitCode.NETWORK
    webhook = json.loads(screen.out)[1]["actions"][-1]
    assert (webhook["kind"], webhook["name"], webhook["ok"]) == ("webhook", "127.0.0.1", False)
    assert "this machine" in webhook["result"]
    assert "secret" not in screen.out


def test_a_name_that_is_none_gets_a_suggestion(command):
    code, screen = command("alerts", "test", "sucess")
    assert code == ExitCode.USAGE
    assert "there is no alert sucess" in screen.err
    assert "did you mean success?" in screen.err


def test_without_rules_there_is_nothing_to_fire(command, calls, config):
    config('alerts = "off"')
    calls(*[BAD] * 9)
    code, screen = command("alerts", "check")
    assert (code, screen.out) == (ExitCode.DONE, "")
    for action in ("list", "test"):
        code, screen = command("alerts", action)
        assert (code, screen.out) == (ExitCode.DONE, "")
        assert "there are no rules" in screen.err


def test_a_damaged_file_of_alerts_counts_as_empty(command, calls, tmp_path):
    calls(*[BAD] * 5)
    (tmp_path / "data" / "alerts-1.json").write_bytes(b"\x00garbage")
    assert command("alerts", "check")[0] == ExitCode.ALERT
    assert command("alerts", "check")[0] == ExitCode.ALERT


def test_where_alerts_cannot_be_kept_they_are_checked_and_it_is_said(command, calls, tmp_path):
    calls(*[BAD] * 5)
    (tmp_path / "data" / "alerts-1.json.lock").mkdir()
    for _ in range(2):
        code, screen = command("alerts", "check")
        assert code == ExitCode.ALERT
        assert "announced again" in screen.err


def test_calls_that_are_locked_for_long_are_an_error_and_no_all_clear(command, calls, tmp_path):
    calls(*[BAD] * 5)
    holder = sqlite3.connect(tmp_path / "data" / FILE_NAME, isolation_level=None)
    try:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        code, screen = command("alerts", "check")
    finally:
        holder.close()
    assert code in {ExitCode.LOCAL_IO, ExitCode.ALERT}
    assert screen.err or screen.out


def test_a_hostile_name_reaches_no_terminal(command, calls, config):
    config('[[alerts]]\nname = "成功率"\nmetric = "success_rate"\nthreshold = "50%"\nmodel = "m\\u001b[2J"\n')
    calls(*[replace(BAD, model="m\x1b[2J")] * 5)
    for action in ("check", "list", "test"):
        _, screen = command("alerts", action)
        assert "\x1b" not in screen.out + screen.err
        assert "成功率" in screen.out


@pytest.mark.parametrize("action", ["list", "check", "test"])
def test_every_action_has_help_with_examples(command, action):
    code, screen = command("alerts", action, "--help")
    assert code == ExitCode.DONE
    assert f"chatcli alerts {action}" in screen.out
    assert "examples:" in screen.out


@pytest.mark.parametrize("columns", [80, 40])
def test_the_list_fits_the_terminal_and_cuts_no_value(command, calls, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    calls(*[BAD] * 5)
    command("alerts", "check")
    code, screen = command("alerts", "list", is_terminal=True)
    assert code == ExitCode.DONE
    lines = screen.out.splitlines()
    assert max(map(width, lines)) <= columns
    assert any(line.split()[:2] == ["success", "firing"] and " 0%" in line for line in lines)
    assert "…" not in screen.out
    assert "success fired: success rate 0% (5" in " ".join(screen.out.split())


def test_the_list_is_read_aloud_as_sentences(command, calls, config):
    config("plain = true")
    calls(*[BAD] * 5)
    command("alerts", "check")
    _, screen = command("alerts", "list", is_terminal=True)
    success, first_token, _, event = screen.out.splitlines()
    assert re.fullmatch(
        r"success: firing for \d+ s, 0%, 5 calls, success rate below 90% over 15 min\.", success
    )
    assert first_token == "first-token: too few calls, 0 calls, p95 first token above 20 s over 15 min."
    assert event.endswith("success fired: success rate 0% (5 calls).")


def test_a_damaged_file_of_calls_is_no_silent_all_clear(command, calls, tmp_path):
    calls(*[BAD] * 5)
    (tmp_path / "data" / FILE_NAME).write_bytes(b"garbage" * 1_000)
    code, screen = command("alerts", "check")
    assert code == ExitCode.DONE
    assert "the statistics were damaged" in screen.err
