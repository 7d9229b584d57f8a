"""The one place where exceptions of openai and httpx2 become chatcli's."""

from __future__ import annotations

import math
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urljoin, urlsplit

import httpx2
import openai

from chatcli.client.answer_bytes import BLANK
from chatcli.client.error_bodies import error_body, error_details
from chatcli.client.error_kinds import on_one_line, without_key
from chatcli.client.network_faults import not_reached, proxy_auth_required, timed_out
from chatcli.client.stated_delays import retry_after_s, should_retry, until_s
from chatcli.core.errors import (
    BadResponse,
    ContextOverflow,
    EndpointError,
    KeyRefused,
    QuotaExceeded,
    RateLimited,
    RequestRefused,
    ServerFailed,
)
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.times import in_hours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from chatcli.client.endpoint import Endpoint
    from chatcli.client.error_bodies import ErrorDetails

UNWRITABLE: Final = (ValueError, TypeError, RecursionError)
"""What comes of values that JSON cannot hold: rows, options and programs may give any."""

_LONGEST_REQUEST_ID = 200
_REDIRECT_RULE = "redirects are not followed, with or without a key: set base_url to the final address"
_LONGEST_ADDRESS = 200
_SHORTEST_REPORTED_S = 2
_HTTP_REDIRECTS = range(300, 400)
_HTTP_TRANSIENT = {408, 409, 425}
_HTTP_NEVER = {400, 401, 403, 404, 413, 422}
_HTTP_SERVER_ERRORS = range(500, 600)


FOREIGN_ERRORS: Final = (
    openai.OpenAIError,
    httpx2.HTTPError,
    httpx2.InvalidURL,
    httpx2.StreamError,
    UnicodeEncodeError,
)
"""Exceptions of openai and httpx2 while a request is sent and its response read."""


@contextmanager
def translated(endpoint: Endpoint) -> Iterator[None]:
    """Convert foreign errors of the body into chatcli's."""
    try:
        yield
    except FOREIGN_ERRORS as error:
        raise as_chatcli_error(endpoint, error) from error


def as_chatcli_error(endpoint: Endpoint, error: Exception) -> EndpointError:
    """Return chatcli's error for one of ``FOREIGN_ERRORS``."""
    match error:
        case openai.APIStatusError():
            return status_error(endpoint, error.response)
        case openai.APITimeoutError() | httpx2.TimeoutException():
            return timed_out(endpoint, error)
        case openai.APIConnectionError() | httpx2.TransportError():
            return not_reached(endpoint, error)
        case UnicodeEncodeError():
            return unsendable(endpoint, error)
        case httpx2.DecodingError():
            return BadResponse(
                f"{endpoint.host}: sent {error}",
                hint="try again; if it persists, something on the way corrupts the data",
            )
        case _:
            return BadResponse(f"{endpoint.host}: {error}", hint="run again with --debug and report this")


def unsendable(endpoint: Endpoint, error: Exception) -> RequestRefused:
    """Return the error for a request that could not be written as JSON."""
    if isinstance(error, UnicodeEncodeError):
        reason, hint = error.reason, "the model's name or an option contains an unpaired surrogate"
    else:
        reason, hint = str(error), "a parameter or an option has a value that JSON does not know, such as NaN"
    return RequestRefused(f"{endpoint.host}: the request cannot be sent: {reason}", hint=hint)


def status_error(endpoint: Endpoint, response: httpx2.Response) -> EndpointError:
    """Return the error for a response with a status of 300 or more."""
    status = response.status_code
    if status == httpx2.codes.PROXY_AUTHENTICATION_REQUIRED:
        return proxy_auth_required(endpoint)
    details = error_details(_body(response), key=endpoint.key)
    reason = on_one_line(without_key(response.reason_phrase, endpoint.key))
    suffix = f": {details.message}" if details.message and details.message != reason else ""
    kind, hint = _kind(endpoint, status, details)
    if status in _HTTP_REDIRECTS:
        hint = _redirect_hint(response)
    message = f"{endpoint.host}: {status} {reason}".rstrip() + suffix
    error = kind(message, hint=hint, retryable=_is_retryable(kind, response))
    return _with_details(error, details, response, endpoint.key)


class ResponseHead(Protocol):
    """What came before the body of a response. ``headers`` are found by their names in lower case."""

    @property
    def status_code(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...


def content_type(response: ResponseHead) -> str:
    return str(response.headers.get("content-type", ""))


def not_an_answer(endpoint: Endpoint, response: ResponseHead, content: bytes) -> BadResponse:
    """Return the error for a success whose body is no answer of a model."""
    kind = content_type(response).partition(";")[0]
    empty = not content.strip(BLANK)
    what = "an empty response" if empty else (kind or "an unknown kind of response")
    is_text = kind.startswith("text/")
    reported = error_details(error_body(content), key=endpoint.key).message if is_text else ""
    return BadResponse(
        f"{endpoint.host}: answered with {what} instead of a completion{reported and f': {reported}'}",
        hint="check base_url: it often ends in /v1",
        status=response.status_code,
        # A failing proxy sends an empty body with status 200; a wrong address keeps sending its page.
        retryable=empty,
    )


def stream_error(endpoint: Endpoint, body: object, response: ResponseHead | None = None) -> EndpointError:
    """Return the error inside the body of ``response``, or inside one of its events, despite status 200."""
    details = error_details(body, key=endpoint.key)
    kind, hint = _kind(endpoint, details.status, details)
    message = f"{endpoint.host}: {details.message or details.code or 'an error without a message'}"
    return _with_details(kind(message, hint=hint), details, response, endpoint.key)


def _with_details(
    error: EndpointError, details: ErrorDetails, response: ResponseHead | None, key: str | None
) -> EndpointError:
    """Return ``error`` with the facts of its body and of the headers."""
    if response is not None:
        error.status, error.request_id = response.status_code, request_id_of(response, key)
    error.retry_after_s = _wait_s(details, {} if response is None else response.headers)
    error.provider_code, error.parameter = details.code or None, details.parameter or None
    error.provider_message = details.text or None
    if isinstance(error, RateLimited) and details.is_used_up_for_today:
        error.retryable = False
    # The person's local time.
    if error.retryable and (hint := wait_hint(error.retry_after_s, datetime.now())) is not None:  # noqa: DTZ005
        error.hint = hint
    if isinstance(error, ContextOverflow):
        error.window_tokens = details.window_tokens
    if isinstance(error, RequestRefused):
        error.is_about_model = details.is_unknown_model
    return error


def _wait_s(details: ErrorDetails, headers: Mapping[str, str]) -> float | None:
    """Return the delay from the headers, else from the body; a header without a time is ignored."""
    stated_s = retry_after_s(headers)
    if stated_s:
        return stated_s
    if details.wait_s is not None:
        return details.wait_s
    return stated_s if details.resets_at_s is None else until_s(details.resets_at_s, headers)


def _body(response: httpx2.Response) -> object:
    # The package passes on only the value of "error", even if that is null.
    try:
        return error_body(response.content)
    except httpx2.ResponseNotRead:
        return None


_LATER_HINT = "wait a little and try again"


def request_id_of(response: ResponseHead, key: str | None) -> str | None:
    """Return the id that the provider's support asks for: OpenAI and Anthropic; Azure."""
    headers = response.headers
    request_id = headers.get("x-request-id") or headers.get("request-id") or headers.get("apim-request-id")
    return request_id and without_key(str(request_id), key)[:_LONGEST_REQUEST_ID]


def _is_retryable(kind: type[EndpointError], response: httpx2.Response) -> bool | None:
    """Return whether the server's own statement or the status makes a retry useful.

    ``None`` leaves it to the kind.
    """
    if issubclass(kind, QuotaExceeded | ContextOverflow | KeyRefused):
        return False
    stated = should_retry(response.headers)
    if stated is not None and response.status_code not in _HTTP_NEVER:
        return stated
    return True if response.status_code in _HTTP_TRANSIENT else None


def _kind(endpoint: Endpoint, status: int | None, details: ErrorDetails) -> tuple[type[EndpointError], str]:
    """Return the kind of an error and its hint; ``status`` is ``None`` for an error known only by its message."""
    kind, hint = next((kind, hint) for fits, kind, hint in _KINDS if fits(status, details))
    if kind is KeyRefused:
        return kind, _key_hint(endpoint, details)
    return kind, hint or _refusal_hint(status)


def _redirect_hint(response: httpx2.Response) -> str:
    """Return the hint with a redirect's target, without user name, password and query."""
    try:
        target = urlsplit(urljoin(str(response.request.url), response.headers.get("location", "")))
        port = "" if target.port is None else f":{target.port}"
    except ValueError:
        return _REDIRECT_RULE
    if not response.headers.get("location") or not target.hostname:
        return _REDIRECT_RULE
    address = sanitize_line(f"{target.scheme}://{target.hostname}{port}{target.path}")[:_LONGEST_ADDRESS]
    return f"{_REDIRECT_RULE} (it points to {address})"


def _is_rate_limit(status: int | None, details: ErrorDetails) -> bool:
    return status == httpx2.codes.TOO_MANY_REQUESTS or details.is_rate_limit


_KINDS: Final[tuple[tuple[Callable[[int | None, ErrorDetails], bool], type[EndpointError], str], ...]] = (
    (lambda status, details: status == httpx2.codes.UNAUTHORIZED or details.is_wrong_key, KeyRefused, ""),
    (
        lambda status, details: status == httpx2.codes.PAYMENT_REQUIRED or details.is_quota,
        QuotaExceeded,
        "check the plan and billing of this account; waiting does not help",
    ),
    (lambda status, _: status in _HTTP_SERVER_ERRORS, ServerFailed, _LATER_HINT),
    (
        lambda _, details: details.is_flagged,
        RequestRefused,
        "the question was flagged for what it says: ask in other words, or another model",
    ),
    (
        lambda _, details: details.is_overflow,
        ContextOverflow,
        "set context_window to the real size, or lower --max-tokens",
    ),
    (
        lambda status, details: _is_rate_limit(status, details) and details.is_used_up_for_today,
        RateLimited,
        "today's limit of this account for this model is used up: try another model, or wait until tomorrow",
    ),
    (_is_rate_limit, RateLimited, _LATER_HINT),
    (
        # A 404 may as well come from another address.
        lambda status, details: details.is_unknown_model and status != httpx2.codes.NOT_FOUND,
        RequestRefused,
        "check the model's name: chatcli models lists those of this endpoint",
    ),
    (lambda status, details: status is None and details.is_overload, ServerFailed, _LATER_HINT),
    (
        lambda status, details: status is None and not details.is_refusal,
        BadResponse,
        "try again; if it persists, look the error up in the provider's documentation",
    ),
    (lambda _status, _details: True, RequestRefused, ""),
)
"""Kinds of errors and their hints: the first row that matches."""


def _refusal_hint(status: int | None) -> str:
    if status == httpx2.codes.NOT_FOUND:
        return "check the model's name (chatcli models) and base_url, which often ends in /v1"
    if status == httpx2.codes.FORBIDDEN:
        return "this key may not use this model or endpoint"
    if status in _HTTP_TRANSIENT:
        return _LATER_HINT
    return "change the request; sending it again will not help"


def _key_hint(endpoint: Endpoint, details: ErrorDetails) -> str:
    if details.provider and details.status != httpx2.codes.UNAUTHORIZED:
        return f"{endpoint.host} uses its own key for {details.provider}: correct it in its settings"
    if endpoint.key is not None:
        return f"the key set for {endpoint.host} is wrong or expired; set a new one"
    reason = f"no key is set for {endpoint.host}"
    match endpoint.withheld:
        case ():
            return f"{reason}: chatcli config login stores one"
        case (source,):
            return f"{reason}; {source} belongs to another endpoint and was not sent"
        case sources:
            return f"{reason}; {', '.join(sources)} belong to other endpoints and were not sent"


def wait_hint(requested_s: float | None, now: datetime) -> str | None:
    """Return the time until which a server asks to wait, ``now`` being local time; ``None`` for a very short wait."""
    if requested_s is None or requested_s < _SHORTEST_REPORTED_S:
        return None
    return (
        f"the server asks to wait {in_hours(requested_s)}: try again after {_time_of_day(now, requested_s)}"
    )


def _time_of_day(now: datetime, wait_s: float) -> str:
    try:
        then = now + timedelta(seconds=math.ceil(wait_s))
    except OverflowError:
        return "a very long time"
    return f"{then:%H:%M:%S}" if then.date() == now.date() else f"{then:%Y-%m-%d %H:%M}"
