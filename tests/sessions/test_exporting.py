"""Export of sessions: transcripts, Markdown and JSON."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from markdown_it import MarkdownIt

from chatcli.core.events import CitedSource
from chatcli.core.messages import FilePart, Message, TextPart, answer, question, system
from chatcli.render.markdown_ending import ended
from chatcli.sessions.exporting import (
    Transcript,
    TranscriptPart,
    TranscriptTurn,
    is_document,
    records_of,
    to_document,
    to_json,
    to_markdown,
    transcript,
)
from chatcli.sessions.reading import read_records
from chatcli.sessions.records import (
    HeaderRecord,
    MarkRecord,
    MessageRecord,
    PartialRecord,
    ReplyMetadata,
    encode,
)
from chatcli.sessions.session import Session
from chatcli.text.sanitizer import sanitize
from sessions.strategies import sessions

AT = "2026-11-23T21:05:07.123Z"


def replay(*records):
    return Session.replay([HeaderRecord("h", AT, "chatcli 1.2.3"), *records])


def question_record(own, parent, *documents):
    return MessageRecord(own, parent, AT, question(own, *documents))


def answer_record(own, parent, finish_reason="stop"):
    return MessageRecord(own, parent, AT, answer(own), ReplyMetadata("small", finish_reason=finish_reason))


def words(turns):
    return [turn.parts[0].text for turn in turns]


def test_it_is_the_conversation_as_it_stands():
    session = replay(
        question_record("q", None),
        answer_record("r1", "q"),
        MarkRecord("m", "r1", AT, "head", "q"),
        answer_record("r2", "q"),
    )
    made = transcript(session)
    assert [turn.speaker for turn in made.turns] == ["You", "Assistant"]
    assert words(made.turns) == ["q", "r2"]
    assert made.title == "q"
    assert made.facts == (("When", "2026-11-23 21:05 UTC"), ("Model", "small"))
    assert made.turns[1].facts == ("2026-11-23 21:05 UTC", "small")


def test_the_whole_tree_says_of_each_message_where_it_belongs():
    session = replay(
        question_record("q", None),
        answer_record("r1", "q"),
        question_record("q2", "r1"),
        answer_record("r2", "q"),
    )
    made = transcript(session, whole_tree=True)
    assert words(made.turns) == ["q", "r1", "q2", "r2"]
    assert [turn.facts[-1] for turn in made.turns[:1]] == ["message 1"]
    assert made.turns[1].facts[2:] == ("message 2", "version 1 of 2", "on another branch")
    assert made.turns[3].facts[2:] == ("message 4", "follows message 1", "version 2 of 2")


def test_a_document_is_known_by_its_frame():
    document = '<document name="notes.md">\none\ntwo\n</document>'
    (turn,) = transcript(replay(question_record("q", None, document, "unframed"))).turns
    assert [(part.kind, part.name, part.text) for part in turn.parts] == [
        ("words", "", "q"),
        ("document", "notes.md", "one\ntwo\n"),
        ("document", "", "unframed"),
    ]


def test_what_was_attached_and_is_no_text_is_named():
    message = Message("user", (TextPart("look"), FilePart("0" * 64, "application/pdf", "c.pdf")))
    (turn,) = transcript(replay(MessageRecord("q", None, AT, message))).turns
    assert turn.parts[1].name == "c.pdf (application/pdf)"


def test_an_interrupted_reply_and_one_that_was_cut_off_say_so():
    session = replay(
        question_record("q", None),
        answer_record("r", "q", "length"),
        question_record("q2", "r"),
        PartialRecord("p", "q2", AT, "Mad"),
    )
    turns = transcript(session).turns
    assert "cut off at the token limit" in turns[1].facts
    assert "interrupted" in turns[3].facts


def test_a_refusal_is_reported_to_be_one_and_what_an_answer_cites_stands_behind_it():
    cited = ReplyMetadata("small", sources=(CitedSource(1, "Paris", "https://example.com"),))
    turns = transcript(
        replay(
            question_record("a", None),
            MessageRecord("b", "a", AT, answer("Well, ", "no."), ReplyMetadata("small")),
            MessageRecord("c", "b", AT, answer("Paris [1]."), cited),
        )
    ).turns
    assert turns[1].facts[-1] == "refused to answer"
    assert [part.text for part in turns[1].parts] == ["Well, ", "no."]
    assert turns[2].parts[1] == TranscriptPart("sources", "[1] Paris · https://example.com")


def test_a_system_prompt_that_was_taken_away_is_reported():
    session = replay(
        MessageRecord("s", None, AT, system("Rhyme.")), MessageRecord("t", "s", AT, Message("system", ()))
    )
    turns = transcript(session).turns
    assert [turn.speaker for turn in turns] == ["System", "System"]
    assert "system prompt removed" in turns[1].facts


def test_a_session_in_which_nothing_was_reported_has_a_title_all_the_same():
    made = transcript(replay())
    assert made.title == "Conversation"
    assert made.facts == made.turns == ()


@given(sessions())
def test_every_message_is_in_the_whole_tree_once(session):
    assert len(transcript(session, whole_tree=True).turns) == len(list(session.messages()))
    assert len(transcript(session).turns) == len(session.path())


def markdown_of(*parts, title="Trip", speaker="You"):
    turn = TranscriptTurn(speaker, ("then", "small"), parts)
    return to_markdown(Transcript(title, (("Model", "small"),), (turn,)), ended=ended)


def test_a_turn_is_a_rule_a_heading_and_what_was_said():
    made = markdown_of(TranscriptPart("words", "Hi *there*"))
    assert made == "# Trip\n\n- Model: small\n\n---\n\n## You\n\n*then · small*\n\nHi *there*\n"


def test_a_document_stands_in_a_fence_longer_than_those_in_it():
    made = markdown_of(TranscriptPart("document", "```py\nx\n```\n", "a`b.md"))
    assert "**Attached: a\\`b.md**\n\n````\n```py\nx\n```\n````\n" in made


def test_what_a_tool_said_and_what_is_no_text_can_be_reported_from_words():
    made = markdown_of(TranscriptPart("tool", "42"), TranscriptPart("attachment", "", "a.png (image/png)"))
    assert "**From a tool:**\n\n```\n42\n```" in made
    assert "**Attached, not in this file: a.png (image/png)**" in made


def test_what_an_answer_cites_is_listed_with_its_addresses_as_they_are():
    made = markdown_of(
        TranscriptPart("sources", "[1] *Paris* · https://example.com/a_b_c\n[2] https://example.com")
    )
    assert (
        "**Sources:**\n\n```\n[1] *Paris* · https://example.com/a_b_c\n[2] https://example.com\n```" in made
    )


def test_a_title_is_one_line_of_text():
    made = markdown_of(title="<b> # *x*\nRm")
    assert made.startswith("# \\<b\\> \\# \\*x\\* Rm\n")


def test_an_answer_keeps_its_headings_and_cannot_swallow_the_next_turn():
    turns = [
        TranscriptTurn(
            "Assistant", ("interrupted",), (TranscriptPart("markdown", "# Mine\n\n```py\nx = 1"),)
        ),
        TranscriptTurn("You", ("then",), (TranscriptPart("words", "And?"),)),
    ]
    made = to_markdown(Transcript("T", (), tuple(turns)), ended=ended)
    assert "\n# Mine\n\n```py\nx = 1\n```\n\n---\n\n## You\n" in made


def test_control_characters_are_shown_not_sent():
    assert "\x1b" not in markdown_of(
        TranscriptPart("words", "\x1b[31m"), TranscriptPart("document", "\x1b[31m", "\x1b"), title="\x1b"
    )


@given(sessions())
def test_every_question_is_in_it_and_every_turn_is_a_heading(session):
    made = to_markdown(transcript(session), ended=ended)
    assert all(sanitize(part).rstrip("\n") in made for part in person_text(session.questions))
    tokens = MarkdownIt("commonmark").parse(made)
    headings = [
        following.content
        for token, following in itertools.pairwise(tokens)
        if token.type == "heading_open" and token.level == 0 and token.tag == "h2"
    ]
    turns = [turn.speaker for turn in transcript(session).turns]
    remaining = iter(headings)
    assert all(speaker in remaining for speaker in turns)


def person_text(questions):
    return [
        part.text
        for record in questions
        for part in record.message.parts
        if getattr(part, "origin", None) in {"person", "model"}
    ]


GOLDEN = Path(__file__).parent / "golden"


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
