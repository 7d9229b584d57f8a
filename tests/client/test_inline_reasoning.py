"""Reasoning in the text of an answer: the result is independent of how the text is cut."""

from __future__ import annotations

import gc
import weakref
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatcli.client.inline_reasoning import InlineReasoning, answer_in
from chatcli.core.events import ReasoningDelta, TextDelta, TextReclassified


def deltas_of(*chunks, holds_text=False, is_complete=True):
    reasoning = InlineReasoning(holds_text=holds_text)
    deltas = [delta for chunk in chunks for delta in reasoning.feed(chunk)]
    return [*deltas, *reasoning.finish(is_complete=is_complete)]


def separated(deltas):
    """Return the final reasoning and answer."""
    reasoning, text = "", ""
    for delta in deltas:
        match delta:
            case TextDelta():
                text += delta.text
            case ReasoningDelta():
                reasoning += delta.text
            case TextReclassified():
                assert text.endswith(delta.text)
                text = text[: len(text) - len(delta.text)]
                reasoning += delta.text.strip()
    return reasoning, text


def letters(text):
    return list(text)


ANALYSIS = "<|channel|>analysis<|message|>"
FINAL = "<|start|>assistant<|channel|>final<|message|>Paris"

CASES = {
    "no reasoning": ("Paris is it.\n", "", "Paris is it.\n"),
    "blanks before an answer": ("\n\n Paris", "", "\n\n Paris"),
    "nothing": ("", "", ""),
    "blanks alone": (" \n", "", " \n"),
    "think": ("<think>\nhm\n</think>\n\nParis.", "hm", "Paris."),
    "thinking": ("<thinking>hm</thinking>Paris.", "hm", "Paris."),
    "thought": (" \n<thought>\nhm\n</thought>\nParis.", "hm", "Paris."),
    "upper case": ("<THINK>hm</Think>Paris.", "hm", "Paris."),
    "an indented answer": ("<think>hm</think>\n \n    x = 1", "hm", "    x = 1"),
    "blanks on the line of the tag": ("<think>hm</think>  Paris.", "hm", "Paris."),
    "many blanks": (f"<think>hm</think>\n{' ' * 3000}Paris.", "hm", f"{' ' * 999}Paris."),
    "too many blanks": (f"{' ' * 3000}<think>hm</think>", "", f"{' ' * 3000}<think>hm</think>"),
    "empty reasoning": ("<think>\n\n</think>\n\nParis.", "", "Paris."),
    "reasoning twice": ("<think>a\n</think>\n<think> b</think>\nParis.", "a\n\nb", "Paris."),
    "another kind of closing tag inside": ("<think>a </thinking> b</think>c", "a </thinking> b", "c"),
    "reasoning that opens a tag within itself": (
        "<think>a <think>b</think> c</think>Paris.",
        "a <think>bc",
        "Paris.",
    ),
    "three of them": (
        "<think>a<think>b<think>c</think>d\n</think>\ne</think>\nP",
        "a<think>b<think>cde",
        "P",
    ),
    "two closed at once": ("<think>a<think>b</think>\n</think>\nParis.", "a<think>b", "Paris."),
    "a tag that is only spoken of in the reasoning": (
        "<think>no <think> tags</think>Use <b> and </b>, not </think> here",
        "no <think> tags",
        "Use <b> and </b>, not </think> here",
    ),
    "a call of a tool": (
        f"{ANALYSIS}hm<|end|><|start|>assistant<|channel|>commentary to=functions.search<|message|>{{}}<|call|>",
        "hm",
        "",
    ),
    "never closed": ("<think>\nhm, hm", "hm, hm", ""),
    "cut inside the closing tag": ("<think>hm</thi", "hm</thi", ""),
    "inline code in the reasoning": (
        "<think>write `</think>` then\n</think>\nParis",
        "write `</think>` then",
        "Paris",
    ),
    "one backtick in the reasoning": ("<think>it is ` here</think>Paris", "it is ` here", "Paris"),
    "a code block in the reasoning": (
        "<think>\n```\n</think>\n```\nso\n</think>\nParis",
        "```\n</think>\n```\nso",
        "Paris",
    ),
    "a tag further on": ("Paris <think>hm</think> end", "", "Paris <think>hm</think> end"),
    "tags on lines of their own further on": (
        "Use\n<think>\nhm\n</think>\nso",
        "",
        "Use\n<think>\nhm\n</think>\nso",
    ),
    "a closing tag that is spoken of": ("End with </think> and go", "", "End with </think> and go"),
    "a closing tag in quotes": ('The tag "</think>" ends it', "", 'The tag "</think>" ends it'),
    "a closing tag as the last word": ("The tag is </think>", "", "The tag is </think>"),
    "an opening tag in inline code": ("`<think>` opens", "", "`<think>` opens"),
    "tags in inline code": ("it is `</think>` here", "", "it is `</think>` here"),
    "tags in a code block": (
        "```html\n<think>\n</think>\n```\nend",
        "",
        "```html\n<think>\n</think>\n```\nend",
    ),
    "a code block in a list": (
        "- a\n    ```\n    </think>\n    ```\n",
        "",
        "- a\n    ```\n    </think>\n    ```\n",
    ),
    "no opening tag": ("hm\n</think>\n\nParis.", "hm", "Paris."),
    "no opening tag, on the same line": ("hm.</think>Paris.", "hm.", "Paris."),
    "no opening tag and no reasoning": ("</think>\n\nParis.", "", "Paris."),
    "no opening tag, a code block before": ("```\nx\n```\n</think>\nParis", "```\nx\n```", "Paris"),
    "no opening tag, another tag in the answer": (
        "hm\n</think>\nParis\n</think>\n",
        "hm",
        "Paris\n</think>\n",
    ),
    "a word like a tag": ("<thin>king", "", "<thin>king"),
    "less than": ("a < b </ c <th", "", "a < b </ c <th"),
    "channels": (
        "<|channel|>analysis<|message|>hm.<|end|><|start|>assistant<|channel|>final<|message|>Paris.<|return|>",
        "hm.",
        "Paris.",
    ),
    "a role before the first channel": (
        "<|start|>assistant<|channel|>analysis<|message|>hm<|end|>\n<|start|>assistant<|channel|>final<|message|>Paris",
        "hm",
        "Paris",
    ),
    "commentary": (
        f"{ANALYSIS}a<|end|><|start|>assistant<|channel|>commentary to=f <|constrain|>json<|message|>{{}}<|call|>{FINAL}",
        "a",
        "Paris",
    ),
    "a channel without the end of the one before": (
        "<|channel|>analysis<|message|>hm<|channel|>final<|message|>Paris",
        "hm",
        "Paris",
    ),
    "final alone": ("<|channel|>final<|message|>Paris", "", "Paris"),
    "cut in a channel's header": ("<|channel|>analysis<|message|>hm<|end|><|start|>assist", "hm", ""),
    "cut in the first header": ("<|channel|>ana", "", ""),
    "cut in the channel": ("<|channel|>analysis<|message|>hm", "hm", ""),
    "a channel nobody knows": ("<|channel|>news<|message|>hm", "", "<|channel|>news<|message|>hm"),
    "marks in the answer of a channel": (
        "<|channel|>final<|message|>`<|end|>` ends <|end|> and <|start|> starts",
        "",
        "`<|end|>` ends <|end|> and <|start|> starts",
    ),
    "channels without the first header": (
        "hm<|end|><|start|>assistant<|channel|>final<|message|>Paris",
        "hm",
        "Paris",
    ),
    "channels further on, in code": (
        "Say `<|channel|>analysis<|message|>hm<|end|>`",
        "",
        "Say `<|channel|>analysis<|message|>hm<|end|>`",
    ),
}
ALL_CASES = pytest.mark.parametrize(("text", "reasoning", "answer"), CASES.values(), ids=CASES)

WORDS = st.sampled_from(
    [
        "<think>", "</think>", "<thought>", "</thought>", "</thinking>", "<THINK>", "<", "</", "think>",
        "<|channel|>", "analysis", "final", "<|message|>", "<|end|>", "<|return|>", "<|start|>assistant",
        "<|channel|>final<|message|>", "<|channel|>analysis<|message|>", "<|constrain|>", "<|start|>",
        "`", "``", "```", "~~~\n", "\n```\n", "\n", "\n\n", " ", '"', "hm", "Paris.", "\n</think>\n", "\n> ```\n", "é", "\u3000",
    ]
)  # fmt: skip
TEXTS = st.lists(WORDS, max_size=14).map("".join)


class TestAnAnswer:
    @ALL_CASES
    def test_is_set_apart_from_the_reasoning_before_it(self, text, reasoning, answer):
        assert separated(deltas_of(text)) == (reasoning, answer)

    @ALL_CASES
    def test_is_the_same_letter_by_letter(self, text, reasoning, answer):
        assert separated(deltas_of(*letters(text))) == (reasoning, answer)

    @given(TEXTS, st.lists(st.integers(0, 60), max_size=8), st.booleans(), st.booleans())
    @example("hm</think>\n\nParis.", [8], False, True)
    def test_is_the_same_in_every_cutting(self, text, places, holds_text, is_complete):
        places = sorted({0, len(text), *(min(place, len(text)) for place in places)})
        chunks = [text[begin:end] for begin, end in pairwise(places)]
        named = {"holds_text": holds_text, "is_complete": is_complete}
        whole = separated(deltas_of(text, **named))
        assert separated(deltas_of(*chunks, **named)) == whole
        assert separated(deltas_of(*letters(text), **named)) == whole

    @given(TEXTS, st.booleans())
    def test_loses_no_word(self, text, holds_text):
        reasoning, answer = separated(deltas_of(*letters(text), holds_text=holds_text))
        for word in ("hm", "Paris.", "é"):
            if "analysis" not in text and "final" not in text and "<|" not in text:
                assert (reasoning + answer).count(word) >= text.count(word)

    @given(st.text(st.characters(exclude_characters="<"), max_size=60), st.integers(1, 9))
    def test_without_a_tag_passes_at_once_and_as_it_is(self, text, length):
        chunks = [text[at : at + length] for at in range(0, len(text), length)]
        assert "".join(delta.text for delta in deltas_of(*chunks)) == text

    def test_that_came_with_its_reasoning_in_one_chunk_is_never_reclassified(self):
        assert deltas_of("hm\n</think>\nParis.") == [ReasoningDelta("hm"), TextDelta("Paris.")]

    def test_takes_back_what_turns_out_to_be_reasoning(self):
        assert deltas_of("hm", ", hm\n", "</th", "ink>\n\nPar", "is.") == [
            TextDelta("hm"),
            TextDelta(", hm\n"),
            TextReclassified("hm, hm\n"),
            TextDelta("Par"),
            TextDelta("is."),
        ]

    def test_streams_while_nothing_is_open(self):
        reasoning = InlineReasoning()
        assert reasoning.feed("<think>a b") == [ReasoningDelta("a b")]
        assert reasoning.feed(" c") == [ReasoningDelta(" c")]
        assert reasoning.feed("</think>\nParis") == [TextDelta("Paris")]
        assert reasoning.passes("</think>")


class TestHeldText:
    def test_is_reasoning_until_the_closing_tag(self):
        assert deltas_of("hm", "\n</think>\n\nPar", "is.", holds_text=True) == [
            ReasoningDelta("hm"),
            TextDelta("Par"),
            TextDelta("is."),
        ]

    def test_is_the_answer_where_the_answer_ends_without_one(self):
        deltas = deltas_of("Paris", " is it.\n", holds_text=True)
        assert "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)) == "Paris is it.\n"
        assert isinstance(deltas[-1], TextDelta)
        assert not any(isinstance(delta, TextDelta) for delta in deltas[:-1])

    def test_is_reasoning_where_the_answer_was_cut(self):
        assert separated(deltas_of("hm", " hm", holds_text=True, is_complete=False)) == ("hm hm", "")

    def test_may_have_its_opening_tag_after_all(self):
        assert separated(deltas_of("<think>hm</think>Paris.", holds_text=True)) == ("hm", "Paris.")

    def test_may_speak_of_the_tag_in_code(self):
        assert separated(deltas_of("`</think>` ends\n</think>\nParis", holds_text=True)) == (
            "`</think>` ends",
            "Paris",
        )


class TestACodeBlockThatTheReasoningNeverCloses:
    TEXT = "<think>\n```\nx = 1\n</think>\nParis."

    def test_does_not_cost_the_answer(self):
        assert separated(deltas_of(self.TEXT))[1] == "Paris."
        assert separated(deltas_of(*letters(self.TEXT)))[1] == "Paris."

    def test_is_reasoning_where_the_answer_was_cut(self):
        assert separated(deltas_of(self.TEXT, is_complete=False))[1] == ""


class TestReasoningInAFieldOfItsOwn:
    def test_leaves_an_answer_without_an_opening_tag_as_it_is(self):
        reasoning = InlineReasoning(holds_text=True)
        reasoning.note_native_reasoning()
        assert separated([*reasoning.feed("a\n</think>\n"), *reasoning.feed("b")]) == ("", "a\n</think>\nb")

    @pytest.mark.parametrize("text", ["<think>hm</think>Paris.", "</think>\n\nParis."])
    def test_may_come_with_tags_as_well(self, text):
        reasoning = InlineReasoning()
        reasoning.note_native_reasoning()
        assert separated(reasoning.feed(text))[1] == "Paris."


@ALL_CASES
def test_a_stored_answer_is_read_without_its_reasoning(text, reasoning, answer):
    assert answer_in(text) == (answer or text)


@given(TEXTS)
def test_a_stored_answer_never_becomes_nothing(text):
    assert answer_in(text) or not text


CALL = '<|message|>{"q": "`<b>`"}'
CALLED = [("search", '{"q": "`<b>`"}')]


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        (f"<|channel|>commentary to=functions.search <|constrain|>json{CALL}<|call|>", CALLED),
        (f"<|start|>assistant to=functions.search<|channel|>commentary json{CALL}<|call|>", CALLED),
        (f"{ANALYSIS}hm<|end|><|start|>assistant to=functions.search<|channel|>commentary{CALL}", CALLED),
        (f"<|channel|>commentary to=functions.search{CALL}<|call|>" * 2, CALLED * 2),
        ("<|channel|>analysis to=browser.open<|message|>x<|call|>", [("browser.open", "x")]),
        ("<|channel|>commentary to=user<|message|>x<|end|>", []),
        ("<|channel|>commentary<|message|>to=functions.search<|end|>", []),
        (f"{ANALYSIS}hm<|end|>{FINAL}", []),
    ],
)
@pytest.mark.parametrize("cut", [letters, lambda text: [text], lambda text: [text[:40], text[40:]]])
def test_a_message_for_a_tool_is_a_call_of_it(text, calls, cut):
    reasoning = InlineReasoning()
    deltas = [delta for chunk in cut(text) for delta in reasoning.feed(chunk)]
    deltas += reasoning.finish(is_complete=True)
    assert reasoning.tool_calls == calls
    assert not any("q" in delta.text for delta in deltas)


@pytest.fixture
def no_collector():
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("text", ["Paris.", "<think>France</think>Paris.", "France</think>Paris."])
def test_the_text_of_an_answer_goes_with_it_and_waits_for_no_collector(text):
    reasoning = InlineReasoning()
    reasoning.feed(text)
    reasoning.finish(is_complete=True)
    kept = weakref.ref(reasoning)
    del reasoning
    assert kept() is None
