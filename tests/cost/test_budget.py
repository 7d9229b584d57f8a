"""The layer every request passes: its price, the ledger and the budget."""

from __future__ import annotations

from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from chatcli.core.errors import BudgetReached, ChatcliError, NetworkError, ServerFailed
from chatcli.core.events import Completion, Notice, ReasoningDelta, TextDelta, Usage
from chatcli.core.messages import question
from chatcli.core.request import Parameters, Request
from chatcli.cost.budget import TYPICAL_ANSWER_TOKENS, Account, Budget, BudgetedModel, Payer, Spending
from chatcli.cost.ledger import Expense, Ledger
from chatcli.cost.pricing import Pricing
from client.scripted_model import ScriptedModel
from client.wire import events_of

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
        self, folder, *scripts, own=OWN, is_free=False, requires_price=False, limits=None, answers=None
    ):
        self.model = ScriptedModel(*scripts)
        self.spending = Spending()
        self.session = "trip"
        self.session_cost_usd = None
        self.asked = []
        account = Account(
            self.spending,
            lambda: Payer(self.session, self.session_cost_usd),
            None if answers is None else self._approve,
        )
        self._answers = list(answers or ())
        self.ledger = Ledger(folder / "spending.jsonl", clock=lambda: NOW)
        self.layer = BudgetedModel(
            self.model,
            Pricing("models.example", is_free=is_free, own=own),
            Budget(limits or {}, account, self.ledger),
            count=len,
            requires_price=requires_price,
        )

    async def events(self, request=ASKED):
        return await events_of(self.layer, request)

    async def failure(self, request=ASKED):
        with pytest.raises(ChatcliError) as raised:
            await self.events(request)
        return raised.value

    @property
    def booked(self):
        return [(each.model, each.cost_usd) for each in self.ledger.expenses()]

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


@pytest.mark.parametrize("usage", [Usage(100, 50, cached_tokens=20), Usage(None, 50)])
async def test_a_cost_that_is_not_known_to_the_cent_is_booked_as_what_it_can_have_been(budgeted, usage):
    run = budgeted((TextDelta("Paris"), Completion("stop", "small", usage)))
    assert (await run.events())[-1].cost_usd is None
    assert run.booked == [("small", Decimal("0.2"))]


@pytest.mark.parametrize("failure", [NetworkError("gone"), RuntimeError("a bug")])
async def test_what_came_of_an_answer_that_broke_off_is_paid_for(budgeted, failure):
    run = budgeted((TextDelta("Paris"), failure))
    with suppress(NetworkError, RuntimeError):
        await run.events()
    assert run.booked == [("small", Decimal("0.11"))]


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
    async def test_a_request_that_would_pass_a_limit_is_not_sent(self, budgeted, period):
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

    async def test_another_session_begins_anew(self, budgeted):
        run = budgeted(PARIS, PARIS, limits={"session": 0.4})
        await run.events()
        run.session = "another"
        await run.events()
        run.session, run.session_cost_usd = "trip", 0.2
        assert "$0.20 of this session's $0.40" in (await run.failure()).message

    async def test_where_nothing_limits_the_answer_a_typical_one_is_expected(self, budgeted):
        run = budgeted(PARIS, limits={"run": 2.0})
        error = await run.failure(Request("small", ASKED.messages))
        assert f"about ${0.1 + 0.002 * TYPICAL_ANSWER_TOKENS:.2f}" in error.message

    async def test_a_limit_among_the_extra_values_counts_as_well(self, budgeted):
        run = budgeted(PARIS, limits={"run": 0.3})
        assert await run.events(
            Request("small", ASKED.messages, Parameters(extra={"max_completion_tokens": 100}))
        )

    async def test_what_is_on_its_way_counts(self, budgeted):
        run = budgeted(PARIS, PARIS, limits={"run": 0.5})
        async with aclosing(run.layer.stream(ASKED)) as events:
            await anext(events)
            assert "$0.30 of this run's $0.50" in (await run.failure()).message

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
