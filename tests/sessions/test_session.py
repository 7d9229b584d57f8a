from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.messages import Message, answer, question, system
from chatcli.sessions.records import (
    HeaderRecord,
    MarkRecord,
    MessageRecord,
    PartialRecord,
    ReplyMetadata,
    UnknownRecord,
)
from chatcli.sessions.session import Session
from sessions.fake_runtime import texts

AT = "2026-11-23T21:05:07.123Z"


def asked(own, parent, text=None):
    return MessageRecord(own, parent, AT, question(text or own))


def said(own, parent, text=None):
    return MessageRecord(own, parent, AT, answer(text or own), ReplyMetadata("m"))


def part(own, parent, text):
    return PartialRecord(own, parent, AT, text)


def mark(kind, value=None, parent=None):
    return MarkRecord(f"{kind} {value} {parent}", parent, AT, kind, value)


def replay(*records):
    return Session.replay(records)


def path_ids(session):
    return [record.id for record in session.path()]


EXCHANGE = (asked("q1", None), said("r1", "q1"), asked("q2", "r1"), said("r2", "q2"))


def test_no_records_are_an_empty_conversation():
    session = replay()
    assert session.path() == session.context() == ()
    assert (session.head, session.header, session.title, session.model, session.system) == (None,) * 5


def test_the_first_header_stands():
    first, second = HeaderRecord("a", AT, "x"), HeaderRecord("b", AT, "y")
    assert replay(first, second).header == first


@pytest.mark.parametrize(
    ("records", "year"),
    [
        ((), None),
        ((mark("title", "x"),), None),
        ((HeaderRecord("a", AT, "x"),), 2026),
        ((HeaderRecord("a", "some day", "x"),), 1970),
        ((HeaderRecord("a", "2026-11-23", "x"),), 2026),
        ((asked("q", None),), 1970),
    ],
)
def test_it_began_with_its_header(records, year):
    began_at = replay(*records).began_at
    assert (began_at and began_at.year) == year
    assert began_at is None or began_at.tzinfo is not None


def test_the_last_message_is_the_head():
    session = replay(*EXCHANGE)
    assert session.head == "r2"
    assert path_ids(session) == ["q1", "r1", "q2", "r2"]


def test_a_head_mark_goes_back_and_the_next_message_moves_on_from_there():
    undone = replay(*EXCHANGE, mark("head", "r1"))
    assert path_ids(undone) == ["q1", "r1"]
    edited = replay(*EXCHANGE, mark("head", "r1"), asked("q3", "r1"))
    assert path_ids(edited) == ["q1", "r1", "q3"]
    assert edited.message("r2") is not None


def test_a_head_of_null_is_the_beginning():
    session = replay(*EXCHANGE, mark("head", None))
    assert session.head is None
    assert session.path() == ()


@pytest.mark.parametrize("value", ["nobody", 7, ["q1"], {}, "title T None"])
def test_a_head_that_is_no_message_changes_nothing(value):
    assert replay(*EXCHANGE, mark("title", "T"), mark("head", value)).head == "r2"


def test_partials_without_a_message_are_joined_as_an_interrupted_reply():
    session = replay(asked("q", None), part("r", "q", "Par"), part("r", "q", "is"))
    reply = session.path()[-1]
    assert reply == MessageRecord("r", "q", AT, answer("Paris"), ReplyMetadata(finish_reason="interrupted"))


def test_a_conversation_goes_on_after_an_interrupted_reply():
    session = replay(asked("q", None), part("r", "q", "Par"), asked("q2", "r"))
    assert texts(session) == ["q", "Par", "q2"]


def test_a_message_replaces_its_partials():
    session = replay(asked("q", None), part("r", "q", "Par"), said("r", "q", "Paris."))
    assert texts(session) == ["q", "Paris."]


def test_of_a_whole_reply_no_parts_are_kept_in_memory():
    whole = said("r", "q", "Paris.")
    session = replay(asked("q", None), part("r", "q", "Par"), part("r", "q", "is"), whole)
    assert session.records == [asked("q", None), whole]


def test_a_partial_after_its_message_is_ignored():
    session = replay(asked("q", None), said("r", "q", "Paris."), part("r", "q", "Par"))
    assert texts(session) == ["q", "Paris."]


def test_a_partial_that_begins_again_replaces_those_before_it():
    again = PartialRecord("r", "q", AT, "Par", begins_again=True)
    session = replay(asked("q", None), part("r", "q", "hm"), again, part("r", "q", "is"))
    assert texts(session) == ["q", "Paris"]
    assert session.records == [asked("q", None), again, part("r", "q", "is")]


def test_a_reply_that_begins_again_with_nothing_is_none():
    again = PartialRecord("r", "q", AT, "", begins_again=True)
    session = replay(asked("q", None), part("r", "q", "hm"), again)
    assert (texts(session), session.head) == (["q"], "q")
    session.apply(asked("q2", "r"))
    assert texts(session) == ["q", "q2"]


def test_of_two_messages_with_one_id_the_first_stands():
    session = replay(asked("q", None, "first"), said("r", "q"), asked("q", "r", "second"))
    assert texts(session) == ["first", "r"]


def test_a_missing_parent_is_a_beginning():
    assert path_ids(replay(asked("q", "gone"), said("r", "q"))) == ["q", "r"]


def test_a_circle_of_parents_is_walked_once():
    assert sorted(path_ids(replay(asked("a", "b"), said("b", "a")))) == ["a", "b"]
    assert path_ids(replay(asked("a", "a"))) == ["a"]


def test_the_path_leads_through_records_that_are_not_known():
    between = UnknownRecord({"type": "tool_call", "id": "t", "parent": "q"})
    assert path_ids(replay(asked("q", None), between, said("r", "t"))) == ["q", "r"]


def test_a_mark_cannot_take_the_place_of_a_message():
    impostor = MarkRecord("q", None, AT, "note", "x")
    assert path_ids(replay(impostor, asked("p", None), asked("q", "p"))) == ["p", "q"]
    assert path_ids(replay(asked("p", None), asked("q", "p"), impostor)) == ["p", "q"]


def test_a_clear_takes_what_was_said_up_to_it_out_of_the_context():
    session = replay(*EXCHANGE, mark("clear", parent="r1"))
    assert [record.id for record in session.context()] == ["q2", "r2"]
    assert path_ids(session) == ["q1", "r1", "q2", "r2"]


def test_the_clear_that_is_furthest_along_the_path_counts():
    session = replay(*EXCHANGE, mark("clear", parent="q2"), mark("clear", parent="q1"))
    assert [record.id for record in session.context()] == ["r2"]


def test_a_clear_on_another_branch_does_not_count():
    session = replay(*EXCHANGE, mark("clear", parent="r2"), mark("head", "r1"))
    assert [record.id for record in session.context()] == ["q1", "r1"]


def test_a_clear_before_anything_was_reported_takes_nothing():
    assert len(replay(*EXCHANGE, mark("clear")).context()) == 4


def test_the_newest_system_message_on_the_path_counts_and_outlives_a_clear():
    first = MessageRecord("s1", None, AT, system("Be kind."))
    second = MessageRecord("s2", "s1", AT, system("Be brief."))
    session = replay(first, second, asked("q", "s2"), mark("clear", parent="q"))
    assert session.system == system("Be brief.")
    assert session.context() == ()
    assert replay(first, second, mark("head", "s1")).system == system("Be kind.")


def test_a_system_message_without_parts_takes_the_prompt_away():
    taken_away = MessageRecord("s2", "s1", AT, Message("system", ()))
    session = replay(MessageRecord("s1", None, AT, system("Be kind.")), taken_away)
    assert session.system == Message("system", ())


def test_the_questions_are_those_on_the_path():
    session = replay(*EXCHANGE, mark("head", "r1"), asked("q3", "r1"), said("r3", "q3"))
    assert [record.id for record in session.questions] == ["q1", "q3"]


def test_pins_keep_their_order_and_can_be_taken_back():
    session = replay(*EXCHANGE, *(mark("pin", pin) for pin in ("q2", "q1", "r1", "q2")), mark("unpin", "q1"))
    assert list(session.pinned) == ["q2", "r1"]


def test_the_last_title_and_model_count_and_every_note():
    marks = [(kind, value) for kind in ("title", "model", "note") for value in ("a", "b")]
    session = replay(*EXCHANGE, *(mark(kind, value) for kind, value in marks))
    assert (session.title, session.model, list(session.notes.values())) == ("b", "b", ["a", "b"])


@pytest.mark.parametrize("kind", ["title", "model", "note", "pin", "unpin", "applause"])
@pytest.mark.parametrize("value", [None, 7, ["q1"], {"a": 1}])
def test_a_mark_with_a_value_that_makes_no_sense_changes_nothing(kind, value):
    session = replay(*EXCHANGE, mark(kind, value))
    assert (session.title, session.model, session.notes, session.pinned) == (None, None, {}, {})
    assert session.head == "r2"


def test_a_conversation_of_any_length_is_walked():
    chain = [asked(str(number), str(number - 1)) for number in range(10_000)]
    assert len(Session.replay(chain).path()) == 10_000


some_id = st.sampled_from("abcdef")
some_parent = st.none() | some_id
some_record = st.one_of(
    st.builds(asked, some_id, some_parent),
    st.builds(said, some_id, some_parent),
    st.builds(part, some_id, some_parent, st.text(max_size=3)),
    st.builds(
        MarkRecord, some_id, some_parent, st.just(AT), st.sampled_from(["head", "clear", "pin"]), some_parent
    ),
    st.builds(
        lambda own, parent: UnknownRecord({"id": own, "parent": parent}), some_id | st.none(), some_parent
    ),
)


@given(st.lists(some_record, max_size=40))
def test_no_tree_of_records_makes_a_replay_fail_or_loop(records):
    session = Session.replay(records)
    ids = path_ids(session)
    assert len(ids) == len(set(ids))
    assert ids[-1:] == ([] if session.head is None else [session.head])
    assert ids[len(ids) - len(session.context()) :] == [record.id for record in session.context()]
    again = Session.replay(session.records)
    assert (again.path(), again.context(), again.head) == (session.path(), session.context(), session.head)


def test_the_cost_of_a_session_is_that_of_all_its_answers_as_far_as_it_is_known():
    def reply(record_id, cost_usd):
        return MessageRecord(record_id, None, AT, answer("a"), ReplyMetadata("m", cost_usd=cost_usd))

    assert Session.replay([reply("a", None)]).cost_usd is None
    branches = [reply("a", 0.25), reply("b", None), reply("c", 0.5), MarkRecord("m", None, AT, "head", "a")]
    assert Session.replay(branches).cost_usd == 0.75


@given(st.lists(some_record, max_size=40), st.lists(st.booleans(), min_size=40, max_size=40))
def test_the_path_is_the_same_whenever_it_is_asked_for(records, asked_for):
    session = Session()
    for record, is_asked_for in zip(records, asked_for, strict=False):
        session.apply(record)
        if is_asked_for:
            assert session.path() == Session.replay(session.records).path()
    assert session.path() == tuple(reversed(list(session.line_to(session.head))))


def test_a_path_that_was_asked_for_grows_by_what_is_reported():
    session = replay(*EXCHANGE)
    session.path()
    session.apply(asked("q3", "r2"))
    session.apply(part("r3", "q3", "to"))
    assert [record.message.text for record in session.path()[-2:]] == ["q3", "to"]
    session.apply(part("r3", "q3", "gether"))
    assert session.path()[-1].message.text == "together"
    session.apply(said("r3", "q3", "whole"))
    assert [record.message.text for record in session.path()[-2:]] == ["q3", "whole"]


def test_a_part_that_comes_late_is_on_a_path_that_was_asked_for():
    session = replay(part("a", None, "to"), asked("q", "a"))
    session.path()
    session.apply(part("a", None, "gether"))
    assert session.path()[0].message.text == "together"
