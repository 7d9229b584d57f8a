from __future__ import annotations

from chatcli.chat.session_history import StoredMessages, history_of, note_message, recalled
from chatcli.core.messages import answer, question, system
from chatcli.sessions.records import MarkRecord, MessageRecord, decode, encode
from chatcli.sessions.session import Session
from chatcli.text.documents import document

AT = "2026-11-23T21:05:07.123Z"


def stored(own, parent, message):
    return MessageRecord(own, parent, AT, message)


SAID = (
    stored("s", None, system("Be brief.")),
    stored("q1", "s", question("one")),
    stored("a1", "q1", answer("a")),
    stored("q2", "a1", question("two")),
    stored("a2", "q2", answer("b")),
    stored("b2", "a2", answer("c")),
)


def mark(kind, value=None):
    return MarkRecord(f"{kind} {value}", "b2", AT, kind, value)


def replayed(*records):
    """Return a session as read from a file."""
    return Session.replay(decode(encode(record).removesuffix(b"\n")) for record in records)


def is_read(record):
    """Return whether the message of a record was decoded."""
    try:
        object.__getattribute__(record, "message")
    except AttributeError:
        return False
    return True


def test_answers_stand_with_their_question_and_pins_are_indexed():
    history = history_of(replayed(*SAID, mark("pin", "a1")))
    assert [list(turn.messages) for turn in history.turns] == [
        [question("one"), answer("a")],
        [question("two"), answer("b"), answer("c")],
    ]
    assert [turn.ids for turn in history.turns] == [("q1", "a1"), ("q2", "a2", "b2")]
    assert (history.pinned, history.system, history.head) == ([0], system("Be brief."), "b2")


def test_dropped_turns_are_left_out_and_notes_stand_apart():
    history = history_of(replayed(*SAID, mark("drop", "q1"), mark("note", "I am Ada.")))
    assert [turn.ids[0] for turn in history.turns] == ["q2"]
    assert history.notes == (note_message("I am Ada."),)


def test_nothing_is_read_before_somebody_looks_at_it():
    session = replayed(*SAID)
    history = history_of(session)
    assert not any(is_read(record) for record in session.path()[1:])
    assert history.turns[1].messages[0].text == "two"
    assert [is_read(record) for record in session.path()] == [True, False, False, True, False, False]


def test_messages_that_are_read_later_are_those_that_were_reported():
    records = SAID[1:3]
    stored = StoredMessages(records)
    said_then = (question("one"), answer("a"))
    assert stored == said_then
    assert said_then == stored
    assert stored[:1] == (question("one"),)
    assert hash(stored) == hash(said_then)
    assert stored != ()
    assert stored != "one"
    assert "one" in repr(stored)


class TestAnswersThatWereStoredWithTheirReasoning:
    SAID = (
        stored("q", None, question("<think>what is this</think>?")),
        stored("a", "q", answer("<think>\nhm\n</think>\n\nParis.")),
        stored("b", "a", answer("hm\n</think>\nLyon.")),
        stored("c", "b", answer("a < b")),
        stored("d", "c", answer("<think>hm")),
    )

    def sent(self, **options):
        (turn,) = history_of(replayed(*self.SAID), **options).turns
        return [message.text for message in turn.messages]

    def test_are_sent_without_it(self):
        asked = "<think>what is this</think>?"
        assert self.sent(separates_reasoning=True) == [asked, "Paris.", "Lyon.", "a < b", "<think>hm"]
        assert self.sent(separates_reasoning=True, longest_tokens=100)[1] == "Paris."

    def test_are_sent_as_they_are_where_it_is_left_in_the_text(self):
        assert self.sent() == [record.message.text for record in self.SAID]


LONG = question("Who met?", document("minutes.md", "The committee met. " * 1_000))


def test_a_question_that_was_too_long_is_reported_of_in_short():
    short = recalled(LONG, 1_000)
    assert short.text.startswith('Who met?\n\n<document name="minutes.md">\n[… 19,000 characters')
    assert len(short.text) < 200


def test_what_is_short_enough_and_what_a_model_said_stays_as_it_was():
    assert recalled(LONG, 10_000) is LONG
    said = answer("It goes on. " * 1_000)
    assert recalled(said, 10) is said
