"""Alerts over simulated time: when they fire, when they are over, and that each of both is announced once."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatcli.core.alert_rules import DEFAULT_RULES, METRICS, AlertRule, usual_recovery
from chatcli.core.statistics import Figures, Percentiles
from chatcli.telemetry.alert_states import AlertFile
from chatcli.telemetry.alerts import AlertMonitor, condition, message, shown_value

SUCCESS, FIRST_TOKEN = DEFAULT_RULES
ERRORS = AlertRule("errors", "error_count", 60, threshold=3, recover=1, minimum_calls=0)


class Simulation:
    """Calls at simulated times. A call is a number: its time to the first token, negative for one that failed."""

    def __init__(self, path, *rules):
        self.now_s = 1_000_000.0
        self.calls = []
        self.path = path
        self.rules = rules
        self.monitor = self.process()

    def process(self, *rules):
        """Return the monitor of another process, or of a later run."""
        return AlertMonitor(rules or self.rules, self, AlertFile(self.path), clock_s=lambda: self.now_s)

    def figures(self, since_s, until_s, *, model=None, endpoint=None):
        chosen = [
            (ttft_s, named, host)
            for at_s, ttft_s, named, host in self.calls
            if since_s <= at_s < until_s and model in {None, named} and endpoint in {None, host}
        ]
        good = sorted(ttft_s for ttft_s, *_ in chosen if ttft_s >= 0)
        p95 = good[math.ceil(len(good) * 0.95) - 1] if good else None
        failed = len(chosen) - len(good)
        return Figures(
            calls=len(chosen),
            succeeded=len(good),
            errors={"server_failed": failed} if failed else {},
            ttft=None if p95 is None else Percentiles(p95, p95, p95),
            cost_usd=float(len(chosen)),
        )

    def call(self, *ttfts_s, every_s=1.0, model="m", endpoint="e"):
        for ttft_s in ttfts_s:
            self.now_s += every_s
            self.calls.append((self.now_s, ttft_s, model, endpoint))

    def told(self):
        return [message(change) for change in self.monitor.check().changes]


GOOD, BAD = 1.0, -1.0


@pytest.fixture
def simulation(tmp_path):
    return lambda *rules: Simulation(tmp_path / "alerts-1.json", *rules)


def test_it_fires_once_on_crossing_and_once_on_recovery(simulation):
    world = simulation(SUCCESS)
    world.call(GOOD, GOOD, GOOD, GOOD)
    assert world.told() == []
    world.call(BAD)
    assert world.told() == ["alert success: success rate 80% over 15 min, below 90% (5 calls)"]
    world.call(BAD, BAD)
    assert world.told() == []
    world.now_s += 900
    world.call(*[GOOD] * 20)
    assert world.told() == ["alert success is over: success rate 100% over 15 min (20 calls)"]
    assert world.told() == []


def test_between_threshold_and_recovery_nothing_changes(simulation):
    world = simulation(SUCCESS)
    world.call(BAD, BAD, *[GOOD] * 8)
    assert len(world.told()) == 1
    world.call(*[GOOD] * 20)  # 28 of 30 are 93%
    assert world.told() == []
    world.call(*[GOOD] * 10)  # 38 of 40 are 95%
    assert len(world.told()) == 1
    world.call(BAD)  # 38 of 41 are 92%: it fired below 90
    assert world.told() == []


def test_a_value_at_the_threshold_does_not_fire(simulation):
    world = simulation(SUCCESS, replace(FIRST_TOKEN, threshold=1.0))
    world.call(*[GOOD] * 9, BAD)
    assert world.told() == []


def test_a_slow_first_token_fires(simulation):
    world = simulation(FIRST_TOKEN)
    world.call(2, 2, 2, 2, 20.001)
    assert world.told() == ["alert first-token: p95 first token 20.001 s over 15 min, above 20 s (5 calls)"]


def test_too_few_calls_do_not_fire(simulation):
    world = simulation(SUCCESS)
    world.call(BAD, BAD, BAD, BAD)
    assert world.told() == []
    (reading,) = world.monitor.look().readings
    assert (reading.value, reading.calls, reading.firing) == (None, 4, None)


def test_a_person_who_waits_for_an_endpoint_to_recover_is_not_told_it_has(simulation):
    world = simulation(SUCCESS)
    world.call(*[BAD] * 5)
    assert len(world.told()) == 1
    world.now_s += 1_200  # nobody calls: nothing in the window, all five in twice the window
    assert world.told() == []
    world.call(GOOD)
    assert world.told() == []
    (reading,) = world.monitor.look().readings
    assert (reading.value, reading.firing.value) == (None, 0.0)


def test_an_alert_nobody_can_judge_any_more_is_over(simulation):
    world = simulation(SUCCESS)
    world.call(*[BAD] * 5)
    assert len(world.told()) == 1
    world.now_s += 1_801
    assert world.told() == ["alert success is over: too few calls to tell"]
    assert world.told() == []


def test_few_calls_recover_an_alert_by_twice_the_window(simulation):
    world = simulation(SUCCESS)
    world.call(*[BAD] * 5)
    assert len(world.told()) == 1
    world.now_s += 900
    world.call(*[GOOD] * 6, every_s=300)  # three in each window of 15 minutes
    world.now_s += 10
    assert world.told() == ["alert success is over: success rate 100% over 15 min (6 calls)"]


def test_a_sum_is_known_without_calls(simulation):
    world = simulation(ERRORS)
    world.call(BAD, BAD, BAD, BAD)
    assert world.told() == ["alert errors: errors 4 over 1 min, above 3 (4 calls)"]
    world.now_s += 58  # the first has passed
    assert world.told() == []
    world.now_s += 2
    assert world.told() == ["alert errors is over: errors 1 over 1 min (1 call)"]


def test_a_minimum_of_calls_holds_for_sums_as_well(simulation):
    world = simulation(replace(ERRORS, minimum_calls=6))
    world.call(*[BAD] * 5)
    assert world.told() == []
    world.call(BAD)
    assert len(world.told()) == 1


def test_calls_of_another_model_or_endpoint_do_not_count(simulation):
    world = simulation(replace(ERRORS, model="mine"), replace(ERRORS, endpoint="here"))
    world.call(*[BAD] * 9)
    assert world.told() == []
    world.call(*[BAD] * 4, model="mine")
    assert world.told() == ["alert errors: errors 4 over 1 min, model mine, above 3 (4 calls)"]
    world.call(*[BAD] * 4, endpoint="here")
    assert world.told() == ["alert errors: errors 4 over 1 min, endpoint here, above 3 (4 calls)"]


def test_a_restart_neither_repeats_nor_forgets(simulation):
    world = simulation(SUCCESS)
    world.call(*[BAD] * 5)
    began_s = world.now_s
    assert len(world.told()) == 1
    world.now_s += 10
    world.monitor = world.process()
    assert world.told() == []
    (reading,) = world.monitor.look().readings
    assert (reading.firing.since_s, reading.firing.value, reading.summary) == (
        began_s,
        0.0,
        "success rate 0%",
    )
    world.now_s += 900
    world.call(*[GOOD] * 20)
    (change,) = world.monitor.check().changes
    assert change.since_s == began_s
    assert [event.is_firing for event in world.process().events()] == [True, False]


def test_of_several_processes_one_announces(simulation):
    world = simulation(SUCCESS, ERRORS)
    others = [world.process() for _ in range(5)]
    world.call(*[BAD] * 6)
    told = [message(change) for process in others for change in process.check().changes]
    assert len(told) == 2
    world.now_s += 900
    world.call(*[GOOD] * 20)
    told = [message(change) for process in reversed(others) for change in process.check().changes]
    assert len(told) == 2


def test_another_name_or_action_does_not_begin_an_alert_anew_but_another_condition_does(simulation):
    world = simulation(ERRORS)
    world.call(*[BAD] * 6)
    assert len(world.told()) == 1
    renamed = world.process(replace(ERRORS, name="mine", command=("say", "so"), notify=()))
    assert renamed.check().changes == ()
    assert len(world.process(replace(ERRORS, threshold=2)).check().changes) == 1


def test_a_clock_that_is_set_back_breaks_nothing(simulation):
    world = simulation(ERRORS)
    world.call(*[BAD] * 6)
    assert len(world.told()) == 1
    world.now_s -= 7_200
    (change,) = world.monitor.check().changes  # calls of the future are not counted
    assert not change.event.is_firing
    assert change.since_s <= change.event.at_s


def test_without_rules_nothing_is_read(tmp_path):
    monitor = AlertMonitor((), None, AlertFile(tmp_path / "no" / "alerts-1.json"))
    assert monitor.check() == ((), ())


class Unwritable(AlertFile):
    def changing(self):
        raise PermissionError(13, "Permission denied")


def test_without_a_place_to_write_each_process_announces_once(simulation, tmp_path):
    world = simulation(SUCCESS)
    world.monitor = AlertMonitor([SUCCESS], world, Unwritable(tmp_path / "x"), clock_s=lambda: world.now_s)
    world.call(*[BAD] * 5)
    assert len(world.told()) == 1
    assert world.told() == []
    assert not world.monitor.is_shared
    assert world.monitor.look().readings[0].firing is not None
    world.now_s += 900
    world.call(*[GOOD] * 20)
    assert len(world.told()) == 1
    assert world.told() == []
    assert [event.is_firing for event in world.monitor.events()] == [True, False]


class Busy(AlertFile):
    def changing(self):
        raise BlockingIOError(11, "another program holds its lock")


def test_a_process_that_does_not_get_the_lock_leaves_it_to_the_one_that_has_it(simulation, tmp_path):
    world = simulation(SUCCESS)
    busy = AlertMonitor([SUCCESS], world, Busy(world.path), clock_s=lambda: world.now_s)
    world.call(*[BAD] * 5)
    assert busy.check().changes == ()
    assert busy.is_shared
    assert len(world.told()) == 1


def test_a_process_that_can_tell_nobody_any_more_leaves_it_to_the_next_one(simulation):
    world = simulation(SUCCESS)
    world.call(*[BAD] * 5)
    assert world.process().check(can_tell=lambda: False).changes == ()
    assert world.process().events() == []
    assert len(world.told()) == 1


def test_calls_that_cannot_be_read_change_no_alert(simulation):
    world = simulation(SUCCESS)
    world.call(*[BAD] * 5)
    assert len(world.told()) == 1

    class Broken:
        def figures(self, *_, **__):
            raise LookupError

    with pytest.raises(LookupError):
        AlertMonitor([SUCCESS], Broken(), AlertFile(world.path)).check()
    assert AlertFile(world.path).read().firing


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from([GOOD, BAD, 25.0, None]), st.sampled_from([0.1, 5, 60, 500, 1_000, 2_000, -300])
        ),
        max_size=60,
    ),
    threshold=st.sampled_from([0.1, 0.5, 0.9, 1.0]),
    minimum=st.integers(0, 6),
    restarts=st.sets(st.integers(0, 60)),
)
@settings(deadline=None, max_examples=150)
def test_no_alert_fires_twice_without_being_over_in_between(
    tmp_path_factory, steps, threshold, minimum, restarts
):
    rules = (
        replace(
            SUCCESS,
            threshold=threshold,
            recover=usual_recovery("success_rate", threshold),
            minimum_calls=minimum,
        ),
        replace(FIRST_TOKEN, minimum_calls=minimum),
        replace(ERRORS, window_s=900),
    )
    world = Simulation(tmp_path_factory.mktemp("alerts") / "alerts-1.json", *rules)
    announced = []
    for number, (ttft_s, pause_s) in enumerate(steps):
        world.now_s += pause_s
        if ttft_s is not None:
            world.call(ttft_s)
        if number in restarts:
            world.monitor = world.process()
        announced += world.monitor.check().changes
        assert world.monitor.check().changes == ()
    for rule in rules:
        states = [change.event.is_firing for change in announced if change.rule is rule]
        assert states[:1] in ([], [True])
        assert all(before != after for before, after in pairwise(states))
        values = [change.event for change in announced if change.rule is rule]
        assert all(rule.is_crossed_by(event.value) for event in values if event.is_firing)
        assert all(
            event.value is None or rule.is_recovered_at(event.value)
            for event in values
            if not event.is_firing
        )
    assert [change.event for change in announced] == list(world.monitor.events())


@pytest.mark.parametrize("metric", METRICS)
def test_no_value_is_both_beyond_the_threshold_and_recovered(metric):
    for threshold in (0.0, 0.1, 0.5, 1.0):
        rule = AlertRule("r", metric, 60, threshold, usual_recovery(metric, threshold), 0)
        for value in (0.0, 0.05, 0.1, 0.5, 0.75, 1.0, 2.0):
            assert not (rule.is_crossed_by(value) and rule.is_recovered_at(value))


def test_every_metric_reads_the_figures():
    figures = Figures(
        calls=12,
        succeeded=6,
        cancelled=2,
        errors={"rate_limited": 3, "timed_out": 1},
        latency=Percentiles(1, 2, 3),
        ttft=Percentiles(0.1, 0.2, 0.3),
        input_tokens=100,
        output_tokens=20,
        cost_usd=0.5,
    )
    values = {metric: AlertRule("r", metric, 60, 0, 0, 0).value(figures) for metric in METRICS}
    assert values == {
        "success_rate": 0.6,
        "p95_latency_s": 2,
        "p95_ttft_s": 0.2,
        "error_count": 4,
        "cost_usd": 0.5,
        "tokens": 120,
        "rate_limited_count": 3,
    }


def test_what_a_person_stopped_says_nothing_about_the_endpoint():
    figures = Figures(calls=10, cancelled=7, succeeded=2, errors={"timed_out": 1})
    assert SUCCESS.value(figures) is None
    assert SUCCESS.sample(figures) == 3


@pytest.mark.parametrize(
    ("metric", "value", "shown"),
    [
        ("success_rate", 0.8999, "89.9%"),
        ("success_rate", 0.9, "90%"),
        ("success_rate", 0.29, "29%"),
        ("success_rate", 1.0, "100%"),
        ("p95_ttft_s", 20.0004, "20 s"),
        ("p95_ttft_s", 0.25, "0.25 s"),
        ("p95_latency_s", 1234.5, "1,234.5 s"),
        ("error_count", 1234, "1,234"),
        ("error_count", 0.8, "0"),  # where it is over: one error is too many
        ("rate_limited_count", 0.8 * 35, "28"),
        ("cost_usd", 1.5, "$1.50"),
        ("tokens", 1_000_000, "1,000,000"),
    ],
)
def test_values_have_their_unit(metric, value, shown):
    assert shown_value(metric, value) == shown


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (SUCCESS, "success rate below 90% over 15 min"),
        (replace(ERRORS, window_s=86_400, model="m"), "errors above 3 over 1 d, model m"),
        (replace(ERRORS, window_s=5_400, endpoint="e"), "errors above 3 over 90 min, endpoint e"),
        (replace(ERRORS, window_s=61.5), "errors above 3 over 61.5 s"),
    ],
)
def test_a_condition_is_put_in_words(rule, words):
    assert condition(rule) == words


PROCESS = """
import sys, time
from pathlib import Path
from chatcli.core.alert_rules import AlertRule
from chatcli.core.statistics import Figures
from chatcli.telemetry.alert_states import AlertFile
from chatcli.telemetry.alerts import AlertMonitor, message

class Calls:
    def figures(self, since_s, until_s, *, model=None, endpoint=None):
        return Figures(calls=9, succeeded=9 - errors, errors={"timed_out": errors} if errors else {})

rules = [AlertRule(f"errors {n}", "error_count", 60, n, n, 0) for n in range(3)]
path = Path(sys.argv[1])
monitor = AlertMonitor(rules, Calls(), AlertFile(path, patience_s=30))
for errors in (9, 0):
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(20):
        for change in monitor.check().changes:
            print(message(change), flush=True)
print("end", flush=True)
"""


def test_of_ten_processes_at_once_each_crossing_is_announced_by_one(tmp_path):
    arguments = [sys.executable, "-c", PROCESS, str(tmp_path / "alerts-1.json")]
    processes = [
        subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ)
        for _ in range(10)
    ]
    told = []
    try:
        for _ in range(2):
            for process in processes:
                while (line := process.stdout.readline()) != "ready\n":
                    told.append(line)
            for process in processes:
                process.stdin.write("\n")
                process.stdin.flush()
        for process in processes:
            rest, _ = process.communicate(timeout=120)
            told += rest.replace("end\n", "").splitlines(keepends=True)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert len(told) == 6
    assert sum("is over" in line for line in told) == 3
    assert len({line.split(":")[0] for line in told}) == 6
    assert AlertFile(tmp_path / "alerts-1.json").read().firing == {}


def test_looking_shows_what_a_check_would_announce_and_announces_nothing(simulation):
    world = simulation(SUCCESS)
    world.call(*[BAD] * 5)
    for _ in range(2):
        looked = world.monitor.look()
        assert looked.readings[0].firing.value == 0
        assert len(looked.changes) == 1
    assert not world.path.exists()
    assert len(world.told()) == 1
    assert world.monitor.look().changes == ()
