from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from chatcli.core import messages
from chatcli.core.messages import AudioPart, FilePart, ImagePart, Message, TextPart


def test_messages_are_equal_by_content_and_cannot_be_changed():
    message = messages.question("Where is Paris?")
    assert message == messages.question("Where is Paris?")
    assert hash(message) == hash(messages.question("Where is Paris?"))
    with pytest.raises(FrozenInstanceError):
        message.role = "system"


def test_what_a_provider_wants_echoed_back_counts_as_content():
    plain, signed = messages.answer("Paris"), Message("assistant", messages.answer("Paris").parts, {"id": 1})
    assert plain != signed
    assert len({plain: 1, signed: 2}) == 2


def test_each_text_says_whose_words_it_is():
    assert messages.system("Be brief.").parts == (TextPart("Be brief.", "person"),)
    assert messages.answer("Paris").parts == (TextPart("Paris", "model"),)
    assert messages.question("Sum it up", "a page", "another").parts == (
        TextPart("Sum it up", "person"),
        TextPart("a page", "document"),
        TextPart("another", "document"),
    )


def test_a_question_may_be_a_document_alone():
    assert messages.question("", "a page").parts == (TextPart("a page", "document"),)


def test_the_text_of_a_message_is_its_words_and_nothing_of_its_attachments():
    parts = (
        TextPart("Look"),
        ImagePart("00", "image/png", "a.png"),
        AudioPart("11", "audio/wav", "b.wav"),
        FilePart("22", "application/pdf", "c.pdf"),
        TextPart("here"),
    )
    assert Message("user", parts).text == "Look\n\nhere"
    assert not Message("user", parts[1:4]).text


def test_the_same_bytes_attached_in_another_way_are_another_part():
    assert ImagePart("00", "x", "a") != FilePart("00", "x", "a")


def test_the_own_words_of_a_question_are_those_that_were_not_handed_over():
    asked = messages.question("What is this?", "a document", "another")
    assert asked.person_text == "What is this?"
    assert [part.text for part in asked.documents] == ["a document", "another"]
    assert messages.question("", "a document").person_text == "a document"
    assert messages.answer("Paris.").person_text == "Paris."
