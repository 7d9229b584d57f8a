from __future__ import annotations

from hypothesis import given

from chatcli.core.events import CitedSource
from chatcli.core.messages import FilePart, Message, TextPart, answer, question, system
from chatcli.sessions.exporting import TranscriptPart, transcript
from chatcli.sessions.records import HeaderRecord, MarkRecord, MessageRecord, PartialRecord, ReplyMetadata
from chatcli.sessions.session import Session
from sessions.strategies import sessions

AT = "2026-11-23T21:05:07.123Z"


def replay(*records):
    return Session.replay([HeaderRecord("h", AT, "chatcli 1.2.3"), *records])


def asked(own, parent, *documents):
    return MessageRecord(own, parent, AT, question(own, *documents))


def said(own, parent, finish_reason="stop"):
    return MessageRecord(own, parent, AT, answer(own), ReplyMetadata("small", finish_reason=finish_reason))


def words(turns):
    return [turn.pieces[0].text for turn in turns]


def test_it_is_the_conversation_as_it_stands():
    session = replay(
        asked("q", None), said("r1", "q"), MarkRecord("m", "r1", AT, "head", "q"), said("r2", "q")
    )
    made = transcript(session)
    assert [turn.speaker for turn in made.turns] == ["You", "Assistant"]
    assert words(made.turns) == ["q", "r2"]
    assert made.title == "q"
    assert made.facts == (("When", "2026-11-23 21:05 UTC"), ("Model", "small"))
    assert made.turns[1].facts == ("2026-11-23 21:05 UTC", "small")


def test_the_whole_tree_says_of_each_message_where_it_belongs():
    session = replay(asked("q", None), said("r1", "q"), asked("q2", "r1"), said("r2", "q"))
    made = transcript(session, whole_tree=True)
    assert words(made.turns) == ["q", "r1", "q2", "r2"]
    assert [turn.facts[-1] for turn in made.turns[:1]] == ["message 1"]
    assert made.turns[1].facts[2:] == ("message 2", "version 1 of 2", "on another branch")
    assert made.turns[3].facts[2:] == ("message 4", "follows message 1", "version 2 of 2")


def test_a_document_is_known_by_its_frame():
    document = '<document name="notes.md">\none\ntwo\n</document>'
    (turn,) = transcript(replay(asked("q", None, document, "unframed"))).turns
    assert [(piece.kind, piece.name, piece.text) for piece in turn.pieces] == [
        ("words", "", "q"),
        ("document", "notes.md", "one\ntwo\n"),
        ("document", "", "unframed"),
    ]


def test_what_was_attached_and_is_no_text_is_named():
    message = Message("user", (TextPart("look"), FilePart("0" * 64, "application/pdf", "c.pdf")))
    (turn,) = transcript(replay(MessageRecord("q", None, AT, message))).turns
    assert turn.pieces[1].name == "c.pdf (application/pdf)"


def test_an_interrupted_reply_and_one_that_was_cut_off_say_so():
    session = replay(
        asked("q", None), said("r", "q", "length"), asked("q2", "r"), PartialRecord("p", "q2", AT, "Mad")
    )
    turns = transcript(session).turns
    assert "cut off at the token limit" in turns[1].facts
    assert "interrupted" in turns[3].facts


def test_a_refusal_is_said_to_be_one_and_what_an_answer_cites_stands_behind_it():
    cited = ReplyMetadata("small", sources=(CitedSource(1, "Paris", "https://example.com"),))
    turns = transcript(
        replay(
            asked("a", None),
            MessageRecord("b", "a", AT, answer("Well, ", "no."), ReplyMetadata("small")),
            MessageRecord("c", "b", AT, answer("Paris [1]."), cited),
        )
    ).turns
    assert turns[1].facts[-1] == "refused to answer"
    assert [piece.text for piece in turns[1].pieces] == ["Well, ", "no."]
    assert turns[2].pieces[1] == TranscriptPart("sources", "[1] Paris · https://example.com")


def test_a_system_prompt_that_was_taken_away_is_told():
    session = replay(
        MessageRecord("s", None, AT, system("Rhyme.")), MessageRecord("t", "s", AT, Message("system", ()))
    )
    turns = transcript(session).turns
    assert [turn.speaker for turn in turns] == ["System", "System"]
    assert "system prompt removed" in turns[1].facts


def test_a_session_in_which_nothing_was_said_has_a_title_all_the_same():
    made = transcript(replay())
    assert made.title == "Conversation"
    assert made.facts == made.turns == ()


@given(sessions())
def test_every_message_is_in_the_whole_tree_once(session):
    assert len(transcript(session, whole_tree=True).turns) == len(list(session.messages()))
    assert len(transcript(session).turns) == len(session.path())
