"""``/stats`` and ``/status``: how calls went, and how the endpoint does now."""

from __future__ import annotations

import time
from contextlib import closing

import pytest

from chatcli.app.run_alerts import ALERTS_FILE
from chatcli.app.statistics_report import NOT_KEPT
from chatcli.client.call_recording import name_of
from chatcli.core.alert_rules import DEFAULT_RULES
from chatcli.core.call_records import CallRecord
from chatcli.core.statistics import GROUPINGS
from chatcli.repl.commands import named
from chatcli.telemetry.alert_states import AlertFile
from chatcli.telemetry.alerts import AlertMonitor
from chatcli.telemetry.call_store import FILE_NAME, CallStore
from repl.test_repl_session import start_repl  # noqa: F401 - a fixture


@pytest.fixture
def repl(start_repl):  # noqa: F811
    """Return a function that starts a conversation in whose data folder there are two calls."""

    def start(**settings):
        there = start_repl(**settings)
        calls = [
            CallRecord(time.time() - passed_s, "e", model, latency_s=1.5, ttft_s=0.5, cost_usd=0.25)
            for model, passed_s in (("small", 600), ("large", 4_000))
        ]
        there.context.paths.data.mkdir(parents=True, exist_ok=True)
        with closing(CallStore(there.context.paths.data / FILE_NAME)) as store:
            store.append(calls)
        there.frontend.output.clear()
        return there

    return start


async def shown(repl, line):
    await repl.take(line)
    echoed, *output = repl.frontend.output
    assert echoed == f"> {line}"
    return "\n".join(output).split("\n")


async def test_it_shows_the_last_week_by_model(repl):
    lines = await shown(repl(), "/stats")
    assert lines[:4] == [
        "Calls in the last 7 days",
        "calls         2",
        "success rate  100%",
        "latency       p50 1.5 s · p95 1.5 s · p99 1.5 s",
    ]
    assert [line.split()[0] for line in lines if "$0.25" in line][:2] == ["large", "small"]


@pytest.mark.parametrize(
    ("line", "period", "heading"),
    [
        ("/stats 1h", "in the last hour", "model"),
        ("/stats by endpoint", "in the last 7 days", "endpoint"),
        ("/stats 24h by operation", "in the last 24 hours", "operation"),
        ("/stats by outcome 24h", "in the last 24 hours", "outcome"),
    ],
)
async def test_a_period_and_a_grouping_may_be_given(repl, line, period, heading):
    lines = await shown(repl(), line)
    assert lines[0] == f"Calls {period}"
    assert any(row.startswith(f"{heading} ") and "calls" in row for row in lines)


async def test_in_plain_mode_it_is_sentences(repl):
    lines = await shown(repl(plain=True), "/stats 1h")
    assert lines[0].startswith("Calls in the last hour: 1 call, 100% succeeded, half took up to 1.5 s")


async def test_without_calls_it_says_so(start_repl):  # noqa: F811
    assert (await shown(start_repl(), "/stats"))[-2:] == [
        "no calls in the last 7 days",
        "none has been measured yet: ask something first",
    ]


async def test_in_a_conversation_that_is_not_saved_it_says_that_its_calls_are_not_kept(start_repl, repl):  # noqa: F811
    assert (await shown(start_repl(save=False), "/stats"))[-2:] == ["no calls in the last 7 days", NOT_KEPT]
    lines = await shown(repl(save=False), "/stats")
    assert (lines[1], lines[-1]) == ("calls         2", NOT_KEPT)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/stats by weather", "statistics cannot be grouped by weather"),
        ("/stats by", "statistics cannot be grouped by nothing"),
        ("/stats soon", "'soon' is not a time"),
    ],
)
async def test_what_makes_no_sense_is_refused(repl, line, message):
    assert any(message in row for row in await shown(repl(), line))


async def test_its_words_are_completed(repl):
    offered = [choice.text for choice in await named("stats").choices(repl())]
    assert [text for text in offered if text.startswith("by ")] == [f"by {name}" for name in GROUPINGS]
    assert {"24h", "30d", "24h by endpoint", "30d by day"} <= set(offered)


class TestStatus:
    async def test_before_a_model_is_connected_there_is_nothing_to_show(self, start_repl):  # noqa: F811
        assert (await shown(start_repl(), "/status"))[-1] == "no model is connected yet: ask something first"

    async def test_it_shows_the_last_calls_of_the_endpoint_and_no_others(self, start_repl):  # noqa: F811
        repl = start_repl()
        await repl.take("Hello")
        endpoint = name_of(repl.chat.resolved.endpoint)
        repl.context.paths.data.mkdir(parents=True, exist_ok=True)
        with closing(CallStore(repl.context.paths.data / FILE_NAME)) as store:
            for where, outcome in ((endpoint, "ok"), ("elsewhere", "ok"), (endpoint, "rate_limited")):
                store.append([CallRecord(time.time(), where, "small", outcome=outcome, latency_s=1.5)])
        repl.frontend.output.clear()
        lines = await shown(repl, "/status")
        assert lines[0].split()[:2] == ["endpoint", endpoint]
        assert lines[1] == "last calls     1 of 3 succeeded · 1 rate_limited · 1 refused"

    async def test_it_shows_the_alerts_that_fire(self, start_repl):  # noqa: F811
        repl = start_repl()
        await repl.take("Hello")
        folder = repl.context.paths.data
        folder.mkdir(parents=True, exist_ok=True)
        repl.frontend.output.clear()
        assert "alerts      none" in await shown(repl, "/status")
        with closing(CallStore(folder / FILE_NAME)) as store:
            store.append([CallRecord(time.time(), "elsewhere", "m", outcome="server_failed")] * 9)
            assert AlertMonitor(DEFAULT_RULES, store, AlertFile(folder / ALERTS_FILE)).check().changes
        repl.frontend.output.clear()
        (line,) = [line for line in await shown(repl, "/status") if line.startswith("alert")]
        assert line.split(maxsplit=1)[1].startswith("success rate 0%, firing for ")

    async def test_it_takes_nothing(self, start_repl):  # noqa: F811
        assert any("/status takes nothing" in row for row in await shown(start_repl(), "/status now"))
