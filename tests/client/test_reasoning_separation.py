"""The layer that separates reasoning in the text of an answer."""

from __future__ import annotations

import pytest

from chatcli.client.continuation import ContinuationModel
from chatcli.client.endpoint_facts import Facts
from chatcli.client.reasoning_separation import ReasoningSeparatingModel
from chatcli.client.retry import Fallback, FallbackModel
from chatcli.core.errors import IncompleteAnswer, NetworkError
from chatcli.core.events import Completion, Notice, ReasoningDelta, TextDelta, TextReclassified
from chatcli.core.messages import ToolCallPart
from chatcli.storage.cache import JsonFileCache
from client.scripted_model import ScriptedModel
from client.wire import QUESTION, events_of, failure_of

URL = "https://models.example/v1"
STOP = Completion("stop", "small")
LENGTH = Completion("length", "small")
OPENED = [TextDelta("<think>hm</th"), TextDelta("ink>\n\nParis."), STOP]
UNOPENED = [TextDelta("hm"), TextDelta("\n</think>\n\nParis."), STOP]
CUT = IncompleteAnswer(
    "models.example: the answer was cut after 9 characters", hint="/continue gets the rest"
)


@pytest.fixture
def styles(tmp_path):
    return Facts(URL, JsonFileCache(tmp_path / "reasoning.json"))


def separating(*scripts, styles=None):
    return ReasoningSeparatingModel(ScriptedModel(*scripts), styles or Facts())


async def test_reasoning_in_the_text_becomes_reasoning():
    assert await events_of(separating(OPENED)) == [ReasoningDelta("hm"), TextDelta("Paris."), STOP]


async def test_an_answer_without_reasoning_passes_as_it_is():
    script = [Notice("n", "m"), TextDelta("Par"), TextDelta("is <b>"), TextDelta("."), STOP]
    assert await events_of(separating(script)) == script


async def test_what_is_held_back_comes_before_the_end():
    assert await events_of(separating([TextDelta("a <"), STOP])) == [TextDelta("a "), TextDelta("<"), STOP]


async def test_reasoning_that_was_shown_as_the_answer_is_taken_back():
    assert await events_of(separating(UNOPENED)) == [
        TextDelta("hm"),
        TextDelta("\n"),
        TextReclassified("hm\n"),
        TextDelta("Paris."),
        STOP,
    ]


class TestAModelThatLeavesOutTheOpeningTag:
    async def test_is_known_from_then_on_also_to_the_next_run(self, styles, tmp_path):
        held = [ReasoningDelta("hm"), TextDelta("Paris."), STOP]
        model = separating(UNOPENED, UNOPENED, styles=styles)
        await events_of(model)
        assert await events_of(model) == held
        next_run = Facts(URL, JsonFileCache(tmp_path / "reasoning.json"))
        assert await events_of(separating(UNOPENED, styles=next_run)) == held

    async def test_is_known_for_this_run_where_nothing_is_kept(self):
        model = separating(UNOPENED, UNOPENED)
        await events_of(model)
        assert (await events_of(model))[0] == ReasoningDelta("hm")

    async def test_is_known_apart_from_other_models_and_endpoints(self, styles, tmp_path):
        await events_of(separating(UNOPENED, styles=styles))
        assert styles.recall("small") == (True, "unopened")
        assert styles.recall("large") == (False, None)
        assert Facts("https://other.example", JsonFileCache(tmp_path / "reasoning.json")).recall("small") == (
            False,
            None,
        )

    async def test_is_known_although_its_answer_broke_off(self, styles):
        await failure_of(separating([*UNOPENED[:-1], CUT], styles=styles))
        assert styles.recall("small") == (True, "unopened")

    async def test_is_not_forgotten_when_it_opens_its_reasoning_or_has_none(self, styles):
        model = separating(UNOPENED, OPENED, [TextDelta("Paris."), STOP], UNOPENED, styles=styles)
        for _ in range(3):
            events = await events_of(model)
            assert [event for event in events if isinstance(event, TextDelta)][-1:] == [TextDelta("Paris.")]
        assert (await events_of(model))[0] == ReasoningDelta("hm")

    async def test_has_no_answer_where_its_reasoning_was_cut(self):
        model = separating(UNOPENED, [TextDelta("hm"), LENGTH])
        await events_of(model)
        assert await events_of(model) == [ReasoningDelta("hm"), LENGTH]

    async def test_streams_again_once_its_server_sets_its_reasoning_apart(self, styles):
        native = [ReasoningDelta("hm"), TextDelta("Par"), TextDelta("is."), STOP]
        model = separating(UNOPENED, native, [TextDelta("Par"), TextDelta("is."), STOP], styles=styles)
        await events_of(model)
        assert await events_of(model) == native
        assert await events_of(model) == [TextDelta("Par"), TextDelta("is."), STOP]
        assert styles.recall("small") == (True, "native")


async def test_what_is_remembered_in_any_other_shape_counts_as_nothing(styles):
    for value in ({"a": 1}, 7, "no such style", None, ["unopened"]):
        styles.remember("small", value)
        assert (await events_of(separating(UNOPENED, styles=styles)))[0] == TextDelta("hm")


class TestReasoningInAFieldOfItsOwn:
    async def test_may_come_beside_tags(self):
        script = [ReasoningDelta("a"), *OPENED]
        assert await events_of(separating(script)) == [
            ReasoningDelta("a"),
            ReasoningDelta("hm"),
            TextDelta("Paris."),
            STOP,
        ]

    async def test_leaves_a_closing_tag_in_the_answer_alone(self):
        script = [ReasoningDelta("a"), TextDelta("b"), TextDelta("\n</think>\nc"), STOP]
        assert await events_of(separating(script)) == script

    async def test_is_not_remembered_of_a_model_that_never_did_otherwise(self, styles):
        await events_of(separating([ReasoningDelta("a"), TextDelta("b"), STOP], styles=styles))
        assert styles.recall("small") == (False, None)


class TestAnAnswerThatBreaksOff:
    async def test_while_the_model_thinks_says_that_there_is_none(self):
        seen, error = await failure_of(separating([TextDelta("<think>hm, hm"), CUT]))
        assert seen == [ReasoningDelta("hm, hm")]
        assert error.message.endswith("the answer was cut after 9 characters, all of them reasoning")
        assert error.hint == "/retry asks again"

    async def test_gives_what_was_held_back(self):
        error = NetworkError("models.example: gone")
        seen, failure = await failure_of(separating([TextDelta("a <th"), error]))
        assert (seen, failure) == ([TextDelta("a "), TextDelta("<th")], error)

    async def test_keeps_its_own_words_where_there_is_some_of_it(self):
        error = IncompleteAnswer("models.example: cut", hint="/continue gets the rest")
        seen, failure = await failure_of(separating([*OPENED[:-1], error]))
        assert seen == [ReasoningDelta("hm"), TextDelta("Paris.")]
        assert (failure.message, failure.hint) == ("models.example: cut", "/continue gets the rest")


class TestTheRestOfAnAnswer:
    """An answer cut at the token limit, whose remainder is requested."""

    @staticmethod
    async def answer_to(first, rest, *, prefill=None):
        inner = ScriptedModel([*map(TextDelta, first), LENGTH], [*map(TextDelta, rest), STOP])
        model = ContinuationModel(ReasoningSeparatingModel(inner, Facts()), times=1, prefill=prefill)
        events = await events_of(model)
        text = ""
        for event in events:
            if isinstance(event, TextDelta):
                text += event.text
            elif isinstance(event, TextReclassified):
                assert text.endswith(event.text)
                text = text.removesuffix(event.text)
        return text, inner.requests[1].messages

    async def test_may_begin_with_a_tag(self):
        text, _ = await self.answer_to(["Write the tag "], ["<think>", " first, </think> last."])
        assert text == "Write the tag <think> first, </think> last."

    async def test_has_reasoning_of_its_own_where_the_model_is_known_for_that(self):
        first = ["<think>hm</think>Paris is"]
        text, asked = await self.answer_to(first, ["<think>on</think>\n\n", " it."])
        assert text == "Paris is it."
        assert asked[-2].text == "Paris is"

    async def test_is_answer_where_the_server_goes_on_in_the_middle_of_it(self):
        text, _ = await self.answer_to(["<think>hm</think>The tag "], ["<think>", " opens."], prefill={})
        assert text == "The tag <think> opens."

    async def test_loses_only_its_own_reasoning(self):
        first = ["<think>hm</think>Paris is"]
        text, _ = await self.answer_to(first, ["I go", " on\n", "</think>\n\n", " it."])
        assert text == "Paris is it."

    async def test_is_not_asked_for_where_only_reasoning_came(self):
        inner = ScriptedModel([TextDelta("<think>hm"), LENGTH])
        model = ContinuationModel(ReasoningSeparatingModel(inner, Facts()), times=3)
        assert await events_of(model) == [ReasoningDelta("hm"), Completion("length", "small", cost_usd=None)]
        assert len(inner.requests) == 1


async def test_a_model_that_stands_in_has_its_reasoning_set_apart_as_well():
    failing = ScriptedModel([NetworkError("models.example: gone")])

    async def open_fallback():
        return separating(OPENED), "large"

    model = FallbackModel(failing, [Fallback("large", open_fallback)])
    assert [event for event in await events_of(model, QUESTION) if not isinstance(event, Notice)] == [
        ReasoningDelta("hm"),
        TextDelta("Paris."),
        STOP,
    ]


async def test_a_call_of_a_tool_in_the_channels_is_reported_and_stands_in_the_completion():
    text = '<|channel|>commentary to=functions.search <|constrain|>json<|message|>{"q":1}<|call|>'
    notice = Notice("tool_calls", "the model tried to call a tool that was not offered: search")
    call = ToolCallPart("", "search", '{"q":1}')
    events = await events_of(separating([TextDelta(text), STOP]))
    assert events == [notice, STOP]
    assert events[-1].message.tool_calls == (call,)
