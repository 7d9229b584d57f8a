"""Reading a long text: nothing is omitted, nothing is too long, and it always ends."""

from __future__ import annotations

import asyncio
import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatcli.conversation.history import Entry, History
from chatcli.conversation.long_input.how import LongInput
from chatcli.core.errors import BudgetReached, ContextOverflow, InputTooLong, NetworkError
from chatcli.core.events import LongProgress, Notice, TextDelta, TurnFailed, TurnFinished, TurnStarted, Usage
from chatcli.core.messages import ImagePart, Message, question, system
from conversation.long_input.reading import AnsweringModel, Reading

FACT = re.compile(r"FACT-\d{4}")
SENTENCE = "The committee met again in the afternoon. "


def text_with(facts, *, apart=200):
    return "".join(f"FACT-{number:04} " + SENTENCE * (apart // len(SENTENCE)) for number in range(facts))


def facts_of(prompt):
    return list(dict.fromkeys(FACT.findall(prompt)))


def state_facts(prompt):
    return " ".join(facts_of(prompt)) or "NOTHING"


def tell_much(_):
    return "It goes on and on. " * 500


@pytest.fixture
def reading(o200k_counter):
    def make(text, *, words="Which facts?", window_tokens=2_000, **how):
        return Reading(question(words, text), o200k_counter, window_tokens=window_tokens, **how)

    return make


async def test_the_turn_is_reported_as_any_other_with_progress_in_between(reading):
    read = reading(text_with(60))
    model = AnsweringModel(state_facts)
    events = await read.read("map-reduce", model)
    assert isinstance(events[0], TurnStarted)
    assert isinstance(events[1], Notice)
    progress = [event for event in events if isinstance(event, LongProgress)]
    assert [event.done for event in progress] == list(range(len(model.prompts) + 1))
    assert progress[-1].tokens > 2_000
    assert [type(event) for event in events[-2:]] == [TextDelta, TurnFinished]
    assert sum(isinstance(event, TurnStarted) for event in events) == 1


async def test_the_result_tells_what_all_requests_took_together(reading):
    *_, end = await reading(text_with(60)).read("map-reduce", AnsweringModel(state_facts))
    assert end.result.usage.input_tokens > 2_000
    assert end.result.usage.estimated
    assert 0 < end.result.earlier_tokens == end.result.usage.output_tokens


async def test_a_part_that_fails_ends_the_turn_after_the_time_it_took(reading):
    *_, end = await reading(text_with(60)).read("map-reduce", AnsweringModel(lambda _: NetworkError("gone")))
    assert isinstance(end, TurnFailed)
    assert end.result.latency_s >= 0


@pytest.mark.parametrize(("strategy", "facts"), [("map-reduce", 120), ("refine", 30)])
async def test_every_fact_reaches_the_last_question_and_no_request_is_too_long(reading, strategy, facts):
    read = reading(text_with(facts, apart=800), window_tokens=1_600)
    model = AnsweringModel(state_facts)
    await read.read(strategy, model)
    assert facts_of(read.last.text) == [f"FACT-{number:04}" for number in range(facts)]
    assert read.sent_tokens([read.last]) <= read.window.budget_tokens
    for request in model.requests:
        assert read.sent_tokens(request.messages) <= read.window.budget_tokens
        assert "Which facts?" in request.messages[-1].text


async def test_notes_are_merged_until_they_fit(reading):
    read = reading(SENTENCE * 1_500, window_tokens=1_600)
    model = AnsweringModel(lambda prompt: "The committee met. " * 40)
    await read.read("map-reduce", model)
    merges = [prompt for prompt in model.prompts if "notes on parts of it" in prompt]
    assert len(merges) > 1
    assert "## Parts 1 to" in read.last.text
    assert read.sent_tokens([read.last]) <= read.window.budget_tokens


@pytest.mark.parametrize("strategy", ["map-reduce", "refine"])
async def test_a_model_that_never_comes_to_an_end_is_cut_and_that_is_reported_once(reading, strategy):
    read = reading(SENTENCE * 1_500, window_tokens=1_600)
    model = AnsweringModel(tell_much)
    events = await read.read(strategy, model)
    assert isinstance(events[-1], TurnFinished)
    assert len(model.prompts) <= read.plan(strategy).requests
    assert [event.code for event in events if isinstance(event, Notice)].count("notes_cut") == 1
    assert read.sent_tokens([read.last]) <= read.window.budget_tokens


async def test_parts_without_anything_on_the_question_take_no_room(reading):
    read = reading(SENTENCE * 1_500)
    await read.read("map-reduce", AnsweringModel(lambda prompt: "Nothing."))
    assert "None of the parts has anything on the question" in read.last.text


async def test_no_more_are_asked_at_once_than_is_wished(reading):
    model = AnsweringModel(state_facts)
    await reading(text_with(120)).read("map-reduce", model, LongInput(concurrency=3))
    assert model.most_at_once == 3


@pytest.mark.parametrize("strategy", ["map-reduce", "refine"])
async def test_what_is_kept_is_not_asked_again(reading, tmp_path, strategy):
    how = LongInput(kept_in=tmp_path / "parts", concurrency=1)
    model = AnsweringModel(
        lambda prompt: NetworkError("gone") if "part 3 of" in prompt else state_facts(prompt)
    )
    text = text_with(40, apart=800)
    events = await reading(text).read(strategy, model, how)
    assert isinstance(events[-1], TurnFailed)
    assert events[-1].result.error.code == "network"
    kept = [
        event.message for event in events if isinstance(event, Notice) and event.code == "long_input_kept"
    ]
    assert kept[0].startswith("2 of ")
    again, read = AnsweringModel(state_facts), reading(text)
    await read.read(strategy, again, how)
    assert not any(re.search("part [12] of", prompt) for prompt in again.prompts)
    assert facts_of(read.last.text) == [f"FACT-{number:04}" for number in range(40)]


async def test_an_endpoint_that_counts_more_tokens_is_asked_about_smaller_parts(reading):
    def answer(prompt):
        return ContextOverflow("too long") if len(prompt) > 3_000 else state_facts(prompt)

    read = reading(text_with(40, apart=800))
    model = AnsweringModel(answer)
    events = await read.read("map-reduce", model)
    assert isinstance(events[-1], TurnFinished)
    assert facts_of(read.last.text) == [f"FACT-{number:04}" for number in range(40)]
    assert [event.code for event in events if isinstance(event, Notice)].count("context_overflow") == 1


async def test_an_endpoint_that_takes_nothing_fails_the_turn(reading):
    model = AnsweringModel(lambda prompt: ContextOverflow("too long"))
    *_, end = await reading(text_with(40)).read("map-reduce", model)
    assert end.result.error.code == "context_overflow"
    assert len(model.prompts) < 100


async def test_another_question_is_asked_anew(reading, tmp_path):
    how = LongInput(kept_in=tmp_path / "parts")
    await reading(text_with(60)).read("map-reduce", AnsweringModel(state_facts), how)
    other = AnsweringModel(state_facts)
    await reading(text_with(60), words="How many?").read("map-reduce", other, how)
    assert other.prompts


async def test_what_was_spent_before_a_part_failed_is_reported(reading):
    model = AnsweringModel(
        lambda prompt: NetworkError("gone") if "part 3 of" in prompt else state_facts(prompt)
    )
    how = LongInput(concurrency=1, cost_of=lambda usage: 0.01)
    *_, end = await reading(text_with(40, apart=800)).read("map-reduce", model, how)
    assert end.result.cost_usd == pytest.approx(0.02)
    assert end.result.usage.input_tokens > 1_000


async def test_a_part_whose_answer_the_budget_cuts_fails_the_turn_with_its_cost_and_is_not_kept(
    reading, tmp_path
):
    model = AnsweringModel(state_facts, raised_after=BudgetReached("the answer was cut"))
    how = LongInput(kept_in=tmp_path / "parts", concurrency=1, cost_of=lambda usage: 0.01)
    for asked in (1, 2):
        *_, end = await reading(text_with(40, apart=800)).read("map-reduce", model, how)
        assert isinstance(end.result.error, BudgetReached)
        assert end.result.cost_usd == pytest.approx(0.01)
        assert len(model.prompts) == asked


async def test_a_part_that_is_answered_with_nothing_at_all_fails_the_turn(reading):
    events = await reading(text_with(60)).read("map-reduce", AnsweringModel(lambda prompt: " "))
    assert events[-1].result.error.code == "bad_response"


async def test_whoever_stops_listening_stops_every_request(reading):
    class HoldingModel(AnsweringModel):
        async def stream(self, request):
            self.at_once += 1
            try:
                await asyncio.Event().wait()
                yield TextDelta("")
            finally:
                self.at_once -= 1

    model = HoldingModel(state_facts)
    task = asyncio.ensure_future(reading(text_with(200)).read("map-reduce", model, LongInput(concurrency=4)))
    while model.at_once < 4:  # noqa: ASYNC110 - the model has no event
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert model.at_once == 0


async def test_what_is_no_text_goes_with_the_last_question_only(o200k_counter):
    picture = ImagePart("0" * 64, "image/png", "plan.png")
    asked = question("Which facts?", text_with(60))
    read = Reading(Message("user", (*asked.parts, picture)), o200k_counter, window_tokens=2_000)
    model = AnsweringModel(state_facts)
    await read.read("map-reduce", model)
    assert picture in read.last.parts
    assert all(picture not in message.parts for request in model.requests for message in request.messages)


@pytest.mark.parametrize("strategy", ["map-reduce", "refine", "head", "tail", "middle-out"])
async def test_room_is_left_for_what_the_conversation_always_sends(reading, strategy):
    instructions = system("Be brief. " * 100)
    read = reading(text_with(100), history=History([Entry("1", instructions)]))
    await read.read(strategy, AnsweringModel(state_facts))
    assert read.sent_tokens([instructions, read.last]) <= read.window.budget_tokens


async def test_a_plan_says_at_most_what_it_takes(reading):
    for strategy in ("map-reduce", "refine"):
        read, model = reading(SENTENCE * 1_500), AnsweringModel(tell_much)
        plan = read.plan(strategy)
        await read.read(strategy, model)
        assert len(model.requests) + 1 <= plan.requests
        sent = sum(read.sent_tokens(request.messages) for request in model.requests)
        assert sent + read.sent_tokens([read.last]) <= plan.sent_tokens
        assert "".join(part.text[part.new_from - part.start :] for part in plan.parts) == SENTENCE * 1_500


async def test_a_window_without_room_is_reported_so(reading):
    with pytest.raises(InputTooLong) as raised:
        reading(SENTENCE * 100, window_tokens=300).plan("map-reduce")
    assert "--long" not in raised.value.hint
    events = await reading(SENTENCE * 100, window_tokens=300).read("map-reduce", AnsweringModel(state_facts))
    assert isinstance(events[-1].result.error, InputTooLong)


def test_costs_are_reported_where_prices_are_known(reading):
    how = LongInput(cost_of=lambda usage: (usage.input_tokens + usage.output_tokens) / 1e6)
    events = asyncio.run(reading(text_with(60)).read("map-reduce", AnsweringModel(state_facts), how))
    costs = [event.cost_usd for event in events if isinstance(event, LongProgress)]
    assert costs[0] is None
    assert all(before < after for before, after in itertools.pairwise(costs[1:]))
    # The fake that answers the last question reports no usage.
    assert events[-1].result.cost_usd is None
    assert how.cost_of(Usage(1, 1)) == 2e-6


@settings(max_examples=30, deadline=None)
@given(
    facts=st.integers(20, 150),
    apart=st.integers(0, 400),
    window_tokens=st.integers(1_300, 4_000),
    strategy=st.sampled_from(["map-reduce", "refine"]),
)
def test_nothing_is_missed_and_nothing_is_too_long_whatever_the_window(
    o200k_counter, facts, apart, window_tokens, strategy
):
    read = Reading(
        question("Which?", text_with(facts, apart=apart)), o200k_counter, window_tokens=window_tokens
    )
    model = AnsweringModel(state_facts)
    asyncio.run(read.read(strategy, model))
    for request in model.requests:
        assert read.sent_tokens(request.messages) <= read.window.budget_tokens
    assert read.sent_tokens([read.last]) <= read.window.budget_tokens
    reported_tokens = o200k_counter.count(state_facts(text_with(facts)))
    if reported_tokens < read.window.budget_tokens // 8:
        assert facts_of(read.last.text) == [f"FACT-{number:04}" for number in range(facts)]
