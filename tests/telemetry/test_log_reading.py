from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.event_log import LEVELS
from chatcli.telemetry.log_file import append_rotating, move_aside, older_file
from chatcli.telemetry.log_reading import LogFilter, LogReader, read_line
from chatcli.text.times import timestamp

NOW = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)


def line(event="retry", *, at=NOW, level="warning", **facts):
    return json.dumps({"at": timestamp(at), "level": level, "event": event, **facts}).encode() + b"\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "chatcli.log"


@pytest.fixture
def reader(path):
    return LogReader(path)


def numbers(reader):
    return [each.facts["n"] for each in reader.new_lines()]


def test_a_line_is_read_as_it_was_written():
    read = read_line(line("call_ended", level="error", call="c-1", status=500, pid=7))
    assert read is not None
    assert (read.at, read.level, read.event, read.call) == (NOW, "error", "call_ended", "c-1")
    assert read.facts == {"status": 500, "pid": 7}


@pytest.mark.parametrize(
    "content",
    [
        *(
            b"",
            b"{",
            b"\xff\xfe",
            b"[]",
            b"7",
            b"null",
            b'{"at": 7}',
            b'{"at":"soon","level":"info","event":"x"}',
        ),
        b'{"at":"2026-11-30T03:00:00Z","level":"loud","event":"x"}',
        b'{"at":"2026-11-30T03:00:00Z","level":"info"}',
        b'{"at":"0001-01-01T00:00:00Z","level":["info"],"event":"x"}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_event_is_damaged(content):
    assert read_line(content) is None


@given(st.binary())
def test_no_content_is_an_error(content):
    read_line(content)


class TestAReader:
    def test_of_no_file_has_no_lines(self, reader):
        assert numbers(reader) == []

    def test_begins_with_the_oldest_file(self, path, reader):
        for n in range(3):
            append_rotating(path, line(n=n), largest_bytes=10)
        assert numbers(reader) == [0, 1, 2]

    def test_counts_damaged_lines_and_goes_on(self, path, reader):
        path.write_bytes(line(n=0) + b"garbage\n\n" + line(n=1) + b'{"at')
        assert numbers(reader) == [0, 1]
        assert reader.damaged == 1
        reader.end()
        assert reader.damaged == 2

    def test_gets_what_is_added_once_it_has_its_end(self, path, reader):
        added = line(n=1)
        path.write_bytes(line(n=0) + added[:9])
        assert numbers(reader) == [0]
        with path.open("ab") as file:
            file.write(added[9:])
        assert numbers(reader) == [1]
        assert numbers(reader) == []
        assert reader.damaged == 0

    def test_follows_the_file_where_it_is_moved(self, path, reader):
        path.write_bytes(line(n=0))
        assert numbers(reader) == [0]
        with path.open("ab") as file:
            file.write(line(n=1))
        move_aside(path)
        path.write_bytes(line(n=2))
        move_aside(path)
        path.write_bytes(line(n=3))
        assert numbers(reader) == [1, 2, 3]
        assert numbers(reader) == []

    def test_begins_again_where_the_file_was_emptied(self, path, reader):
        path.write_bytes(line(n=0) + line(n=1))
        assert numbers(reader) == [0, 1]
        path.write_bytes(line(n=2))
        assert numbers(reader) == [2]

    @pytest.mark.parametrize("empty", [lambda path: path.write_bytes(b""), lambda path: path.unlink()])
    def test_misses_nothing_that_outgrows_what_was_removed(self, path, reader, empty):
        path.write_bytes(line(n=0))
        assert numbers(reader) == [0]
        empty(path)
        path.write_bytes(line(n=1, reason="longer than the line before") + line(n=2))
        assert numbers(reader) == [1, 2]
        assert reader.damaged == 0

    def test_repeats_nothing_when_the_newest_file_is_removed(self, path, reader):
        for n in range(3):
            append_rotating(path, line(n=n), largest_bytes=10)
        assert numbers(reader) == [0, 1, 2]
        path.unlink()
        assert numbers(reader) == []
        path.write_bytes(line(n=3))
        assert numbers(reader) == [3]

    def test_follows_through_any_rotation(self, path, reader):
        found = []
        for n in range(200):
            append_rotating(path, line(n=n), largest_bytes=400)
            if n % 7 == 0:
                found += numbers(reader)
        assert found + numbers(reader) == list(range(200))

    def test_keeps_no_endless_line(self, path, reader):
        path.write_bytes(b"x" * 5_000_000 + b"\n" + line(n=1))
        assert numbers(reader) == [1]
        assert reader.damaged == 1

    def test_reports_what_is_no_file(self, path, reader):
        path.mkdir()
        with pytest.raises(OSError, match="a folder"):
            numbers(reader)

    def test_passes_over_older_files_that_are_none(self, path, reader):
        older_file(path, 1).symlink_to(path.with_name("gone"))
        path.write_bytes(line(n=1))
        assert numbers(reader) == [1]


class TestAFilter:
    @pytest.mark.parametrize(("least", "taken"), [("error", 1), ("warning", 2), ("info", 3), ("debug", 4)])
    def test_takes_what_is_important_enough(self, least, taken):
        levels = [level for level in LEVELS if level != "off"]
        wanted = LogFilter(least=least)
        assert sum(wanted.takes(read_line(line(level=level))) for level in levels) == taken

    def test_takes_nothing_from_before(self):
        wanted = LogFilter(since=NOW)
        assert wanted.takes(read_line(line(at=NOW)))
        assert not wanted.takes(read_line(line(at=NOW - timedelta(seconds=1))))

    @pytest.mark.parametrize("request_id", ["c-1", "req_b"])
    def test_finds_all_of_a_call_by_either_id(self, request_id):
        wanted = LogFilter(request=request_id)
        lines = [
            *(line("call_began", call="c-1"), line("headers", call="c-1", request_id="req_a")),
            *(line("headers", call="c-1", request_id="req_b"), line("call_ended", call="c-1")),
            *(line("call_began", call="c-2"), line("headers", call="c-2", request_id="req_c"), line("bug")),
        ]
        read = [read_line(each) for each in lines]
        for each in read:
            wanted.learn(each)
        assert [each.event for each in read if wanted.takes(each)] == [
            "call_began",
            "headers",
            "headers",
            "call_ended",
        ]

    @pytest.mark.parametrize("request_id", ["c-1", "c-2", "c-3", "req_c"])
    def test_finds_the_calls_before_and_after_it(self, request_id):
        wanted = LogFilter(request=request_id)
        lines = [
            *(line("call_began", call="c-1"), line("call_ended", call="c-1")),
            *(line("call_began", call="c-9"), line("call_ended", call="c-9")),
            *(line("call_began", call="c-2", follows="c-1"), line("call_ended", call="c-2")),
            *(line("call_began", call="c-3", follows="c-2"), line("headers", call="c-3", request_id="req_c")),
        ]
        read = [read_line(each) for each in lines]
        for each in read:
            wanted.learn(each)
        assert [each.call for each in read if wanted.takes(each)] == [
            "c-1",
            "c-1",
            "c-2",
            "c-2",
            "c-3",
            "c-3",
        ]

    def test_is_not_led_in_circles(self):
        wanted = LogFilter(request="c-1")
        for call, before in [("c-1", "c-2"), ("c-2", "c-1"), ("c-1", "c-1"), ("c-3", 7)]:
            wanted.learn(read_line(line("call_began", call=call, follows=before)))
        assert wanted.takes(read_line(line(call="c-2")))

    def test_finds_a_request_that_belongs_to_no_call(self):
        wanted = LogFilter(request="req_a")
        assert wanted.takes(read_line(line("headers", request_id="req_a")))
        assert not wanted.takes(read_line(line("bug")))
