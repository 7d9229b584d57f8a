from __future__ import annotations

import asyncio
import json
import math
import threading
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.rate_limit import Claim, OwnLimits, RateLimits, Report, Wait
from chatcli.client.shared_limits import SharedLimits, Ticket, admit, count, leave, refuse, report

MINUTE_S = 60.0


def ticket(name: str, **what: object) -> Ticket:
    return Ticket(**{"id": name, "since_s": 0.0, "model": "small", "tokens": 1, **what})


def admitted(state: dict, now_s: float, *tickets: Ticket) -> list[bool]:
    return [admit(state, now_s, each).time_s <= 0 for each in tickets]


class Machine:
    """A store in memory, with a clock that moves only while somebody sleeps, and whose values pass through JSON."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.stored: dict[str, str] = {}
        self.failure: Exception | None = None

    def change(self, key, change):
        if self.failure is not None:
            raise self.failure
        value = json.loads(self.stored.get(key, "{}"))
        result = change(value, self.now_s)
        self.stored[key] = json.dumps(value)
        return result

    def close(self) -> None:
        pass

    async def sleep(self, time_s: float) -> None:
        await asyncio.sleep(0)
        self.now_s += time_s


@pytest.fixture
def machine():
    return Machine()


@pytest.fixture
def process(machine):
    """Return a function that starts a process: one more user of the limits of the machine."""
    started = []

    def start() -> SharedLimits:
        started.append(SharedLimits(machine, "endpoint", sleep=machine.sleep))
        return started[-1]

    yield start
    for each in started:
        each.close()


def claim(tokens: int = 1, **own: object) -> Claim:
    return Claim(lambda: tokens, "small", OwnLimits(**own))


class OpenSharing(NamedTuple):
    """Shares these limits."""

    limits: SharedLimits
    is_active: bool = True

    def open(self) -> SharedLimits:
        return self.limits


def ignored(wait: Wait) -> None:
    pass


def test_no_minute_has_more_requests_than_the_limit():
    state: dict = {}
    tickets = [ticket(str(number), requests_per_minute=3) for number in range(5)]
    assert admitted(state, 100.0, *tickets) == [True, True, True, False, False]
    assert admitted(state, 100.0 + MINUTE_S, *tickets[3:]) == [False, False]
    assert admitted(state, 100.2 + MINUTE_S, *tickets[3:]) == [True, True]


def test_a_request_of_more_tokens_than_the_limit_has_a_minute_of_its_own():
    state: dict = {}
    assert admitted(state, 0.0, ticket("small one", tokens_per_minute=100)) == [True]
    large = ticket("large one", tokens=500, tokens_per_minute=100)
    assert admitted(state, 1.0, large) == [False]
    assert admitted(state, 61.0, large) == [True]
    assert admitted(state, 62.0, ticket("next", tokens_per_minute=100)) == [False]


def test_who_came_first_goes_first_and_who_is_more_urgent_before_them():
    state: dict = {}
    limit = {"requests_per_minute": 1}
    assert admitted(state, 0.0, ticket("sent", **limit)) == [True]
    first = ticket("first", since_s=1.0, priority=2, **limit)
    second = ticket("second", since_s=2.0, priority=2, **limit)
    person = ticket("person", since_s=3.0, priority=0, **limit)
    assert admitted(state, 58.0, first, second, person) == [False] * 3
    assert admitted(state, 61.0, first, second, person) == [False, False, True]
    assert admitted(state, 120.0, first, second) == [False] * 2
    assert admitted(state, 122.0, second, first) == [False, True]


def test_a_process_that_died_holds_nobody_up():
    state: dict = {}
    assert admitted(state, 0.0, ticket("sent", requests_per_minute=1)) == [True]
    assert admitted(state, 1.0, ticket("dead", requests_per_minute=1)) == [False]
    late = ticket("alive", since_s=50.0, requests_per_minute=1)
    assert admitted(state, 50.0, late) == [False]
    assert admitted(state, 61.0, late) == [True]


def test_who_leaves_holds_nobody_up():
    state: dict = {}
    assert admitted(state, 0.0, ticket("sent", requests_per_minute=1)) == [True]
    waiting = ticket("waiting", since_s=59.0, requests_per_minute=1)
    assert admitted(state, 59.0, waiting) == [False]
    leave(state, 60.0, waiting)
    assert admitted(state, 61.0, ticket("next", since_s=61.0, requests_per_minute=1)) == [True]


def test_a_limit_of_one_model_holds_up_no_other():
    state: dict = {}
    report(state, 0.0, "small", Report("requests", None, 0, 30.0))
    assert admitted(state, 1.0, ticket("one"), ticket("other", model="large")) == [False, True]


def test_what_a_server_told_one_process_counts_for_all():
    state: dict = {}
    report(state, 0.0, "small", Report("requests", 10, 2, 40.0))
    names = [ticket(str(number)) for number in range(4)]
    assert admitted(state, 0.0, *names) == [True, True, False, False]
    assert admitted(state, 5.0, *names[2:]) == [True, False]


def test_a_report_that_would_take_too_long_to_wait_for_is_left_to_the_server():
    state: dict = {}
    report(state, 0.0, "small", Report("tokens", None, 0, 3600.0))
    hasty = ticket("hasty", since_s=1.0, longest_wait_s=60.0)
    assert admitted(state, 1.0, ticket("patient"), hasty) == [False, False]
    leave(state, 1.0, ticket("patient"))
    assert admitted(state, 1.0, hasty) == [True]


def test_a_wait_that_a_server_asks_for_holds_up_all_other_programs():
    state: dict = {}
    refuse(state, 0.0, model="small", wait_s=20.0, process="one")
    # The one that was refused waits by itself, and the person can end that.
    assert admitted(state, 1.0, ticket("own", process="one")) == [True]
    assert admitted(state, 1.0, ticket("other", process="two")) == [False]
    assert admitted(state, 21.0, ticket("other", process="two")) == [True]


def test_a_clock_that_is_set_back_locks_nobody_out():
    state: dict = {}
    assert admitted(state, 10_000.0, ticket("before", requests_per_minute=1)) == [True]
    report(state, 10_000.0, "small", Report("requests", None, 0, 60.0))
    assert admitted(state, 1.0, ticket("after", requests_per_minute=1)) == [True]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.text() | st.sampled_from(["sent", "waiting", "reports"]), inner)
        ),
    )
)
def test_no_stored_state_breaks_the_limits(stored):
    state = stored if isinstance(stored, dict) else {"sent": stored, "waiting": stored, "reports": stored}
    assert admitted(state, 1.0, ticket("any", requests_per_minute=1)) == [True]


@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.integers(0, 2), st.floats(0, 100), st.integers(1, 4)), min_size=1, max_size=25),
)
def test_no_minute_has_too_much_and_everybody_has_their_turn(limit, arrivals):
    state: dict = {}
    limits = {"requests_per_minute": limit, "tokens_per_minute": 3 * limit}
    waiting = [
        ticket(str(number), since_s=since_s, priority=priority, tokens=tokens, **limits)
        for number, (priority, since_s, tokens) in enumerate(arrivals)
    ]
    sent: list[tuple[float, Ticket]] = []
    now_s = 0.0
    while waiting:
        for each in sorted(waiting, key=lambda each: each.since_s):
            if each.since_s <= now_s and admit(state, now_s, each).time_s <= 0:
                assert not any(
                    other.priority <= each.priority and other.since_s < each.since_s for other in waiting
                )
                sent.append((now_s, each))
                waiting.remove(each)
        now_s += 1.0
        assert now_s < 100 + 61 * 2 * len(arrivals)
    for at_s, _ in sent:
        minute = [each for other_s, each in sent if at_s <= other_s < at_s + MINUTE_S]
        assert len(minute) <= limit
        assert sum(each.tokens for each in minute) <= max(3 * limit, minute[0].tokens)


def test_what_was_used_is_counted_in_place_of_what_was_expected():
    state: dict = {}
    assert admitted(state, 1.0, ticket("sent", tokens=90, tokens_per_minute=100)) == [True]
    count(state, 2.0, requests=0, tokens=-80, at_s=1.0)
    assert admitted(state, 3.0, ticket("next", tokens=90, tokens_per_minute=100)) == [True]


async def test_all_processes_together_keep_to_the_limit(machine, process):
    processes = [process() for _ in range(20)]
    admitted_to = [limits.admit(claim(requests_per_minute=10), ignored) for limits in processes * 3]
    times = [admission.sent_at_s for admission in await asyncio.gather(*admitted_to)]
    assert len(times) == 60
    for at_s in times:
        assert sum(at_s <= other_s < at_s + MINUTE_S for other_s in times) <= 10


async def test_a_request_counts_from_when_the_server_has_it(machine, process):
    limits = process()
    first = await limits.admit(claim(requests_per_minute=1), ignored)
    machine.now_s += 30
    first.arrived()
    began_s = machine.now_s
    await limits.admit(claim(requests_per_minute=1), ignored)
    assert machine.now_s - began_s >= MINUTE_S


async def test_what_was_never_sent_leaves_its_place_to_others(machine, process):
    limits = process()
    (await limits.admit(claim(requests_per_minute=1), ignored)).give_back()
    began_s = machine.now_s
    await limits.admit(claim(requests_per_minute=1), ignored)
    assert machine.now_s == began_s


async def test_what_was_really_used_counts_in_the_end_for_all(machine, process):
    ended = process()
    (await ended.admit(claim(100, tokens_per_minute=100), ignored)).settle(1)
    ended.close()
    began_s = machine.now_s
    await process().admit(claim(99, tokens_per_minute=100), ignored)
    assert machine.now_s == began_s


async def test_who_stops_waiting_loses_nobody_a_turn(machine, process):
    limits, hold = process(), asyncio.Event()
    await limits.admit(claim(requests_per_minute=1), ignored)
    waiting = asyncio.ensure_future(
        SharedLimits(machine, "endpoint", sleep=lambda _: hold.wait()).admit(
            claim(requests_per_minute=1), lambda _: hold_seen.set()
        )
    )
    hold_seen = asyncio.Event()
    await hold_seen.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    machine.now_s += 4
    assert await limits.admit(claim(requests_per_minute=1), ignored)
    assert json.loads(machine.stored["endpoint"])["waiting"] == []


async def test_where_nothing_can_be_stored_nobody_is_held_up_and_it_says_why(machine, process):
    limits = process()
    machine.failure = OSError(28, "No space left on device")
    assert await limits.admit(claim(requests_per_minute=1), ignored) is None
    assert limits.failure == "No space left on device"


async def test_a_store_that_fails_in_any_other_way_fails_no_request(machine, process):
    limits = process()
    machine.failure = TypeError("cannot unpack")
    assert await limits.admit(claim(requests_per_minute=1), ignored) is None
    assert limits.failure == "TypeError: cannot unpack"


async def test_a_store_that_never_answers_holds_nobody_up_and_is_closed(machine):
    goes_on = threading.Event()

    class Hanging(Machine):
        def change(self, key, change):
            goes_on.wait(30)
            return super().change(key, change)

        def close(self):
            goes_on.set()

    limits = SharedLimits(Hanging(), "endpoint", sleep=machine.sleep, patience_s=0.01)
    assert await limits.admit(claim(requests_per_minute=1), ignored) is None
    assert limits.failure == "no answer within 0.01 seconds"
    assert await asyncio.to_thread(goes_on.wait, 30)
    limits.close()


async def test_the_wait_says_which_limit_it_is_for(machine, process):
    limits, waits = process(), []
    await limits.admit(claim(requests_per_minute=1), waits.append)
    await limits.admit(claim(requests_per_minute=1), waits.append)
    assert {wait.reason for wait in waits} == {"rate limit of 1 requests a minute"}
    assert all(0 < wait.time_s <= MINUTE_S + 0.1 for wait in waits)
    assert not math.isinf(waits[0].time_s)


async def test_behind_others_it_says_so_and_looks_ever_more_rarely(machine):
    urgent = ticket("urgent", priority=0, requests_per_minute=1)
    is_waiting = True

    def look(who: Ticket) -> bool:
        return machine.change("endpoint", lambda state, now_s: admit(state, now_s, who)).time_s > 0

    async def sleep(time_s: float) -> None:
        nonlocal is_waiting
        await machine.sleep(time_s)
        is_waiting = is_waiting and look(urgent)
        reasons.append(limits.reason(asked))

    look(ticket("sent", requests_per_minute=1))
    assert look(urgent)
    reasons, limits, behind = [], RateLimits(), SharedLimits(machine, "endpoint", sleep=sleep)
    asked = Claim(lambda: 1, "small", OwnLimits(priority=2, sharing=OpenSharing(behind)))
    assert await limits.admit(asked) is not None
    behind.close()
    assert not is_waiting
    assert set(reasons) == {"others go first"}
    assert len(reasons) < 1.5 * MINUTE_S
