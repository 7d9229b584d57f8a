from __future__ import annotations

import os
import sys

import pytest

from chatcli.core.errors import ConfigurationError, LocalIOError, UsageError
from chatcli.core.messages import question
from chatcli.sessions.reading import read_records
from chatcli.sessions.record_file import RecordFile
from chatcli.sessions.records import HeaderRecord, MessageRecord

AT = "2026-11-23T21:05:07.123Z"
HEADER = HeaderRecord("s", AT, "chatcli 1.2.3")
MESSAGE = MessageRecord("q", None, AT, question("Hi"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sessions" / "trip.jsonl"


@pytest.fixture
def file(path):
    file = RecordFile(path)
    yield file
    file.close()


def records_of(path):
    return list(read_records(path.read_bytes()))


def test_nothing_is_made_before_the_first_record(file, path):
    assert not path.parent.exists()
    file.append_record(HEADER)
    assert records_of(path) == [HEADER]


def test_a_file_has_one_header(file, path):
    file.begin([HEADER, MESSAGE])
    file.append_record(HeaderRecord("other", AT, "x"))
    assert records_of(path) == [HEADER, MESSAGE]


def test_a_file_that_was_let_go_of_is_opened_again(file, path):
    file.append_record(HEADER)
    file.close()
    file.close()
    file.append_record(MESSAGE)
    assert records_of(path) == [HEADER, MESSAGE]


def test_a_file_is_never_begun_twice(file, path):
    file.begin([HEADER])
    with pytest.raises(UsageError) as caught:
        file.begin([HEADER, MESSAGE])
    assert caught.value.hint
    assert records_of(path) == [HEADER]


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    file = RecordFile(tmp_path / "file" / "trip.jsonl")
    for write in (lambda: file.append_record(HEADER), lambda: file.begin([HEADER])):
        with pytest.raises(LocalIOError, match="cannot write the session"):
            write()


@pytest.mark.skipif(sys.platform == "win32", reason="pipes with a name as POSIX has them")
def test_a_pipe_with_a_name_is_no_session_and_not_waited_for(file, path):
    path.parent.mkdir()
    os.mkfifo(path)
    assert file.hold()
    with pytest.raises(ConfigurationError) as caught:
        file.append_record(HEADER)
    assert caught.value.code == "not_a_session"
    assert path.is_fifo()
