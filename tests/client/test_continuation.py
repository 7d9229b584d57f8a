from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.continuation import CONTINUE, ContinuationModel, OverlapRemover, open_fence
from chatcli.core.errors import AnswerTooLarge, BudgetReached, IncompleteAnswer, RateLimited, RequestRefused
from chatcli.core.events import CitedSource, Completion, Notice, ReasoningDelta, TextDelta, Usage
from chatcli.core.messages import answer, question
from chatcli.core.request import Request
from client.scripted_model import ScriptedModel
from client.wire import QUESTION, events_of, failure_of

CUT = IncompleteAnswer("models.example: the answer was cut after 8 characters")
STOP = Completion("stop", "small", Usage(5, 3))


def text_of(events: list[object]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_an_answer_that_ends_by_itself_passes_as_it_is():
    script = [ReasoningDelta("Hm."), TextDelta("Paris"), STOP]
    assert await events_of(ContinuationModel(ScriptedModel(script), times=3)) == script


async def test_a_cut_answer_is_asked_for_its_rest_visibly_and_joined_without_repetition():
    inner = ScriptedModel(
        [TextDelta("The capital of"), CUT],
        [TextDelta("capital of"), TextDelta(" France is"), Completion("length", "small", Usage(9, 4))],
        [TextDelta(" Paris."), STOP],
    )
    events = await events_of(ContinuationModel(inner, times=2))
    assert text_of(events) == "The capital of France is Paris."
    assert [event for event in events if isinstance(event, Notice)] == [
        Notice("continuing", f"{CUT.message}; asking for the rest (1 of 2)"),
        Notice("continuing", "the answer was cut at the token limit; asking for the rest (2 of 2)"),
    ]
    assert events[-1] == Completion("stop", "small", Usage(14, 7))
    assert [request.messages for request in inner.requests[1:]] == [
        (*QUESTION.messages, answer("The capital of"), question(CONTINUE)),
        (*QUESTION.messages, answer("The capital of France is"), question(CONTINUE)),
    ]


async def test_the_parts_of_an_answer_cost_what_they_cost_together():
    first, rest = Completion("length", cost_usd=0.25), Completion("stop", cost_usd=0.5)
    inner = ScriptedModel([TextDelta("The"), first], [TextDelta(" end"), rest])
    assert (await events_of(ContinuationModel(inner, times=1)))[-1].cost_usd == 0.75


async def test_a_part_that_the_budget_cuts_is_told_of_with_the_cost_of_all():
    parts = Completion("length", cost_usd=0.25), Completion("length", cost_usd=0.5)
    inner = ScriptedModel(
        [TextDelta("The"), parts[0]], [TextDelta(" end"), parts[1], BudgetReached("the answer was cut")]
    )
    events, error = await failure_of(ContinuationModel(inner, times=3))
    assert isinstance(error, BudgetReached)
    assert text_of(events) == "The end"
    assert (events[-1].finish_reason, events[-1].cost_usd) == ("length", 0.75)


async def test_the_cost_of_an_answer_with_a_part_nobody_told_of_is_unknown():
    inner = ScriptedModel([TextDelta("The"), CUT], [TextDelta(" end"), Completion("stop", cost_usd=0.5)])
    assert (await events_of(ContinuationModel(inner, times=1)))[-1].cost_usd is None


async def test_the_sources_of_all_parts_are_reported_each_once():
    paris, france = (f"https://example.com/{name}" for name in ("paris", "france"))
    first = Completion("length", sources=(CitedSource(1, "Paris", paris),))
    rest = Completion("stop", sources=(CitedSource(1, "France", france), CitedSource(2, "Paris", paris)))
    inner = ScriptedModel([TextDelta("The"), first], [TextDelta(" end"), rest])
    assert (await events_of(ContinuationModel(inner, times=1)))[-1].sources == (
        CitedSource(1, "Paris", paris),
        CitedSource(2, "France", france),
    )


async def test_more_of_an_answer_that_is_too_large_is_not_asked_for():
    inner = ScriptedModel([TextDelta("The"), AnswerTooLarge("the answer is larger than 64 MB")])
    seen, error = await failure_of(ContinuationModel(inner, times=3))
    assert (seen, type(error)) == ([TextDelta("The")], AnswerTooLarge)
    assert len(inner.requests) == 1


async def test_an_endpoint_that_takes_a_beginning_is_given_it_without_an_instruction():
    inner = ScriptedModel([TextDelta("The"), CUT], [TextDelta(" end"), STOP])
    await events_of(ContinuationModel(inner, times=1, prefill={"prefix": True}))
    *_, last = inner.requests[1].messages
    assert (last.role, last.text, last.provider_data) == ("assistant", "The", {"prefix": True})


async def test_a_request_with_a_beginning_is_answered_by_the_rest_alone():
    inner = ScriptedModel([TextDelta("The capital"), TextDelta(" is Paris."), STOP])
    request = Request("small", QUESTION.messages, partial_answer="The capital")
    assert text_of(await events_of(ContinuationModel(inner), request)) == " is Paris."
    assert inner.requests[0].partial_answer == ""


async def test_without_continuing_a_cut_answer_stays_a_failure():
    seen, error = await failure_of(ContinuationModel(ScriptedModel([TextDelta("The"), CUT])))
    assert (seen, error) == ([TextDelta("The")], CUT)


async def test_after_the_last_time_the_cut_is_reported():
    inner = ScriptedModel([TextDelta("One "), CUT], [TextDelta("two "), CUT])
    seen, error = await failure_of(ContinuationModel(inner, times=1))
    assert (text_of(seen), error) == ("One two ", CUT)


async def test_what_may_have_been_a_repetition_is_shown_when_the_answer_breaks_off():
    inner = ScriptedModel([TextDelta("abc abc"), CUT], [TextDelta(" abc"), CUT])
    seen, _ = await failure_of(ContinuationModel(inner, times=1))
    assert text_of(seen) == "abc abc abc"


async def test_a_rest_that_cannot_be_had_leaves_an_incomplete_answer():
    inner = ScriptedModel([TextDelta("The"), CUT], [RateLimited("models.example: 429", status=429)])
    seen, error = await failure_of(ContinuationModel(inner, times=3))
    assert text_of(seen) == "The"
    assert type(error) is IncompleteAnswer
    assert error.message == "models.example: 429; the rest of the answer could not be fetched"
    assert error.status == 429


@pytest.mark.parametrize("so_far", ["", "The"])
async def test_a_failure_before_any_new_text_is_itself(so_far):
    refused = RequestRefused("no")
    request = Request("small", QUESTION.messages, partial_answer=so_far)
    _, error = await failure_of(ContinuationModel(ScriptedModel([refused]), times=3), request)
    assert error is refused


async def test_a_token_limit_that_leaves_no_room_for_text_is_not_asked_again():
    inner = ScriptedModel([ReasoningDelta("Hm."), Completion("length")])
    assert (await events_of(ContinuationModel(inner, times=3)))[-1] == Completion("length")
    assert len(inner.requests) == 1


def joined(so_far: str, *chunks: str) -> str:
    remover = OverlapRemover(so_far)
    return so_far + "".join([remover.join(chunk) for chunk in chunks]) + remover.rest()


@pytest.mark.parametrize(
    ("so_far", "rest", "whole"),
    [
        ("The capital of ", "France is Paris.", "The capital of France is Paris."),
        ("The capi", "tal is Paris.", "The capital is Paris."),
        ("The capi", "capital is Paris.", "The capital is Paris."),
        ("The capital of France", "The capital of France is Paris.", "The capital of France is Paris."),
        (
            "Once. The capital of France",
            "capital of France is Paris.",
            "Once. The capital of France is Paris.",
        ),
        ("a = 1\nfoo(", "foo(bar)\n", "a = 1\nfoo(bar)\n"),
        ("今天天气很好我们", "今天天气很好我们去公园", "今天天气很好我们去公园"),
        ("明天。今天天气很好", "今天天气很好我们去公园", "明天。今天天气很好我们去公园"),
        ("See:\n```python\nx = 1\n", "```python\ny = 2\n```\n", "See:\n```python\nx = 1\ny = 2\n```\n"),
        ("See:\n```python\nx = 1\n", "```\nDone.", "See:\n```python\nx = 1\n```\nDone."),
        ("    }\n", "}\n", "    }\n}\n"),
        ("ha", "ha", "ha"),
        ("10", "10", "10"),
        ("It is 10", "10", "It is 1010"),
        ("1, 2, 3, ", "3.5", "1, 2, 3, 3.5"),
        ("So:\n1. ", "1. Wash", "So:\n1. 1. Wash"),
        ("So:\n12.", "12. Wash", "So:\n12. Wash"),
        ("天天", "天向上", "天天天向上"),
        ("", "Hello", "Hello"),
    ],
)
def test_what_was_said_already_is_not_reported_again(so_far, rest, whole):
    assert joined(so_far, rest) == whole
    assert joined(so_far, *rest) == whole


@given(st.text(), st.lists(st.text()))
def test_however_it_is_cut_the_rest_joins_the_same(so_far, chunks):
    assert joined(so_far, *chunks) == joined(so_far, "".join(chunks))


@given(st.text(), st.lists(st.text()))
def test_only_the_beginning_of_the_rest_can_be_taken_away(so_far, chunks):
    rest = "".join(chunks)
    assert rest.endswith(joined(so_far, *chunks)[len(so_far) :])


@given(st.text(alphabet="abc \n", min_size=20, max_size=200), st.integers(12, 200), st.text(alphabet="xyz"))
def test_a_long_repetition_is_always_found(so_far, length, more):
    repeated = so_far[-length:]
    if len(repeated.strip()) >= 10:
        assert joined(so_far, repeated + "!" + more) == so_far + "!" + more


@pytest.mark.parametrize(
    ("text", "fence"),
    [
        ("", None),
        ("a\n```python\nb", "```python\n"),
        ("a\n```python\nb\n```\n", None),
        ("~~~\n```\n", "~~~\n"),
        ("```a\n```\n  ```b\nc", "```b\n"),
        ("a `x` ``` b", None),
    ],
)
def test_the_line_that_opened_a_block_is_known_while_it_is_open(text, fence):
    assert open_fence(text) == fence
