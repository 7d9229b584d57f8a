"""The figures of a running batch, as Prometheus is given them."""

import asyncio
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from chatcli.app.run_context import Shared
from chatcli.batching.batch_run import BatchProgress
from chatcli.cli.batch_metrics import BatchMetrics
from chatcli.core.call_records import CallRecord
from chatcli.core.errors import UsageError


async def rows_of(progress, calls=()):
    """Return the rows by state, and the number of calls, that a running batch serves."""
    shared, said = Shared(), []
    async with BatchMetrics("0", progress, shared).served(said.append):
        for call in calls:
            for observer in shared.call_observers:
                observer.record(call)
        (address,) = said
        text = await asyncio.to_thread(lambda: urlopen(address.removeprefix("metrics: ")).read().decode())
    families = {family.name: family.samples for family in text_string_to_metric_families(text)}
    rows = {sample.labels["state"]: sample.value for sample in families["chatcli_batch_rows"]}
    return rows, sum(sample.value for sample in families.get("chatcli_calls", ()))


async def test_every_row_is_in_one_state():
    progress = BatchProgress(
        total=100, earlier=10, started=40, done=25, failed=5, in_flight=15, retrying=2, held=3
    )
    rows, _ = await rows_of(progress)
    assert rows == {
        "succeeded": 20,
        "failed": 5,
        "in_flight": 10,
        "retrying": 2,
        "held": 3,
        "earlier": 10,
        "waiting": 50,
    }
    assert sum(rows.values()) == progress.total


async def test_rows_that_the_provider_has_answered_do_not_wait():
    rows, _ = await rows_of(BatchProgress(total=10, done=4))
    assert (rows["succeeded"], rows["waiting"]) == (4, 6)


async def test_rows_of_a_pipe_are_not_known_to_wait():
    rows, _ = await rows_of(BatchProgress(started=4, in_flight=4))
    assert (rows["in_flight"], "waiting" in rows) == (4, False)


async def test_its_calls_are_counted():
    _, calls = await rows_of(BatchProgress(), [CallRecord(1.0, "localhost:1", "m", "batch")] * 3)
    assert calls == 3


async def test_without_a_port_nothing_is_served_and_no_call_observed():
    shared = Shared()
    async with BatchMetrics(None, BatchProgress(), shared).served(pytest.fail):
        assert shared.call_observers == []


@pytest.mark.parametrize("port", ["", "-1", "http", "65536", "8_0", "٣"])
def test_what_is_no_port_is_refused(port):
    with pytest.raises(UsageError, match="--metrics-port must be a number from 0 to 65,535"):
        BatchMetrics(port, BatchProgress(), Shared())
