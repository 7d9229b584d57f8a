from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.errors import ConfigurationError, ExitCode
from chatcli.core.messages import answer, question
from chatcli.sessions.reading import find_header, read_records, records_in
from chatcli.sessions.records import HeaderRecord, MessageRecord, UnreadableRecord, encode
from chatcli.sessions.session import Session
from chatcli.storage.json_lines import lines_of

PATH = Path("trip.jsonl")
HEADER = HeaderRecord("s", "2026-11-23T21:05:07.123Z", "chatcli 1.2.3")
MESSAGE = MessageRecord("q", None, "2026-11-23T21:05:07.123Z", question("Hi"))
ANSWER = MessageRecord("a", "q", "2026-11-23T21:05:08.123Z", answer("Hello."))


def test_a_file_begins_with_its_header():
    assert find_header(encode(HEADER) + encode(MESSAGE), PATH) == HEADER


@pytest.mark.parametrize("length", range(len(encode(HEADER)) - 1))
def test_a_file_cut_inside_its_header_has_none_yet(length):
    torn = encode(HEADER)[:length]
    assert find_header(torn, PATH) is None
    assert find_header(torn + b"\n" + encode(HEADER), PATH) == HEADER


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8\xff\xe0\0\x10JFIF\n\n",
        b"Dear diary,\n",
        b'{\n  "name": "package"\n}\n',
        b'{"type":"headline"}\n',
        b'{"type":"header","format":0,"id":"s","at":"","app":""}\n',
        b'{"type":"message","role":"user","content":"Hi"}\n',
        b'{"type":"message","id":"m1","parent":null,"role":"user"}\n',
        b"\0" * 100,
        b"Dear diary," + encode(HEADER),
    ],
    ids=lambda content: ascii(content[:12]),
)
def test_anything_else_is_not_a_session(content):
    with pytest.raises(ConfigurationError, match=r"trip\.jsonl is not a chatcli session") as caught:
        find_header(content, PATH)
    assert caught.value.hint
    assert caught.value.exit_code is ExitCode.CONFIGURATION


def test_a_newer_format_is_reported_apart():
    with pytest.raises(ConfigurationError, match="was made by a newer chatcli"):
        find_header(encode(HeaderRecord("s", "", "", format=2)), PATH)


def test_an_editor_may_have_left_a_byte_order_mark_and_carriage_returns():
    content = b"\xef\xbb\xbf" + (encode(HEADER) + encode(MESSAGE)).replace(b"\n", b"\r\n")
    assert find_header(content, PATH) == HEADER
    assert list(read_records(content)) == [HEADER, MESSAGE]


def test_damaged_lines_are_skipped_one_by_one():
    content = encode(HEADER) + b'{"type":"mess\n\n\xff\xfe\n\0\0\0\n' + encode(MESSAGE) + b'{"ty'
    damaged = UnreadableRecord()
    assert list(read_records(content)) == [HEADER, damaged, damaged, damaged, MESSAGE, damaged]
    assert Session.replay(read_records(content)).path() == (MESSAGE,)


def test_a_session_whose_header_is_damaged_is_a_session_without():
    for header in (
        b'{"type":"header","format":1,"id":{},"at":"","app":""}',
        b'{"type":"header","format":1,"\xff',
    ):
        assert find_header(header + b"\n" + encode(MESSAGE), PATH) is None
        assert find_header(header + b"\n" + encode(MESSAGE) + encode(HEADER), PATH) == HEADER


def read(content):
    find_header(content, PATH)
    return Session.replay(read_records(content))


@pytest.mark.parametrize(
    "beginning",
    [
        b"Dear diary," + encode(HEADER),
        b"Dear diary,\n" + encode(HEADER),
        b"\0" * 4_096 + encode(HEADER),
        b"\0" * 4_096,
        b"\xff\xfe\n" * 100 + encode(HEADER),
        b'{"type":"header","format":"1","id":"s","at":"","app":""}\n',
        b'{"type":"heXder","format":1,"id":"s","at":"","app":""}\n',
        b'{"type":"header","format":0,"id":"s","at":"","app":""}\n',
        b"7\n",
        b"",
    ],
    ids=lambda beginning: ascii(beginning[:40]),
)
def test_whatever_the_beginning_became_the_messages_behind_it_are_a_damaged_session(beginning):
    session = read(beginning + encode(MESSAGE) + encode(ANSWER))
    assert session.path()[-1] == ANSWER
    assert session.damaged_records >= 1


@given(at=st.integers(0, len(encode(HEADER)) - 2), byte=st.integers(0, 255))
def test_any_byte_of_the_first_line_may_be_damaged_without_costing_a_message(at, byte):
    header = bytearray(encode(HEADER))
    if header[at : at + 1] == b"1" and header[:at].endswith(b'"format":'):
        return  # another number names a format that cannot be known here
    header[at] = byte
    session = read(bytes(header) + encode(MESSAGE) + encode(ANSWER))
    assert session.path() == (MESSAGE, ANSWER)
    assert session.header is not None or session.damaged_records


def test_a_long_first_message_is_enough_to_know_a_session_by():
    long = MessageRecord("q", None, "2026-11-23T21:05:07.123Z", question("x" * 200_000))
    assert read(b"{broken}\n" + encode(long)).path() == (long,)


def test_a_line_that_is_too_long_is_passed_over():
    content = encode(HEADER) + b"x" * 3_000_000 + b"\n" + encode(MESSAGE)
    records = list(records_in(lines_of(io.BytesIO(content), longest_bytes=1_000)))
    assert records == [HEADER, UnreadableRecord(), MESSAGE]
    assert [record.is_damaged for record in records] == [False, True, False]
    endless = list(lines_of(io.BytesIO(b"x" * 3_000_000), longest_bytes=1_000))
    assert len(endless) == 1
    assert len(endless[0]) < 1_000


def test_only_a_line_feed_ends_a_record():
    message = MessageRecord("q", None, "", question("a\u2028b\u2029c\x85d\x0be\x0cf\x1cg"))
    assert list(read_records(encode(message))) == [message]
