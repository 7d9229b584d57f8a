from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chatcli.conversation.long_input.splitting import (
    FEWEST_TOKENS,
    SUMMARIZE,
    Strength,
    divide,
    segments,
    split,
)
from chatcli.core.messages import ImagePart, Message, question
from chatcli.text.documents import document
from conversation.fakes import CharacterCounter

FAMILY = "👨‍👩‍👧‍👦"
WORDS = st.sampled_from(
    [
        "word ",
        "Ends. ",
        "\n",
        "\n\n",
        "# Title\n",
        "def f():\n",
        "    x = 1\n",
        "北京。",
        "天气",
        "e\u0301",
        FAMILY,
        "\r\n",
        " ",
    ]
)
# Lone surrogates too: the default of text() has none.
TEXTS = st.lists(WORDS, max_size=300).map("".join) | st.text(st.characters(), max_size=200)


def joined(parts):
    """Return the parts joined without their overlaps."""
    return "".join(part.text[part.new_from - part.start :] for part in parts)


@settings(deadline=None)
@given(text=TEXTS, budget_tokens=st.integers(FEWEST_TOKENS, 400), overlap_tokens=st.integers(0, 100))
@example(text=FAMILY * 40, budget_tokens=FEWEST_TOKENS, overlap_tokens=9)
@example(text="\ud83d\ude00" * 40, budget_tokens=FEWEST_TOKENS, overlap_tokens=9)
@example(text="a" + "\u0301" * 200, budget_tokens=FEWEST_TOKENS, overlap_tokens=0)
@example(text="\n" * 1_000, budget_tokens=FEWEST_TOKENS, overlap_tokens=4)
@pytest.mark.parametrize("counts_characters", [False, True])
def test_no_character_is_missed_and_no_part_is_too_long(
    o200k_counter, counts_characters, text, budget_tokens, overlap_tokens
):
    counter = CharacterCounter() if counts_characters else o200k_counter
    parts = split(text, counter, budget_tokens=budget_tokens, overlap_tokens=overlap_tokens)
    assert joined(parts) == text
    for part in parts:
        assert part.text == text[part.start : part.end]
        assert part.tokens == counter.count(part.text) <= budget_tokens
        assert part.start <= part.new_from < part.end
    for before, after in itertools.pairwise(parts):
        assert before.start < after.start <= before.end == after.new_from


@given(text=TEXTS, longest=st.integers(1, 50))
def test_pieces_are_the_text_without_a_gap(text, longest):
    found = list(segments(text, longest))
    assert "".join(text[segment.start : segment.end] for segment in found) == text
    assert all(segment.end == following.start for segment, following in itertools.pairwise(found))


@pytest.mark.parametrize(
    ("text", "strength"),
    [
        ("One.\n## Two\nmore\n", Strength.HEADING),
        ("x = 1\nasync def f():\n", Strength.DEFINITION),
        ("x\nexport default function f() {\n", Strength.DEFINITION),
        ("One.\n\nTwo.\n", Strength.PARAGRAPH),
    ],
)
def test_structure_is_seen(text, strength):
    assert list(segments(text, 1_000))[1].strength is strength


def test_a_part_ends_before_a_heading_rather_than_where_it_is_full():
    text = "word " * 17 + "\n# Title\n" + "more " * 40
    first, *_ = split(text, CharacterCounter(), budget_tokens=100)
    assert first.text.endswith("\n")
    assert text[first.end :].startswith("# Title")


@pytest.mark.parametrize(("sentence", "ends"), [("He went home. ", "home."), ("他回家了。", "。")])
def test_a_line_without_an_end_is_cut_between_sentences(sentence, ends):
    parts = split(sentence * 200, CharacterCounter(), budget_tokens=100)
    assert all(part.text.rstrip().endswith(ends) for part in parts)


def test_a_line_of_words_is_cut_between_them():
    parts = split("lorem ipsum " * 100 + "end", CharacterCounter(), budget_tokens=60)
    assert all(word in {"lorem", "ipsum", "end"} for part in parts for word in part.text.split())


def test_what_is_seen_as_one_sign_stays_one():
    for sign in (FAMILY, "e\u0301", "\ud83d\ude00", "\r\n", "🇨🇦"):
        for part in split(sign * 100, CharacterCounter(), budget_tokens=50):
            assert len(part.text) % len(sign) == 0


def test_the_beginning_of_a_part_repeats_the_end_of_the_one_before():
    parts = split("It is so. " * 500, CharacterCounter(), budget_tokens=1_000, overlap_tokens=100)
    overlaps = [part.new_from - part.start for part in parts[1:]]
    assert all(50 <= overlap <= 100 for overlap in overlaps)


def test_a_budget_that_no_character_may_fit_is_refused():
    with pytest.raises(ValueError, match="needs room"):
        split("text", CharacterCounter(), budget_tokens=FEWEST_TOKENS - 1)


@pytest.mark.parametrize(
    "text",
    [
        "word " * 100_000,
        "a" * 500_000,
        "\n" * 500_000,
        FAMILY * 20_000,
        "x\n" * 100_000,
        "a" + "\u0301" * 200_000,
    ],
    ids=["words", "letters", "lines", "emoji", "short lines", "marks"],
)
def test_no_text_is_too_monotonous_to_be_split(o200k_counter, text):
    assert joined(split(text, o200k_counter, budget_tokens=5_000, overlap_tokens=200)) == text


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
