from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given

from chatcli.sessions.exporting import is_document, records_of, to_document, to_json
from chatcli.sessions.reading import read_records
from chatcli.sessions.records import encode
from chatcli.sessions.session import Session
from sessions.strategies import sessions

GOLDEN = Path(__file__).parent.parent / "golden"


def through_json(session):
    return records_of(json.loads("".join(to_json([to_document(session, "trip")], as_list=False))))


@given(sessions())
def test_what_comes_back_is_what_went_in(session):
    assert through_json(session) == session.records


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.jsonl")), ids=lambda path: path.stem)
def test_the_lines_of_a_session_file_come_back_as_they_were(path):
    records = list(read_records(path.read_bytes()))
    assert [json.loads(encode(record)) for record in through_json(Session.replay(records))] == [
        json.loads(encode(record)) for record in Session.replay(records).records
    ]


def test_the_keys_are_those_that_are_promised():
    session = Session.replay(read_records((GOLDEN / "every-record.jsonl").read_bytes()))
    document = to_document(session, "trip")
    assert list(document) == ["type", "version", "name", "title", "records"]
    assert (document["type"], document["version"], document["name"]) == ("chatcli_session", 1, "trip")
    assert document["title"] == "Capitals"
    assert is_document(document)


def test_several_sessions_are_a_list_and_one_line_is_one_record():
    session = Session.replay(read_records((GOLDEN / "gone-back.jsonl").read_bytes()))
    text = "".join(to_json([to_document(session, "a"), to_document(session, "b")], as_list=True))
    assert [document["name"] for document in json.loads(text)] == ["a", "b"]
    assert text.isascii()
    assert json.loads("".join(to_json([], as_list=True))) == []


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({}, "no version"),
        ({"version": 1}, "no records"),
        ({"version": True, "records": []}, "no version"),
        ({"version": 2, "records": []}, "newer chatcli"),
        ({"version": 1, "records": []}, "header"),
        ({"version": 1, "records": [{"type": "note"}]}, "header"),
        ({"version": 1, "records": [7]}, "not a JSON object"),
    ],
)
def test_a_document_that_is_none_is_refused_with_the_reason(document, reason):
    with pytest.raises(ValueError, match=reason):
        records_of(document)
