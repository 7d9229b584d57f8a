"""What a server says about an error, whichever shape it chose, and which kind of error that is."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_MESSAGE_CHARACTERS: Final = 300
_SHORTEST_KEY: Final = 12
"""What a local server takes for a key, like its own name, is no secret but a word."""

_PAGE: Final = re.compile(
    r"<(?:!doctype|html|head|title|body|center|h[1-6]|div|p|span|pre|br|hr|a|img|table|ul|ol|script|style|meta|link)"
    r"\b.*|<\?xml.*",
    re.IGNORECASE | re.DOTALL,
)

_QUOTA_CODES: Final = {
    "account_deactivated",
    "billing_error",
    "billing_hard_limit_reached",
    "billing_not_active",
    "credit_balance_too_low",
    "insufficient_balance",
    "insufficient_quota",
}
_OVERFLOW_CODES: Final = {"context_length_exceeded", "exceed_context_size_error", "string_above_max_length"}
_OVERFLOW_WORDS: Final = re.compile(
    r"maximum context length|context (?:length|window|size)|prompt is too long|too many (?:input )?tokens"
    # A single request above the tokens a minute: OpenAI says it with 429, Groq with 413; no wait helps.
    r"|request too large for",
    re.IGNORECASE,
)
_RATE_CODES: Final = {"rate_limit_exceeded", "rate_limit_error", "too_many_requests", "resource_exhausted"}
_OVERLOAD_CODES: Final = {
    "api_error",
    "engine_overloaded",
    "internal_server_error",
    "overloaded",
    "overloaded_error",
    "server_error",
    "service_unavailable",
    "timeout",
    "unavailable",
}
_OVERLOAD_STATUS: Final = re.compile(r"408|409|5\d\d")


# OpenAI and vLLM: "maximum context length is 8192 tokens"; llama.cpp: "available context size (4096 tokens)"; Mistral:
# "32768 maximum context length"; Anthropic: "210000 tokens > 200000 maximum"; Gemini: "maximum number of tokens allowed
# (1048576)".
_WINDOW: Final = re.compile(
    r"context (?:length|size|window)(?: is| of)?(?: only)?[ :=(]*(?P<of>\d[\d,]*)"
    r"|(?P<before>\d[\d,]*) maximum context length|> (?P<above>\d[\d,]*) maximum"
    r"|maximum number of tokens allowed \((?P<allowed>\d[\d,]*)\)",
    re.IGNORECASE,
)
_SMALLEST_WINDOW, _LARGEST_WINDOW = 64, 100_000_000


@dataclass(frozen=True, slots=True)
class ErrorDetails:
    """The parts of an error body that are of use, each empty where the body lacks it.

    ``code`` is the most telling of the body's words for the error, ``type`` its class of errors, ``parameter`` what
    in the request it names, ``window_tokens`` how large it says the model's window is.
    """

    message: str = ""
    code: str = ""
    type: str = ""
    parameter: str = ""
    window_tokens: int | None = None

    @property
    def is_quota(self) -> bool:
        return not _QUOTA_CODES.isdisjoint(self._words)

    @property
    def is_overflow(self) -> bool:
        return not _OVERFLOW_CODES.isdisjoint(self._words) or bool(_OVERFLOW_WORDS.search(self.message))

    @property
    def is_rate_limit(self) -> bool:
        return not _RATE_CODES.isdisjoint(self._words) or self.code == "429"

    @property
    def is_overload(self) -> bool:
        return not _OVERLOAD_CODES.isdisjoint(self._words) or bool(_OVERLOAD_STATUS.fullmatch(self.code))

    @property
    def _words(self) -> tuple[str, str]:
        return self.code.lower(), self.type.lower()


def error_details(body: object, *, key: str | None = None) -> ErrorDetails:
    """Return what ``body``, the JSON of an error, says, without the ``key`` that a server repeats.

    Known shapes: ``{"error": {"message", "code", "type", "param"}}`` (OpenAI), the inner object alone (as the openai
    package hands it on), ``{"error": "text"}`` (Ollama), ``{"detail": …}`` (FastAPI), a list of one (Gemini), and
    ``{"response": {"error": …}}`` (an event of the Responses API).
    """
    if isinstance(body, list) and body:
        body = body[0]
    if isinstance(body, dict) and isinstance(response := body.get("response"), dict):
        body = response
    inner: Any = body.get("error") or body if isinstance(body, dict) else body
    if isinstance(inner, str):
        inner = {"message": "" if "\0" in inner else inner}  # bytes of something else are no words
    if not isinstance(inner, dict):
        return ErrorDetails()
    message = inner.get("message") or inner.get("detail") or ""
    text = without_key(message if isinstance(message, str) else _as_json(message), key)
    # Gemini and OpenRouter repeat the HTTP status as the code and have a better word elsewhere.
    code, kind = (str(inner.get(name) or "") for name in ("code", "type"))
    known = code if not code.isdigit() else str(inner.get("status") or "")
    parameter = inner.get("param")
    return ErrorDetails(
        on_one_line(text),
        known or kind or code,
        kind,
        parameter if isinstance(parameter, str) else "",
        _window_tokens(inner.get("n_ctx"), text),
    )


def _window_tokens(told: object, message: str) -> int | None:
    """Return the size of a window: llama.cpp's own field, or what the words say of one."""
    if type(told) is not int:
        match = _WINDOW.search(message)
        digits = next(filter(None, match.groups()), "") if match else ""
        told = int(digits[:12].replace(",", "")) if digits else 0
    return told if _SMALLEST_WINDOW <= told <= _LARGEST_WINDOW else None


def _as_json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:  # what could just be read may be too deep to be written
        return ""


def only_complains(value: Mapping[str, Any], mark: str) -> bool:
    """Tell whether ``value`` lacks the ``mark`` of every answer and has words instead: a ``message``, FastAPI's ``detail``."""
    return mark not in value and bool(value.get("detail") or isinstance(value.get("message"), str))


def without_key(text: str, key: str | None) -> str:
    """Return ``text``, which may go into a bug report, with a mark in the place of the key."""
    return text.replace(key, "[the key]") if key and len(key) >= _SHORTEST_KEY else text


def on_one_line(text: str) -> str:
    """Return ``text`` on one line, shortened, up to where a proxy's page begins."""
    line = " ".join(_PAGE.sub("", text).strip("\ufeff").split())
    return line if len(line) <= _MESSAGE_CHARACTERS else line[: _MESSAGE_CHARACTERS - 1] + "…"
