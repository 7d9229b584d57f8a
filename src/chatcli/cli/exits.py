"""From how a turn ended to an exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.core.events import TurnFinished
from chatcli.core.exit_codes import ExitCode

if TYPE_CHECKING:
    from chatcli.core.events import TurnEnd


def exit_code(end: TurnEnd, *, length_was_chosen: bool) -> ExitCode:
    """Return the code; an answer that ran into a limit the person set themselves is complete."""
    error = end.result.error
    if error is not None:
        return error.exit_code
    incomplete = {"content_filter"} if length_was_chosen else {"content_filter", "length"}
    if isinstance(end, TurnFinished) and end.result.finish_reason in incomplete:
        return ExitCode.INCOMPLETE
    return ExitCode.DONE
