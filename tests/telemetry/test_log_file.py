from __future__ import annotations

import errno
import json
import logging
import os
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.event_log import INFO, WARNING, EventLog
from chatcli.storage.file_lock import lock
from chatcli.storage.private_files import open_for_append
from chatcli.telemetry.log_file import (
    LARGEST_BYTES,
    OLDER_FILES,
    JsonLineFormatter,
    LogFileHandler,
    LoggedEvents,
    append_rotating,
    facts_of_bug,
    log_files,
    older_file,
    open_log_file,
)
from chatcli.text.redaction import Redactor
from storage.faulty_disk import FaultyDisk, is_full

KEY = "sk-proj-9f8e7d6c5b4a39281706f5e4d3c2b1a0"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "chatcli.log"


@pytest.fixture
def write(path):
    """Return a function that writes events as one run and waits for its end."""

    def write_all(*events, redact=str):
        sink = open_log_file(path, redact)
        for level, event, facts in events:
            sink.write(level, event, facts)
        sink.close()

    return write_all


def lines(path):
    return [json.loads(line) for file in log_files(path) for line in file.read_bytes().splitlines()]


def test_an_event_is_one_line_of_json(write, path):
    write((WARNING, "retry", {"call": "c-1", "wait_s": 0.5, "status": None}))
    (line,) = lines(path)
    assert list(line) == ["at", "level", "event", "pid", "call", "wait_s"]
    assert (line["level"], line["event"], line["pid"], line["wait_s"]) == (
        "warning",
        "retry",
        os.getpid(),
        0.5,
    )
    assert line["at"].endswith("Z")


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_the_file_is_its_owners_alone(write, path):
    write((INFO, "context", {}))
    append_rotating(path, b"{}\n" * 10, largest_bytes=20)
    assert [file.stat().st_mode & 0o777 for file in log_files(path)] == [0o600, 0o600]
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_a_file_that_was_open_to_others_is_closed(tmp_path):
    path = tmp_path / "calls.log"
    path.touch(0o666)
    path.chmod(0o666)
    append_rotating(path, b"{}\n")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_sink_that_was_closed_writes_again(path):
    sink = open_log_file(path, str)
    for event in ("call_began", "call_ended"):
        sink.write(INFO, event, {})
        sink.close()
    assert [line["event"] for line in lines(path)] == ["call_began", "call_ended"]


@given(st.text(), st.sampled_from(["{}", "Bearer {}", "http://user:{}@host", '{{"key": "{}"}}', "x{}y"]))
def test_a_key_is_in_no_line(text, form):
    redactor = Redactor()
    redactor.add_key(KEY)
    redactor.add_key("12345678")
    formatter = JsonLineFormatter(redactor.redact)
    facts = {"reason": text + form.format(KEY), "headers": [text, form.format(KEY)], "sent_bytes": 12345678}
    record = logging.makeLogRecord({"levelname": "INFO", "event": "attempt", "facts": facts})
    line = formatter.format(record)
    assert KEY not in line
    assert json.loads(line)["sent_bytes"] == 12345678


@given(st.text())
def test_any_text_makes_one_line(text):
    record = logging.makeLogRecord({"levelname": "INFO", "event": "notice", "facts": {"code": text}})
    line = JsonLineFormatter(str).format(record)
    assert line.encode().count(b"\n") == 1
    assert line.endswith("\n")
    assert isinstance(json.loads(line)["code"], str)


class TestRotation:
    def test_keeps_so_many_older_files_and_no_more(self, path):
        for number in range(OLDER_FILES + 4):
            append_rotating(path, b'{"n":%d}\n' % number, largest_bytes=10)
        assert [line["n"] for line in lines(path)] == list(range(3, OLDER_FILES + 4))
        assert not older_file(path, OLDER_FILES + 1).exists()

    def test_happens_before_the_file_would_grow_too_large(self, path):
        for _ in range(3):
            append_rotating(path, b"{}\n" * 3, largest_bytes=20)
        assert [file.stat().st_size for file in log_files(path)] == [18, 9]

    def test_takes_lines_that_are_larger_than_a_file_may_be(self, path):
        append_rotating(path, b"{}\n" * 30, largest_bytes=20)
        append_rotating(path, b"{}\n" * 30, largest_bytes=20)
        assert [file.stat().st_size for file in log_files(path)] == [90, 90]

    @pytest.mark.skipif(sys.platform == "win32", reason="links need permissions there")
    def test_keeps_a_link_and_what_it_leads_to(self, tmp_path):
        disk, link = tmp_path / "disk", tmp_path / "chatcli.log"
        disk.mkdir()
        (disk / "log").touch()
        link.symlink_to(disk / "log")
        for number in range(OLDER_FILES + 3):
            append_rotating(link, b'{"n":%d}\n' % number, largest_bytes=10)
        assert [line["n"] for line in lines(link)] == list(range(2, OLDER_FILES + 3))
        assert [file.name for file in tmp_path.iterdir() if file.name.startswith("chatcli")] == [
            "chatcli.log"
        ]
        (disk / "log").unlink()  # as at the moment when another process has just moved it aside
        append_rotating(link, b"{}\n")
        assert link.read_bytes() == b"{}\n"

    @pytest.mark.skipif(sys.platform == "win32", reason="links need permissions there")
    def test_makes_no_file_through_a_link(self, tmp_path):
        link = tmp_path / "chatcli.log"
        link.symlink_to(tmp_path / "nowhere")
        with pytest.raises(FileNotFoundError):
            append_rotating(link, b"{}\n")
        assert not (tmp_path / "nowhere").exists()

    def test_that_is_not_possible_lets_the_file_grow(self, path):
        for _ in range(OLDER_FILES):
            append_rotating(path, b"{}\n" * 5, largest_bytes=20)
        oldest = older_file(path, OLDER_FILES)
        oldest.mkdir()
        (oldest / "in the way").touch()
        append_rotating(path, b"{}\n" * 5, largest_bytes=20)
        assert path.stat().st_size == 30

    def test_by_another_program_is_followed(self, write, path):
        write((INFO, "context", {"n": 1}))
        path.rename(path.with_name("elsewhere"))
        write((INFO, "context", {"n": 2}))
        assert [line["n"] for line in lines(path)] == [2]


WRITER = """
import sys
from pathlib import Path
from chatcli.telemetry.log_file import append_rotating
for number in range(150):
    append_rotating(Path(sys.argv[1]), b'{"by":"%s","n":%d}\\n' % (sys.argv[2].encode(), number), largest_bytes=4_000)
"""


def test_several_processes_lose_no_line_and_tear_none(path):
    names = ("a", "b", "c")
    started = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in names]
    assert [process.wait(timeout=120) for process in started] == [0, 0, 0]
    found = lines(path)
    # 450 lines of some 20 bytes are under three files of 4,000.
    assert sorted((line["by"], line["n"]) for line in found) == [
        (name, n) for name in names for n in range(150)
    ]
    assert all(file.stat().st_size <= 4_000 for file in log_files(path))


class TestAFileThatCannotBeWritten:
    def test_costs_its_lines_and_nothing_else(self, path):
        path.parent.write_text("a file in place of the folder")
        handler = handler_of(path)
        log(handler, "retry")
        handler.close()
        assert handler.lost == 1

    def test_is_counted_in_the_first_line_that_can_be(self, path):
        path.mkdir(parents=True)
        handler = handler_of(path)
        for _ in range(2):
            log(handler, "retry")
        handler.close()
        path.rmdir()
        log(handler, "call_ended")
        handler.close()
        assert [(line["event"], line.get("lines")) for line in lines(path)] == [
            ("lines_lost", 2),
            ("call_ended", None),
        ]
        assert handler.lost == 0

    def test_on_a_full_disk_stays_whole(self, path):
        append_rotating(path, b"{}\n")
        with FaultyDisk([1, 1], is_full).in_use(), pytest.raises(OSError, match="No space") as caught:
            append_rotating(path, b'{"event":"retry"}\n')
        assert caught.value.errno == errno.ENOSPC
        assert path.read_bytes() == b"{}\n"

    @pytest.mark.skipif(sys.platform == "win32", reason="named pipes of POSIX")
    def test_is_not_waited_for_where_it_is_a_pipe(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OSError, match="a pipe"):
            append_rotating(tmp_path / "pipe", b"{}\n")

    def test_never_keeps_whoever_logs_waiting(self, path):
        class Stuck(LogFileHandler):
            def _write(self, records):
                is_stuck.wait(60)
                super()._write(records)

        is_stuck, handler = threading.Event(), Stuck(path)
        handler.setFormatter(JsonLineFormatter(str))
        for _ in range(12_000):
            log(handler, "attempt")
        assert 0 < handler.lost <= 2_000
        is_stuck.set()
        handler.close()

    def test_is_not_kept_in_memory_whatever_its_size(self, path):
        class Stuck(LogFileHandler):
            def _write(self, records):
                is_stuck.wait(60)

        is_stuck, handler, text = threading.Event(), Stuck(path), "x" * 250_000
        for _ in range(1_500):
            log(handler, "http_body", text=text)
        assert handler.lost > 700
        is_stuck.set()
        handler.close()


def test_long_lines_make_no_larger_file(path):
    handler, text = handler_of(path, patience_s=60), "x" * 250_000
    for _ in range(50):
        log(handler, "http_body", text=text)
    handler.close()
    assert len(lines(path)) == 50
    assert all(file.stat().st_size <= LARGEST_BYTES for file in log_files(path))


def test_what_the_end_of_a_run_does_not_wait_for_is_counted(path):
    class Slow(JsonLineFormatter):
        def format(self, record):
            while not handler._is_late:
                time.sleep(0.001)
            return super().format(record)

    handler = LogFileHandler(path, patience_s=0)
    handler.setFormatter(Slow(str))
    for _ in range(20):
        log(handler, "attempt")
    thread = handler._thread
    handler.close()
    thread.join(60)
    written = lines(path)
    assert [line["event"] for line in written].count("attempt") == 1
    assert sum(line.get("lines", 0) for line in written) == 19


def test_a_file_that_another_holds_is_written_all_the_same(write, path):
    held = open_for_append(path)
    try:
        lock(held)
        write((INFO, "context", {}))
    finally:
        os.close(held)
    assert len(lines(path)) == 1


def test_a_line_that_cannot_be_made_without_keys_is_lost(path):
    def redact(_text):
        raise RuntimeError("dictionary changed size during iteration")

    handler = LogFileHandler(path)
    handler.setFormatter(JsonLineFormatter(redact))
    log(handler, "retry")
    handler.close()
    assert lines(path) == []
    assert handler.lost == 1


def handler_of(path, **options):
    handler = LogFileHandler(path, **options)
    handler.setFormatter(JsonLineFormatter(str))
    return handler


def log(handler, event, **facts):
    logger = logging.Logger("a test")  # noqa: LOG001 - not in the tree of loggers
    logger.addHandler(handler)
    LoggedEvents(logger).write(INFO, event, facts)


def test_a_program_that_uses_chatcli_gets_events_in_words(caplog):
    log, logger = EventLog(), logging.getLogger("chatcli.a test")
    log.write_to("logging", lambda: LoggedEvents(logger), least=INFO)
    with caplog.at_level(INFO, logger.name):
        log.note(INFO, "retry", "c-1", wait_s=0.5, status=None)
        log.close()
    assert caplog.messages == ["retry call=c-1 wait_s=0.5"]


class TestABug:
    def test_is_known_by_its_kinds_and_where_it_came_from(self):
        def fail():
            try:
                {}["a question of the person"]
            except KeyError as error:
                raise ValueError("its answer") from error

        with pytest.raises(ValueError, match="its answer") as caught:
            fail()
        facts = facts_of_bug(caught.value)
        assert facts["error"] == ["ValueError", "KeyError"]
        assert "telemetry/test_log_file.py:" in facts["traceback"][-1]
        assert facts["traceback"][-1].endswith("fail")

    @given(st.text(min_size=1))
    def test_never_quotes_the_conversation(self, text):
        quoting, silent = ValueError(text), ValueError()
        assert facts_of_bug(quoting) == facts_of_bug(silent) == {"error": ["ValueError"], "traceback": []}

    def test_in_a_deep_recursion_is_a_short_line(self):
        def fall(depth):
            return fall(depth + 1)

        with pytest.raises(RecursionError) as caught:
            fall(0)
        assert len(facts_of_bug(caught.value)["traceback"]) < 50
