"""The layer every request passes: its price, the ledger and the budget."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatcli.core.errors import (
    BudgetReached,
    ChatcliError,
    ContextOverflow,
    LocalIOError,
    NetworkError,
    QuotaExceeded,
    RateLimited,
    RequestRefused,
    ServerFailed,
    UsageError,
)
from chatcli.core.events import Completion, Notice, ReasoningDelta, TextDelta, Usage, Waiting
from chatcli.core.messages import question
from chatcli.core.request import Parameters, Receipt, Request
from chatcli.cost.budget import Account, Budget, Need, Payer, Refusal, Spending
from chatcli.cost.budgeted_model import BudgetedModel
from chatcli.cost.charge import Cashier
from chatcli.cost.ledger import Expense, Ledger, total
from chatcli.cost.pricing import Pricing
from chatcli.cost.request_options import TYPICAL_ANSWER_TOKENS
from client.scripted_model import ScriptedModel
from client.wire import events_of, failure_of

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
# A dollar for a thousand tokens that are sent, two for a thousand that come; a text has a token a letter here.
OWN = {"small": {"input": 1_000, "output": 2_000}}
ASKED = Request("small", (question("x" * 100),), Parameters(max_tokens=100))
ESTIMATE = Decimal("0.3")
PARIS = (TextDelta("Paris"), Completion("stop", "small-2026", Usage(100, 50)))
COST = 0.2


class BudgetedRun:
    """A budget layer with everything it needs."""

    def __init__(
        self,
        folder,
        *scripts,
        own=OWN,
        is_free=False,
        requires_price=False,
        limits=None,
        answers=None,
        spending=None,
        is_private=False,
        share=0.0,
        count=len,
    ):
        self.model = ScriptedModel(*scripts)
        self.spending = spending or Spending()
        self.now_s = 0.0
        self._waits = asyncio.Event()
        self.session = "trip"
        self.session_cost_usd = None
        self.asked = []
        account = Account(
            self.spending,
            lambda: Payer(self.session, self.session_cost_usd, NOW - timedelta(days=40)),
            None if answers is None else self._approve,
        )
        self._answers = list(answers or ())
        self.ledger = Ledger(folder / "spending.jsonl", clock=lambda: NOW, is_private=is_private)
        self.layer = BudgetedModel(
            self.model,
            Cashier(
                Pricing("models.example", is_free=is_free, own=own),
                Budget(limits or {}, account, self.ledger),
                requires_price=requires_price,
                sleep=self._sleep,
                clock=lambda: self.now_s,
            ),
            count=count,
            counter_of=lambda _: len,
            share=lambda _: share,
        )

    async def events(self, request=ASKED):
        return await events_of(self.layer, request)

    async def waited(self, time_s):
        """Return when a request has waited so long."""
        while self.now_s < time_s:
            self._waits.clear()
            await self._waits.wait()

    async def failure(self, request=ASKED):
        with pytest.raises(ChatcliError) as raised:
            await self.events(request)
        return raised.value

    @property
    def sent_limits(self):
        return [request.parameters.max_tokens for request in self.model.requests]

    @property
    def booked(self):
        return [(each.model, each.cost_usd) for each in self.ledger.expenses()]

    async def _sleep(self, time_s):
        self.now_s += time_s
        self._waits.set()
        await asyncio.sleep(0)

    async def _approve(self, message):
        self.asked.append(message)
        return self._answers.pop(0)


@pytest.fixture
def budgeted(tmp_path):
    return lambda *scripts, **what: BudgetedRun(tmp_path, *scripts, **what)


async def test_an_answer_tells_its_cost_and_is_booked(budgeted):
    run = budgeted(PARIS)
    assert await run.events() == [
        TextDelta("Paris"),
        Completion("stop", "small-2026", Usage(100, 50), COST),
    ]
    assert run.ledger.expenses() == [Expense(NOW, "small-2026", "models.example", Decimal("0.2"), "trip")]
    assert run.spending.run_usd == Decimal("0.2")


async def test_what_the_endpoint_says_it_took_wins(budgeted):
    run = budgeted((Completion("stop", "small", Usage(100, 50), 0.07),))
    assert (await run.events())[-1].cost_usd == 0.07
    assert run.booked == [("small", Decimal("0.07"))]


async def test_an_unknown_price_stays_unknown_and_is_booked_as_that(budgeted):
    run = budgeted(PARIS, own={})
    assert (await run.events())[-1].cost_usd is None
    assert run.booked == [("small-2026", None)]


async def test_what_is_free_costs_nothing_and_is_no_line_of_the_ledger(budgeted):
    run = budgeted(PARIS, own={}, is_free=True, limits={"run": 0.0})
    assert (await run.events())[-1].cost_usd == 0.0
    assert not run.ledger.path.exists()


async def test_where_the_endpoint_counts_nothing_the_cost_is_about_what_went_out_and_came(budgeted):
    run = budgeted((ReasoningDelta("Hmm"), TextDelta("Paris"), Completion("stop")))
    assert (await run.events())[-1].cost_usd == pytest.approx(0.1 + 0.002 * 8)


@pytest.mark.parametrize("usage", [Usage(None, 50), Usage(100, None), Usage(None, None), None])
async def test_a_count_that_is_missing_is_replaced(budgeted, usage):
    run = budgeted((TextDelta("x" * 50), Completion("stop", "small", usage)))
    assert (await run.events())[-1].cost_usd == COST


async def test_a_cost_that_is_not_known_to_the_cent_is_booked_as_what_it_can_have_been(budgeted):
    usage = Usage(100, 50, cached_tokens=20)
    run = budgeted((TextDelta("Paris"), Completion("stop", "small", usage)))
    assert (await run.events())[-1].cost_usd is None
    assert run.booked == [("small", Decimal("0.2"))]


@pytest.mark.parametrize("failure", [NetworkError("gone"), RuntimeError("a bug")])
async def test_what_came_of_an_answer_that_broke_off_is_paid_for(budgeted, failure):
    run = budgeted((TextDelta("Paris"), failure))
    receipt = Receipt()
    with suppress(NetworkError, RuntimeError):
        await run.events(replace(ASKED, receipt=receipt))
    assert run.booked == [("small", Decimal("0.11"))]
    assert receipt.cost_usd == 0.11


async def test_who_hangs_up_pays_for_what_came(budgeted):
    run = budgeted(PARIS)
    async with aclosing(run.layer.stream(ASKED)) as events:
        assert await anext(events) == TextDelta("Paris")
    assert run.booked == [("small", Decimal("0.11"))]
    assert run.spending.reserved_usd == 0
    assert run.model.open == 0


async def test_an_attempt_that_brought_nothing_costs_nothing(budgeted):
    run = budgeted((ServerFailed("busy"),))
    assert isinstance(await run.failure(), ServerFailed)
    assert run.booked == []


async def test_a_ledger_that_cannot_be_written_is_reported_once_and_counted_all_the_same(budgeted):
    run = budgeted(PARIS, PARIS, limits={"run": 0.65})
    run.ledger.path.mkdir()
    notices = [event for _ in range(2) for event in await run.events() if isinstance(event, Notice)]
    assert [notice.code for notice in notices] == ["spending_unwritten"]
    assert "$0.40 of this run's $0.65" in (await run.failure()).message


class TestBudget:
    @pytest.mark.parametrize(("period", "codes"), [("day", ["spending_damaged"]), ("run", [])])
    async def test_a_damaged_ledger_is_reported_once_where_a_limit_is_counted_from_it(
        self, budgeted, period, codes
    ):
        run = budgeted(PARIS, PARIS, limits={period: 9})
        run.ledger.path.write_bytes(b'{"at":"2026-11\n\xff\xfe\0\n')
        notices = [event for _ in range(2) for event in await run.events() if isinstance(event, Notice)]
        assert [notice.code for notice in notices] == codes
        assert [notice.message for notice in notices] == [
            f"2 lines of {run.ledger.path} cannot be read; budgets do not count what was recorded there"
        ][: len(codes)]

    async def test_what_fits_goes_out(self, budgeted):
        run = budgeted(PARIS, limits={"run": 0.3, "session": 0.3, "day": 0.3, "month": 0.3})
        assert (await run.events())[-1].cost_usd == COST

    @pytest.mark.parametrize("period", ["run", "session", "day", "month"])
    async def test_a_request_without_room_for_a_small_answer_is_not_sent(self, budgeted, period):
        run = budgeted(PARIS, limits={period: 0.45})
        await run.events()
        error = await run.failure()
        assert (type(error), error.code, error.exit_code) == (BudgetReached, "budget_reached", 9)
        assert "about $0.30" in error.message
        assert "$0.20 of" in error.message
        assert "$0.45 spent" in error.message
        assert error.hint
        assert len(run.model.requests) == 1

    async def test_other_runs_and_days_count_where_they_belong(self, budgeted):
        run = budgeted(PARIS, PARIS, limits={"day": 0.4})
        run.ledger.append(Expense(NOW - timedelta(days=1), "m", "e", Decimal(9)))
        await run.events()
        run.ledger.append(Expense(NOW, "m", "e", Decimal("0.01")))
        assert "today's" in (await run.failure()).message

    async def test_the_month_is_that_of_the_calendar(self, budgeted):
        run = budgeted(PARIS, limits={"month": 0.4})
        run.ledger.append(Expense(NOW - timedelta(days=30), "m", "e", Decimal(9)))
        assert await run.events()

    async def test_a_session_counts_what_its_answers_cost_before_and_all_it_asked_since(self, budgeted):
        run = budgeted(PARIS, limits={"session": 0.46})
        run.ledger.append(Expense(NOW, "m", "e", Decimal(9), "another"))
        run.session_cost_usd = 0.15
        await run.events()
        # Kept in the session or not, as what is asked aside: it was spent once.
        for run.session_cost_usd in (0.15, 0.35):
            assert "$0.35 of this session's $0.46" in (await run.failure()).message

    async def test_a_session_counts_what_earlier_runs_recorded_for_it(self, budgeted):
        for session, days, usd in (
            ("trip", 39, "0.15"),
            ("trip", 1, "0.05"),
            ("trip", 41, "9"),  # a deleted session of the same name
            ("trips", 1, "9"),
            (None, 1, "9"),
        ):
            at = NOW - timedelta(days=days)
            budgeted().ledger.append(Expense(at, "m", "e", Decimal(usd), session))
        run = budgeted(PARIS, limits={"session": 0.66})
        run.session_cost_usd = 0.1
        await run.events()
        assert "$0.40 of this session's $0.66" in (await run.failure()).message

    async def test_nothing_is_sent_while_what_a_session_spent_cannot_be_read_or_recorded(self, budgeted):
        run = budgeted(PARIS, limits={"session": 5.0})
        run.ledger.path.mkdir()
        assert (await run.failure()).code in {"spending_unreadable", "spending_unwritable"}
        assert run.model.requests == []

    async def test_another_session_begins_anew(self, budgeted):
        run = budgeted(PARIS, PARIS, limits={"session": 0.4})
        await run.events()
        run.session = "another"
        await run.events()
        run.session, run.session_cost_usd = "trip", 0.2
        assert "$0.20 of this session's $0.40" in (await run.failure()).message

    async def test_where_nothing_limits_the_answer_a_typical_one_is_named(self, budgeted):
        run = budgeted(PARIS, limits={"run": 0.2})
        error = await run.failure(Request("small", ASKED.messages))
        assert (
            f"costs about ${0.1 + 0.002 * TYPICAL_ANSWER_TOKENS:.2f} with a 1,000-token answer"
            in error.message
        )

    async def test_a_limit_among_the_extra_values_counts_as_well(self, budgeted):
        run = budgeted(PARIS, limits={"run": 0.3})
        assert await run.events(
            Request("small", ASKED.messages, Parameters(extra={"max_completion_tokens": 100}))
        )

    async def test_requests_in_flight_count_and_are_waited_for(self, budgeted):
        run = budgeted(PARIS, PARIS, limits={"run": 0.5})
        async with aclosing(run.layer.stream(ASKED)) as events:
            await anext(events)
            second = asyncio.ensure_future(run.events())
            await run.waited(2)
            assert len(run.model.requests) == 1
        # Broken off, the first has cost $0.11.
        assert (await second)[-1].cost_usd == COST
        assert any(isinstance(event, Waiting) for event in second.result())

    async def test_it_is_not_waited_for_ever(self, budgeted):
        run = budgeted(PARIS, PARIS, limits={"run": 0.5})
        async with aclosing(run.layer.stream(ASKED)) as events:
            await anext(events)
            error = await run.failure()
        assert (
            "none of this run's $0.50 has been spent, $0.30 set aside for requests in flight" in error.message
        )
        assert run.now_s == pytest.approx(300, abs=1)

    async def test_what_would_not_fit_either_way_is_not_waited_for(self, budgeted):
        run = budgeted(PARIS, PARIS, limits={"run": 0.5})
        big = Request("small", (question("x" * 450),), Parameters(max_tokens=100))
        async with aclosing(run.layer.stream(ASKED)) as events:
            await anext(events)
            await run.failure(big)
        assert run.now_s == 0

    async def test_nothing_is_sent_while_the_ledger_cannot_be_read(self, budgeted):
        run = budgeted(PARIS, limits={"day": 5.0})
        run.ledger.path.mkdir()
        assert (await run.failure()).code == "spending_unreadable"


class TestAsking:
    async def test_the_person_may_send_it_all_the_same(self, budgeted):
        run = budgeted(PARIS, limits={"day": 0.2}, answers=[True])
        assert (await run.events())[-1].cost_usd == COST
        assert run.asked == [
            "this question costs about $0.30; none of today's $0.20 has been spent. Send it?"
        ]

    async def test_what_they_refuse_is_not_sent(self, budgeted):
        run = budgeted(PARIS, limits={"run": 0.2}, answers=[False])
        error = await run.failure()
        assert (error.code, error.message) == ("budget_reached", "not sent: it would exceed the budget")
        assert run.model.requests == []

    async def test_another_attempt_is_not_asked_about_again(self, budgeted):
        run = budgeted((ServerFailed("busy"),), PARIS, limits={"run": 0.2}, answers=[True])
        await run.failure()
        assert (await run.events())[-1].cost_usd == COST
        assert len(run.asked) == 1

    async def test_the_next_request_is_asked_about_again(self, budgeted):
        run = budgeted(PARIS, PARIS, limits={"run": 0.2}, answers=[True, False])
        await run.events()
        assert isinstance(await run.failure(), BudgetReached)
        assert len(run.asked) == 2


class TestUnknownPrice:
    async def test_it_is_reported_once_that_the_budget_is_not_kept(self, budgeted):
        run = budgeted(PARIS, PARIS, own={}, limits={"day": 1.0})
        notices = [event for _ in range(2) for event in await run.events() if isinstance(event, Notice)]
        assert [notice.code for notice in notices] == ["price_unknown"]
        assert '[prices."small"]' in notices[0].message

    async def test_where_the_limit_is_asked_for_and_nobody_is_there_nothing_is_sent(self, budgeted):
        run = budgeted(PARIS, own={}, limits={"run": 1.0}, requires_price=True)
        error = await run.failure()
        assert (error.code, error.exit_code) == ("price_unknown", 9)

    async def test_with_somebody_there_it_is_reported_and_sent(self, budgeted):
        run = budgeted(PARIS, own={}, limits={"run": 1.0}, requires_price=True, answers=[])
        assert (await run.events())[0].code == "price_unknown"

    async def test_a_limit_that_is_used_up_holds_all_the_same(self, budgeted):
        run = budgeted((Completion("stop", cost_usd=1.0),), own={}, limits={"run": 1.0})
        await run.events()
        assert "an unknown price; $1.00 of this run's $1.00" in (await run.failure()).message

    async def test_without_a_budget_nothing_is_reported(self, budgeted):
        assert await budgeted(PARIS, own={}).events() == list(PARIS)


# A text of 100 tokens costs $0.10, each token of the answer $0.002.
OPEN = Request("small", ASKED.messages)


def long_answer(tokens, *, reported=None, finish_reason="length"):
    texts = [TextDelta("x" * 50)] * (tokens // 50)
    return (*texts, Completion(finish_reason, "small", Usage(100, tokens if reported is None else reported)))


class TestCap:
    async def test_an_answer_gets_what_is_left(self, budgeted):
        run = budgeted(PARIS, limits={"run": 0.5})
        assert (await run.events(OPEN))[-1].cost_usd == COST
        assert run.sent_limits == [200]

    async def test_the_rate_limits_do_not_take_it_for_the_length_of_the_answer(self, budgeted):
        run = budgeted(PARIS, limits={"run": 0.5})
        await run.events(OPEN)
        assert run.model.requests[0].is_capped

    async def test_the_narrowest_limit_counts(self, budgeted):
        run = budgeted(PARIS, limits={"run": 9.0, "session": 0.5, "day": 5.0, "month": 5.0})
        await run.events(OPEN)
        assert run.sent_limits == [200]

    async def test_where_enough_is_left_nothing_is_asked_of_the_endpoint(self, budgeted):
        run = budgeted(PARIS, PARIS, limits={"run": 1_000.0})
        await run.events(OPEN)
        await run.events(ASKED)
        assert run.sent_limits == [None, 100]

    async def test_a_limit_of_the_person_is_lowered_where_they_set_it(self, budgeted):
        run = budgeted(PARIS, PARIS, limits={"run": 0.6})
        await run.events(Request("small", ASKED.messages, Parameters(max_tokens=900)))
        await run.events(
            Request("small", ASKED.messages, Parameters(extra={"max_completion_tokens": 900, "top_k": 1}))
        )
        assert run.sent_limits == [250, None]
        assert not any(request.is_capped for request in run.model.requests)
        assert run.model.requests[1].parameters.extra == {"max_completion_tokens": 150, "top_k": 1}

    async def test_several_answers_share_it(self, budgeted):
        run = budgeted(PARIS, limits={"run": 1.1})
        await run.events(Request("small", ASKED.messages, Parameters(extra={"n": 2})))
        assert run.sent_limits == [250]

    async def test_an_answer_it_ends_is_a_failure_with_the_answer_and_its_cost_kept(self, budgeted):
        run = budgeted(long_answer(200), limits={"run": 0.5})
        events, error = await failure_of(run.layer, OPEN)
        assert events[-1] == Completion("length", "small", Usage(100, 200), 0.5)
        assert (error.code, error.exit_code) == ("answer_cut_by_budget", 9)
        assert error.message == "the answer was cut at 200 tokens to stay within this run's $0.50"
        assert error.hint == "--max-cost changes the limit; /continue gets the rest"
        assert run.booked == [("small", Decimal("0.5"))]

    @pytest.mark.parametrize("tokens", [50, 150])
    async def test_the_limit_of_the_endpoint_or_the_person_is_none_of_the_budget(self, budgeted, tokens):
        run = budgeted(long_answer(tokens), limits={"run": 0.5})
        assert (await run.events(OPEN))[-1].finish_reason == "length"

    @pytest.mark.parametrize(
        "usage",
        [
            Usage(100, 10, reasoning_tokens=190),
            Usage(100, 110, reasoning_tokens=90),
            Usage(100, None, reasoning_tokens=200),
            None,
        ],
    )
    async def test_an_answer_whose_hidden_reasoning_it_ends_is_a_failure_as_well(self, budgeted, usage):
        text = TextDelta("x" * min(110, (usage or Usage(None, 0)).output_tokens or 0))
        texts = [text] if text.text else []
        run = budgeted((*texts, Completion("length", "small", usage)), limits={"run": 0.5})
        _, error = await failure_of(run.layer, OPEN)
        assert error.code == "answer_cut_by_budget"
        assert run.booked in ([("small", Decimal("0.5"))], [("small", Decimal("0.32"))])

    async def test_a_stream_that_does_not_end_there_is_ended(self, budgeted):
        endless = [TextDelta("x" * 50)] * 1_000
        run = budgeted((*endless, Completion("stop", "small", Usage(100, 0))), limits={"run": 0.5})
        events, error = await failure_of(run.layer, OPEN)
        assert error.code == "answer_cut_by_budget"
        assert events[-1].finish_reason == "length"
        assert run.model.open == 0
        received = sum(isinstance(event, TextDelta) for event in events) * 50
        assert 200 < received <= 200 + 200
        assert run.booked == [("small", Decimal("0.1") + Decimal("0.002") * received)]

    @pytest.mark.parametrize("times", [0.6, 3])
    async def test_an_answer_near_its_cap_is_counted_by_the_vocabulary(self, budgeted, times):
        run = budgeted(
            long_answer(1_000, finish_reason="stop"),
            limits={"run": 2.2},
            count=lambda text: int(len(text) * times),
            own={"small": {"input": 0, "output": 2_000}},
        )
        assert (await run.events(OPEN))[-1].cost_usd == pytest.approx(2.0)

    async def test_an_answer_longer_than_the_person_allowed_goes_on_while_it_can_be_paid(self, budgeted):
        run = budgeted(long_answer(2_000, finish_reason="stop"), limits={"run": 9.0})
        assert (await run.events())[-1].cost_usd == pytest.approx(4.1)

    @pytest.mark.parametrize(
        "refusal",
        [
            RequestRefused("max_tokens is too large: 50000. This model supports at most 16384", status=400),
            ContextOverflow("maximum context length is 8192 tokens", status=400),
            QuotaExceeded("requires more credits, or fewer max_tokens", status=402),
            RateLimited("Request too large for small on tokens per min (TPM)", status=429),
        ],
    )
    async def test_a_cap_too_large_for_the_endpoint_is_left_out_from_then_on(self, budgeted, refusal):
        run = budgeted((refusal,), PARIS, PARIS, limits={"run": 100.1})
        await run.events(OPEN)
        await run.events(OPEN)
        assert run.sent_limits == [50_000, None, None]

    async def test_a_refusal_for_another_reason_is_passed_on(self, budgeted):
        run = budgeted((RequestRefused("no such model", status=404),), limits={"run": 100.1})
        assert isinstance(await run.failure(OPEN), RequestRefused)

    async def test_a_small_cap_that_is_refused_is_never_left_out(self, budgeted):
        run = budgeted((RequestRefused("max_tokens is too large", status=400),), PARIS, limits={"run": 0.5})
        assert isinstance(await run.failure(OPEN), RequestRefused)

    async def test_what_the_person_approves_is_not_capped(self, budgeted):
        run = budgeted(long_answer(2_000), limits={"run": 0.2}, answers=[True])
        assert (await run.events(OPEN))[-1].cost_usd == pytest.approx(4.1)
        assert run.sent_limits == [None]

    async def test_the_vocabulary_and_what_the_endpoint_counts_more_leave_less(self, budgeted):
        run = budgeted(PARIS, limits={"run": 0.5}, share=0.5)
        await run.events(Request("small", ASKED.messages, counted_tokens=120))
        assert run.sent_limits == [160]

    async def test_without_a_budget_nothing_is_counted_or_touched_before(self, budgeted, tmp_path):
        run = budgeted(PARIS)
        async with aclosing(run.layer.stream(OPEN)) as events:
            await anext(events)
            assert list(tmp_path.iterdir()) == []
        assert run.sent_limits == [None]


class TestOptions:
    def request(self, **extra):
        return Request("small", ASKED.messages, Parameters(extra=extra))

    async def test_the_model_that_the_body_names_is_paid_for(self, budgeted):
        own = {**OWN, "large": {"input": 1_000, "output": 20_000}}
        answer = (TextDelta("Paris"), Completion("stop", "large", Usage(100, 20)))
        run = budgeted(answer, limits={"run": 0.5}, own={**own, "small": {"input": 0, "output": 0}})
        with pytest.raises(BudgetReached):
            await run.events(self.request(model="large"))
        run = budgeted(answer, limits={"run": 2.5}, own=own)
        assert (await run.events(self.request(model="large")))[-1].cost_usd == 0.5
        assert run.sent_limits == [120]

    @pytest.mark.parametrize("limit", [9_000.0, "9000", None, -1, [], True, "all", 9_000])
    @pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
    async def test_whatever_limits_the_answer_is_lowered(self, budgeted, name, limit):
        run = budgeted(PARIS, limits={"run": 0.6})
        await run.events(self.request(**{name: limit}))
        sent = run.model.requests[0].parameters
        assert sent.max_tokens is None
        assert 0 < sent.extra[name] <= 250

    async def test_usage_is_asked_for_whatever_the_person_sets(self, budgeted):
        run = budgeted(PARIS, limits={"run": 9.0})
        await run.events(self.request(stream_options={"include_usage": False, "chunk": 1}))
        assert run.model.requests[0].parameters.extra == {
            "stream_options": {"include_usage": True, "chunk": 1}
        }

    @pytest.mark.parametrize(
        "extra",
        [
            {"service_tier": "priority"},
            {"web_search_options": {}},
            {"tools": [{"type": "web_search"}]},
            {"models": ["large"]},
            {"n": "many"},
            {"model": 5},
            {"modalities": ["text", "audio"]},
            {"previous_response_id": "resp_1"},
        ],
    )
    async def test_what_cannot_be_priced_is_refused_within_a_budget(self, budgeted, extra):
        run = budgeted(PARIS, PARIS, limits={"day": 9_999.0})
        error = await run.failure(self.request(**extra))
        (name,) = extra
        assert (type(error), error.code) == (UsageError, "option_not_priced")
        assert error.message == f"-O {name} changes what a request costs, so the budget cannot be kept"
        assert run.model.requests == []
        assert run.spending.reserved_usd == 0
        for other in (budgeted(PARIS), budgeted(PARIS, own={}, is_free=True, limits={"run": 1.0})):
            assert await other.events(self.request(**extra))

    @pytest.mark.parametrize(
        "extra",
        [
            {"service_tier": "flex"},
            {"tools": [{"type": "function", "function": {"name": "f"}}]},
            {"n": 1.0, "models": [], "modalities": ["text"], "top_k": 5, "background": False},
        ],
    )
    async def test_what_costs_no_more_is_sent(self, budgeted, extra):
        assert await budgeted(PARIS, limits={"run": 9.0}).events(self.request(**extra))

    async def test_text_among_the_extra_values_is_input(self, budgeted):
        run = budgeted(PARIS, limits={"run": 1.0})
        assert isinstance(await run.failure(self.request(messages=["x" * 1_000])), BudgetReached)

    async def test_all_answers_of_one_that_broke_off_are_paid_for(self, budgeted):
        run = budgeted((TextDelta("Paris"), NetworkError("gone")), limits={"run": 9.0})
        assert isinstance(await run.failure(self.request(n="3")), NetworkError)
        assert run.booked == [("small", Decimal("0.13"))]


class TestReportedUsage:
    async def doubts(self, run, request=ASKED):
        return [
            event.message
            for event in await run.events(request)
            if getattr(event, "code", "") == "usage_doubted"
        ]

    async def test_no_tokens_for_an_answer_are_reported_once_and_the_counted_ones_booked(self, budgeted):
        lie = (TextDelta("Paris"), Completion("stop", "small", Usage(0, 0)))
        run = budgeted(lie, lie, limits={"run": 9.0})
        (message,) = await self.doubts(run)
        assert message == (
            "models.example reports 0 answer tokens (about 5 counted) and 0 input tokens (about 100 counted) for small; "
            'the higher figure is booked ([prices."small"] in config.toml sets it)'
        )
        assert await self.doubts(run) == []
        assert run.booked == [("small", Decimal("0.11"))] * 2

    async def test_a_cost_of_nothing_for_a_model_with_a_price_is_reported_and_not_believed(self, budgeted):
        run = budgeted((TextDelta("Paris"), Completion("stop", "small", Usage(100, 50), 0.0)))
        (message,) = await self.doubts(run)
        assert "a cost of 0 (about $0.20 at its price)" in message
        assert run.booked == [("small", Decimal("0.2"))]

    async def test_absurdly_many_tokens_are_booked_as_the_most_there_can_be(self, budgeted):
        lie = (TextDelta("Paris"), Completion("stop", "small", Usage(100, 10**9)))
        run = budgeted(lie, lie, limits={"day": 9_999.0})
        (message,) = await self.doubts(run)
        assert message == (
            "models.example reports 1,000,000,000 answer tokens (at most 131,072 possible) for small; "
            f"$262.24 is booked; if it was less, lower cost_usd in the last line of {run.ledger.path}"
        )
        assert run.booked == [("small", Decimal("262.244"))]

    async def test_an_absurdly_high_cost_is_not_believed(self, budgeted):
        lie = (TextDelta("Paris"), Completion("stop", "small", Usage(100, 50), 100_000.0))
        run = budgeted(lie, lie)
        (message,) = await self.doubts(run)
        assert "reports a cost of $100,000.00 (at most $4.10 possible) for small; $0.20 is booked" in message
        assert run.booked == [("small", Decimal("0.2"))]
        unknown = budgeted(lie, own={})
        (message,) = await self.doubts(unknown)
        assert message.endswith("its cost is booked as unknown")
        assert (unknown.spending.run_usd, budgeted(lie, own={}, is_free=True).spending.run_usd) == (0, 0)

    async def test_a_server_that_lies_comes_to_its_end(self, budgeted):
        lie = (TextDelta("x" * 100), Completion("stop", "small", Usage(0, 0), 0.0))
        run = budgeted(*[lie] * 4, limits={"run": 1.0})
        for _ in range(3):
            await run.events()
        assert isinstance(await run.failure(), BudgetReached)

    async def test_what_is_free_or_has_no_price_is_nobody_s_business(self, budgeted):
        lie = (TextDelta("Paris"), Completion("stop", "small", Usage(0, 0), 0.0))
        assert await self.doubts(budgeted(lie, own={}, is_free=True)) == []
        assert await self.doubts(budgeted(lie, own={})) == []
        assert await self.doubts(budgeted(lie, own={"small": {"input": 0, "output": 0}})) == []

    async def test_a_cheaper_host_is_believed(self, budgeted):
        run = budgeted((TextDelta("Paris"), Completion("stop", "small", Usage(100, 50), 0.02)))
        assert await self.doubts(run) == []
        assert run.booked == [("small", Decimal("0.02"))]

    async def test_a_cost_that_is_low_because_of_cached_tokens_is_believed(self, budgeted):
        usage = Usage(10_000, 1, cached_tokens=9_990)
        request = Request("small", (question("x" * 10_000),))
        run = budgeted((TextDelta("P"), Completion("stop", "small", usage, 0.012)))
        assert await self.doubts(run, request) == []


class TestPrivateRun:
    async def test_it_books_the_amount_and_the_day_and_nothing_else(self, budgeted):
        run = budgeted(PARIS, is_private=True)
        await run.events()
        assert run.ledger.path.read_text(encoding="utf-8") == (
            '{"at":"2026-11-26T12:00:00.000Z","model":"","endpoint":"","session":null,"cost_usd":0.2}\n'
        )

    async def test_without_a_limit_that_needs_it_a_ledger_that_cannot_be_written_is_not_mentioned(
        self, budgeted
    ):
        run = budgeted(PARIS, is_private=True, limits={"run": 9.0})
        run.ledger.path.mkdir()
        assert await run.events() == [*PARIS[:1], Completion("stop", "small-2026", Usage(100, 50), COST)]


class TestSharedLimit:
    async def test_nothing_is_sent_while_the_ledger_cannot_be_written(self, budgeted, tmp_path):
        run = budgeted(PARIS, limits={"day": 5.0})
        run.ledger.append(Expense(NOW, "m", "e", Decimal(1)))
        run.ledger.path.with_name("reserved").write_text("in the way")
        error = await run.failure()
        assert (error.code, error.exit_code) == ("spending_unwritable", 9)
        assert (
            f"{run.ledger.path.with_name('reserved')}/lock, which records what requests in" in error.message
        )
        assert error.hint == "make it writable, or take the budget out of config.toml"
        assert run.model.requests == []

    async def test_what_could_not_be_written_stays_reserved_and_is_written_later(self, budgeted, tmp_path):
        run = budgeted(PARIS, PARIS, limits={"day": 5.0})
        async with aclosing(run.layer.stream(ASKED)) as events:
            await anext(events)
            run.ledger.path.mkdir()
            assert isinstance(await anext(events), Completion)
            with pytest.raises(
                LocalIOError, match=r"cannot write .*; \$0\.20 of this answer is not recorded"
            ):
                await anext(events)
        other = Budget(
            {"day": 5.0}, Account(Spending()), Ledger(tmp_path / "spending.jsonl", clock=lambda: NOW)
        )
        run.ledger.path.rmdir()
        assert isinstance(admitted := other.admit(Need(Decimal(5), Decimal(0), 0, 0)), Refusal)
        assert admitted.standing.reserved == Decimal("0.3")
        await run.events()
        assert run.booked == [("small-2026", Decimal("0.2"))] * 2
        assert list(tmp_path.joinpath("reserved").glob("*.json")) == []

    async def test_a_broken_answer_whose_cost_cannot_be_written_is_that_failure(self, budgeted):
        run = budgeted((TextDelta("Paris"), NetworkError("gone")), limits={"day": 5.0})
        async with aclosing(run.layer.stream(ASKED)) as events:
            await anext(events)
            run.ledger.path.mkdir()
            with pytest.raises(LocalIOError, match=r"\$0\.11 of this answer is not recorded") as raised:
                await anext(events)
        assert isinstance(raised.value.__cause__, NetworkError)

    async def test_two_runs_wait_for_each_other_and_never_spend_more_together(self, budgeted):
        first, second = (budgeted(PARIS, PARIS, limits={"day": 0.6}) for _ in range(2))
        async with aclosing(first.layer.stream(OPEN)) as events:
            await anext(events)
            waiting = asyncio.ensure_future(second.events(OPEN))
            await second.waited(2)
            assert second.model.requests == []
            async for _ in events:
                pass
        await waiting
        assert (first.sent_limits, second.sent_limits) == ([250], [150])

    async def test_where_somebody_is_there_another_run_is_waited_for_a_moment_and_then_they_are_asked(
        self, budgeted
    ):
        first = budgeted(PARIS, limits={"day": 0.6})
        second = budgeted(PARIS, limits={"day": 0.6}, answers=[True])
        async with aclosing(first.layer.stream(OPEN)) as events:
            await anext(events)
            await second.events(OPEN)
        assert second.now_s == pytest.approx(10, abs=0.5)
        (asked,) = second.asked
        assert "none of today's $0.60 has been spent, $0.60 set aside for requests in flight" in asked


COUNTS = st.none() | st.integers(0, 400) | st.integers(0, 10**12)
REPORTS = st.none() | st.builds(Usage, COUNTS, COUNTS, COUNTS, COUNTS)
COSTS = st.none() | st.sampled_from([0.0, 0.1, 1e6])
ENDS = st.sampled_from(["whole", "broken", "stopped"])
STEPS = st.lists(st.tuples(st.integers(0, 300), ENDS, REPORTS, COSTS, st.booleans()), min_size=1, max_size=6)
LIMIT = 2.0
SMALLEST = Decimal("0.3")
"""The input, and the smallest answer that is worth it."""
INPUT = Decimal("0.1")


async def after(step, run, spending):
    """Return how much of an answer was received, as one step of a session ends it."""
    tokens, end, usage, cost_usd, _ = step
    length = min(tokens, int((Decimal(str(LIMIT)) - spending - INPUT) / Decimal("0.002")))
    last = NetworkError("gone") if end == "broken" else Completion("stop", "small", usage, cost_usd)
    run.model._scripts = [(*[TextDelta("x")] * length, last)]
    received = 0
    with suppress(NetworkError):
        async with aclosing(run.layer.stream(replace(OPEN, receipt=run.receipt))) as events:
            async for event in events:
                received += isinstance(event, TextDelta)
                if end == "stopped" and received == max(1, length // 2):
                    break
    return received


@settings(max_examples=60, deadline=None)
@given(STEPS, st.sampled_from(["session", "day", "month"]))
def test_whatever_is_reported_over_any_runs_of_a_session_a_limit_holds(steps, period):
    with TemporaryDirectory() as folder:
        run = None
        for step in steps:
            if run is None or step[-1]:
                run = BudgetedRun(Path(folder), limits={period: LIMIT})
                # Of what was spent, the session itself may have nothing.
                run.receipt = Receipt()
            before = total(run.ledger.expenses()).usd
            run.model.requests.clear()
            try:
                received = asyncio.run(after(step, run, before))
            except BudgetReached:
                assert before + SMALLEST > Decimal(str(LIMIT))
                assert run.model.requests == []
                continue
            assert before + SMALLEST <= Decimal(str(LIMIT))
            (request,) = run.model.requests
            reserved = INPUT + Decimal("0.002") * (request.parameters.max_tokens or 0)
            booked = total(run.ledger.expenses()).usd - before
            # At our count, by no more than vocabularies and prices may differ.
            assert booked * 20 >= Decimal("0.002") * received
            is_whole = step[1] == "whole" or (step[1] == "stopped" and not received)
            if not is_whole:
                assert booked == (INPUT + Decimal("0.002") * received if received else 0)
            if not is_whole or (step[2] is None and step[3] is None):
                assert booked <= reserved <= Decimal(str(LIMIT)) - before
