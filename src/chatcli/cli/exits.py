"""From how a turn ended to an exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.core.events import TurnFinished
from chatcli.core.exit_codes import ExitCode

if TYPE_CHECKING:
    from chatcli.core.events import TurnEnd

_INCOMPLETE: Final = {"content_filter", "refusal", "tool_calls", "function_call"}


def exit_code(end: TurnEnd, *, length_was_chosen: bool) -> ExitCode:
    """Return the code; an answer that ran into a limit the person set themselves is complete."""
    result = end.result
    if result.error is not None:
        return result.error.exit_code
    is_cut = result.finish_reason in (_INCOMPLETE if length_was_chosen else _INCOMPLETE | {"length"})
    if isinstance(end, TurnFinished) and (is_cut or result.refusal is not None or result.tool_calls):
        return ExitCode.INCOMPLETE
    return ExitCode.DONE
