from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.conversation.long_input.splitting import SUMMARIZE, divide
from chatcli.core.messages import ImagePart, Message, question
from chatcli.text.documents import document

LONG = "The committee met again in the afternoon. " * 100


def test_what_is_attached_is_the_text_and_the_own_words_are_the_question():
    divided = divide(question("Who met?", document("minutes.md", LONG)))
    assert (divided.words, divided.text.text) == ("Who met?", LONG)
    assert divided.text.names == ("minutes.md",)


def test_several_texts_keep_their_frames_so_that_it_is_seen_where_one_ends():
    divided = divide(question("Who met?", document("a.md", "one\n"), document("b.md", "two\n")))
    text = divided.text
    assert text.text.startswith('<document name="a.md">\none\n</document>')
    assert text.named(0, 5) == "a.md"
    assert text.named(0, len(text.text)) == "a.md to b.md"
    assert text.named(text.starts[1], len(text.text)) == "b.md"


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (f"{LONG}\n\nWho met?", "Who met?"),
        (f"Who met?\n\n{LONG}", "Who met?"),
        (f"Sum it up in a line:\n\n{LONG}\n\nThe secretary", "Sum it up in a line:"),
        (f"谁开会了？\n\n{LONG}", "谁开会了？"),
        (f"Name those who met\n\n{LONG}", "Name those who met"),
        (f"{LONG}\n\nName those who met", "Name those who met"),
        (LONG, SUMMARIZE),
        (f"{LONG}\n\n{LONG}", SUMMARIZE),
    ],
)
def test_a_short_paragraph_at_an_end_of_long_words_is_the_question(own, words):
    divided = divide(question(own))
    assert divided.words == words
    assert divided.text.text.strip() == own.replace(words, "").strip()


def test_own_words_that_are_long_are_text_beside_what_is_attached():
    divided = divide(question(f"{LONG}\n\nWho met?", document("b.md", "two\n")))
    assert divided.words == "Who met?"
    assert divided.text.names == ("the text", "b.md")


def test_without_words_the_model_is_to_say_what_the_text_says():
    assert divide(question("", document("a.md", LONG))).words == SUMMARIZE


def test_what_is_no_text_is_kept_apart():
    picture = ImagePart("0" * 64, "image/png", "plan.png")
    asked = question("Who met?", document("a.md", LONG))
    divided = divide(Message("user", (*asked.parts, picture)))
    assert divided.others == (picture,)
    assert divided.about("a", "short").parts[-1] == picture


@given(own=st.text(alphabet="ab?\n ", max_size=80), text=st.text(max_size=80))
def test_no_word_of_the_text_is_lost(own, text):
    divided = divide(question(own, document("a.md", text)), longest_words=10)
    kept = divided.words + divided.text.text
    assert "".join(text.split()) in "".join(kept.split())
    assert set("".join(own.split())) <= set(kept)
