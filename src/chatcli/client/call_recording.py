"""The layer that measures calls: one record for each, with all its attempts, and beside it what was said."""

from __future__ import annotations

import secrets
import time
from asyncio import CancelledError
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from chatcli.core.call_records import ANSWER, CANCELLED, OK, CallContent, CallRecord, CallTrace
from chatcli.core.errors import BudgetReached, ChatcliError, EndpointError
from chatcli.core.event_log import DEBUG, ERROR, INFO, NO_LOG
from chatcli.core.events import Completion, Notice, ReasoningDelta, TextDelta
from chatcli.core.whole_answers import asker
from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from types import TracebackType

    from chatcli.client.endpoint import Endpoint
    from chatcli.core.call_records import OpenRecorder
    from chatcli.core.event_log import EventLog
    from chatcli.core.events import ModelEvent, Usage
    from chatcli.core.ports import ChatModel
    from chatcli.core.request import Request
    from chatcli.core.whole_answers import Emit

_INJECTION: Final = "injection"
"""The code of a notice about a text that seems to give orders."""

_CODE: Final = lazy_pattern(r"[A-Za-z0-9_.:-]{1,64}")

_FAILED_REASONS: Final = frozenset({"content_filter"})
"""Finish reasons of answers that nobody can use."""

_ERROR_STATUS: Final = 400


class Recording(NamedTuple):
    """Who takes the records of the calls of one endpoint, under which profile, and their events.

    ``clock`` counts seconds, ``now`` returns those since the epoch.
    """

    endpoint: Endpoint
    open_recorder: OpenRecorder = lambda: None
    profile: str = ""
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    log: EventLog = NO_LOG

    def hit(self, request: Request, model: str | None) -> None:
        """Record a request that a cache answered."""
        if (recorder := self.open_recorder()) is not None:
            name = model or request.model
            record = CallRecord(
                self.now(), name_of(self.endpoint), name, request.operation, OK, self.profile, 0
            )
            recorder.record(replace(record, cost_usd=0.0, is_cache_hit=True, requested_model=request.model))


class RecordedModel:
    """A ``ChatModel`` whose calls are recorded; ``operation`` is what its answers are for."""

    def __init__(self, inner: ChatModel, recording: Recording, operation: str = ANSWER) -> None:
        self._inner = inner
        self._recording = recording
        self._operation = operation

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        with RunningCall(request, self._recording, self._operation) as call:
            async with aclosing(self._inner.stream(call.request)) as events:
                async for event in events:
                    call.see(event)
                    yield event

    async def ask(self, request: Request, emit: Emit) -> None:
        """See ``core.whole_answers``."""
        with RunningCall(request, self._recording, self._operation) as call:

            def see(event: ModelEvent) -> None:
                call.see(event)
                emit(event)

            await asker(self._inner)(call.request, see)


def name_of(endpoint: Endpoint) -> str:
    """Return the name of ``endpoint`` in records: the embedded model has another port in each run."""
    return "embedded" if endpoint.embedded else endpoint.host


class RunningCall:
    """A call while it runs, and what it has come to; a context that records it at its end.

    It gives the call an id, and so does the error that ends it. A call that never reached for the endpoint, as it would have exceeded
    a budget, leaves no record.
    """

    def __init__(self, request: Request, recording: Recording, operation: str = ANSWER) -> None:
        self.trace = CallTrace(f"c-{secrets.token_hex(4)}", log=recording.log)
        named = operation if request.operation == ANSWER else request.operation
        self.request = replace(request, trace=self.trace, operation=named)
        self._recording = recording
        self._has_failed_at_endpoint = False
        self._cost_usd = 0.0 if recording.endpoint.embedded else None
        self._at_s = recording.now()
        self._began_s = recording.clock()
        self._ttft_s: float | None = None
        self._outcome = CANCELLED
        self._completion: Completion | None = None
        self._findings = 0

    def __enter__(self) -> Self:
        if self.trace.log.least <= INFO:
            request, recording = self.request, self._recording
            where, profile = name_of(recording.endpoint), recording.profile or None
            facts = {"endpoint": where, "operation": request.operation, "profile": profile}
            facts["follows"] = request.follows or None
            self.trace.note(INFO, "call_began", model=request.model, **facts)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self._fail(error)
        self._note_end(error)
        if self.trace.attempts or self._has_failed_at_endpoint:
            recorder = self._recording.open_recorder()
            if recorder is not None:
                reply = None if self._completion is None else self._completion.message
                recorder.record(self._record(), CallContent(self.request.messages, reply))
        if isinstance(error, EndpointError):
            raise error.of_call(self.trace.id, self.trace.request_id) from error

    def see(self, event: ModelEvent) -> None:
        match event:
            case TextDelta() | ReasoningDelta():
                if self._ttft_s is None:
                    self._ttft_s = self._recording.clock() - self._began_s
                    self.trace.note(DEBUG, "first_token", ttft_s=round(self._ttft_s, 3))
            case Completion(reason):
                self._outcome = reason if reason in _FAILED_REASONS else OK
                self._completion = event
            case Notice(code):
                self._findings += code == _INJECTION
                self.trace.note(INFO, "notice", code=code)
            case _:
                pass

    def _fail(self, error: BaseException) -> None:
        """Note how the call ended, unless it was complete already: a budget may have cut the answer after all."""
        if self._completion is not None:
            return
        if isinstance(error, EndpointError):
            self._has_failed_at_endpoint = True
            # A request that was answered by nothing but an error status is charged by nobody.
            is_answered = self._ttft_s is not None
            if not is_answered and (error.status or 0) >= _ERROR_STATUS:
                self._cost_usd = 0.0
        if isinstance(error, ChatcliError) and not isinstance(error, BudgetReached):
            self._outcome = error.code
        elif not isinstance(error, CancelledError | GeneratorExit | BudgetReached):
            self._outcome = "bug"

    def _note_end(self, error: BaseException | None) -> None:
        level = INFO if self._outcome in (OK, CANCELLED) else ERROR
        if level < self.trace.log.least:
            return
        record, failed = self._record(), error if isinstance(error, EndpointError) else None
        self.trace.note(
            level,
            "call_ended",
            outcome=record.outcome,
            status=failed and failed.status,
            provider_code=failed and _code(failed.provider_code),
            model=record.model,
            endpoint=record.endpoint,
            operation=record.operation,
            attempts=self.trace.attempts,
            latency_s=_milliseconds(record.latency_s),
            ttft_s=_milliseconds(record.ttft_s),
            retry_wait_s=_milliseconds(record.retry_wait_s) or None,
            limit_wait_s=_milliseconds(record.limit_wait_s) or None,
            input_tokens=record.input_tokens,
            cached_tokens=record.cached_tokens,
            output_tokens=record.output_tokens,
            cost_usd=record.cost_usd,
            sent_bytes=record.sent_bytes,
            received_bytes=record.received_bytes,
            findings=record.findings or None,
            finish_reason=_code(record.finish_reason),
            request_id=(failed and failed.request_id) or record.request_id,
        )

    def _record(self) -> CallRecord:
        done, trace, recording = self._completion, self.trace, self._recording
        usage: Usage | None = None if done is None else done.usage
        return CallRecord(
            self._at_s,
            name_of(recording.endpoint),
            (done and done.model) or self.request.model,
            self.request.operation,
            self._outcome,
            recording.profile,
            max(1, trace.attempts),
            trace.retry_wait_s,
            trace.limit_wait_s,
            self._ttft_s if trace.is_streamed else None,
            self._recording.clock() - self._began_s,
            None if usage is None else usage.input_tokens,
            None if usage is None else usage.cached_tokens,
            None if usage is None else usage.output_tokens,
            self._cost_usd if done is None else done.cost_usd,
            sent_bytes=trace.sent_bytes,
            received_bytes=trace.received_bytes,
            findings=self._findings,
            id=trace.id,
            finish_reason=None if done is None else done.finish_reason,
            request_id=trace.request_id,
            requested_model=self.request.model,
        )


def _milliseconds(time_s: float | None) -> float | None:
    """Return a time as exact as it is of interest."""
    return None if time_s is None else round(time_s, 3)


def _code(word: str | None) -> str | None:
    """Return a word that a provider has for an error or an end, ``None`` for what may be words about the request."""
    return word if word and _CODE.fullmatch(word) else None
