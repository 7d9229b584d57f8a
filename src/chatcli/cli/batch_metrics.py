"""``chatcli batch --metrics-port``: the figures of a running batch, for Prometheus."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from chatcli.app.run_context import Shared
    from chatcli.batching.batch_run import BatchProgress
    from chatcli.telemetry.prometheus import CallCounters, MetricFamily

_HIGHEST_PORT: Final = 65_535


def add_metrics_option(group: Any) -> None:
    group.add_argument(
        "--metrics-port",
        metavar="PORT",
        help="serve metrics for Prometheus on this port of this machine while it runs; 0 takes a free one",
    )


class BatchMetrics:
    """Serves the figures of ``progress`` and those of its calls on a port, or nothing if ``port`` is not given.

    Raise ``UsageError`` for what is no port.
    """

    def __init__(self, port: str | None, progress: BatchProgress, shared: Shared) -> None:
        self._port = None if port is None else _port(port)
        self._progress = progress
        self._shared = shared

    @asynccontextmanager
    async def served(self, say: Callable[[str], None]) -> AsyncIterator[None]:
        """Serve them meanwhile, and ``say`` where. Raise ``LocalIOError`` if the port cannot be used."""
        if self._port is None:
            yield
            return
        from chatcli.telemetry.metrics_server import (  # noqa: PLC0415 - few batches serve them
            LOOPBACK,
            PATH,
            serving_metrics,
        )
        from chatcli.telemetry.prometheus import CallCounters  # noqa: PLC0415 - as above

        began_s, calls = time.time(), CallCounters()
        self._shared.call_observers.append(calls)
        async with serving_metrics(self._port, lambda: self._metrics(began_s, calls)) as port:
            say(f"metrics: http://{LOOPBACK}:{port}{PATH}")
            yield

    def _metrics(self, began_s: float, calls: CallCounters) -> Iterator[MetricFamily]:
        from chatcli.telemetry.prometheus import GAUGE, MetricFamily, Sample  # noqa: PLC0415 - as above

        progress = self._progress
        states = {
            "succeeded": progress.done - progress.failed,
            "failed": progress.failed,
            "in_flight": progress.in_flight - progress.held - progress.retrying,
            "retrying": progress.retrying,
            "held": progress.held,
            "earlier": progress.earlier,
        }
        if progress.total is not None:
            # What the provider's batch API answers is never started here.
            begun = max(progress.started, progress.done)
            states["waiting"] = max(0, progress.total - progress.earlier - begun)
        yield MetricFamily(
            "chatcli_batch_rows",
            GAUGE,
            "Rows of this run by their state; earlier ones were done by a run before.",
            [Sample((("state", state),), max(0, count)) for state, count in states.items()],
        )
        yield MetricFamily(
            "chatcli_batch_concurrency",
            GAUGE,
            "How many rows may be in flight.",
            [Sample((), progress.limit)],
        )
        yield MetricFamily(
            "chatcli_batch_start_time_seconds",
            GAUGE,
            "When the run began, in seconds since the epoch.",
            [Sample((), began_s)],
        )
        yield from calls.metrics()


def _port(given: str) -> int:
    if not (given.isascii() and given.isdecimal()) or int(given) > _HIGHEST_PORT:
        raise UsageError(
            f"--metrics-port must be a number from 0 to {_HIGHEST_PORT:,}, not {given!r}",
            hint="0 takes a free port, and says which",
        )
    return int(given)
