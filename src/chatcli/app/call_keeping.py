"""Where the records of calls go, as the settings say."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Final

from chatcli.app.threads import in_thread
from chatcli.config.paths import ensure_private_folder

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from chatcli.app.run_context import ChatOptions, RunContext
    from chatcli.config.settings import Settings
    from chatcli.core.call_records import CallRecorder
    from chatcli.telemetry.alert_watch import AlertWatch
    from chatcli.telemetry.call_store import CallStore
    from chatcli.telemetry.call_writer import CallKeeper

_DAY_S: Final = 86_400
_PATIENCE_S: Final = 1.0


def recorder_of(
    settings: Settings, options: ChatOptions, context: RunContext, stack: AsyncExitStack
) -> CallRecorder | None:
    """Return what takes the records of calls until ``stack`` is closed, ``None`` if nothing is to be kept of them."""
    if not (settings.telemetry and settings.save and context.has_configuration) or options.dry:
        return None
    from chatcli.telemetry.call_writer import CallWriter  # noqa: PLC0415 - with the first request, as the client

    chosen = context.paths.data, settings.telemetry_days
    writer = context.shared.call_writers.get(chosen)
    if writer is None:
        store = partial(_kept_store, context, settings.telemetry_days)
        # Behind the store: what is watched is what is stored.
        watch = () if settings.alerts == () else (partial(_watch, settings, context),)
        writer = CallWriter((store, *watch))
        context.shared.call_writers[chosen] = writer
    writer.open_until(stack)
    return writer


async def written_records(context: RunContext) -> None:
    """Wait until the records of this run so far are written, but not for long."""
    for thread in [writer.end() for writer in context.shared.call_writers.values()]:
        if thread is not None:
            await in_thread(partial(thread.join, _PATIENCE_S))


def open_call_store(context: RunContext) -> CallStore:
    """Return the store of calls. Raise a ``ChatcliError`` if it cannot be used."""
    from chatcli.telemetry.call_store import FILE_NAME, CallStore  # noqa: PLC0415 - most runs need it in a thread only

    return CallStore(ensure_private_folder(context.paths.data) / FILE_NAME)


def _watch(settings: Settings, context: RunContext) -> AlertWatch:
    from chatcli.app.alerting import watch_alerts  # noqa: PLC0415 - in the thread that writes

    return watch_alerts(settings, context)


def _kept_store(context: RunContext, days: int) -> CallKeeper:
    from chatcli.telemetry.call_writer import CallKeeper  # noqa: PLC0415 - in the thread that writes

    store = open_call_store(context)
    store.forget(time.time() - days * _DAY_S)
    return CallKeeper(store)
