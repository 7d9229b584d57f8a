"""Amounts set aside by requests in flight, over all processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chatcli.cost.budget import Account, Admission, Budget, Need, Spending
from chatcli.cost.ledger import Expense, Ledger, total
from chatcli.cost.reservations import Reservations

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
USD = Decimal("0.25")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "reserved"


@pytest.fixture
def reservations(folder):
    return Reservations(folder, lambda: NOW, patience_s=0.05)


def total_of(reservations):
    with reservations.locked():
        return reservations.total()


def test_amounts_count_until_they_are_released(reservations, folder):
    with reservations.locked():
        first, second = reservations.add(USD), reservations.add(USD)
    assert total_of(reservations) == 2 * USD
    first.release()
    assert total_of(reservations) == USD
    second.release()
    second.release()
    assert total_of(reservations) == 0
    assert [path.name for path in folder.iterdir()] == ["lock"]


def test_they_say_nothing_but_the_amount_and_the_time(reservations, folder):
    with reservations.locked():
        reservation = reservations.add(USD)
    (path,) = folder.glob("*.json")
    assert path.read_text() == '{"at": "2026-11-26T12:00:00+00:00", "usd": "0.25"}\n'
    reservation.release()


RESERVE_AND_WAIT = """
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from chatcli.cost.reservations import Reservations

reservations = Reservations(Path(sys.argv[1]), lambda: datetime(2026, 11, 26, 12, tzinfo=UTC))
with reservations.locked():
    reservation = reservations.add(Decimal("0.25"))
print("reserved", flush=True)
sys.stdin.read()
"""


def test_what_a_killed_process_reserved_is_free_at_once(reservations, folder):
    with subprocess.Popen(
        [sys.executable, "-c", RESERVE_AND_WAIT, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"reserved"
        assert total_of(reservations) == USD
        process.kill()
        process.wait()
    assert total_of(reservations) == 0
    assert list(folder.glob("*.json")) == []


FORK_AND_DIE = """
import os, signal, sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from chatcli.cost.reservations import Reservations

reservations = Reservations(Path(sys.argv[1]), lambda: datetime(2026, 11, 26, 12, tzinfo=UTC))
with reservations.locked():
    reservation = reservations.add(Decimal("0.25"))
    if not (child := os.fork()):
        print("forked", flush=True)
        sys.stdin.read()
        # It neither releases what its parent has reserved, nor does it mind.
        reservation.release()
        os._exit(0)
if sys.argv[2] == "dies":
    os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize(("end", "usd"), [("dies", Decimal(0)), ("waits", USD)])
def test_a_forked_child_keeps_nothing_reserved_and_locked(reservations, folder, end, usd):
    with subprocess.Popen(
        [sys.executable, "-c", FORK_AND_DIE, str(folder), end], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"forked"
        if end == "dies":
            process.wait()
        assert total_of(reservations) == usd
        process.stdin.close()


def test_what_is_left_of_a_machine_that_restarted_is_removed(reservations, folder):
    folder.mkdir()
    (folder / "0123.json").write_text('{"at": "2026-11-26T12:00:00+00:00", "usd": "0.25"}\n')
    (folder / "4567.json").write_bytes(b"")
    assert total_of(reservations) == 0
    assert list(folder.glob("*.json")) == []


@pytest.mark.parametrize("age", [timedelta(days=1, seconds=1), timedelta(days=-2)])
def test_a_day_is_the_longest(folder, reservations, age):
    old = Reservations(folder, lambda: NOW - age)
    with old.locked():
        reservation = old.add(USD)
    assert total_of(old) == USD
    assert total_of(reservations) == 0
    reservation.release()


@pytest.mark.parametrize("content", [b"", b"{}", b'{"at": "2026-11-26T12:00:00", "usd": "1"}', b"[" * 20_000])
def test_one_that_runs_and_cannot_be_read_is_an_error(reservations, folder, content):
    with reservations.locked():
        reservation = reservations.add(USD)
    (path,) = folder.glob("*.json")
    path.write_bytes(content)
    with pytest.raises(OSError, match=r"damaged|larger"):
        total_of(reservations)
    reservation.release()
    assert total_of(reservations) == 0


@pytest.mark.parametrize("usd", ["NaN", "Infinity", "-1"])
def test_an_amount_that_is_none_counts_nothing(reservations, folder, usd):
    with reservations.locked():
        reservation = reservations.add(Decimal(usd))
    assert total_of(reservations) == 0
    reservation.release()


def test_one_process_at_a_time_has_the_lock(reservations, folder):
    with reservations.locked(), pytest.raises(OSError, match="another program holds its lock") as raised:
        total_of(reservations)
    assert raised.value.filename.endswith("lock")
    assert total_of(reservations) == 0


LIMIT = Decimal("1.00")
AMOUNTS = st.integers(0, 60).map(lambda cents: Decimal(cents) / 100)


class SeveralProcesses(RuleBasedStateMachine):
    """Processes that reserve, settle and die in any order, with one limit of a day.

    The invariant: what is booked and what is reserved never exceed the limit together, except by what requests
    have cost beyond their reservations. So if none costs more than reserved, the limit is never exceeded.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.ledger = Ledger(Path(self.folder.name) / "spending.jsonl", clock=lambda: NOW)
        self.excess = Decimal(0)
        self.in_flight: list[tuple[Budget, Admission]] = []
        self.processes = [self._process() for _ in range(4)]

    def _process(self) -> Budget:
        ledger = Ledger(self.ledger.path, clock=lambda: NOW)
        return Budget({"day": float(LIMIT)}, Account(Spending()), ledger)

    @rule(number=st.integers(0, 3), sent=AMOUNTS, tokens=st.integers(0, 100))
    def reserve(self, number: int, sent: Decimal, tokens: int) -> None:
        need = Need(sent, Decimal("0.01"), min(tokens, 10), tokens)
        used = total(self.ledger.expenses()).usd + self.reserved_usd
        outcome = self.processes[number].admit(need)
        if isinstance(outcome, Admission):
            self.in_flight.append((self.processes[number], outcome))
        else:
            assert LIMIT - used < need.usd(need.least_tokens)

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data(), share=st.integers(0, 150))
    def settle(self, data: st.DataObject, share: int) -> None:
        budget, admission = self.in_flight.pop(data.draw(st.integers(0, len(self.in_flight) - 1)))
        assert admission.reserved_usd is not None
        cost_usd = admission.reserved_usd * share / 100
        budget.spending.book(Expense(NOW, "m", "e", cost_usd), budget.ledger, [admission])
        admission.release()
        self.excess += max(Decimal(0), cost_usd - admission.reserved_usd)

    @rule(number=st.integers(0, 3))
    def die(self, number: int) -> None:
        budget = self.processes[number]
        for process, admission in self.in_flight:
            if process is budget and admission.reservation is not None:
                # The operating system closes the files of a dead process, and nothing else happens.
                admission.reservation.leave_to_parent()
        self.in_flight = [each for each in self.in_flight if each[0] is not budget]
        self.processes[number] = self._process()

    @property
    def reserved_usd(self) -> Decimal:
        return sum((admission.reserved_usd for _, admission in self.in_flight), Decimal(0))

    @invariant()
    def the_limit_holds(self) -> None:
        booked_usd = total(self.ledger.expenses()).usd
        assert booked_usd + self.reserved_usd <= LIMIT + self.excess

    def teardown(self) -> None:
        for _, admission in self.in_flight:
            admission.release()
        self.folder.cleanup()


TestSeveralProcesses = SeveralProcesses.TestCase
TestSeveralProcesses.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
