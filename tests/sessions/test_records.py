from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hostile_json
from chatcli.core.events import CitedSource, Usage
from chatcli.core.messages import ImagePart, Message, RefusalPart, TextPart, answer, question
from chatcli.sessions.records import (
    HeaderRecord,
    MarkRecord,
    MessageRecord,
    PartialRecord,
    ReplyMetadata,
    UnknownRecord,
    UnreadableRecord,
    decode,
    encode,
    new_id,
)
from chatcli.sessions.session import Session
from hostile_json import HUGE
from sessions.strategies import any_text, messages, replies

AT = "2026-11-23T21:05:07.123Z"

parents = st.none() | any_text
records = st.one_of(
    st.builds(HeaderRecord, any_text, any_text, any_text, folder=st.none() | any_text),
    st.builds(MessageRecord, any_text, parents, any_text, messages, st.none() | replies),
    st.builds(PartialRecord, any_text, parents, any_text, any_text),
    st.builds(MarkRecord, any_text, parents, any_text, any_text, parents),
)


def reread(record):
    return decode(encode(record).removesuffix(b"\n"))


def paired(text):
    """Return ``text`` as every JSON reader sees it: two surrogates that form a pair are one character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


@given(records)
def test_a_record_is_one_line_of_utf_8(record):
    line = encode(record)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    line.decode("utf-8", "strict")


@given(records)
def test_a_line_read_and_written_again_is_the_same(record):
    line = encode(record)
    assert encode(decode(line.removesuffix(b"\n"))) == line


@given(any_text)
def test_the_text_of_a_message_survives(text):
    record = MessageRecord("a", None, AT, answer(text))
    assert reread(record) == replace(record, message=answer(paired(text)))


@pytest.mark.parametrize(
    "text", ["\u2028\u2029\x85\x0b\x0c\x1c", "\0", "\r\n", "\ud800", "\udfff\ud800", '\\"']
)
def test_characters_that_break_lines_elsewhere_survive(text):
    assert reread(MessageRecord("a", None, AT, question(text))).message == question(text)


@given(messages.filter(lambda message: "\\ud" not in ascii(message)), st.none() | replies)
def test_every_message_survives(message, reply):
    record = MessageRecord("a", "b", AT, message, reply)
    assert reread(record) == record


def test_a_reply_tells_all_it_knows_in_the_order_of_the_format():
    usage = Usage(1, 2, 3, 4)
    record = MessageRecord("a", "b", AT, answer("Hi"), ReplyMetadata("m", usage, "stop", 1.5, None))
    assert encode(record).decode() == (
        '{"type":"message","id":"a","parent":"b","at":"2026-11-23T21:05:07.123Z","message":{"role":"assistant",'
        '"parts":[{"type":"text","text":"Hi","origin":"model"}]},"model":"m","usage":{"input_tokens":1,'
        '"output_tokens":2,"cached_tokens":3,"reasoning_tokens":4,"estimated":false},"finish_reason":"stop",'
        '"latency_s":1.5,"cost_usd":null}\n'
    )


def test_what_an_answer_cites_stands_behind_the_rest_and_only_where_there_is_something():
    url, file = CitedSource(1, "Paris", "https://example.com"), CitedSource(2, "deep.pdf", path="deep.pdf")
    record = MessageRecord("a", None, AT, answer("Paris."), ReplyMetadata("small", sources=(url, file)))
    fields = json.loads(encode(record))
    assert list(fields)[-2:] == ["cost_usd", "sources"]
    assert fields["sources"] == [
        {"n": 1, "title": "Paris", "url": "https://example.com"},
        {"n": 2, "title": "deep.pdf", "path": "deep.pdf"},
    ]
    assert reread(record).reply.sources == (url, file)


def test_a_reply_says_which_model_was_asked_only_if_that_is_another_name():
    dated = ReplyMetadata("small-2026-08-07", requested_model="small")
    record = MessageRecord("a", None, AT, answer("Paris."), dated)
    assert json.loads(encode(record))["requested_model"] == "small"
    assert reread(record).reply == dated
    assert dated.shown_model == "small"
    plain = ReplyMetadata("small")
    assert "requested_model" not in plain.fields()
    assert plain.shown_model == "small"


@pytest.mark.parametrize(
    "odd",
    [None, 3, {}, [None], [{}], [{"n": 0, "title": "", "url": ""}], [{"n": 10**400, "title": "", "url": ""}],
     [{"n": 1, "title": {}, "url": ""}], [{"n": 1, "title": "", "url": 3, "path": "x"}], [{"n": 1.5}]],
)  # fmt: skip
def test_what_is_no_source_costs_no_message(odd):
    assert ReplyMetadata.read({"model": "small", "sources": odd}) == ReplyMetadata("small")


def test_a_refusal_is_a_part_of_its_own():
    record = MessageRecord("a", None, AT, answer("Well, ", "No."), ReplyMetadata("small"))
    assert json.loads(encode(record))["message"]["parts"] == [
        {"type": "text", "text": "Well, ", "origin": "model"},
        {"type": "refusal", "text": "No."},
    ]


def test_a_question_has_no_reply_metadata():
    assert reread(MessageRecord("a", None, AT, question("Hi"))).reply is None


def test_a_changed_record_is_written_anew_and_what_was_changed_is_gone():
    read = decode(b'{"type":"partial","id":"a","parent":null,"at":"t","text":"secret","future":"secret too"}')
    assert b"secret" in encode(read)
    assert b"secret" not in encode(replace(read, text="***"))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b'{"type":"mess',
        b"[1]",
        b"null",
        b"7",
        b"\xff\xfe",
        b"\0\0\0",
        b'"text"',
        b"[" * 200_000,
        b'{"a":' + b"9" * 5_000 + b"}",
    ],
    ids=lambda line: ascii(line[:12]),
)
def test_a_line_that_is_no_json_object_is_kept_as_one_that_cannot_be_read(line):
    record = decode(line)
    assert isinstance(record, UnreadableRecord)
    assert encode(record) == line + b"\n"


def test_a_torn_line_is_no_damage_and_any_other_that_cannot_be_read_is():
    assert not decode(b'{"type":"mess').is_damaged
    assert not decode(b'{"type":"partial","id":"a","text":"Rom').is_damaged
    for line in (
        b"\0\0\0",
        b'{"type":"partial","id":"a",\xff"text":"Rome"}',
        b'\xff{"type":"partial"',
        b"[1]",
    ):
        assert decode(line).is_damaged


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b'{"type":["message"]}',
        b'{"type":"thought","id":"a"}',
        b'{"type":"header","format":"1","id":"a","at":"","app":""}',
        b'{"type":"header","format":true,"id":"a","at":"","app":""}',
        b'{"type":"message","id":"a","parent":null,"at":""}',
        b'{"type":"message","id":5,"parent":null,"at":"","message":{"role":"user","parts":[]}}',
        b'{"type":"message","id":"a","parent":null,"at":"","message":{"role":"oracle","parts":[]}}',
        b'{"type":"message","id":"a","parent":null,"at":"","message":{"role":["user"],"parts":[]}}',
        b'{"type":"message","id":"a","parent":null,"at":"","message":{"role":"user","parts":{}}}',
        b'{"type":"message","id":"a","parent":null,"at":"","message":{"role":"user","parts":[{"type":"text"}]}}',
        b'{"type":"partial","id":"a","parent":null,"at":"","text":null}',
        b'{"type":"mark","id":"a","parent":null,"at":"","kind":{}}',
    ],
)
def test_an_object_that_cannot_be_read_is_kept_as_it_is(line):
    record = decode(line)
    assert isinstance(record, UnknownRecord)
    assert encode(record) == line + b"\n"


def test_an_unknown_record_made_here_is_written_from_its_content():
    assert encode(UnknownRecord({"type": "thought"})) == b'{"type":"thought"}\n'


def test_reply_metadata_of_the_wrong_type_counts_as_not_reported():
    line = json.dumps(
        {
            "type": "message",
            "id": "a",
            "parent": 7,
            "at": AT,
            "message": {"role": "assistant", "parts": [{"type": "text", "text": "Hi", "origin": "model"}]},
            "model": 5,
            "usage": {"input_tokens": "many", "output_tokens": -1, "cached_tokens": True, "estimated": 1},
            "finish_reason": "stop",
            "latency_s": float("nan"),
            "cost_usd": "free",
        }
    )
    record = decode(line.encode())
    assert record == MessageRecord(
        "a", None, AT, answer("Hi"), ReplyMetadata(usage=Usage(), finish_reason="stop")
    )
    assert record.is_damaged


def message_line(**fields):
    part = {"type": "text", "text": "Rome", "origin": "model"}
    sound = {
        "type": "message",
        "id": "a",
        "parent": None,
        "at": AT,
        "message": {"role": "assistant", "parts": [part]},
    }
    return json.dumps(sound | {"model": "m", "finish_reason": "stop"} | fields).encode()


@pytest.mark.parametrize(
    "fields",
    [
        {"cost_usd": HUGE},
        {"cost_usd": float("inf")},
        {"latency_s": {}},
        {"usage": [1]},
        {"model": 7},
        {"finish_reason": []},
        {"sources": {}},
        {"parent": {}},
        {"message": {"role": "assistant", "parts": [{"type": "text", "text": "Rome", "origin": {}}]}},
        {"message": {"role": "assistant", "parts": [{"type": "text", "text": "Rome"}, {"type": {}}, 7]}},
        {"message": {"role": "assistant", "parts": [{"type": "text", "text": "Rome"}], "provider_data": 7}},
        {
            "message": {
                "role": "assistant",
                "parts": [
                    {"type": "reasoning", "text": "hm", "provider_data": 7},
                    {"type": "text", "text": "Rome"},
                ],
            }
        },
    ],
    ids=str,
)
def test_a_field_of_the_wrong_type_is_damage_and_does_not_cost_the_text(fields):
    record = decode(message_line(**fields))
    assert record.message.text == "Rome"
    assert record.is_damaged


@pytest.mark.parametrize(
    "line",
    [
        message_line(),
        message_line(future={"any": 1}),
        message_line(message={"role": "oracle", "parts": []}),
        message_line(message={"role": "tool", "parts": []}),
        message_line(message={"role": "user", "parts": [{"type": "hologram", "id": 1}]}),
        message_line(message={"role": "user", "parts": [{"type": "text", "text": "", "origin": "oracle"}]}),
        b'{"type":"thought","id":{}}',
    ],
)
def test_what_a_newer_version_may_have_written_is_no_damage(line):
    assert not decode(line).is_damaged


SOUND = [
    json.loads(encode(record))
    for record in (
        HeaderRecord("s", AT, "chatcli", folder="/home"),
        MessageRecord("a", "b", AT, question("Hi", "a document")),
        MessageRecord(
            "a",
            "b",
            AT,
            Message(
                "assistant",
                (TextPart("Hi", "model"), RefusalPart("No."), ImagePart("0", "image/png", "a")),
                {"signature": "x"},
            ),
            ReplyMetadata(
                "m", Usage(1, 2, 3, 4), "stop", 1.5, 0.01, (CitedSource(1, "Rome", "https://a.example"),)
            ),
        ),
        PartialRecord("a", "b", AT, "Hi"),
        MarkRecord("m", "a", AT, "summary", {"from": "a", "to": "b", "text": "c"}),
        MarkRecord("m", "a", AT, "title", "Rome"),
        MarkRecord("m", "a", AT, "refused", {"message": "a", "reason": "400"}),
    )
]


@given(hostile_json.damaged(SOUND) | hostile_json.values)
def test_whatever_a_record_is_made_of_nothing_that_is_read_from_it_fails(fields):
    line = hostile_json.dumped(fields)
    record = decode(line)
    assert encode(record) == line + b"\n"
    repr(record)
    if isinstance(record, MessageRecord):
        assert record.message.role == record.role
        assert isinstance(record.message.text + record.message.person_text, str)
        reply = record.reply or ReplyMetadata()
        assert reply.cost_usd == record.cost_usd
        assert math.isfinite((reply.cost_usd or 0.0) * 1e9 + (reply.latency_s or 0.0))
    again = Session.replay([record, record])
    assert (
        Session.replay([decode(encode(found).removesuffix(b"\n")) for found in again.records]).path()
        == again.path()
    )


@given(st.binary())
def test_any_bytes_are_some_record(line):
    assert encode(decode(line)) == line + b"\n"


def test_what_nests_too_deep_is_not_read_whatever_else_stands_in_it():
    for extra in ("", '"\\ud800",'):
        shallow = f'{{"type":"mark","id":"a","at":"","kind":"new","value":{"[" * 100}{extra}1{"]" * 100}}}'
        deep = f'{{"type":"mark","id":"a","at":"","kind":"new","value":{"[" * 250}{extra}1{"]" * 250}}}'
        assert isinstance(decode(shallow.encode()), MarkRecord)
        assert isinstance(decode(deep.encode()), UnreadableRecord)


def test_a_text_of_unknown_origin_is_trusted_least():
    parts = [{"type": "text", "text": "Hi", "origin": "oracle"}, {"type": "text", "text": "Ho"}]
    fields = {"type": "message", "id": "a", "at": AT, "message": {"role": "user", "parts": parts}}
    record = decode(json.dumps(fields).encode())
    assert [part.origin for part in record.message.parts] == ["document", "document"]


def test_ids_are_twelve_hexadecimal_digits_and_differ():
    assert len({new_id() for _ in range(100)}) == 100
    assert len(new_id()) == 12
    int(new_id(), 16)


def test_what_a_record_says_of_its_message_is_there_before_the_message():
    line = encode(MessageRecord("a", "b", AT, answer("Hi"), ReplyMetadata("m", cost_usd=0.25)))
    record = decode(line.removesuffix(b"\n"))
    assert (record.role, record.cost_usd) == ("assistant", 0.25)
    assert (record.message.role, record.reply.cost_usd) == ("assistant", 0.25)
    with pytest.raises(AttributeError):
        _ = record.title


@pytest.mark.parametrize(
    "part",
    ['{"type":"image","sha256":7}', '{"type":"text","text":null}', '{"type":"file","sha256":"a","name":"b"}'],
)
def test_a_message_with_a_damaged_part_is_no_message(part):
    line = f'{{"type":"message","id":"a","parent":null,"at":"","message":{{"role":"user","parts":[{part}]}}}}'
    assert isinstance(decode(line.encode()), UnknownRecord)


json_pieces = st.sampled_from(
    [*'{}[],:"', "a", '"b":', '"c"', "1", "-0", "1e5", "1E400", "01", "NaN", "-Infinity", "null", "true", " ",
     "\t", "\x0b", "\0", "\x7f", "\\ud800", '"\\ud83d\\ude00"', '"\\u00e9"', "9" * 30, "\ufeff", "é", "+1", "'a'"]
)  # fmt: skip


@given(st.lists(json_pieces, max_size=8).map("".join))
def test_a_line_is_read_as_every_json_reader_reads_it(value):
    line = f'{{"type":"mark","id":"a","parent":null,"at":"","kind":"new","value":{value}}}'
    try:
        expected = json.loads(line)["value"]
    except ValueError:
        assert isinstance(decode(line.encode()), UnreadableRecord)
    else:
        assert repr(decode(line.encode()).value) == repr(expected)
