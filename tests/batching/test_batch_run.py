"""How many rows are in flight, in which order results come, and when no more are begun."""

from __future__ import annotations

import asyncio

import pytest

from chatcli.batching import batch_run
from chatcli.batching.batch_run import BatchRun
from chatcli.batching.concurrency import _ADAPTIVE_MOST, Concurrency
from chatcli.batching.row_requests import BatchRow
from chatcli.core.errors import (
    BudgetReached,
    LocalIOError,
    NetworkError,
    RateLimited,
    RequestRefused,
    UsageError,
)
from chatcli.core.events import Completion, Notice, Retrying, TextDelta, TextReclassified, Usage
from chatcli.core.messages import question
from chatcli.core.request import Request


class Model:
    """Answers with what ``answer`` returns or raises for a prompt; ``most`` is how many were asked at once."""

    def __init__(self, answer=lambda prompt: [TextDelta(prompt), Completion("stop", "m", Usage(1, 1))]):
        self.asked = []
        self.most = self._now = 0
        self.gates = {}
        self._answer = answer

    async def stream(self, request):
        prompt = request.messages[-1].text
        self.asked.append(prompt)
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            await asyncio.sleep(0)
            if prompt in self.gates:
                await self.gates[prompt].wait()
            for event in self._answer(prompt):
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self._now -= 1


def rows(count):
    return [
        BatchRow(number, number, number + 1, Request("m", (question(f"{number}"),)))
        for number in range(count)
    ]


async def results_of(run, source, **options):
    return [result async for several in run.results(source, **options) for result in several]


async def test_no_more_rows_are_in_flight_than_allowed():
    model = Model()
    found = await results_of(BatchRun(model, Concurrency(3)), rows(20))
    assert sorted(result.index for result in found) == list(range(20))
    assert model.most == 3
    assert found[0].model == "m"


async def test_rows_come_from_an_asynchronous_source_too():
    async def arriving():
        for row in rows(250):
            await asyncio.sleep(0)
            yield row

    found = await results_of(BatchRun(Model(), Concurrency(5)), arriving(), in_order=True)
    assert [result.index for result in found] == list(range(250))


async def test_results_in_order_wait_for_a_slow_row_with_bounded_memory(monkeypatch):
    monkeypatch.setattr(batch_run, "_WINDOW_ROWS", 10)
    model = Model()
    model.gates["0"] = asyncio.Event()
    run = BatchRun(model, Concurrency(4))
    gathering = asyncio.ensure_future(results_of(run, rows(50), in_order=True))
    for _ in range(200):
        await asyncio.sleep(0)
    assert len(model.asked) == 10
    model.gates["0"].set()
    assert [result.index for result in await gathering] == list(range(50))


async def test_results_are_kept_while_they_wait_for_a_slow_row_and_for_their_reader():
    model, kept = Model(), []
    model.gates["0"] = asyncio.Event()
    run = BatchRun(model, Concurrency(4), keep=lambda result: kept.append(result.index))
    results = run.results(rows(30), in_order=True)
    waiting = asyncio.ensure_future(anext(results))
    for _ in range(200):
        await asyncio.sleep(0)
    assert (sorted(kept), waiting.done()) == (list(range(1, 30)), False)
    model.gates["0"].set()
    assert len(await waiting) == len(kept) == 30
    await results.aclose()


async def test_what_cannot_be_kept_ends_the_run():
    def keep(result):
        if result.index == 3:
            raise LocalIOError("the disk is full", hint="delete something")

    model = Model()
    with pytest.raises(LocalIOError, match="full"):
        await results_of(BatchRun(model, Concurrency(2), keep=keep), rows(500))
    assert len(model.asked) < 100


async def test_a_row_that_cannot_be_asked_is_a_result_like_others():
    broken = BatchRow(1, "b", 2, error=UsageError("line 2 is not JSON", hint="mend it"))
    first, last = rows(1), BatchRow(2, None, 3, Request("m", (question("2"),)))
    found = await results_of(BatchRun(Model(), Concurrency(1)), [*first, broken, last], in_order=True)
    assert [result.error and result.error.message for result in found] == [None, "line 2 is not JSON", None]


async def test_rows_that_cannot_be_asked_leave_the_loop_to_others():
    broken = [BatchRow(n, None, 1, error=UsageError("broken", hint="mend it")) for n in range(500)]
    run, turns = BatchRun(Model(), Concurrency(1)), 0

    async def watch():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    watching = asyncio.ensure_future(watch())
    assert len(await results_of(run, broken)) == 500
    watching.cancel()
    assert turns >= 4


async def test_a_failure_is_a_result_with_what_had_come():
    def answer(_):
        return [TextDelta("half"), Retrying(2, 0.1, "busy"), RequestRefused("no", hint="ask something else")]

    run = BatchRun(Model(answer), Concurrency(1))
    (found,) = await results_of(run, rows(1))
    assert (found.text, found.error.message, found.attempts) == ("half", "no", 2)
    assert (run.progress.done, run.progress.failed, run.progress.retrying) == (1, 1, 0)


async def test_reasoning_in_the_text_is_no_part_of_it():
    def answer(_):
        return [TextDelta("hm"), TextReclassified("hm"), TextDelta("yes"), Completion("length")]

    run = BatchRun(Model(answer), Concurrency(1))
    (found,) = await results_of(run, rows(1))
    assert found.text == "yes"
    assert run.progress.cut_off == 1


async def test_a_reached_budget_ends_the_run_and_leaves_its_row():
    def answer(prompt):
        return (
            [BudgetReached("budget reached", hint="raise it")]
            if prompt == "2"
            else [TextDelta("a"), Completion("stop")]
        )

    model = Model(answer)
    run = BatchRun(model, Concurrency(1))
    assert [result.index for result in await results_of(run, rows(9))] == [0, 1]
    assert run.stopped_by.message == "budget reached"
    assert model.asked == ["0", "1", "2"]


async def test_an_endpoint_that_cannot_be_reached_ends_the_run():
    model = Model(lambda _: [NetworkError("nothing listens", hint="start it")])
    run = BatchRun(model, Concurrency(1))
    found = await results_of(run, rows(500))
    assert len(found) == len(model.asked) == 20
    assert run.stopped_by.message == "nothing listens"


async def test_an_endpoint_that_is_reached_now_and_then_is_asked_on():
    def answer(prompt):
        return [Completion("stop")] if int(prompt) % 10 == 0 else [NetworkError("cut", hint="again")]

    run = BatchRun(Model(answer), Concurrency(1))
    assert len(await results_of(run, rows(100))) == 100
    assert run.stopped_by is None


async def test_a_stopped_run_finishes_what_is_in_flight():
    model = Model()
    model.gates = {"0": asyncio.Event(), "1": asyncio.Event()}
    run = BatchRun(model, Concurrency(2))
    gathering = asyncio.ensure_future(results_of(run, rows(9)))
    await asyncio.sleep(0.01)
    run.stop()
    for gate in model.gates.values():
        gate.set()
    assert sorted(result.index for result in await gathering) == [0, 1]


async def test_an_abandoned_run_keeps_what_was_answered():
    model = Model()
    model.gates["1"] = asyncio.Event()
    run = BatchRun(model, Concurrency(2))
    gathering = asyncio.ensure_future(results_of(run, rows(2)))
    await asyncio.sleep(0.01)
    run.abandon()
    assert [result.index for result in await gathering] == [0]


async def test_a_bug_in_a_row_is_not_swallowed():
    run = BatchRun(Model(lambda _: [KeyError("bug")]), Concurrency(1))
    with pytest.raises(KeyError):
        await results_of(run, rows(2))


async def test_the_same_notice_is_kept_once():
    run = BatchRun(Model(lambda _: [Notice("parameter_dropped", "x"), Completion("stop")]), Concurrency(1))
    await results_of(run, rows(5))
    assert [notice.code for notice in run.progress.notices] == ["parameter_dropped"]


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


def answered(concurrency, rounds, latency_s=0.1):
    for _ in range(rounds):
        for _ in range(concurrency.limit):
            concurrency.answered(latency_s, is_busy=True)


def test_concurrency_doubles_until_something_speaks_against_it():
    concurrency = Concurrency()
    first = concurrency.limit
    answered(concurrency, 3)
    assert concurrency.limit == 8 * first
    answered(concurrency, 20)
    assert concurrency.limit == _ADAPTIVE_MOST


def test_a_refusal_halves_concurrency_once_a_round():
    clock = Clock()
    concurrency = Concurrency(clock=clock)
    answered(concurrency, 3)
    before = concurrency.limit
    for _ in range(10):
        concurrency.refused()
    assert concurrency.limit == before // 2
    clock.now_s = 5
    concurrency.refused()
    assert concurrency.limit == before // 4
    answered(concurrency, 1)
    assert concurrency.limit == before // 4 + 1


def test_slower_answers_stop_the_growth():
    concurrency = Concurrency()
    answered(concurrency, 2)
    before = concurrency.limit
    answered(concurrency, 1, latency_s=0.2)
    assert concurrency.limit == before
    answered(concurrency, 1, latency_s=0.5)
    assert concurrency.limit < before


def test_an_idle_limit_does_not_grow_and_a_fixed_one_never_changes():
    concurrency = Concurrency()
    for _ in range(100):
        concurrency.answered(0.1, is_busy=False)
    assert concurrency.limit == Concurrency().limit
    fixed = Concurrency(7)
    answered(fixed, 3)
    fixed.refused()
    assert fixed.limit == 7


async def test_an_endpoint_that_is_busy_is_asked_less_at_once():
    concurrency = Concurrency()
    before = concurrency.limit
    await results_of(BatchRun(Model(lambda _: [RateLimited("slow", hint="later")]), concurrency), rows(3))
    assert concurrency.limit < before
