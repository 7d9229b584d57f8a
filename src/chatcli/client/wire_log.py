"""What ``--debug-http`` logs: requests and responses as they go over the wire, without what carries keys.

Keys that the run knows, and those of known shapes, are removed where the line is written. Here goes what is secret by its
name: headers, parameters of URLs and fields of bodies. A body is logged up to a size, that of a response as it comes.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final

import httpx2

from chatcli.core.event_log import DEBUG, current_call
from chatcli.text.key_shapes import names_key
from chatcli.text.redaction import MARK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from chatcli.core.event_log import EventLog

LARGEST_BODY_BYTES: Final = 256 * 1024
_PIECE_BYTES: Final = 4096
_PIECE_S: Final = 0.5
"""So much of a stream is logged together, in size or time."""

_SECRET_HEADER: Final = re.compile(
    r"auth|cookie|credential|passw|secret|signature|session|(?<![a-z])(?:key|token)(?![a-z])|apikey"
)
_PLAIN_PARAMETERS: Final = frozenset({"after", "api-version", "before", "limit", "order", "purpose"})
"""Of those of a URL; any other may be a key."""
_FIELD: Final = re.compile(r'"(?P<name>[^"\\]{1,60})"(?P<colon>\s{0,9}:\s{0,9})"(?P<value>(?:[^"\\]|\\.)*+)"')
_FIELD_IN_TEXT: Final = re.compile(
    r'\\"(?P<name>[^"\\]{1,60})\\"(?P<colon>\s{0,9}:\s{0,9})\\"(?P<value>(?:[^"\\]|\\\\(?:\\["\\]|[^"\\]))*+)\\"'
)
"""A field of JSON within a string of JSON, as of the arguments of a tool or an error that a gateway quotes."""
_LOCATION: Final = frozenset({"location", "content-location", "referer"})
"""Headers whose whole value is a URL, which may have no host."""
_URL: Final = re.compile(r"https?://[^\s\"'<>,;]+")


class WireLog:
    """Logs the HTTP of a run; its methods are hooks of the connection."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    async def on_request(self, request: httpx2.Request) -> None:
        # A body that is a file is not read again.
        content = request.content if isinstance(request.stream, httpx2.ByteStream) else b""
        self.sent(request.method, str(request.url), request.headers.multi_items(), content)

    async def on_response(self, response: httpx2.Response) -> None:
        self.answered(response.status_code, response.headers.multi_items())
        if isinstance(response.stream, httpx2.AsyncByteStream):
            response.stream = _Logged(response.stream, LoggedBody(self._log, "received"))

    def sent(self, method: str, url: str, headers: Iterable[tuple[str, str]], content: bytes) -> None:
        """Log a request."""
        facts = {"method": method, "url": shown_url(url), "headers": shown_headers(headers)}
        self._log.note(DEBUG, "http_request", current_call.get(), **facts)
        self.body("sent", content)

    def answered(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """Log the head of a response."""
        facts = {"status": status, "headers": shown_headers(headers)}
        self._log.note(DEBUG, "http_response", current_call.get(), **facts)

    def body(self, way: str, content: bytes) -> None:
        """Log a whole body, ``sent`` or ``received``."""
        body = LoggedBody(self._log, way)
        body.add(content)
        body.end()


class LoggedBody:
    """A body that is logged while it arrives: whole lines together, as a key may be cut by the end of a chunk."""

    def __init__(self, log: EventLog, way: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._way = way
        self._clock = clock
        self._call = current_call.get()
        self._held = b""
        self._room = LARGEST_BODY_BYTES
        self._left_out = 0
        self._noted_s = clock()

    def add(self, chunk: bytes) -> None:
        taken = chunk[: self._room]
        self._room -= len(taken)
        self._left_out += len(chunk) - len(taken)
        self._held += taken
        at = self._held.rfind(b"\n") + 1
        if at >= _PIECE_BYTES or (at and self._clock() - self._noted_s >= _PIECE_S):
            self._noted_s = self._clock()
            self._note(self._held[:at])
            self._held = self._held[at:]

    def end(self) -> None:
        held, self._held = self._held, b""
        if self._left_out:
            # The last word may be the beginning of a key.
            held = held[: max(held.rfind(mark) for mark in (b"\n", b" ", b",")) + 1]
        self._note(held, self._left_out or None)
        self._left_out = 0

    def _note(self, content: bytes, left_out: int | None = None) -> None:
        if content or left_out:
            text = shown_body(content.decode("utf-8", "replace"))
            self._log.note(DEBUG, "http_body", self._call, way=self._way, text=text, left_out_bytes=left_out)


class _Logged(httpx2.AsyncByteStream):
    """A body that is logged as it is read."""

    def __init__(self, stream: httpx2.AsyncByteStream, body: LoggedBody) -> None:
        self._stream = stream
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                self._body.add(chunk)
                yield chunk
        finally:
            self._body.end()

    async def aclose(self) -> None:
        self._body.end()
        await self._stream.aclose()


def shown_headers(headers: Iterable[tuple[str, str]] | Mapping[str, str]) -> list[str]:
    """Return headers as lines, without the values of those that carry keys."""
    pairs = headers.items() if hasattr(headers, "items") else headers
    return [f"{name}: {_shown_value(name.lower(), value)}" for name, value in pairs]


def _shown_value(name: str, value: str) -> str:
    if _SECRET_HEADER.search(name):
        return MARK
    if name in _LOCATION:
        return shown_url(value)
    return _URL.sub(lambda match: shown_url(match[0]), value)


def shown_url(url: str) -> str:
    """Return ``url`` without user and password, and without the values of parameters that may be a key."""
    address, mark, query = url.partition("?")
    scheme, slashes, rest = address.rpartition("://")
    host, slash, path = rest.partition("/")
    host = host.rpartition("@")[2]
    shown = []
    for parameter in query.partition("#")[0].split("&"):
        name, equals, value = parameter.partition("=")
        shown.append(f"{name}{equals}{value if name in _PLAIN_PARAMETERS or not equals else MARK}")
    return f"{scheme}{slashes}{host}{slash}{path}{mark}{'&'.join(shown)}"


def shown_body(text: str) -> str:
    """Return the JSON ``text``, whole or in part, without the values of fields for keys."""
    for field in (_FIELD, _FIELD_IN_TEXT) if '"' in text else ():
        text = field.sub(_without_key, text)
    return text


def _without_key(match: re.Match[str]) -> str:
    if not names_key(match["name"]):
        return match[0]
    start, end = (place - match.start() for place in match.span("value"))
    return f"{match[0][:start]}{MARK}{match[0][end:]}"
