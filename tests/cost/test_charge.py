"""Charges: embeddings, and limits whose files do not answer."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
import threading
from contextlib import aclosing, closing
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from chatcli.core.errors import BudgetReached, ServerFailed
from chatcli.cost.budget import Account, Admission, Budget, Need, Spending
from chatcli.cost.charge import Cashier, EmbeddingCharges, Order
from chatcli.cost.ledger import Ledger
from chatcli.cost.pricing import Pricing

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
OWN = {"near": {"input": 1_000}}
TEXTS = ["x" * 60, "y" * 40]
"""A tenth of a dollar, at a token a letter."""


class Embeddings:
    """Charges for embeddings, with everything they need."""

    def __init__(self, folder, *, limits, own=OWN):
        self.spending = Spending()
        self.ledger = Ledger(folder / "spending.jsonl", clock=lambda: NOW)
        self.notices = []
        budget = Budget(limits, Account(self.spending), self.ledger)
        cashier = Cashier(Pricing("models.example", is_free=False, own=own), budget)
        self._charges = EmbeddingCharges(cashier, "near", len, self.notices.append)

    async def ask(self, reported=100, error=None):
        async with self._charges(TEXTS) as settle:
            assert self.spending.reserved_usd in (0, Decimal("0.1"))
            if error is not None:
                raise error
            settle(reported)

    @property
    def booked(self):
        return [expense.cost_usd for expense in self.ledger.expenses()]


@pytest.fixture
def embeddings(tmp_path):
    return lambda limits=None, **more: Embeddings(tmp_path, limits=limits or {}, **more)


@pytest.mark.parametrize(("reported", "usd"), [(100, "0.1"), (250, "0.25"), (None, "0.1"), (0, "0.1")])
async def test_embeddings_are_booked_with_the_tokens_reported_or_counted(embeddings, reported, usd):
    there = embeddings()
    await there.ask(reported)
    assert there.booked == [Decimal(usd)]
    assert [notice.code for notice in there.notices] == ["usage_doubted"] * (reported == 0)
    assert there.spending.reserved_usd == 0


async def test_a_refused_request_costs_nothing_and_a_cancelled_one_its_input(embeddings):
    there = embeddings({"day": 9.0})
    with pytest.raises(ServerFailed):
        await there.ask(error=ServerFailed("busy"))
    assert there.booked == []
    with pytest.raises(asyncio.CancelledError):
        await there.ask(error=asyncio.CancelledError())
    assert there.booked == [Decimal("0.1")]
    assert there.spending.reserved == {}


@pytest.mark.parametrize(("is_cached", "is_sent"), [(False, True), (True, False)])
async def test_what_may_be_written_into_a_cache_is_reserved_at_its_higher_price(tmp_path, is_cached, is_sent):
    budget = Budget({"run": 0.11}, Account(Spending()), Ledger(tmp_path / "spending.jsonl"))
    own = {"small": {"input": 1_000, "cached": 100, "output": 0}}
    cashier = Cashier(Pricing("models.example", is_free=False, own=own), budget)
    order = Order("small", lambda: 100, lambda: 1, is_cached=is_cached)
    with closing(cashier.charge(order)) as charge:
        try:
            async with aclosing(charge.admission()) as waits:
                assert [wait async for wait in waits] == []
        except BudgetReached:
            assert not is_sent
        else:
            assert is_sent


@pytest.mark.parametrize(("limit", "is_sent"), [(0.06, False), (0.08, True)])
async def test_searches_and_the_text_they_find_are_reserved(tmp_path, limit, is_sent):
    # Five searches at a cent, and 20,000 tokens at a dollar a million.
    budget = Budget({"run": limit}, Account(Spending()), Ledger(tmp_path / "spending.jsonl"))
    own = {"small": {"input": 1, "output": 0, "search": 10}}
    cashier = Cashier(Pricing("models.example", is_free=False, own=own), budget)
    with closing(cashier.charge(Order("small", lambda: 1, lambda: 1, searches=5))) as charge:
        try:
            async with aclosing(charge.admission()) as waits:
                assert [wait async for wait in waits] == []
        except BudgetReached:
            assert not is_sent
        else:
            assert is_sent


@pytest.mark.parametrize("period", ["run", "session", "day", "month"])
async def test_what_the_budget_does_not_leave_is_not_sent_and_nobody_is_asked(embeddings, period):
    there = embeddings({period: 0.15})
    await there.ask()
    with pytest.raises(BudgetReached, match="budget reached"):
        await there.ask()
    assert there.booked == [Decimal("0.1")]


async def test_within_a_budget_an_unknown_price_is_not_sent(embeddings):
    there = embeddings({"run": 5.0}, own={})
    with pytest.raises(BudgetReached, match="price of near is unknown"):
        await there.ask()
    without = embeddings(own={})
    await without.ask()
    assert without.booked == [None]


ORDER = Order("near", lambda: 100, lambda: 0)


class StuckLedger(Ledger):
    """A ledger on a disk that answers only once ``answers`` is set."""

    answers = threading.Event()

    def month(self):
        self.answers.wait()
        return super().month()


async def admit(charge):
    async with aclosing(charge.admission()) as events:
        return [event async for event in events]


async def test_a_disk_that_does_not_answer_sends_nothing_and_reserves_nothing(tmp_path):
    ledger = StuckLedger(tmp_path / "spending.jsonl", clock=lambda: NOW)
    ledger.answers = threading.Event()
    budget = Budget({"day": 5.0}, Account(Spending()), ledger)
    cashier = Cashier(Pricing("models.example", is_free=False, own=OWN), budget, disk_patience_s=0.05)
    with closing(cashier.charge(ORDER)) as charge:
        with pytest.raises(BudgetReached, match="the disk does not answer") as raised:
            await admit(charge)
        assert raised.value.code == "spending_unwritable"
        ledger.answers.set()
        # The thread ends meanwhile; what it reserves is released.
        await asyncio.get_running_loop().shutdown_default_executor()
        await asyncio.sleep(0)
    assert list((tmp_path / "reserved").glob("*.json")) == []


@pytest.mark.skipif(sys.platform == "win32", reason="flock is POSIX")
async def test_a_file_system_without_locks_sends_nothing(tmp_path, monkeypatch):
    def has_none(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", has_none)
    budget = Budget({"month": 5.0}, Account(Spending()), Ledger(tmp_path / "spending.jsonl"))
    cashier = Cashier(Pricing("models.example", is_free=False, own=OWN), budget)
    with closing(cashier.charge(ORDER)) as charge, pytest.raises(BudgetReached, match=r"(?i)no locks"):
        await admit(charge)


@pytest.mark.parametrize(("usd", "limit"), [(None, 0.1), (0.0, 0.1), (0.1, 0.1), (9.0, None)])
async def test_several_requests_that_fit_or_cost_nobody_knows_what_are_begun(tmp_path, usd, limit):
    cashier = cashier_with(tmp_path, {} if limit is None else {"day": limit})
    await cashier.check_total(usd, "reading")
    assert cashier.budget.spending.reserved_usd == 0
    assert not list((tmp_path / "reserved").glob("*.json"))


async def test_several_requests_that_may_cost_more_than_is_left_are_not_begun_unless_the_person_approves(
    tmp_path,
):
    asked = []

    def answering(answer):
        async def approve(question):
            asked.append(question)
            return answer

        return cashier_with(tmp_path, {"run": 0.1}, approve)

    with pytest.raises(BudgetReached) as raised:
        await cashier_with(tmp_path, {"run": 0.1}).check_total(0.25, "reading this text")
    assert raised.value.message == (
        "budget reached: reading this text costs up to $0.25; none of this run's $0.10 has been spent"
    )
    assert raised.value.hint.startswith("--max-cost changes the limit; another --long")
    await answering(True).check_total(0.25, "reading this text")
    with pytest.raises(BudgetReached, match="not sent"):
        await answering(False).check_total(0.25, "reading this text")
    words = "reading this text costs up to $0.25; none of this run's $0.10 has been spent. Begin?"
    assert asked == [words, words]


def cashier_with(folder, limits, approve=None):
    account = Account(Spending(), approve=approve)
    budget = Budget(limits, account, Ledger(folder / "spending.jsonl", clock=lambda: NOW))
    return Cashier(Pricing("models.example", is_free=False, own=OWN), budget)


def test_what_is_asked_ahead_has_a_limit_of_its_own_and_counts_for_the_others(tmp_path):
    spending, ledger = Spending(), Ledger(tmp_path / "spending.jsonl", clock=lambda: NOW)
    ahead = Budget({"prefetch": 0.05, "run": 1.0}, Account(spending, is_ahead=True), ledger)
    asked = Budget({"run": 0.1}, Account(spending), ledger)
    for budget, usd in ((ahead, "0.03"), (asked, "0.04")):
        cashier = Cashier(Pricing("models.example", is_free=False, own=OWN), budget)
        with closing(cashier.charge(Order("near", lambda: 1, lambda: 0))) as charge:
            charge.book(None, Decimal(usd))
    assert (spending.ahead_usd, spending.run_usd) == (Decimal("0.03"), Decimal("0.07"))
    need = Need(Decimal("0.03"), Decimal(0), 0, 0)
    refused = ahead.admit(need)
    assert refused.standing.words == "$0.03 of the prefetch budget of $0.05 spent"
    assert refused.standing.remedy == "[budget] prefetch in config.toml changes the limit"
    # What is left to the person's own questions is untouched by that limit.
    assert isinstance(asked.admit(need), Admission)
