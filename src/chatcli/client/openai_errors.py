"""The one place where exceptions of openai and httpx2 become chatcli's."""

from __future__ import annotations

import json
import math
import re
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx2
import openai

from chatcli.core.errors import (
    BadResponse,
    ContextOverflow,
    EndpointError,
    KeyRefused,
    NetworkError,
    QuotaExceeded,
    RateLimited,
    RequestRefused,
    ServerFailed,
    TimedOut,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chatcli.client.endpoint import Endpoint

_MESSAGE_CHARACTERS = 300
_PAGE = re.compile(
    r"<(?:!doctype|html|head|title|body|center|h1|div|p)\b.*|<\?xml.*", re.IGNORECASE | re.DOTALL
)

_QUOTA_CODES = {
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "account_deactivated",
}
_OVERFLOW_CODES = {"context_length_exceeded", "exceed_context_size_error"}
_OVERFLOW_WORDS = re.compile(
    r"maximum context length|context (?:length|window|size)|prompt is too long|too many (?:input )?tokens",
    re.IGNORECASE,
)
_RATE_CODES = {"rate_limit_exceeded", "rate_limit_error", "too_many_requests"}
_OVERLOAD_CODES = {
    "overloaded_error",
    "overloaded",
    "server_error",
    "service_unavailable",
    "engine_overloaded",
}

_ERROR_NUMBER = re.compile(r"^\[Errno -?\d+\] ")

_HTTP_REDIRECTS = range(300, 400)
_HTTP_TRANSIENT = {408, 409}
_HTTP_SERVER_ERRORS = range(500, 600)


@contextmanager
def translated(endpoint: Endpoint) -> Iterator[None]:
    """Raise chatcli's errors for the foreign ones of the body."""
    try:
        yield
    except openai.APIStatusError as error:
        raise status_error(endpoint, error.response, error.body) from error
    except (openai.APITimeoutError, httpx2.TimeoutException) as error:
        raise _timed_out(endpoint, error) from error
    except (openai.APIConnectionError, httpx2.TransportError) as error:
        raise _not_reached(endpoint, error) from error
    except UnicodeEncodeError as error:
        raise RequestRefused(
            f"{endpoint.host}: the request cannot be sent: {error.reason}",
            hint="the model's name or an option holds half a character",
        ) from error
    except (openai.OpenAIError, httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
        raise BadResponse(
            f"{endpoint.host}: {error}", hint="run again with --debug and report this"
        ) from error


def status_error(endpoint: Endpoint, response: httpx2.Response, body: object) -> EndpointError:
    """Return the error for a response with a status of 300 or more."""
    status = response.status_code
    details = error_details(body)
    said = details.get("message") or _said_in_plain_text(response)
    message = f"{endpoint.host}: {status} {response.reason_phrase}".rstrip() + (f": {said}" if said else "")
    kind, hint = _kind_of_status(endpoint, status, details)
    return kind(
        message,
        hint=hint,
        status=status,
        request_id=response.headers.get("x-request-id"),
        retry_after_s=retry_after_s(response.headers),
        retryable=True if status in _HTTP_TRANSIENT else None,
    )


def stream_error(endpoint: Endpoint, body: object) -> EndpointError:
    """Return the error for an error event inside a stream that began with status 200."""
    details = error_details(body)
    code = details["code"]
    message = f"{endpoint.host}: {details.get('message') or 'an error without a message'}"
    if code in _QUOTA_CODES:
        return QuotaExceeded(message, hint=_QUOTA_HINT)
    if code in _OVERFLOW_CODES or _OVERFLOW_WORDS.search(message):
        return ContextOverflow(message, hint=_OVERFLOW_HINT)
    if code in _RATE_CODES or code == "429":
        return RateLimited(message, hint=_LATER_HINT)
    if code in _OVERLOAD_CODES or code.startswith("5"):
        return ServerFailed(message, hint=_LATER_HINT)
    return BadResponse(message, hint="try again; -v shows more")


def error_details(body: object) -> dict[str, str]:
    """Return ``message``, ``code`` and ``type`` of an error body, whichever of the common shapes it has.

    Known shapes: ``{"error": {"message", "code", "type"}}`` (OpenAI), the inner object alone (as the openai
    package hands it on), ``{"error": "text"}`` (Ollama), ``{"detail": …}`` (FastAPI), and a list of one (Gemini).
    """
    if isinstance(body, list) and body:
        body = body[0]
    inner: Any = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(inner, str):
        inner = {"message": inner}
    if not isinstance(inner, dict):
        return {"message": "", "code": "", "type": ""}
    message = inner.get("message") or inner.get("detail") or ""
    text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
    code, kind = (str(inner.get(name) or "") for name in ("code", "type"))
    known = code if not code.isdigit() else ""
    return {"message": _shortened(text), "code": known or kind or code, "type": kind}


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return how long the server asks to wait, in seconds; a date is read against the server's own clock."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return max(0.0, milliseconds / 1000)
    asked = headers.get("retry-after")
    if (seconds := _number(asked)) is not None:
        return max(0.0, seconds)
    until = _date(asked)
    if until is None:
        return None
    return max(0.0, (until - (_date(headers.get("date")) or datetime.now(UTC))).total_seconds())


_LATER_HINT = "wait a little and try again"
_QUOTA_HINT = "check the plan and billing of this account; waiting does not help"
_OVERFLOW_HINT = "set context_window to what the server really has, or lower --max-tokens"


def _kind_of_status(
    endpoint: Endpoint, status: int, details: Mapping[str, str]
) -> tuple[type[EndpointError], str]:
    code = details["code"]
    if status == httpx2.codes.UNAUTHORIZED:
        return KeyRefused, _key_hint(endpoint)
    if code in _QUOTA_CODES or details["type"] in _QUOTA_CODES or status == httpx2.codes.PAYMENT_REQUIRED:
        return QuotaExceeded, _QUOTA_HINT
    if status == httpx2.codes.TOO_MANY_REQUESTS:
        return RateLimited, _LATER_HINT
    if status in _HTTP_SERVER_ERRORS:
        return ServerFailed, _LATER_HINT
    if code in _OVERFLOW_CODES or _OVERFLOW_WORDS.search(details["message"]):
        return ContextOverflow, _OVERFLOW_HINT
    return RequestRefused, _refusal_hint(status)


def _refusal_hint(status: int) -> str:
    if status in _HTTP_REDIRECTS:
        return "redirects are not followed, with or without a key: set base_url to the final address"
    if status == httpx2.codes.NOT_FOUND:
        return (
            "check the model's name (chatcli models) and that base_url ends as the server wants it, often /v1"
        )
    if status == httpx2.codes.FORBIDDEN:
        return "this key may not use this model or endpoint"
    return "change the request; the same one will be refused again"


def _key_hint(endpoint: Endpoint) -> str:
    if endpoint.key is not None:
        return f"the key set for {endpoint.host} is wrong or expired: set another one"
    reason = f"no key is set for {endpoint.host}"
    match endpoint.withheld:
        case ():
            return reason
        case (source,):
            return f"{reason}; {source} belongs to another endpoint and was not sent"
        case sources:
            return f"{reason}; {', '.join(sources)} belong to other endpoints and were not sent"


def _timed_out(endpoint: Endpoint, error: Exception) -> TimedOut:
    cause = error.__cause__ if isinstance(error, openai.APITimeoutError) else error
    if isinstance(cause, httpx2.ConnectTimeout):
        return TimedOut(
            f"{endpoint.host}: no connection within {endpoint.connect_timeout_s:g} s",
            hint="check the address, the network and the proxy",
        )
    return TimedOut(
        f"{endpoint.host}: no answer within {endpoint.timeout_s:g} s",
        hint="try again, or allow more with --timeout",
    )


def _not_reached(endpoint: Endpoint, error: Exception) -> NetworkError:
    causes = list(_causes(error))
    reason = next((str(cause) for cause in reversed(causes) if str(cause)), type(error).__name__)
    reason = _ERROR_NUMBER.sub("", reason)
    certificate = "certificate" in reason.lower()
    return NetworkError(
        f"{endpoint.host}: {_shortened(reason)}",
        hint="check SSL_CERT_FILE and the proxy in use"
        if certificate
        else "check that the server runs and the network",
        retryable=not certificate,
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _said_in_plain_text(response: httpx2.Response) -> str:
    if not response.headers.get("content-type", "").startswith("text/plain"):
        return ""
    try:
        return _shortened(response.text)
    except httpx2.ResponseNotRead:
        return ""


def _shortened(text: str) -> str:
    """Return ``text`` on one line, up to where a proxy's page begins."""
    line = " ".join(_PAGE.sub("", text).strip("\ufeff").split())
    return line if len(line) <= _MESSAGE_CHARACTERS else line[: _MESSAGE_CHARACTERS - 1] + "…"


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _date(text: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    return date if date is None or date.tzinfo else date.replace(tzinfo=UTC)
