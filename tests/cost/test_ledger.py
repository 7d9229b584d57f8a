from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.cost.budget import Admission, Spending
from chatcli.cost.ledger import KEPT, Expense, Ledger, together, total

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
CENT = Decimal("0.01")


def expense(cost_usd: Decimal | None = CENT, *, at: datetime = NOW, model: str = "gpt-5-mini") -> Expense:
    return Expense(at, model, "api.openai.com", cost_usd, "trip")


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "data" / "spending.jsonl", clock=lambda: NOW)


def test_nothing_was_spent_where_there_is_no_file(ledger):
    assert ledger.expenses() == []


def test_what_is_written_is_read_by_every_run(ledger):
    expenses = [expense(), expense(None), expense(Decimal("0.000123"))]
    for each in expenses:
        ledger.append(each)
    assert ledger.expenses() == expenses
    assert Ledger(ledger.path).expenses() == expenses


def test_a_line_is_as_scripts_read_it(ledger):
    ledger.append(expense())
    assert json.loads(ledger.path.read_text()) == {
        "at": "2026-11-26T12:00:00.000Z",
        "model": "gpt-5-mini",
        "endpoint": "api.openai.com",
        "session": "trip",
        "cost_usd": 0.01,
    }


@pytest.mark.parametrize("name", ["trip", 'a "b" ü \udc80 旅行', "a\\b"])
def test_a_session_has_spent_what_stands_under_its_name_since_it_began(ledger, name):
    for session in (name, "another", None, f"{name}2"):
        for days, usd in ((0, CENT), (2, CENT), (9, CENT), (1, None)):
            at = NOW - timedelta(days=days)
            ledger.append(Expense(at, "m", "e", usd, session))
    assert ledger.of_session(name, NOW - timedelta(days=2)) == 2 * CENT
    ledger.path.unlink()
    assert ledger.of_session(name, NOW) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="rights of POSIX")
def test_only_its_owner_can_read_it(ledger):
    ledger.append(expense())
    assert ledger.path.stat().st_mode & 0o777 == 0o600
    assert ledger.path.parent.stat().st_mode & 0o777 == 0o700


def test_what_another_run_adds_is_seen(ledger):
    ledger.append(expense())
    assert len(ledger.month().expenses) == 1
    Ledger(ledger.path).append(expense())
    assert len(ledger.month().expenses) == 2


@pytest.mark.parametrize(
    "damage",
    [
        b'{"at": "2026-11-26T12:00:00.000Z", "mod',
        b"\xff\xfe",
        b"[1]",
        b"null",
        b'{"at": "today", "model": "m", "endpoint": "e", "session": null, "cost_usd": 1}',
        b'{"at": "2026-11-26T12:00:00", "model": "m", "endpoint": "e", "session": null, "cost_usd": 1}',
        b'{"at": "2026-11-26T12:00:00Z", "model": "m", "endpoint": "e", "session": null, "cost_usd": -1}',
        b'{"at": "2026-11-26T12:00:00Z", "model": "m", "endpoint": "e", "session": null, "cost_usd": NaN}',
        b'{"at": "2026-11-26T12:00:00Z", "model": "m", "endpoint": "e", "session": null, "cost_usd": "a lot"}',
        b'{"at": "2026-11-26T12:00:00Z", "model": "m", "endpoint": "e", "cost_usd": 1}',
        b"[" * 10_000,
    ],
)
def test_damage_costs_only_the_line_it_is_in(ledger, damage):
    ledger.append(expense())
    with ledger.path.open("ab") as file:
        file.write(damage)
    ledger.append(expense(2 * CENT))
    assert [each.cost_usd for each in ledger.expenses()] == [CENT, 2 * CENT]


@pytest.fixture
def yesterdays(ledger):
    """Return a function that writes a ledger and lets a day pass."""

    def written(*expenses):
        for each in expenses:
            ledger.append(each)
        yesterday_s = (NOW - timedelta(days=1)).timestamp()
        os.utime(ledger.path, (yesterday_s, yesterday_s))

    return written


LONG_AGO = NOW - KEPT - timedelta(days=1)


def test_a_large_ledger_keeps_a_line_for_each_day_long_ago(ledger, yesterdays):
    yesterdays(*[expense(at=LONG_AGO)] * 9, expense(None, at=LONG_AGO))
    Ledger(ledger.path, clock=lambda: NOW, large_bytes=1_000).append(expense())
    expenses = ledger.expenses()
    assert [(each.cost_usd, each.requests, each.session) for each in expenses] == [
        (9 * CENT, 9, None),
        (None, 1, None),
        (CENT, 1, "trip"),
    ]
    assert total(expenses) == (10 * CENT, 1)


def test_a_small_one_and_recent_lines_stay_as_they_are(ledger, yesterdays):
    yesterdays(*[expense(at=LONG_AGO)] * 9)
    ledger.append(expense())
    assert len(ledger.expenses()) == 10
    yesterdays(*[expense()] * 20)
    Ledger(ledger.path, clock=lambda: NOW, large_bytes=1_000).append(expense())
    assert len(ledger.expenses()) == 1 + 22
    assert {path.name for path in ledger.path.parent.iterdir()} == {"spending.jsonl", "spending.lock"}


class TestMonth:
    ZONE = timezone(timedelta(hours=2))

    @pytest.fixture
    def clock(self):
        return [datetime(2026, 12, 1, 1, tzinfo=self.ZONE)]

    @pytest.fixture
    def ledger(self, tmp_path, clock):
        return Ledger(tmp_path / "spending.jsonl", clock=lambda: clock[0])

    def test_it_is_the_persons_own(self, ledger):
        for hour in (21, 23):  # the last is in December where they are
            ledger.append(expense(at=datetime(2026, 11, 30, hour, tzinfo=UTC)))
        month = ledger.month()
        assert month.total == (CENT, 0)
        assert month.of(datetime(2026, 12, 1).date()) == (CENT, 0)  # noqa: DTZ001

    def test_what_comes_is_added_and_a_new_month_begins_with_nothing(self, ledger, clock):
        assert ledger.month().total == (0, 0)
        for _ in range(2):
            ledger.append(expense(at=clock[0]))
            Ledger(ledger.path).append(expense(None, at=clock[0]))
            ledger.month()
        assert ledger.month().total == (2 * CENT, 2)
        assert len(ledger.month().expenses) == 4
        clock[0] = datetime(2027, 1, 1, tzinfo=self.ZONE)
        assert ledger.month().total == (0, 0)

    def test_a_ledger_that_was_replaced_is_read_anew(self, ledger, clock):
        ledger.append(expense(at=clock[0]))
        ledger.month()
        ledger.path.unlink()
        assert ledger.month().total == (0, 0)
        ledger.append(expense(2 * CENT, at=clock[0]))
        assert ledger.month().total == (2 * CENT, 0)


moments = st.datetimes(datetime(2024, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
costs = st.none() | st.decimals(0, 100, places=6)
expenses = st.lists(st.builds(Expense, moments, st.sampled_from("ab"), st.just("e"), costs, st.just("s")))


@given(expenses)
def test_what_is_put_together_is_the_same_for_each_model_and_day(all_expenses):
    zone = timezone(timedelta(hours=-7))
    compacted = together(all_expenses, before=(NOW - KEPT).astimezone(zone))

    def by_day(some):
        days = {}
        for each in some:
            days.setdefault((each.at.astimezone(zone).date(), each.model), []).append(each)
        return {key: total(group) for key, group in days.items()}

    assert by_day(compacted) == by_day(all_expenses)
    assert together(compacted, before=(NOW - KEPT).astimezone(zone)) == compacted


@pytest.mark.parametrize(
    "fields",
    [
        {"at": "0001-01-01T00:00:00+14:00"},
        {"at": "9999-12-31T23:59:59-14:00"},
        {"at": {}},
        {"cost_usd": "NaN"},
        {"cost_usd": "sNaN"},
        {"cost_usd": "9e999999"},
        {"cost_usd": int("9" * 400)},
        {"cost_usd": [0, [1], 2]},
        {"model": {}},
        {"session": {}},
        {"requests": 10**400},
        {"requests": "many"},
    ],
    ids=str,
)
def test_a_line_of_any_shape_is_passed_over(tmp_path, fields):
    sound = {
        "at": "2026-11-23T21:05:07.000Z",
        "model": "m",
        "endpoint": "e",
        "session": None,
        "cost_usd": 0.25,
    }
    path = tmp_path / "spending.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in (sound, sound | fields, sound)))
    ledger = Ledger(path, clock=lambda: datetime(2026, 11, 23, 22, tzinfo=timezone(timedelta(hours=-12))))
    assert ledger.month().total.usd == Decimal("0.5")
    assert total(ledger.expenses()).usd == Decimal("0.5")


def test_lines_that_cannot_be_read_are_counted_those_of_other_months_and_blank_ones_are_not(ledger):
    ledger.append(expense())
    ledger.append(expense(at=NOW - timedelta(days=90)))
    whole = ledger.path.read_bytes()
    ledger.month()
    assert ledger.unreadable_lines == 0
    old = whole.splitlines()[1]
    damage = b"\n\n" + whole[:40] + b"\n" + old[:-9] + b"\n\xff\xfe\n" + whole[: len(whole) // 4]
    ledger.path.write_bytes(whole + damage)
    assert len(ledger.month().expenses) == 1
    assert ledger.unreadable_lines == 3
    ledger.append(expense())
    assert len(ledger.month().expenses) == 2
    assert ledger.unreadable_lines == 3
    assert Ledger(ledger.path, clock=lambda: NOW).unreadable_lines == 0


@given(content=st.binary(max_size=200))
def test_whatever_stands_in_the_ledger_each_line_is_an_expense_or_counted(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("data") / "spending.jsonl"
    path.write_bytes(content)
    ledger = Ledger(path, clock=lambda: NOW)
    assert ledger.month().expenses == []
    assert ledger.unreadable_lines == sum(bool(line.strip()) for line in content.split(b"\n"))


def test_expenses_without_a_limit_may_be_written_together(tmp_path):
    spending, ledger = Spending(expenses_at_once=3), Ledger(tmp_path / "spending.jsonl")
    expenses = [Expense(NOW, "m", "host", Decimal(n + 1)) for n in range(4)]
    for expense in expenses[:2]:
        spending.book(expense, ledger)
    assert ledger.expenses() == []
    assert spending.run_usd == 3
    spending.book(expenses[2], ledger)
    assert [each.cost_usd for each in ledger.expenses()] == [1, 2, 3]
    # What a limit has admitted is for the eyes of other processes.
    spending.book(expenses[3], ledger, [Admission(Decimal(4))])
    assert len(ledger.expenses()) == 4


def test_expenses_that_wait_are_written_in_the_end(tmp_path):
    spending, ledger = Spending(expenses_at_once=3), Ledger(tmp_path / "spending.jsonl")
    spending.book(Expense(NOW, "m", "host", Decimal(1)), ledger)
    spending.catch_up(ledger)
    assert len(ledger.expenses()) == 1
