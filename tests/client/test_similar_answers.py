"""Answers to similar questions: offered, never taken silently, never with attachments."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from wcwidth import width

from chatcli.client.answer_cache import AnswerCacheModel, AnswerOrigin
from chatcli.client.cache_access import AnswerCache
from chatcli.client.endpoint import Endpoint
from chatcli.client.similar_answers import SimilarAnswers
from chatcli.core.errors import BudgetReached, ServerFailed
from chatcli.core.events import Completion, Notice, TextDelta
from chatcli.core.messages import FilePart, Message, TextPart, answer, question, system
from chatcli.core.request import Request
from chatcli.storage.answer_store import MemoryAnswers, StoreLimits
from client.scripted_model import ScriptedModel
from client.wire import events_of

ORIGIN = AnswerOrigin.of(Endpoint("https://models.example/v1"), api="chat", separates_reasoning=True)
VECTORS = {
    "What is the capital of France?": (1.0, 0.0),
    "Which city is the capital of France?": (0.98, 0.199),
    "How tall is Everest?": (0.0, 1.0),
    "longer": (1.0, 0.0, 0.0),
}
FRANCE, SIMILAR, EVEREST, LONGER = VECTORS


class Embedder:
    def __init__(self, failure=None):
        self.asked = []
        self.failure = failure

    async def embed(self, texts):
        self.asked += texts
        if self.failure is not None:
            raise self.failure
        return [VECTORS[text] for text in texts]


class Person:
    def __init__(self, *, says_yes):
        self.questions = []
        self.says_yes = says_yes

    async def __call__(self, question):
        self.questions.append(question)
        return self.says_yes


def asked(text, *earlier):
    return Request("small", (*earlier, question(text)), is_cacheable=True)


def script(text):
    return [TextDelta(text), Completion("stop", message=answer(text))]


@pytest.fixture
async def make():
    """Return a function that makes a model with this answer for each question, over one cache."""
    memory = MemoryAnswers(StoreLimits(3_600, 1_000_000))
    caches = []

    def build(*answers, offer=None, embedder=None, least=0.95):
        caches.append(AnswerCache(lambda: memory, patience_s=60))
        similar = SimilarAnswers(embedder or Embedder(), "near", least=least, offer=offer)
        model = AnswerCacheModel(
            ScriptedModel(*map(script, answers)), caches[-1], ORIGIN, count=len, similar=similar
        )
        model.requests = model._inner.requests
        return model

    yield build
    for cache in caches:
        await cache.close()


def said(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_a_similar_answer_is_offered_with_its_score_and_its_question(make):
    person = Person(says_yes=True)
    model = make("Paris", offer=person)
    await events_of(model, asked(FRANCE))
    events = await events_of(model, asked(SIMILAR))
    assert person.questions == [f'The cache has an answer to a similar question (0.98): "{FRANCE}". Use it?']
    assert said(events) == "Paris"
    assert events[-1].cached
    assert len(model.requests) == 1


async def test_a_long_question_without_spaces_is_quoted_as_far_as_it_fits_and_cannot_act_on_the_terminal():
    person = Person(says_yes=True)
    similar = SimilarAnswers(Embedder(), "near", least=0.9, offer=person)
    await similar.offered("\x1b[2J法国的首都" + "在哪里" * 100, 0.98)
    (words,) = person.questions
    assert "法国的首都在哪里" in words
    assert "\x1b" not in words
    assert width(words) < 160


async def test_a_declined_answer_is_not_used(make):
    model = make("Paris", "Paris, again", offer=Person(says_yes=False))
    await events_of(model, asked(FRANCE))
    events = await events_of(model, asked(SIMILAR))
    assert said(events) == "Paris, again"
    assert not events[-1].cached


async def test_who_answers_with_ctrl_c_asks_nobody(make):
    model = make("Paris", "Paris, again", offer=Person(says_yes=None))
    await events_of(model, asked(FRANCE))
    with pytest.raises(asyncio.CancelledError):
        await events_of(model, asked(SIMILAR))
    assert len(model.requests) == 1


async def test_where_nobody_can_be_asked_it_is_mentioned_and_the_model_is_asked(make):
    model = make("Paris", "Paris, again")
    await events_of(model, asked(FRANCE))
    events = await events_of(model, asked(SIMILAR))
    assert events[0] == Notice(
        "similar_answer",
        f'the cache has an answer to a similar question (0.98): "{FRANCE}"; asking anyway',
    )
    assert said(events) == "Paris, again"


async def test_a_question_that_is_not_near_enough_is_simply_asked(make):
    person = Person(says_yes=True)
    model = make("Paris", "8,849 m", "Paris, again", offer=person, least=0.99)
    for text in (FRANCE, EVEREST, SIMILAR):
        await events_of(model, asked(text))
    assert person.questions == []
    assert len(model.requests) == 3


async def test_an_equal_question_needs_no_embedding(make):
    embedder = Embedder()
    model = make("Paris", embedder=embedder)
    for _ in range(2):
        await events_of(model, asked(FRANCE))
    assert embedder.asked == [FRANCE]


async def test_another_system_prompt_is_another_scope(make):
    person = Person(says_yes=True)
    model = make("Paris", "Paris!", offer=person)
    await events_of(model, asked(FRANCE))
    await events_of(model, asked(SIMILAR, system("Answer with an exclamation mark.")))
    assert person.questions == []


FILE = FilePart("0" * 64, "text/plain", "notes.txt")
ATTACHED = [
    Message("user", (TextPart(SIMILAR), FILE)),
    question(SIMILAR, "the text of a document"),
]


@pytest.mark.parametrize("message", ATTACHED)
async def test_with_an_attachment_nothing_similar_is_looked_for(make, message):
    embedder, person = Embedder(), Person(says_yes=True)
    model = make("Paris", "Paris, again", offer=person, embedder=embedder)
    await events_of(model, asked(FRANCE))
    await events_of(model, replace(asked(SIMILAR), messages=(message,)))
    assert embedder.asked == [FRANCE]
    assert person.questions == []


@pytest.mark.parametrize("failure", [ServerFailed("overloaded"), BudgetReached("nothing is left")])
async def test_embeddings_that_fail_are_mentioned_once_and_asked_for_no_more(make, failure):
    embedder = Embedder(failure)
    model = make("Paris", "Paris, again", embedder=embedder)
    first = await events_of(model, asked(FRANCE))
    assert first[0] == Notice("similar_failed", f"no similar questions are looked for: {failure.message}")
    second = await events_of(model, asked(SIMILAR))
    assert [event for event in second if isinstance(event, Notice)] == []
    assert embedder.asked == [FRANCE]


async def test_embeddings_that_take_too_long_are_done_without():
    class Silent:
        async def embed(self, texts):
            await asyncio.Event().wait()

    similar = SimilarAnswers(Silent(), "near", least=0.9, offer=None, patience_s=0.01)
    vector, notice = await similar.vector_of(FRANCE)
    assert vector == b""
    assert "longer than 0.01 seconds" in notice.message


async def test_vectors_of_another_length_do_not_compare(make):
    person = Person(says_yes=True)
    model = make("Paris", "?", offer=person)
    await events_of(model, asked(FRANCE))
    await events_of(model, asked(LONGER))
    assert person.questions == []


async def test_the_question_is_stored_only_where_similar_ones_are_looked_for(make):
    model = make("Paris")
    await events_of(model, asked(FRANCE))
    memory = await model._cache.run(lambda store: store, patience_s=60)
    assert FRANCE.encode() in next(iter(memory._kept.values())).answer.content
    memory.clear()
    plain = AnswerCacheModel(ScriptedModel(script("Paris")), model._cache, ORIGIN, count=len)
    await events_of(plain, asked(FRANCE))
    assert FRANCE.encode() not in next(iter(memory._kept.values())).answer.content
