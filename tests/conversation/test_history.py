from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatcli.conversation.history import Entry, History, Turn
from chatcli.core.messages import Message, answer, question, system


def test_an_empty_history_has_no_head():
    history = History()
    assert (history.system, history.turns, history.head) == (None, [], None)


def test_a_question_and_the_answers_to_it_are_one_turn():
    history = History(
        [
            Entry("1", question("Hi")),
            Entry("2", answer("Hello")),
            Entry("3", answer("again")),
            Entry("4", question("Bye")),
        ]
    )
    assert history.turns == [
        Turn((question("Hi"), answer("Hello"), answer("again"))),
        Turn((question("Bye"),)),
    ]


def test_the_newest_message_is_the_head_whatever_its_role():
    history = History([Entry("1", question("Hi"))])
    assert history.head == "1"
    history.append(Entry("2", system("Be brief.")))
    assert history.head == "2"


def test_the_newest_system_prompt_counts_and_stands_outside_the_turns():
    history = History(
        [Entry("1", system("Be brief.")), Entry("2", question("Hi")), Entry("3", system("Rhyme."))]
    )
    assert history.system == system("Rhyme.")
    assert history.turns == [Turn((question("Hi"),))]


def test_a_system_message_without_parts_takes_the_prompt_away():
    history = History([Entry("1", system("Be brief.")), Entry("2", Message("system", ()))])
    assert (history.system, history.head) == (None, "2")


def test_an_answer_after_a_new_system_prompt_still_joins_its_question():
    history = History([Entry("1", question("Hi")), Entry("2", system("Rhyme.")), Entry("3", answer("Hello"))])
    assert history.turns == [Turn((question("Hi"), answer("Hello")))]


def test_a_pin_on_either_side_pins_the_whole_turn():
    history = History(
        [
            Entry("1", question("a"), pinned=True),
            Entry("2", answer("b")),
            Entry("3", question("c")),
            Entry("4", answer("d"), pinned=True),
            Entry("5", question("e")),
        ]
    )
    assert [turn.pinned for turn in history.turns] == [True, True, False]


def test_an_answer_at_the_beginning_is_a_turn_without_a_question():
    history = History([Entry("1", answer("Hello")), Entry("2", question("Hi"))])
    assert [turn.has_question for turn in history.turns] == [False, True]


MESSAGES = st.sampled_from([system, question, answer]).flatmap(lambda make: st.text(max_size=3).map(make))


@given(messages=st.lists(MESSAGES))
def test_every_message_but_a_system_prompt_stands_in_exactly_one_turn_in_order(messages):
    history = History(Entry(str(number), message) for number, message in enumerate(messages))
    kept = [message for turn in history.turns for message in turn.messages]
    assert kept == [message for message in messages if message.role != "system"]
    assert all(turn.has_question for turn in history.turns[1:])
