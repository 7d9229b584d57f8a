from __future__ import annotations

import json
from datetime import timedelta

import pytest

from chatcli.core.errors import ExitCode
from chatcli.text.times import local_now, timestamp


@pytest.fixture
def write_log(tmp_path):
    """Return a function that writes lines to the usual log, or to another file."""

    def write(*events, path=tmp_path / "data" / "chatcli.log", damaged=b""):
        path.parent.mkdir(exist_ok=True)
        lines = [
            {
                "at": timestamp(local_now() - timedelta(minutes=minutes_ago)),
                "level": level,
                "event": event,
                **facts,
            }
            for minutes_ago, level, event, facts in events
        ]
        path.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines) + damaged)
        return path

    return write


CALLS = (
    (90, "warning", "retry", {"pid": 1, "call": "c-1", "attempt": 1, "code": "server_error", "status": 500}),
    (89, "error", "call_ended", {"pid": 1, "call": "c-1", "request_id": "req_a", "outcome": "server_error"}),
    (1, "warning", "retry", {"pid": 2, "call": "c-2", "attempt": 1, "wait_s": 0.5}),
)


def events(screen):
    return [line.split()[4] for line in screen.out.splitlines()]


def test_lines_have_time_level_id_event_and_facts(command, write_log):
    write_log(CALLS[0])
    code, screen = command("logs")
    assert code == ExitCode.DONE
    date, time, *rest = screen.out.split()
    assert (len(date), len(time)) == (len("2026-11-30"), len("03:00:00.000"))
    assert rest == ["warning", "c-1", "retry", "attempt=1", "code=server_error", "status=500"]


def test_a_log_that_is_not_there_is_explained(command):
    code, screen = command("logs")
    assert (code, screen.out) == (ExitCode.DONE, "")
    assert "there is no log yet: " in screen.err
    assert "--log-level info" in screen.err
    assert command("logs", "-q")[1].err == ""


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ([], ["retry", "call_ended", "retry"]),
        (["--since", "1h"], ["retry"]),
        (["--since", (local_now() - timedelta(minutes=60)).isoformat()], ["retry"]),
        (["--since", "2020-01-01"], ["retry", "call_ended", "retry"]),
        (["--level", "error"], ["call_ended"]),
        (["--request", "c-1"], ["retry", "call_ended"]),
        (["--request", "req_a"], ["retry", "call_ended"]),
        (["--request", "c-1", "--level", "error"], ["call_ended"]),
    ],
)
def test_only_lines_that_are_asked_for_are_shown(command, write_log, options, found):
    write_log(*CALLS)
    code, screen = command("logs", *options)
    assert (code, events(screen)) == (ExitCode.DONE, found)


def test_it_is_said_when_there_is_no_such_line(command, write_log):
    write_log(*CALLS)
    code, screen = command("logs", "--request", "c-9")
    assert (code, screen.out) == (ExitCode.DONE, "")
    assert "no such line in " in screen.err


@pytest.mark.parametrize("since", ["soon", "-1h", "1y", ""])
def test_a_time_that_is_none_is_an_error(command, since):
    code, screen = command("logs", f"--since={since}")
    assert code == ExitCode.USAGE
    assert "write 15m, 24h, 7d or 2w for the time until now, a date like 2026-11-20" in screen.err


def test_a_key_in_one_of_many_lines_is_not_shown(command, write_log):
    key = "sk-proj-" + "Ab3dEf6hIj9lMn2pQr5tUv8x" * 2
    lines = [(1, "warning", "retry", {"call": f"c-{n}", "message": "slow down " * 20}) for n in range(900)]
    lines[450][3]["message"] = f"Incorrect API key provided: {key}"
    write_log(*lines)
    _, screen = command("logs")
    assert len(screen.out.splitlines()) == 900
    assert "Incorrect API key provided: [key]" in screen.out
    assert key not in screen.out


def test_an_id_of_nothing_is_an_error(command, write_log):
    write_log(*CALLS)
    code, screen = command("logs", "--request", " ")
    assert (code, screen.out) == (ExitCode.USAGE, "")
    assert "--request needs an id" in screen.err


def test_damaged_lines_are_counted(command, write_log):
    write_log(*CALLS, damaged=b"garbage\nmore\n")
    code, screen = command("logs")
    assert (code, len(events(screen))) == (ExitCode.DONE, 3)
    assert "passed over 2 damaged lines" in screen.err


def test_programs_get_the_lines_as_json(command, write_log):
    write_log(*CALLS)
    _, screen = command("logs", "-o", "json", "--request", "c-1")
    read = [json.loads(line) for line in screen.out.splitlines()]
    assert [list(line) for line in read] == [
        ["at", "level", "event", "call", "pid", "attempt", "code", "status"],
        ["at", "level", "event", "call", "pid", "request_id", "outcome"],
    ]


def test_another_file_is_read_and_not_made(command, write_log, tmp_path):
    write_log(CALLS[2], path=tmp_path / "calls.log")
    assert events(command("logs", "--log-file", tmp_path / "calls.log")[1]) == ["retry"]
    command("logs", "--log-file", tmp_path / "none.log")
    assert not (tmp_path / "none.log").exists()


def test_the_file_of_the_settings_is_read(command, write_log, tmp_path):
    write_log(CALLS[2], path=tmp_path / "mine.log")
    assert events(command("logs", CHATCLI_LOG_FILE=str(tmp_path / "mine.log"))[1]) == ["retry"]


def test_a_home_that_is_not_there_is_a_name_like_any_other(command):
    code, screen = command("logs", CHATCLI_LOG_FILE="~nobody-is-called-so/calls.log")
    assert code == ExitCode.DONE
    assert "there is no log yet: ~nobody-is-called-so" in screen.err


def test_what_cannot_be_read_is_an_error(command, tmp_path):
    (tmp_path / "data" / "chatcli.log").mkdir(parents=True)
    code, screen = command("logs")
    assert code == ExitCode.LOCAL_IO
    assert "cannot be read: it is a folder" in screen.err


@pytest.mark.parametrize("options", [[], ["-o", "json"]])
def test_what_a_server_or_a_person_made_up_is_harmless(command, write_log, options):
    hostile = "\x1b]0;title\x07\u202eevil\r\nsecond"
    write_log(
        (1, "info", "call_began", {"call": hostile, "model": hostile, "headers": [hostile], hostile: hostile})
    )
    _, screen = command("logs", *options)
    assert not {"\x1b", "\x07", "\u202e", "\r"} & set(screen.out)


def test_texts_and_lists_have_rows_of_their_own(command, write_log):
    write_log(
        (1, "debug", "http_request", {"method": "POST", "headers": ["host: a", "accept: b"]}),
        (1, "debug", "http_body", {"way": "received", "text": "data: 1\n\ndata: 2\n"}),
        (1, "error", "bug", {"error": ["ValueError"], "traceback": ["cli/main.py:1 in main"]}),
    )
    _, screen = command("logs")
    assert [row for row in screen.out.splitlines() if row.startswith(" ")] == [
        *("    headers:", "        host: a", "        accept: b"),
        *("    text:", "        data: 1", "        data: 2"),
        *("    error:", "        ValueError", "    traceback:", "        cli/main.py:1 in main"),
    ]


@pytest.mark.parametrize("columns", [40, 80])
def test_long_lines_hang_on_a_narrow_terminal(command, write_log, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    write_log(
        (1, "info", "call_ended", {"call": "c-1", "model": "日本語" * 5, "endpoint": "host.example", "n": 1})
    )
    _, screen = command("logs", is_terminal=True)
    first, *others = screen.out.splitlines()
    assert not first.startswith(" ")
    assert others
    assert all(row.startswith("    ") for row in others)
