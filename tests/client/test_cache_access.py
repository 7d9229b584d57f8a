"""The store in its thread: no turn waits longer for it than it may, whatever the store does."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack

import pytest

from chatcli.client.cache_access import AnswerCache
from chatcli.core.events import Notice
from chatcli.storage.answer_store import MemoryAnswers, StoreBusy, StoredAnswer, StoreLimits, StoreUnavailable

LIMITS = StoreLimits(3_600, 1_000_000)
RESTS_S = 31.0


class Clock:
    def __init__(self):
        self.now_s = 1_000.0

    def __call__(self):
        return self.now_s


class HangingStore(MemoryAnswers):
    """A store whose look-ups hang until ``goes_on`` is set."""

    def __init__(self):
        super().__init__(LIMITS)
        self.goes_on = threading.Event()
        self.released = threading.Event()

    def look_up(self, key, owner, lease_s):
        self.goes_on.wait(30)
        return super().look_up(key, owner, lease_s)

    def release(self, key, owner):
        super().release(key, owner)
        self.released.set()


async def found_by(visit):
    found = [each async for each in visit.look_up()]
    visit.leave()
    return found


async def test_a_hanging_store_is_passed_over_and_asked_nothing_more_meanwhile():
    store = HangingStore()
    cache = AnswerCache(lambda: store, patience_s=0.01)
    await cache.run(lambda _: None, patience_s=60)
    visit = cache.visit("paris")
    assert await found_by(visit) == []
    assert visit.is_passed_over
    assert cache.take_notice() == Notice(
        "cache_passed_over", "the cache of answers is not used: it took longer than 10 ms"
    )
    assert await cache.attempt(lambda store: store.get("paris"), 60) is None
    assert cache.take_notice() is None
    store.goes_on.set()
    await cache.close()


async def test_a_claim_that_comes_too_late_is_released():
    store = HangingStore()
    cache = AnswerCache(lambda: store, patience_s=0.01)
    await found_by(cache.visit("paris"))
    store.goes_on.set()
    assert await asyncio.to_thread(store.released.wait, 30)
    assert store.look_up("paris", "another", 10) == "another"
    await cache.close()


async def test_opening_a_slow_store_delays_nobody():
    goes_on = threading.Event()

    def open_slowly():
        goes_on.wait(30)
        return MemoryAnswers(LIMITS)

    cache = AnswerCache(open_slowly, patience_s=0.01)
    cache.post(lambda _: None)
    assert await cache.attempt(lambda store: store.get("paris"), 0.01) is None
    # The next question may find it open.
    assert cache.take_notice() is None
    assert await cache.attempt(lambda store: store.get("paris"), 0.01) is None
    assert cache.take_notice() is not None
    goes_on.set()
    await cache.close()


@pytest.mark.parametrize("failure", [StoreUnavailable("gone"), RuntimeError("a bug"), MemoryError()])
async def test_a_store_that_failed_is_left_alone_for_a_while_and_then_tried_again(failure):
    clock, memory, failures = Clock(), MemoryAnswers(LIMITS), [failure]
    memory.put(StoredAnswer("paris", b"Paris"))
    cache = AnswerCache(lambda: memory, patience_s=60, clock=clock)

    def sometimes(store):
        if failures:
            raise failures.pop()
        return store.get("paris")

    assert await cache.attempt(sometimes, 60) is None
    assert await cache.attempt(sometimes, 60) is None
    clock.now_s += RESTS_S
    assert await cache.attempt(sometimes, 60) == b"Paris"
    await cache.close()


async def test_a_busy_store_is_passed_over_this_time_without_a_word():
    cache = AnswerCache(lambda: MemoryAnswers(LIMITS), patience_s=60)

    def busy(_):
        raise StoreBusy("in use")

    assert await cache.attempt(busy, 60) is None
    assert cache.take_notice() is None
    assert await cache.attempt(lambda _: 1, 60) == 1
    await cache.close()


async def test_the_operations_of_a_turn_share_its_patience():
    clock = Clock()
    memory = MemoryAnswers(LIMITS)
    cache = AnswerCache(lambda: memory, patience_s=60, clock=clock)
    visit = cache.visit("paris")

    def slow(_):
        clock.now_s += 40
        return True

    assert await visit.attempt(slow)
    assert visit._left_s == 20
    visit.leave()
    await cache.close()


async def test_an_answer_is_stored_without_a_word_after_the_store_was_slow_to_open():
    goes_on, memory = threading.Event(), MemoryAnswers(LIMITS)

    def open_slowly():
        goes_on.wait(30)
        return memory

    cache = AnswerCache(open_slowly, patience_s=0.01)
    visit = cache.visit("paris")
    assert [each async for each in visit.look_up()] == []
    goes_on.set()
    await visit.put(StoredAnswer("paris", b"Paris"))
    visit.leave()
    assert await cache.run(lambda store: store.look_up("paris", "another", 10), patience_s=30) == b"Paris"
    assert cache.take_notice() is None
    await cache.close()


async def test_a_failing_operation_that_the_person_asked_for_says_why():
    cache = AnswerCache(lambda: MemoryAnswers(LIMITS))

    def broken(_):
        raise StoreUnavailable("gone")

    with pytest.raises(StoreUnavailable, match="gone"):
        await cache.run(broken, patience_s=60)
    hanging = threading.Event()
    with pytest.raises(StoreUnavailable, match=r"within 0\.01 s"):
        await cache.run(lambda _: hanging.wait(30), patience_s=0.01)
    hanging.set()
    await cache.close()


async def test_a_closed_store_is_opened_again_when_it_is_needed():
    opened = []

    def open_store():
        opened.append(MemoryAnswers(LIMITS))
        return opened[-1]

    cache = AnswerCache(open_store, patience_s=60)
    await cache.close()
    assert opened == []
    for _ in range(2):
        await cache.attempt(lambda store: store.get("paris"), 60)
        await cache.close()
    assert len(opened) == 2


async def test_what_was_posted_is_done_before_the_store_is_closed():
    memory = MemoryAnswers(LIMITS)
    cache = AnswerCache(lambda: memory, patience_s=60)
    cache.count({"hits": 1})
    await cache.close()
    assert memory.statistics().counters == {"hits": 1}


async def test_a_store_is_open_as_long_as_somebody_uses_it():
    opened = []

    def open_store():
        opened.append(MemoryAnswers(LIMITS))
        return opened[-1]

    cache = AnswerCache(open_store, patience_s=60)
    async with AsyncExitStack() as outer:
        cache.open_until(outer)
        for _ in range(2):
            async with AsyncExitStack() as inner:
                cache.open_until(inner)
                await cache.attempt(lambda store: store.get("paris"), 60)
    assert len(opened) == 1
    async with AsyncExitStack() as again:
        cache.open_until(again)
        await cache.attempt(lambda store: store.get("paris"), 60)
    assert len(opened) == 2


# Looking an answer up before its question is asked


class CountingStore(MemoryAnswers):
    """A store that records the keys it is asked for, with and without a claim."""

    def __init__(self):
        super().__init__(LIMITS)
        self.read, self.looked_up = [], []

    def get(self, key):
        self.read.append(key)
        return super().get(key)

    def look_up(self, key, owner, lease_s):
        self.looked_up.append(key)
        return super().look_up(key, owner, lease_s)


@pytest.fixture
async def counted():
    """Return a store with one answer, and a function that returns a cache of it."""
    store = CountingStore()
    store.put(StoredAnswer("paris", b"Paris"))
    caches = []

    def cache(**facts):
        caches.append(AnswerCache(lambda: store, patience_s=60, **facts))
        return caches[-1]

    yield store, cache
    for each in caches:
        await each.close()


async def test_an_answer_looked_up_early_is_not_looked_up_again(counted):
    store, opened = counted
    cache = opened()
    await cache.look_up_early("paris")
    assert await found_by(cache.visit("paris")) == [b"Paris"]
    assert (store.read, store.looked_up) == (["paris"], [])
    assert await found_by(cache.visit("paris")) == [b"Paris"]
    assert store.looked_up == ["paris"]


async def test_an_early_miss_is_looked_up_again_as_it_may_have_been_answered_meanwhile(counted):
    store, opened = counted
    cache = opened()
    await cache.look_up_early("madrid")
    store.put(StoredAnswer("madrid", b"Madrid"))
    assert await found_by(cache.visit("madrid")) == [b"Madrid"]


@pytest.mark.parametrize("other", ["another question", "a cleared cache", "a long time"])
async def test_an_early_answer_serves_only_its_own_question_while_it_is_there_and_not_for_long(
    counted, other
):
    store, opened = counted
    clock = Clock()
    cache = opened(clock=clock)
    await cache.look_up_early("paris")
    if other == "another question":
        assert await found_by(cache.visit("madrid")) == []
        store.clear()
    elif other == "a cleared cache":
        await cache.run(lambda store: store.clear(), patience_s=60)
    else:
        clock.now_s += RESTS_S
        store.clear()
    assert await found_by(cache.visit("paris")) == []


async def test_a_store_elsewhere_is_not_asked_before_the_question_is_sent(counted):
    store, opened = counted
    cache = opened(is_local=False)
    await cache.look_up_early("paris")
    assert store.read == []
    assert await found_by(cache.visit("paris")) == [b"Paris"]
