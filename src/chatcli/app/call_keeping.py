"""Where the records of calls go, as the settings say."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from chatcli.app.threads import in_thread
from chatcli.config.paths import ensure_private_folder
from chatcli.core.errors import ConfigurationError
from chatcli.core.events import Notice

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AsyncExitStack

    from chatcli.app.run_context import ChatOptions, Notify, RunContext
    from chatcli.config.settings import Settings
    from chatcli.core.call_records import CallContent, CallRecord, CallRecorder
    from chatcli.telemetry.alert_watch import AlertWatch
    from chatcli.telemetry.call_store import CallStore
    from chatcli.telemetry.call_writer import CallKeeper, CallWriter
    from chatcli.telemetry.otel import OtelWriter

_DAY_S: Final = 86_400
_PATIENCE_S: Final = 1.0
_OTEL: Final = "otel"


def recorder_of(
    settings: Settings, options: ChatOptions, context: RunContext, stack: AsyncExitStack, notify: Notify
) -> CallRecorder | None:
    """Return what takes the records of calls until ``stack`` is closed, ``None`` if nothing does."""
    if options.dry:
        return None
    recorders: list[CallRecorder] = [*context.shared.call_observers]
    if settings.telemetry and settings.save and context.has_configuration:
        kept = _writer(settings, context)
        kept.open_until(stack)
        recorders.append(kept)
    if settings.otel and (exported := _exporter(settings, context, notify)) is not None:
        exported.open_until(stack)
        recorders.append(exported)
    return recorders[0] if len(recorders) == 1 else _Recorders(recorders) if recorders else None


class _Recorders:
    """Several recorders as one."""

    def __init__(self, recorders: Sequence[CallRecorder]) -> None:
        self._recorders = recorders

    def record(self, call: CallRecord, content: CallContent | None = None) -> None:
        for recorder in self._recorders:
            recorder.record(call, content)


def _writer(settings: Settings, context: RunContext) -> CallWriter:
    from chatcli.telemetry.call_writer import CallWriter  # noqa: PLC0415 - with the first request, as the client

    chosen = context.paths.data, settings.telemetry_days
    writers = context.shared.call_writers
    if chosen not in writers:
        store = partial(_kept_store, context, settings.telemetry_days)
        # Behind the store: what is watched is what is stored.
        watch = () if settings.alerts == () else (partial(_watch, settings, context),)
        writers[chosen] = CallWriter((store, *watch))
    return writers[chosen]


def _exporter(settings: Settings, context: RunContext, notify: Notify) -> OtelWriter | None:
    """Return what exports calls, ``None`` if the standard variables switch it off; what is wrong with them is a notice."""
    from chatcli.telemetry.otel import OtelExport, OtelSink, OtelWriter  # noqa: PLC0415 - few people use it

    # What is said in a conversation that is not kept is nobody's business.
    takes_content = settings.save
    exporters = context.shared.call_exporters
    if takes_content not in exporters:
        exporters[takes_content] = None
        try:
            export = OtelExport.asked_for(context.environment)
        except ConfigurationError as error:
            notify(Notice(_OTEL, f"OpenTelemetry is off: {error.message} ({error.hint})"))
            return None
        if export is None:
            return None
        loop = asyncio.get_running_loop()

        def report(reason: str) -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(notify, Notice(_OTEL, reason))

        exporters[takes_content] = OtelWriter(
            partial(OtelSink, export, report=report, redact=context.redactor.redact),
            takes_content=takes_content and export.takes_content,
        )
    return exporters[takes_content]


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
    # Whole days, so that only the first run of a day has any to delete.
    store.forget((time.time() // _DAY_S - days) * _DAY_S)
    return CallKeeper(store)
