"""Telling of alerts beside the output of a run that shows no toolbar."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from chatcli.cli.standard_streams import ClosedPipe
from chatcli.core.errors import LocalIOError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from chatcli.app.run_context import RunContext
    from chatcli.cli.standard_streams import Terminal


def tell_alerts(
    context: RunContext,
    terminal: Terminal,
    options: Namespace,
    *,
    say: Callable[[str], object] | None = None,
) -> None:
    """Write a line to stderr for each alert that began or is over since it was last told, or ``say`` it, and ring its bell."""
    changes = context.shared.alerts.take() if context.shared.has_alerts else ()
    if not changes or options.quiet:
        return
    from chatcli.app.alerting import sequence_of  # noqa: PLC0415 - most runs cross nothing
    from chatcli.telemetry.alerts import message  # noqa: PLC0415 - as above

    for change in changes:
        if change.rule.is_shown:
            (say or terminal.warn)(message(change))
        if terminal.stderr.is_terminal and not terminal.is_dumb:
            with suppress(ClosedPipe, LocalIOError):
                terminal.stderr.write(sequence_of(change, context))


def tell_last_alerts(
    context: RunContext,
    terminal: Terminal,
    options: Namespace,
    *,
    say: Callable[[str], object] | None = None,
) -> None:
    """Have the rules checked a last time, tell what has changed, and wait for what is done about it."""
    if not context.shared.has_alerts:
        return
    context.shared.alerts.check_last()
    tell_alerts(context, terminal, options, say=say)
    context.shared.alerts.finish()
