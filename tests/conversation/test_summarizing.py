from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatcli.conversation.history import Fold, Summary, Turn
from chatcli.conversation.summarizing import ModelSummarizer, shortened
from chatcli.core.events import Completion, Notice, ReasoningDelta, TextDelta, TextReclassified
from chatcli.core.messages import answer, question
from chatcli.core.request import Parameters
from conversation.fakes import ScriptedModel

TURN = Turn((question("Where?"), answer("In Oslo.")), ids=("1", "2"))


def fold(*turns, earlier=None, most_read_tokens=1000):
    return Fold(earlier, turns, len(turns), 200, most_read_tokens)


async def test_the_model_is_given_the_summary_so_far_and_what_was_said_since():
    model = ScriptedModel(
        (Notice("n", "m"), ReasoningDelta("hm"), TextDelta(" In "), TextDelta("Oslo.\n"), Completion("stop"))
    )
    summarize = ModelSummarizer(model, "tiny", Parameters(temperature=0.5, max_tokens=7))
    text = await summarize(fold(TURN, earlier=Summary("They met.", 3, "a", "b")))
    assert text == "In Oslo."
    (request,) = model.requests
    assert request.model == "tiny"
    assert request.messages[1].text == (
        "<summary>\nThey met.\n</summary>\n\n<conversation>\n\nPerson: Where?\n\nAssistant: In Oslo.\n\n</conversation>"
    )
    assert request.parameters == Parameters(temperature=0.5, max_tokens=600)


async def test_a_summary_has_nothing_of_what_turned_out_to_be_reasoning():
    model = ScriptedModel(
        (TextDelta("hm"), TextReclassified("hm"), TextDelta("In Oslo."), Completion("stop"))
    )
    assert await ModelSummarizer(model, "tiny", Parameters())(fold(TURN)) == "In Oslo."


async def test_a_single_turn_that_is_too_long_to_read_is_read_without_its_middle():
    model = ScriptedModel((TextDelta("x"), Completion("stop")))
    long = Turn((question("a" * 5000 + "z"), answer("short")))
    await ModelSummarizer(model, "tiny", Parameters())(fold(long, most_read_tokens=100))
    material = model.requests[0].messages[1].text
    assert "Person: " + "a" * 25 + "\n[…]\n" + "a" * 24 + "z" in material
    assert "Assistant: short" in material


@given(text=st.text("ab 天", max_size=60), most_tokens=st.integers(0, 20))
def test_what_is_too_long_is_cut_where_a_word_ends(text, most_tokens):
    short = shortened(text, most_tokens, len)
    assert text.startswith(short)
    assert len(short) <= most_tokens
    if len(text) <= most_tokens:
        assert short == text.rstrip()


async def test_text_of_others_stays_apart_so_that_it_is_sent_in_frames():
    model = ScriptedModel((TextDelta("Short."), Completion("stop")))
    asked = Turn((question("What is it?", "<document>a</document>"), answer("A letter.")), ids=("1", "2"))
    await ModelSummarizer(model, "tiny", Parameters())(fold(asked, TURN))
    parts = model.requests[0].messages[1].parts
    assert [part.text for part in parts if part.origin == "document"] == ["<document>a</document>"]
    assert "<document>" not in "".join(part.text for part in parts if part.origin != "document")


async def test_a_long_turn_with_a_document_is_abridged_to_what_may_be_read():
    model = ScriptedModel((TextDelta("Short."), Completion("stop")))
    asked = Turn((question("What is it? " * 10, "word " * 2_000), answer("A letter.")), ids=("1", "2"))
    await ModelSummarizer(model, "tiny", Parameters())(fold(asked, most_read_tokens=1_000))
    assert len(model.requests[0].messages[1].text) < 1_200
