"""The one place where exceptions of openai and httpx2 become chatcli's."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx2
import openai

from chatcli.client.error_bodies import error_details, on_one_line, without_key
from chatcli.client.network_faults import not_reached, proxy_wants_a_password, timed_out
from chatcli.client.redirects import redirect_hint
from chatcli.client.retry_timing import retry_after_s, said_s, should_retry
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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatcli.client.endpoint import Endpoint
    from chatcli.client.error_bodies import ErrorDetails

_LONGEST_REQUEST_ID = 200
_HTTP_REDIRECTS = range(300, 400)
_HTTP_TRANSIENT = {408, 409, 425}
_HTTP_NEVER = {400, 401, 403, 404, 413, 422}
_HTTP_SERVER_ERRORS = range(500, 600)


@contextmanager
def translated(endpoint: Endpoint) -> Iterator[None]:
    """Raise chatcli's errors for the foreign ones of the body."""
    try:
        yield
    except openai.APIStatusError as error:
        raise status_error(endpoint, error.response, error.body) from error
    except (openai.APITimeoutError, httpx2.TimeoutException) as error:
        raise timed_out(endpoint, error) from error
    except (openai.APIConnectionError, httpx2.TransportError) as error:
        raise not_reached(endpoint, error) from error
    except UnicodeEncodeError as error:
        raise RequestRefused(
            f"{endpoint.host}: the request cannot be sent: {error.reason}",
            hint="the model's name or an option holds half a character",
        ) from error
    except httpx2.DecodingError as error:
        raise BadResponse(
            f"{endpoint.host}: sent {error}",
            hint="try again; if it stays, something on the way spoils what is sent",
        ) from error
    except (openai.OpenAIError, httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
        raise BadResponse(
            f"{endpoint.host}: {error}", hint="run again with --debug and report this"
        ) from error


def status_error(endpoint: Endpoint, response: httpx2.Response, body: object) -> EndpointError:
    """Return the error for a response with a status of 300 or more."""
    status = response.status_code
    if status == httpx2.codes.PROXY_AUTHENTICATION_REQUIRED:
        return proxy_wants_a_password(endpoint)
    details = error_details(body, key=endpoint.key)
    said = details.message or _said_in_plain_text(endpoint, response)
    reason = on_one_line(without_key(response.reason_phrase, endpoint.key))
    message = f"{endpoint.host}: {status} {reason}".rstrip() + (f": {said}" if said else "")
    kind, hint = _kind_of_status(endpoint, status, details)
    if status in _HTTP_REDIRECTS:
        hint = redirect_hint(response)
    error = kind(
        message,
        hint=hint,
        status=status,
        request_id=_request_id(response),
        retry_after_s=retry_after_s(response.headers, said),
        retryable=_is_retryable(kind, response),
        provider_code=details.code or None,
        parameter=details.parameter or None,
    )
    return _with_window(error, details)


def stream_error(endpoint: Endpoint, body: object, response: httpx2.Response | None = None) -> EndpointError:
    """Return the error for an error event inside ``response``, which began with status 200."""
    details = error_details(body, key=endpoint.key)
    kind, hint = _kind_of_event(details)
    error = kind(
        f"{endpoint.host}: {details.message or 'an error without a message'}",
        hint=hint,
        status=None if response is None else response.status_code,
        request_id=None if response is None else _request_id(response),
        retry_after_s=said_s(details.message),
        provider_code=details.code or None,
        parameter=details.parameter or None,
    )
    return _with_window(error, details)


def _with_window(error: EndpointError, details: ErrorDetails) -> EndpointError:
    if isinstance(error, ContextOverflow):
        error.window_tokens = details.window_tokens
    return error


_LATER_HINT = "wait a little and try again"
_QUOTA_HINT = "check the plan and billing of this account; waiting does not help"
_OVERFLOW_HINT = "set context_window to what the server really has, or lower --max-tokens"


def _request_id(response: httpx2.Response) -> str | None:
    """Return what the provider's support asks for: OpenAI and Anthropic; Azure."""
    headers = response.headers
    told = headers.get("x-request-id") or headers.get("request-id") or headers.get("apim-request-id")
    return told and str(told)[:_LONGEST_REQUEST_ID]


def _is_retryable(kind: type[EndpointError], response: httpx2.Response) -> bool | None:
    """Return whether the server's own word or the status makes it so; ``None`` leaves it to the kind of error."""
    if issubclass(kind, QuotaExceeded | ContextOverflow):
        return False
    asked = should_retry(response.headers)
    if asked is not None and response.status_code not in _HTTP_NEVER:
        return asked
    return True if response.status_code in _HTTP_TRANSIENT else None


def _kind_of_status(
    endpoint: Endpoint, status: int, details: ErrorDetails
) -> tuple[type[EndpointError], str]:
    if status == httpx2.codes.UNAUTHORIZED:
        return KeyRefused, _key_hint(endpoint)
    if details.is_quota or status == httpx2.codes.PAYMENT_REQUIRED:
        return QuotaExceeded, _QUOTA_HINT
    if status in _HTTP_SERVER_ERRORS:
        return ServerFailed, _LATER_HINT
    if details.is_overflow:
        return ContextOverflow, _OVERFLOW_HINT
    if status == httpx2.codes.TOO_MANY_REQUESTS:
        return RateLimited, _LATER_HINT
    return RequestRefused, _refusal_hint(status)


def _kind_of_event(details: ErrorDetails) -> tuple[type[EndpointError], str]:
    if details.is_quota:
        return QuotaExceeded, _QUOTA_HINT
    if details.is_overflow:
        return ContextOverflow, _OVERFLOW_HINT
    if details.is_rate_limit:
        return RateLimited, _LATER_HINT
    if details.is_overload:
        return ServerFailed, _LATER_HINT
    return BadResponse, "try again; if it stays, look the error up in the provider's documentation"


def _refusal_hint(status: int) -> str:
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
            return f"{reason}: chatcli config login keeps one"
        case (source,):
            return f"{reason}; {source} belongs to another endpoint and was not sent"
        case sources:
            return f"{reason}; {', '.join(sources)} belong to other endpoints and were not sent"


def _said_in_plain_text(endpoint: Endpoint, response: httpx2.Response) -> str:
    if not response.headers.get("content-type", "").startswith("text/plain"):
        return ""
    try:
        return on_one_line(without_key(response.text, endpoint.key))
    except httpx2.ResponseNotRead:
        return ""
