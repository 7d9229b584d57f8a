from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatcli.core.messages import Message, TextPart, ToolResultPart, answer, question, system
from chatcli.text.frames import INSTRUCTION, Frames

SECRET = b"s" * 32
NUMBER = re.compile(r"<data (\d{18})>\n")
# Texts that try to end a frame: any tag, and the numbers of other frames.
attacks = st.text() | st.lists(
    st.sampled_from(("<data 1>", "</data 1>", "</data>", "\n</data ", "0" * 18, ">", "\n"))
    | st.text(max_size=3)
).map("".join)
frames = Frames(lambda: SECRET)


def number_of(framed: str) -> str:
    return NUMBER.match(framed)[1]


@given(text=attacks)
def test_no_text_holds_the_number_that_ends_its_frame(text):
    framed = frames.framed(text)
    number = number_of(framed)
    assert number not in text
    assert framed == f"<data {number}>\n{text}\n</data {number}>"


@given(text=attacks)
def test_a_text_that_holds_what_was_its_frame_gets_another(text):
    framed = frames.framed(text)
    again = frames.framed(framed)
    assert number_of(again) != number_of(framed)


class Colliding(str):
    """A text that claims to hold the first numbers it is asked about, as chance alone would make it."""

    __slots__ = ()
    left = 3

    def __contains__(self, number):
        Colliding.left -= 1
        return Colliding.left > 0


def test_a_number_the_text_holds_by_chance_is_passed_over():
    assert number_of(frames.framed(Colliding("text"))) != number_of(frames.framed("text"))
    assert Colliding.left == 0


@given(text=attacks, secret=st.binary(min_size=32, max_size=32))
def test_equal_texts_have_equal_frames_and_other_installations_have_others(text, secret):
    assert Frames(lambda: SECRET).framed(text) == frames.framed(text)
    if secret != SECRET:
        assert number_of(Frames(lambda: secret).framed(text)) != number_of(frames.framed(text))


@given(first=attacks, second=attacks)
def test_other_texts_have_other_numbers(first, second):
    if first != second:
        assert number_of(frames.framed(first)) != number_of(frames.framed(second))


@given(words=st.text(min_size=1), document=st.text())
@example(words="<data 1>", document="")
def test_the_words_of_the_person_and_of_the_model_are_never_framed(words, document):
    person, attached = frames.message(question(words, document)).parts
    assert person == TextPart(words)
    assert attached == TextPart(frames.framed(document), "document")
    for other in (question(words), answer(words), system(words)):
        assert frames.message(other) == other


def test_results_of_tools_are_framed_whatever_their_origin():
    results = Message("tool", (ToolResultPart("1", (TextPart("a", "tool"), TextPart("b"))),))
    assert frames.message(results).text == f"{frames.framed('a')}\n\n{frames.framed('b')}"


def test_the_instruction_is_sent_once_and_only_with_such_text():
    asked = (system("Be brief."), question("Hi"))
    assert frames.messages(asked) == asked
    sent = frames.messages((*asked, question("What is it?", "a text")))
    assert sent[0] == system(INSTRUCTION)
    assert sent[1:3] == asked
    instructed = (system(f"Be brief.\n\n{INSTRUCTION}"), question("What is it?", "a text"))
    assert frames.messages(instructed)[0] == instructed[0]


def test_an_instruction_in_a_document_or_in_the_persons_words_does_not_count():
    assert frames.messages((question(INSTRUCTION, INSTRUCTION),))[0] == system(INSTRUCTION)


def test_the_secret_is_found_on_first_need_and_once():
    found = []

    def find():
        found.append(1)
        return SECRET

    own = Frames(find)
    own.messages((question("Hi"),))
    assert not found
    own.framed("a")
    own.framed("b")
    assert len(found) == 1


@pytest.mark.parametrize(
    ("message", "carried"),
    [
        (question("Hi"), False),
        (question("Hi", "a text"), True),
        (answer("Hi"), False),
        (Message("tool", (ToolResultPart("1", (TextPart("a"),)),)), True),
    ],
)
def test_only_documents_and_results_of_tools_are_text_of_others(message, carried):
    assert message.holds_text_of_others is carried
