"""The answer to a row while it arrives, and the result it makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from chatcli.batching.results import BatchResult
from chatcli.core.errors import ChatcliError, EndpointError
from chatcli.core.events import Completion, Usage
from chatcli.core.messages import ReasoningPart

if TYPE_CHECKING:
    from chatcli.batching.row_requests import BatchRow
    from chatcli.core.request import ResponseFormat

_ASK_AGAIN: Final = "--retry-failed asks again"


@dataclass(slots=True)
class RowAnswer:
    """The answer to a row as far as received."""

    text: str = ""
    completion: Completion | None = None
    error: ChatcliError | None = None
    attempts: int = 1
    answers_before: int = 0
    is_retrying: bool = False
    held_by: str = ""

    def result(self, row: BatchRow, latency_s: float | None, *, cost_usd: float | None = None) -> BatchResult:
        """Return the result of ``row``; ``cost_usd`` replaces the cost of the answer if that has none."""
        end, error = self.completion, self.error or self._emptiness()
        if error is not None and "/continue" in (error.hint or ""):
            error = error.reworded(hint=_ASK_AGAIN)
        assert row.request is not None  # noqa: S101 - rows without one have an error
        data = None
        if error is None:
            try:
                data = self._data(row.request.response_format)
            except ChatcliError as mismatch:  # of the provider's batch API, where nothing is asked again
                error = mismatch
        if end is None:
            return BatchResult(
                row.id,
                row.index,
                self.text,
                error,
                latency_s=latency_s,
                attempts=self.attempts + self.answers_before,
                model=row.request.model,
                digest=row.digest,
                values=row.values,
            )
        return BatchResult(
            row.id,
            row.index,
            self.text,
            error,
            end.finish_reason,
            end.usage or Usage(),
            latency_s,
            self.attempts + end.answers - 1,
            cost_usd if end.cost_usd is None else end.cost_usd,
            end.model or row.request.model,
            end.cached,
            end.message.refusal,
            end.message.tool_calls,
            row.digest,
            row.values,
            data,
            end.sources,
        )

    def _data(self, wanted: ResponseFormat | None) -> Any:
        """Return the value of a whole answer; raise ``SchemaMismatch`` if it does not fit."""
        end = self.completion
        if wanted is None or end is None or end.finish_reason != "stop":
            return None
        if end.message.refusal is not None or end.message.tool_calls:
            return None
        return wanted.data_in(self.text)

    def _emptiness(self) -> EndpointError | None:
        """Return the error of an answer that came to its end with nothing in it."""
        end = self.completion
        if self.text or end is None or end.finish_reason == "length":
            return None
        if end.message.refusal or end.message.tool_calls:
            return None
        thought = any(isinstance(part, ReasoningPart) for part in end.message.parts)
        return EndpointError(
            "the model sent reasoning but no answer" if thought else "the model sent an empty answer",
            hint=_ASK_AGAIN,
            code="empty_answer",
        )
