"""A session as a tree of exchanges."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.messages import answer, question, system
from chatcli.sessions.records import MarkRecord, MessageRecord, PartialRecord, ReplyMetadata
from chatcli.sessions.session import Session
from chatcli.sessions.tree import Tree

AT = "2026-11-23T21:05:07.123Z"


def asked(record_id, parent=None):
    return MessageRecord(record_id, parent, AT, question(record_id))


def answered(record_id, parent, text=None, finish_reason="stop"):
    return MessageRecord(
        record_id, parent, AT, answer(text or record_id), ReplyMetadata("m", None, finish_reason)
    )


def head(message_id):
    return MarkRecord(f"to {message_id}", None, AT, "head", message_id)


def tree(*records):
    return Tree(Session.replay(records))


def shown(exchanges):
    return [exchange.id for exchange in exchanges]


class TestATree:
    def test_without_anything_said_has_no_exchange(self):
        empty = tree()
        assert (empty.exchanges, empty.path, empty.following(None)) == ((), (), ())

    def test_of_a_straight_talk_is_its_path(self):
        straight = tree(asked("q1"), answered("a1", "q1"), asked("q2", "a1"), answered("a2", "q2"))
        assert shown(straight.path) == shown(straight.exchanges) == ["a1", "a2"]
        assert [exchange.number for exchange in straight.path] == [1, 2]
        assert straight.alternatives(straight.path[0]) == (straight.path[0],)

    def test_has_other_answers_and_other_wordings_at_one_place(self):
        forked = tree(
            asked("q1"), answered("a1", "q1"), answered("a1'", "q1"), asked("q1'"), answered("a1''", "q1'")
        )
        assert shown(forked.alternatives(forked.path[0])) == ["a1", "a1'", "a1''"]
        assert shown(forked.path) == ["a1''"]

    def test_takes_a_system_message_for_no_place_of_its_own(self):
        prompt = MessageRecord("s", None, AT, system("Rhyme."))
        forked = tree(asked("q1"), answered("a1", "q1"), prompt, asked("q1'", "s"), answered("b", "q1'"))
        assert shown(forked.alternatives(forked.path[0])) == ["a1", "b"]

    def test_has_a_question_without_an_answer_as_an_exchange(self):
        waiting = tree(asked("q1"))
        assert shown(waiting.path) == ["q1"]

    def test_follows_a_talk_that_went_on_without_an_answer(self):
        went_on = tree(
            asked("q1"), asked("q2", "q1"), answered("a2", "q2"), answered("late", "q1"), head("a2")
        )
        assert shown(went_on.path) == ["q1", "a2"]
        assert shown(went_on.alternatives(went_on.path[0])) == ["q1", "late"]

    def test_counts_the_question_of_an_answer_once_where_another_branch_went_on_without(self):
        went_on = tree(asked("q1"), asked("q2", "q1"), answered("late", "q1"))
        assert shown(went_on.path) == ["late"]

    def test_leaves_out_the_part_of_an_answer_that_was_gone_on_with(self):
        part = PartialRecord("p", "q1", AT, "The capital")
        continued = tree(asked("q1"), part, answered("a1", "q1", "The capital is Paris."))
        assert shown(continued.exchanges) == ["a1"]

    @pytest.mark.parametrize(
        ("latency_s", "at", "exchanges"),
        [
            (4.0, "2026-11-23T21:05:12Z", ["a1"]),
            (6.0, "2026-11-23T21:05:12Z", ["cut", "a1"]),
            (6.0, "yesterday", ["a1"]),
            (1e300, "2026-11-23T21:05:12Z", ["a1"]),
        ],
        ids=["continued", "compared", "damaged", "endless"],
    )
    def test_keeps_a_stopped_answer_that_another_models_begins_with(self, latency_s, at, exchanges):
        cut = answered("cut", "q1", "The capital", "interrupted")
        reply = ReplyMetadata("other", None, "stop", latency_s)
        whole = MessageRecord("a1", "q1", at, answer("The capital is Paris."), reply)
        assert shown(tree(asked("q1"), cut, whole).exchanges) == exchanges

    def test_keeps_a_part_somebody_went_on_from(self):
        part = PartialRecord("p", "q1", AT, "The capital")
        records = asked("q1"), part, asked("q2", "p"), answered("a1", "q1", "The capital is Paris.")
        assert shown(tree(*records).exchanges) == ["p", "q2", "a1"]

    def test_goes_to_the_end_of_a_branch_that_was_written_to_last(self):
        deep = tree(
            asked("q1"),
            answered("a1", "q1"),
            asked("q2", "a1"),
            answered("a2", "q2"),
            answered("a2'", "q2"),
            answered("b1", "q1"),
        )
        first = deep.exchanges[0]
        assert deep.newest_after(first).id == "a2'"
        assert deep.newest_after(deep.path[0]) is deep.path[0]

    def test_passes_over_an_answer_to_nothing(self):
        greeted = tree(answered("hello", None), asked("q1", "hello"), answered("a1", "q1"))
        assert shown(greeted.path) == ["a1"]
        assert shown(greeted.alternatives(greeted.path[0])) == ["a1"]


PARENTS = st.lists(st.tuples(st.sampled_from("qas"), st.integers(-1, 20)), max_size=20)


@given(PARENTS, st.integers(-1, 20))
def test_whatever_a_file_says_every_question_is_in_the_tree_and_the_path_goes_through_it(shapes, at):
    made = {"q": question("x"), "a": answer("x"), "s": system("x")}
    records = [
        MessageRecord(str(place), str(parent) if parent >= 0 else None, AT, made[kind])
        for place, (kind, parent) in enumerate(shapes)
    ]
    session = Session.replay([*records, head(str(at))])
    found = Tree(session)
    assert {exchange.question.id for exchange in found.exchanges} == {
        record.id for record in session.messages() if record.message.role == "user"
    }
    assert len({exchange.id for exchange in found.exchanges}) == len(found.exchanges)
    assert {record.id for record in session.questions} >= {exchange.question.id for exchange in found.path}
    for exchange in found.exchanges:
        assert exchange in found.alternatives(exchange)
        assert found.newest_after(exchange).number >= exchange.number


@given(st.lists(st.tuples(st.text("ab", max_size=3), st.sampled_from(["stop", "length"])), max_size=8))
def test_a_part_is_hidden_by_any_later_answer_that_goes_on_from_it(written):
    answers = [answered(f"r{at}", "q", text or "-", reason) for at, (text, reason) in enumerate(written)]
    hidden = {
        part.id
        for at, part in enumerate(answers)
        for whole in answers[at + 1 :]
        if part.reply.finish_reason == "length"
        and whole.message.text != part.message.text
        and whole.message.text.startswith(part.message.text)
    }
    kept = [record.id for record in answers if record.id not in hidden]
    assert shown(tree(asked("q"), *answers).exchanges) == (kept or ["q"])
