"""The thread that watches: a check after calls, one at the end, and nothing that goes wrong there is anybody's problem."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Event, Timer, get_ident

from chatcli.telemetry.alert_states import AlertEvent, Firing
from chatcli.telemetry.alert_watch import AlertWatch
from chatcli.telemetry.alerts import AlertChange, AlertReading, CheckedAlerts

WAIT_S = 60


class Monitor:
    """A monitor with scripted readings; every check is an event."""

    def __init__(self, *, firing=None):
        self.firing = firing
        self.checks = 0
        self.threads = set()
        self.is_closed = False
        self.opened = 0

    def check(self, *, can_tell):
        can_tell()
        self.checks += 1
        self.threads.add(get_ident())
        change = AlertChange(None, AlertEvent(0, "r", "tokens", True, 1.0, 1), 0.0)
        return CheckedAlerts((change,), (AlertReading(None, 1.0, 1, self.firing),))

    @contextmanager
    def open(self):
        self.opened += 1
        yield self
        self.is_closed = True


class Announced:
    def __init__(self):
        self.changes = []
        self.heard = Event()

    def __call__(self, changes, readings):
        self.changes += changes
        self.heard.set()

    def wait(self):
        assert self.heard.wait(WAIT_S)
        self.heard.clear()


def test_calls_are_checked_in_another_thread():
    monitor, announced = Monitor(), Announced()
    watch = AlertWatch(monitor.open, announced)
    watch.append()
    announced.wait()
    watch.close()
    assert (monitor.checks, len(announced.changes), monitor.is_closed) == (1, 1, True)
    assert get_ident() not in monitor.threads


def test_calls_soon_after_a_check_are_checked_at_the_end_at_the_latest():
    monitor, announced = Monitor(), Announced()
    watch = AlertWatch(monitor.open, announced, every_s=WAIT_S)
    watch.append()
    announced.wait()
    for _ in range(1_000):
        watch.append()
    assert monitor.checks == 1
    watch.close()
    assert monitor.checks == 2
    assert monitor.opened == 1


def test_without_calls_there_is_no_last_check_and_no_thread():
    monitor, announced = Monitor(), Announced()
    watch = AlertWatch(monitor.open, announced)
    watch.close()
    assert monitor.opened == 0
    watch.append()
    announced.wait()
    watch.close()
    watch.close()
    assert monitor.checks == 1


def test_while_an_alert_fires_time_alone_has_it_checked():
    monitor, announced = Monitor(firing=Firing(0, 1)), Announced()
    watch = AlertWatch(monitor.open, announced, every_s=0, idle_s=0.001)
    watch.append()
    for _ in range(3):
        announced.wait()
    watch.close()
    assert monitor.checks >= 3


def test_a_watch_can_begin_anew():
    monitor, announced = Monitor(), Announced()
    watch = AlertWatch(monitor.open, announced, every_s=0)
    for _ in range(3):
        watch.append()
        announced.wait()
        watch.close()
    assert (monitor.checks, monitor.opened) == (3, 3)


def test_what_cannot_be_opened_is_tried_again_and_fails_nobody():
    announced, monitor, tries = Announced(), Monitor(), []
    failed = Event()

    @contextmanager
    def open_monitor():
        tries.append(1)
        if len(tries) == 1:
            failed.set()
            raise LookupError("no calls there")
        yield monitor

    watch = AlertWatch(open_monitor, announced, every_s=0)
    watch.append()
    assert failed.wait(WAIT_S)
    watch.append()
    announced.wait()
    watch.close()
    assert watch.problem == "no calls there"
    assert monitor.checks == 1


def test_what_announces_may_fail():
    def fail(_changes, _readings):
        raise LookupError

    watch = AlertWatch(Monitor().open, fail, every_s=0)
    watch.append()
    watch.close()
    assert watch.problem == "LookupError"


class SlowMonitor(Monitor):
    """A monitor whose check goes on while the run ends; ``told`` is whether it might announce what it found."""

    def __init__(self):
        super().__init__()
        self.began, self.go_on, self.ended = Event(), Event(), Event()
        self.told = None

    def check(self, *, can_tell):
        self.began.set()
        assert self.go_on.wait(WAIT_S)
        self.told = can_tell()
        self.ended.set()
        return super().check(can_tell=can_tell)


def test_a_check_that_the_end_of_the_run_does_not_wait_for_leaves_what_it_finds_to_others():
    monitor = SlowMonitor()
    watch = AlertWatch(monitor.open, Announced(), every_s=0, last_check_s=0)
    watch.append()
    assert monitor.began.wait(WAIT_S)
    watch.close()
    monitor.go_on.set()
    assert monitor.ended.wait(WAIT_S)
    assert monitor.told is False


def test_the_end_of_the_run_waits_for_what_only_this_process_will_announce():
    announced, is_claimed, go_on = Announced(), Event(), Event()

    class Claiming(Monitor):
        def check(self, *, can_tell):
            found = super().check(can_tell=can_tell)
            is_claimed.set()
            assert go_on.wait(WAIT_S)
            return found

    watch = AlertWatch(Claiming().open, announced, every_s=0, last_check_s=0, last_write_s=WAIT_S)
    watch.append()
    assert is_claimed.wait(WAIT_S)
    Timer(0.05, go_on.set).start()
    watch.close()
    assert announced.changes
