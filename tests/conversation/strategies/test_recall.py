from __future__ import annotations

import asyncio

import pytest
from hypothesis import given

from chatcli.conversation.context import join_neighbours
from chatcli.conversation.counting import EstimatingCounter, MessageTokens
from chatcli.conversation.history import Entry, History
from chatcli.conversation.strategies.recall import Recall
from chatcli.conversation.turn_vectors import TurnVectors
from chatcli.core.errors import BadResponse, BudgetReached, InputTooLong, RequestRefused
from chatcli.core.messages import answer, question
from conversation.fakes import CharacterCounter
from conversation.strategies.situations import cost, situations
from conversation.strategies.stated_facts import FACTS, long_conversation

BUDGET_TOKENS = 4096


@pytest.mark.parametrize("seed", range(3))
def test_of_fifty_facts_told_once_in_2000_turns_those_asked_for_are_in_the_window(seed):
    history, places = long_conversation(2_000, seed)
    strategy, tokens = Recall(), MessageTokens(EstimatingCounter())
    missed = []
    for fact in FACTS:
        plan = strategy.fit(history, question(fact.asked), BUDGET_TOKENS, tokens)
        assert plan.sent_tokens <= BUDGET_TOKENS
        strategy.sent(history, plan)
        if places[fact] + 1 not in [part.turn for part in plan.parts]:
            missed.append(fact.asked)
    assert len(missed) <= len(FACTS) * 0.05, missed


def small_talk(*texts, fillers=40, branch=""):
    pairs = [*texts, *(f"filler number {number} of many" for number in range(fillers))]
    entries = []
    for number, text in enumerate(pairs):
        entries += [
            Entry(f"q{branch}{number}", question(text)),
            Entry(f"a{branch}{number}", answer("I see.")),
        ]
    return History(entries)


def fit(strategy, history, asked, budget_tokens=300):
    return strategy.fit(history, question(asked), budget_tokens, MessageTokens(EstimatingCounter()))


def test_a_turn_that_comes_back_stands_where_it_stood_and_is_reported_of():
    history = small_talk("My dentist is Dr Okafor.", "The cat only eats salmon.")
    plan = fit(Recall(), history, "And what do cats eat? And who is my dentist?")
    assert plan.retrieved == (1, 2)
    assert [part.kind for part in plan.parts][:3] == ["retrieved", "retrieved", "turn"]
    assert plan.left_out[0].first == 3


def test_nothing_comes_back_that_has_no_word_in_common():
    history = small_talk("My dentist is Dr Okafor.")
    assert not fit(Recall(), history, "Quelle heure?").retrieved


def test_words_the_question_only_uses_in_another_form_are_found():
    history = small_talk("We renovated the kitchens.")
    assert fit(Recall(), history, "Which kitchen renovation?").retrieved == (1,)


def test_a_conversation_that_was_gone_back_in_is_looked_through_anew():
    strategy = Recall()
    before = small_talk("My dentist is Dr Okafor.")
    assert fit(strategy, before, "my dentist?").retrieved == (1,)
    after = small_talk("My barber is Dr Okafor.", branch="another ")
    assert not fit(strategy, after, "dentist?").retrieved
    assert fit(strategy, after, "barber?").retrieved == (1,)


@pytest.mark.parametrize("asked", ['"', "AND OR NOT", "a* b^2 (c)", "NEAR(", "\0", "\ud800", "", "?"])
def test_whatever_is_asked_is_no_expression(asked):
    fit(Recall(), small_talk("x AND y"), asked)


# By meaning.

SMALL_BUDGET_TOKENS = 300
TOKENS = MessageTokens(EstimatingCounter())
TEETH = ("dentist", "molar", "teeth")
FOOD = ("salmon", "hungry", "cat")


class TopicEmbedder:
    """An embedder with two topics, which raises ``error`` if there is one."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[list[str]] = []

    async def embed(self, texts):
        self.asked.append(list(texts))
        if self.error is not None:
            raise self.error
        return [
            [1.0, *(float(any(word in text for word in topic)) * 3 for topic in (TEETH, FOOD))]
            for text in texts
        ]


class SilentEmbedder:
    def __init__(self) -> None:
        self.times = 0

    async def embed(self, _):
        self.times += 1
        await asyncio.Event().wait()


async def ask(strategy, history, asked, budget_tokens=SMALL_BUDGET_TOKENS, tokens=TOKENS):
    """Return the notice for the person, and the plan."""
    notice = await strategy.prepare(history, budget_tokens, tokens, question(asked))
    return notice, strategy.fit(history, question(asked), budget_tokens, tokens)


async def test_a_turn_comes_back_that_has_no_word_in_common_with_the_question():
    history = small_talk("My dentist is Dr Okafor.", "The cat only eats salmon.")
    notice, plan = await ask(Recall(TurnVectors(TopicEmbedder())), history, "Whom to ask about molars?")
    assert notice is None
    assert plan.retrieved == (1,)


async def test_what_words_and_meaning_find_comes_back_together():
    history = small_talk("My dentist is Dr Okafor.", "Whom did we meet? Ada.")
    _, plan = await ask(Recall(TurnVectors(TopicEmbedder())), history, "Whom to ask about molars?")
    assert plan.retrieved == (1, 2)


async def test_a_turn_is_sent_once_and_only_when_it_fell_out():
    embedder, history = TopicEmbedder(), small_talk("My dentist is Dr Okafor.")
    strategy = Recall(TurnVectors(embedder))
    _, plan = await ask(strategy, history, "molars?")
    (sent,) = embedder.asked
    assert sent[0] == "molars?"
    assert sent[-1] == "My dentist is Dr Okafor.\nI see."
    assert len(sent) - 1 == plan.cut
    await ask(strategy, history, "teeth?")
    assert embedder.asked[1:] == [["teeth?"]]


async def test_of_many_turns_the_newest_are_sent_first_and_the_others_later():
    embedder, history = TopicEmbedder(), small_talk("My dentist is Dr Okafor.", fillers=200)
    strategy = Recall(TurnVectors(embedder))
    _, plan = await ask(strategy, history, "molars?")
    assert [len(texts) for texts in embedder.asked] == [64, 64]
    assert 1 not in plan.retrieved
    _, plan = await ask(strategy, history, "molars?")
    assert plan.retrieved == (1,)


async def test_nothing_is_sent_while_all_has_room_nor_without_a_question():
    embedder, history = TopicEmbedder(), small_talk("My dentist is Dr Okafor.")
    strategy = Recall(TurnVectors(embedder))
    await ask(strategy, history, "molars?", budget_tokens=10_000)
    await strategy.prepare(history, SMALL_BUDGET_TOKENS, TOKENS)
    await ask(strategy, history, "")
    strategy.fit(history, question("molars?"), SMALL_BUDGET_TOKENS, TOKENS)
    assert embedder.asked == []


async def test_where_it_fails_words_find_what_they_find_and_that_is_reported_once():
    embedder = TopicEmbedder(BadResponse("x.example: the embeddings are not JSON", hint="look"))
    strategy, history = Recall(TurnVectors(embedder)), small_talk("My dentist is Dr Okafor.")
    notice, plan = await ask(strategy, history, "my dentist?")
    assert notice.code == "embeddings_failed"
    assert notice.message.endswith("by words only: x.example: the embeddings are not JSON (look)")
    assert plan.retrieved == (1,)
    notice, plan = await ask(strategy, history, "my dentist?")
    assert notice is None
    assert plan.retrieved == (1,)


async def test_where_the_budget_leaves_too_little_words_find_what_they_find():
    embedder = TopicEmbedder(BudgetReached("budget reached", hint="change the limit"))
    notice, plan = await ask(
        Recall(TurnVectors(embedder)), small_talk("My dentist is Dr Okafor."), "my dentist?"
    )
    assert notice.message.endswith("by words only: budget reached (change the limit)")
    assert plan.retrieved == (1,)


async def test_what_failed_for_a_while_is_tried_again_and_what_is_refused_is_not():
    history = small_talk("My dentist is Dr Okafor.")
    passing = TopicEmbedder(BadResponse("broken", retryable=True))
    strategy = Recall(TurnVectors(passing))
    await ask(strategy, history, "molars?")
    passing.error = None
    assert (await ask(strategy, history, "molars?"))[1].retrieved == (1,)
    refusing = TopicEmbedder(RequestRefused("no such model"))
    strategy = Recall(TurnVectors(refusing))
    for _ in range(3):
        await ask(strategy, history, "molars?")
    assert len(refusing.asked) == 1


async def test_one_that_does_not_answer_is_waited_for_a_while_and_a_few_times():
    embedder, history = SilentEmbedder(), small_talk("My dentist is Dr Okafor.")
    strategy = Recall(TurnVectors(embedder, patience_s=0.01))
    notice, plan = await ask(strategy, history, "my dentist?")
    assert "embeddings took longer than 0.01 seconds" in notice.message
    assert plan.retrieved == (1,)
    for _ in range(5):
        assert (await ask(strategy, history, "my dentist?"))[0] is None
    assert embedder.times == 3


async def test_vectors_of_another_length_are_not_compared():
    class Growing(TopicEmbedder):
        async def embed(self, texts):
            return [[*vector, *[1.0] * len(self.asked)] for vector in await super().embed(texts)]

    strategy, history = Recall(TurnVectors(Growing())), small_talk("My dentist is Dr Okafor.")
    assert (await ask(strategy, history, "molars?"))[1].retrieved == (1,)
    assert (await ask(strategy, history, "molars?"))[1].retrieved == ()


@pytest.mark.parametrize("vector", [[0.0, 0.0], [1e308, 1e308], [-1.0, 0.0]])
async def test_whatever_numbers_come_there_is_an_order_in_them(vector):
    class Same(TopicEmbedder):
        async def embed(self, texts):
            return [vector for _ in texts]

    await ask(Recall(TurnVectors(Same())), small_talk("My dentist is Dr Okafor."), "molars?")


@given(situation=situations())
def test_budget_order_and_what_must_be_sent_are_kept_and_it_is_always_the_same(situation):
    class Lengths(TopicEmbedder):
        async def embed(self, texts):
            return [[1.0, float(len(text) % 5), float(text.count("a"))] for text in texts]

    tokens, history = MessageTokens(CharacterCounter()), situation.history

    async def plan():
        strategy = Recall(TurnVectors(Lengths()))
        await strategy.prepare(history, situation.budget_tokens, tokens, situation.question)
        return strategy.fit(history, situation.question, situation.budget_tokens, tokens)

    try:
        once = asyncio.run(plan())
    except InputTooLong:
        assert cost(situation.required) > situation.budget_tokens
        return
    sent = [message for part in once.parts for message in part.messages]
    assert once.sent_tokens == cost(join_neighbours(sent)) <= situation.budget_tokens
    assert [message for message in sent if message in situation.required] == situation.required
    remaining = iter(situation.everything)
    assert all(message in remaining for message in sent)
    assert asyncio.run(plan()) == once
