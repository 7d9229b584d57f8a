"""The error tree, and the exit codes. Every error says what happened, then what to do.

::

    ChatcliError
    ├── UsageError              2  a flag or a value that cannot be
    │   └── InputTooLong        2  the question alone does not fit the window
    ├── ConfigurationError      3  no key, a bad file, an unknown setting
    ├── LocalIOError            8  a file that cannot be read or written
    ├── BudgetReached           9  the request would cost more than may be spent
    ├── NothingToExtract       10
    │   └── SchemaMismatch     10  the answer does not fit the schema
    ├── Cancelled             130  the person stopped the turn
    └── EndpointError              the model's endpoint, with its status and request id
        ├── KeyRefused          4  401, or words that say so
        ├── RequestRefused      5  400, 403, 404, 413, 422 and other 4xx
        │   ├── QuotaExceeded   5  billing: waiting does not help
        │   └── ContextOverflow 5  the endpoint says the prompt is too long
        ├── NetworkError        6  no connection, or it broke before an answer began
        │   └── TimedOut        6
        ├── RateLimited         6  429
        ├── ServerFailed        6  5xx, overload
        ├── BadResponse         6  something that is not an answer: HTML, broken JSON
        └── IncompleteAnswer    7  the stream ended without a finish reason
            └── AnswerTooLarge  7  the answer grew past ``largest_answer_mb``

A foreign exception is translated once, where it enters: ``client/openai_errors.py`` for the network.
"""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003 - found by whoever reads the annotations
from copy import copy
from enum import IntEnum
from typing import ClassVar, Final, Self


class ExitCode(IntEnum):
    """The exit codes scripts depend on; never renumbered."""

    DONE = 0
    BUG = 1
    USAGE = 2
    """Wrong usage, or an input refused as too long."""
    CONFIGURATION = 3
    """No key, a bad file."""
    KEY_REFUSED = 4
    PROVIDER_REFUSED = 5
    """400, 403, 404, 413, 422, quota, context overflow."""
    NETWORK = 6
    """Connection, time-out, 429 or 5xx after retries."""
    INCOMPLETE = 7
    """Cut off, filtered, refused, an unanswered tool call, or a ``length`` the person did not set.

    The partial answer is on stdout.
    """
    LOCAL_IO = 8
    BUDGET = 9
    NOTHING_TO_EXTRACT = 10
    ALERT = 11
    BATCH_ROWS_FAILED = 12
    DOCTOR = 13
    HANG_UP = 129
    INTERRUPTED = 130
    CLOSED_PIPE = 141
    TERMINATED = 143


_REFUSING_STATUSES: Final = frozenset({200, 400, 403, 413, 422})
"""Status 200 is included: some servers put a refusal into the body of a success."""
_FILTER_CODES: Final = frozenset(
    {"content_filter", "content_policy_violation", "data_inspection_failed", "responsibleaipolicyviolation"}
)
"""Codes of content filters: Azure and OpenAI, DashScope, and a second one of Azure."""
_PUNCTUATION: Final = " .!?:;,…。！？：；，、"


def clause(text: str) -> str:
    """Return ``text`` without final punctuation, for use in a longer line: ``is busy!`` before ``, retrying``."""
    return text.rstrip(_PUNCTUATION) or text


class ChatcliError(Exception):
    """An expected failure.

    ``code`` is stable and machine-readable, ``message`` says in one sentence what happened, ``hint`` what to
    do. ``partial`` is the text of the answer received before the failure.
    """

    code: str = "error"
    partial: str = ""
    exit_code: ClassVar[ExitCode] = ExitCode.BUG
    _texts: ClassVar[tuple[str, ...]] = ("message", "hint")

    def __init__(self, message: str, *, hint: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code

    @property
    def clause(self) -> str:
        """The message as a clause of a longer line."""
        return clause(self.message)

    @property
    def traceable(self) -> str:
        """The message, with the id of the call where there is one: for a line that no other one about the call follows."""
        return self.message

    def reworded(self, message: str | None = None, *, hint: str | None = None) -> Self:
        """Return a copy with another message, to be raised ``from`` this error: a raised error never changes."""
        other = copy(self)
        if message is not None:
            other.args, other.message = (message,), message
        if hint is not None:
            other.hint = hint
        return other

    def redacted(self, redact: Callable[[str], str]) -> Self:
        """Return the error itself if no text of it holds a key, else a copy without; the partial answer stays."""
        found = {name: value for name in self._texts if isinstance(value := getattr(self, name), str)}
        changed = {name: shown for name, value in found.items() if (shown := redact(value)) != value}
        if not changed:
            return self
        other = self.reworded(changed.get("message"))
        for name, shown in changed.items():
            setattr(other, name, shown)
        return other

    def with_partial(self, text: str) -> Self:
        """Return a copy of the error with the text received so far."""
        other = copy(self)
        other.partial = text
        return other


class UsageError(ChatcliError):
    code = "usage"
    exit_code = ExitCode.USAGE


class InputTooLong(UsageError):
    code = "input_too_long"


class ConfigurationError(ChatcliError):
    code = "configuration"
    exit_code = ExitCode.CONFIGURATION


class LocalIOError(ChatcliError):
    code = "local_io"
    exit_code = ExitCode.LOCAL_IO


class BudgetReached(ChatcliError):
    code = "budget_reached"
    exit_code = ExitCode.BUDGET


class NothingToExtract(ChatcliError):
    code = "nothing_to_extract"
    exit_code = ExitCode.NOTHING_TO_EXTRACT


class SchemaMismatch(NothingToExtract):
    code = "schema_mismatch"


class Cancelled(ChatcliError):
    """The person stopped the turn. The message is ``PARTIAL_KEPT`` if text was received, else ``NOTHING_YET``."""

    PARTIAL_KEPT: ClassVar = "stopped; the partial answer is kept (/continue)"
    NOTHING_YET: ClassVar = "stopped before the answer began"

    code = "cancelled"
    exit_code = ExitCode.INTERRUPTED


class EndpointError(ChatcliError):
    """A failure of the endpoint or of the connection to it.

    ``retryable``: the same request may succeed later; ``retry_after_s`` is the delay the server asked for.
    ``provider_code`` is the server's own code, ``provider_message`` its full message, ``parameter`` the part
    of the request it names. ``call_id`` is the id of the call in chatcli's logs, ``request_id`` the provider's.
    """

    code = "endpoint"
    exit_code = ExitCode.NETWORK
    _texts = ("message", "hint", "request_id", "provider_code", "parameter", "provider_message")
    retryable: bool = False
    call_id: str = ""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        code: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
        retryable: bool | None = None,
        provider_code: str | None = None,
        parameter: str | None = None,
        provider_message: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.status = status
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        self.provider_code = provider_code
        self.parameter = parameter
        self.provider_message = provider_message
        if retryable is not None:
            self.retryable = retryable

    @property
    def traceable(self) -> str:
        return f"{self.clause} (call {self.call_id})" if self.call_id else self.message

    def of_call(self, call_id: str, request_id: str | None = None) -> Self:
        """Return a copy of the error with the id of its call, and the provider's where it has none."""
        other = copy(self)
        other.call_id = call_id
        other.request_id = self.request_id or request_id
        return other

    @property
    def refuses_question(self) -> bool:
        """Whether the endpoint refuses the question itself, so that every later request with it would fail."""
        return (self.provider_code or "").lower() in _FILTER_CODES


class KeyRefused(EndpointError):
    code = "key_refused"
    exit_code = ExitCode.KEY_REFUSED


class RequestRefused(EndpointError):
    """``is_about_model``: the endpoint has no model of this name, and another may take the question."""

    code = "request_refused"
    exit_code = ExitCode.PROVIDER_REFUSED
    is_about_model: bool = False

    @property
    def refuses_question(self) -> bool:
        if self.is_about_model:
            return False
        return self.status in _REFUSING_STATUSES or super().refuses_question


class QuotaExceeded(RequestRefused):
    code = "quota_exceeded"

    @property
    def refuses_question(self) -> bool:
        return False


class ContextOverflow(RequestRefused):
    """The prompt exceeds the window.

    ``window_tokens`` is the size the endpoint reports, ``None`` if it reports none.
    """

    code = "context_overflow"
    window_tokens: int | None = None

    @property
    def refuses_question(self) -> bool:
        return True


class NetworkError(EndpointError):
    code = "network"
    retryable = True


class TimedOut(NetworkError):
    code = "timed_out"


class RateLimited(EndpointError):
    code = "rate_limited"
    retryable = True


class ServerFailed(EndpointError):
    code = "server_failed"
    retryable = True


class BadResponse(EndpointError):
    code = "bad_response"


class IncompleteAnswer(EndpointError):
    code = "incomplete_answer"
    exit_code = ExitCode.INCOMPLETE


class AnswerTooLarge(IncompleteAnswer):
    code = "answer_too_large"
