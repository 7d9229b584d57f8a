"""Extraction of facts from error bodies of any shape: tables of their locations."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from chatcli.client.error_kinds import (
    DAILY,
    DEEPEST,
    FLAGGED,
    MESSAGE_KEYS,
    MOST_ITEMS,
    OVERFLOW,
    OVERLOAD,
    QUOTA,
    RATE_LIMIT,
    REFUSAL,
    UNKNOWN_MODEL,
    WRONG_KEY,
    digits_of,
    http_status,
    parsed,
    place_of,
    plain_code,
    plausible_window,
    shortened,
    split_at_object,
    window_in,
    without_key,
    words_of,
    written,
)
from chatcli.client.stated_delays import span_in, stated_s
from chatcli.client.wire_messages import wire_text
from chatcli.core.frozen import frozen
from chatcli.core.json_values import objects_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from chatcli.client.error_kinds import ErrorKind

_TEXT_CHARACTERS: Final = 64 * 1024
"""How much of a text is read: its beginning, and its end, where waits are named."""
_MARGIN: Final = 4096
_CODE_CHARACTERS: Final = 200
_MOST_OBJECTS: Final = 100
_LONGEST_WAIT_S: Final = 1e9
_LOWEST_FAILURE: Final = 400

_ERROR_KEYS: Final = ("response", "error", "Error", "errors", "fault", "base_resp", "message", "detail")
"""Keys of the error object itself, whose codes precede those around it."""

_DETAIL_KEYS: Final = (
    "metadata",
    "raw",
    "details",
    "violations",
    "fieldViolations",
    "innererror",
    "inner_error",
    "headers",
)
"""Keys of further details: OpenRouter; Google, with its RetryInfo, QuotaFailure and BadRequest; Azure."""

_CODES: Final = (
    "code",  # OpenAI and most others
    "error_code",  # Baidu, Databricks
    "errorCode",
    "__type",  # AWS
    "reason",  # Google's ErrorInfo
    "status",  # Google; others repeat the HTTP status
    "error_type",  # Hugging Face
    "status_code",  # MiniMax
    "quotaId",  # Google's QuotaFailure
    "errorcode",  # Apigee
)
_NUMBERS: Final = ("code", "status", "status_code")
_PARAMETERS: Final = ("param", "parameter", "field")  # OpenAI; gateways; Google's BadRequest

_WAITS_S: Final = {
    "retryDelay": 1.0,  # Google's RetryInfo: "34s"
    "retry_after": 1.0,
    "retryAfter": 1.0,
    "retry_after_seconds": 1.0,
    "retry_after_ms": 0.001,
    "estimated_time": 1.0,  # Hugging Face, while a model is loaded
}
_RESET: Final = "X-RateLimit-Reset"  # OpenRouter: milliseconds since 1970, in the headers of its metadata
_COMPLAINTS: Final = ("message", "Message", "detail", "error_msg", "error_message")


@frozen
class ErrorDetails:
    """The facts of an error body, each empty if missing.

    ``message`` is for people: one line, shortened. ``text`` is all of it. ``code`` is the most specific code,
    ``codes`` all of them as ``plain_code`` gives them, ``type`` the class of errors, ``status`` the repeated
    HTTP status. ``parameter`` is the part of the request it names, ``window_tokens`` the window size it
    reports, ``provider`` the provider behind a gateway. ``wait_s`` is the delay it asks for in seconds,
    ``resets_at_s`` the time of a reset in seconds since 1970.
    """

    message: str = ""
    code: str = ""
    type: str = ""
    parameter: str = ""
    window_tokens: int | None = None
    provider: str = ""
    wait_s: float | None = None
    resets_at_s: float | None = None
    status: int | None = None
    text: str = field(default="", compare=False, repr=False)
    codes: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

    @property
    def is_wrong_key(self) -> bool:
        return self._is(WRONG_KEY)

    @property
    def is_quota(self) -> bool:
        return self._is(QUOTA)

    @property
    def is_overflow(self) -> bool:
        return self._is(OVERFLOW)

    @property
    def is_rate_limit(self) -> bool:
        return self._is(RATE_LIMIT)

    @property
    def is_used_up_for_today(self) -> bool:
        """Whether a daily limit is used up, which no wait it asks for ends.

        Google asks to wait some seconds nevertheless, Groq and OpenAI for the whole time.
        """
        has_time = self.wait_s is not None or self.resets_at_s is not None
        return any("perday" in code for code in self.codes) or (not has_time and self._is(DAILY))

    @property
    def is_overload(self) -> bool:
        return self._is(OVERLOAD)

    @property
    def is_flagged(self) -> bool:
        """Whether the content of the request was rejected."""
        return self._is(FLAGGED)

    @property
    def is_unknown_model(self) -> bool:
        return self._is(UNKNOWN_MODEL)

    @property
    def is_refusal(self) -> bool:
        return self._is(REFUSAL)

    def _is(self, kind: ErrorKind) -> bool:
        return kind.fits(self.codes, self.text)


def error_body(content: bytes) -> object:
    """Return ``content`` parsed as JSON, else as text."""
    text = content.decode("utf-8-sig", "replace")
    value = parsed(text)
    return text if value is None else value


def error_in(body: object, mark: str) -> object | None:
    """Return ``body`` if it contains an error despite status 200, else ``None``.

    That is a body with an error, or one with a message and without the ``mark`` of every answer, or one whose choice
    has an error (OpenRouter).
    """
    if isinstance(body, list):
        return next((one for one in body[:1] if isinstance(one, dict) and _has_error(one)), None)
    if not isinstance(body, dict):
        return None
    complains = body.get(mark) is None and any(isinstance(body.get(name), str | list) for name in _COMPLAINTS)
    if _has_error(body) or (complains and words_of(body)):
        return body
    errors = (choice.get("error") for choice in objects_in(body.get("choices")))
    return next(({"error": error} for error in errors if error and isinstance(error, str | dict)), None)


def error_details(body: object, *, key: str | None = None) -> ErrorDetails:
    """Return the facts in ``body``, the JSON or text of an error, without the ``key`` that a server may repeat.

    Never raises, whatever ``body`` is.
    """
    found = list(_objects(body))
    text = _clean(words_of(body) or _unread(body, found), key)
    waits = [*_waits_s(found), *filter(None, [stated_s(text)])]
    kind = _first_text(found, ("type",), key)
    numbers = [digits for one in found for name in _NUMBERS if (digits := digits_of(one.get(name)))]
    statuses = [status for number in numbers if (status := http_status(number) or 0) >= _LOWEST_FAILURE]
    windows = [tokens for one in found if (tokens := plausible_window(one.get("n_ctx")))]
    return ErrorDetails(
        shortened(text),
        _first_text(found, _CODES, key) or kind or _best_number(numbers),
        kind,
        _first_text(found, _PARAMETERS, key) or _clean(next(filter(None, map(place_of, found)), ""), key),
        next(iter(windows), None) or window_in(text),
        _first_text(found, ("provider_name",), key),
        max(waits, default=None),
        next(filter(None, map(_resets_at_s, found)), None),
        next(iter(statuses), None),
        text,
        frozenset(_plain_codes(found)),
    )


def _has_error(body: Mapping[str, Any]) -> bool:
    base = body.get("base_resp")
    return bool(
        body.get("error")
        or body.get("errors")
        or isinstance(body.get("fault"), dict)  # Apigee
        or "error" in (body.get("object"), body.get("type"))  # vLLM sends an error as an object of its own
        or (isinstance(base, dict) and base.get("status_code"))
    )


def _objects(body: object) -> Iterator[Mapping[str, Any]]:
    """Yield the objects that describe the error, the most specific first."""
    visits_left = _MOST_OBJECTS

    def walk(value: object, depth: int) -> Iterator[Mapping[str, Any]]:
        nonlocal visits_left
        if depth > DEEPEST or visits_left <= 0 or value is None:
            return
        visits_left -= 1
        if isinstance(value, str):
            yield from walk(split_at_object(value)[1], depth + 1)
        elif isinstance(value, list):
            for item in value[:MOST_ITEMS]:
                yield from walk(item, depth + 1)
        elif isinstance(value, dict):
            for name in _ERROR_KEYS:
                yield from walk(value.get(name), depth + 1)
            yield value
            for name in _DETAIL_KEYS:
                yield from walk(value.get(name), depth + 1)

    return walk(body, 0)


def _unread(body: object, found: Iterable[Mapping[str, Any]]) -> str:
    """Return a body without known keys unchanged, and known details that have no message."""
    known = {*_ERROR_KEYS, *_DETAIL_KEYS, *MESSAGE_KEYS, *_CODES, *_WAITS_S, "type", "provider_name", "n_ctx"}
    names = {name for one in found for name in one}
    inner = (
        one[name]
        for one in found
        for name in _ERROR_KEYS
        if (isinstance(one.get(name), dict) and one[name].keys() - known)
        or (isinstance(one.get(name), list) and name in {"message", "detail"})
    )
    unread = next(inner, None) if known & names else body
    return written(unread) if isinstance(unread, dict | list) and unread else ""


def _first_text(found: Iterable[Mapping[str, Any]], names: Iterable[str], key: str | None) -> str:
    """Return the first text under one of ``names``, the best first: neither a number nor an event type."""
    values = (one.get(name) for name in names for one in found)
    return next(
        (_code(value, key) for value in values if isinstance(value, str) and _is_significant(value)), ""
    )


def _best_number(numbers: Sequence[str]) -> str:
    """Return the first of ``numbers`` that is the provider's own and not an HTTP status, else the first."""
    return next((number for number in numbers if http_status(number) is None), next(iter(numbers), ""))


def _is_significant(text: str) -> bool:
    return bool(text.strip()) and text != "error" and not (text.isdigit() or text.startswith("response."))


def _code(text: str, key: str | None = None) -> str:
    """Return a code without the namespace that AWS puts before it."""
    return _clean(text.rpartition("#")[2], key)[:_CODE_CHARACTERS]


def _plain_codes(found: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for one in found:
        for name in (*_CODES, "type", "error"):
            value = one.get(name)
            if digits := digits_of(value):
                is_minimax = name == "status_code" and http_status(digits) is None
                yield plain_code(f"minimax-{digits}") if is_minimax else digits
            elif isinstance(value, str) and value.isprintable() and len(value) <= _CODE_CHARACTERS:
                yield plain_code(_code(value))


def _waits_s(found: Iterable[Mapping[str, Any]]) -> Iterator[float]:
    for one in found:
        for name, unit_s in _WAITS_S.items():
            value = one.get(name)
            wait = span_in(value) if isinstance(value, str) else value
            if isinstance(wait, int | float) and not isinstance(wait, bool) and 0 < wait < _LONGEST_WAIT_S:
                yield wait * unit_s


def _resets_at_s(error: Mapping[str, Any]) -> float | None:
    milliseconds = digits_of(error.get(_RESET))
    return int(milliseconds) / 1000 if milliseconds else None


def _clean(text: str, key: str | None) -> str:
    """Return ``text`` as one line of valid characters, without the key."""
    half = _TEXT_CHARACTERS // 2
    if len(text) <= 2 * half:
        return without_key(" ".join(wire_text(text).split()), key)
    # Cut after redaction: the remainder of a cut key is harder to find.
    start, end = (_clean(part, key) for part in (text[: half + _MARGIN], text[-half - _MARGIN :]))
    return f"{start[:half]} … {end[-half:]}"
