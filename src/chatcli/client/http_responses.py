"""Responses of HTTP/1.1, read from bytes however these are cut into pieces. Nothing here waits for a network.

RFC 9112: https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import httpx2

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_ERROR: Final = 300
ERROR_BYTES: Final = 1024 * 1024

_HEAD_BYTES: Final = 128 * 1024
_LINE_BYTES: Final = 64 * 1024
_MOST_INTERIM: Final = 20
_FIRST_FINAL: Final = 200
_EMPTY_STATUSES: Final = {204, 304}
_SWITCHES_PROTOCOLS: Final = 101
_MOST_DIGITS: Final = 20
_END_OF_LINE: Final = b"\r\n"
_BLANK_LINES: Final = (b"\n\r\n", b"\n\n")
"""What ends a head: some servers end their lines with a newline alone."""
_BEGINNING: Final = b"HTTP/"
_HEAD: Final = re.compile(
    r"HTTP/(\d\.\d) ([1-9]\d\d)(?: ([^\0\r\n]*+))?+"
    r"((?:\r?\n[-!#$%&'*+.^_`|~0-9A-Za-z]++:[^\0\r\n]*+(?:\r?\n[ \t][^\0\r\n]*+)*+)*+)\r?",
    re.ASCII,
)
_FOLD: Final = re.compile(r"\r?\n[ \t]+")
"""A line of a head that continues the one before."""


class BodyTooLong(Exception):
    """A body passed its limit."""


class ResponseParser:
    """Reads one response, whose body has at most ``most_bytes``, or those of an error.

    ``feed`` and ``end`` raise ``httpx2.RemoteProtocolError`` for anything that is no response, and ``BodyTooLong``.
    ``headers`` have lower-case names, the values of a repeated one joined by commas. ``words`` counts the pieces of the body
    that are more than blanks: with those, servers keep a connection alive. ``is_reusable``: another request may follow on
    the connection, unless there is a ``rest`` of bytes that nobody asked for.
    """

    def __init__(self, most_bytes: int) -> None:
        self.status_code = 0
        self.reason = ""
        self.headers: dict[str, str] = {}
        self.words = 0
        self.is_over = False
        self.is_reusable = True
        self._most_bytes = most_bytes
        self._interim = 0
        self._left = 0
        self._total = 0
        self._body: bytes | bytearray = b""
        self._data = b""
        self._at = 0
        # A step takes bytes from the data, and returns whether another one may continue.
        self._step: Callable[[], bool] = self._head

    @property
    def is_error(self) -> bool:
        return self.status_code >= FIRST_ERROR

    @property
    def has_begun(self) -> bool:
        """Whether any of the response was received."""
        return bool(self.status_code or self._data or self._interim)

    @property
    def rest(self) -> bytes:
        return self._data[self._at :]

    @property
    def body(self) -> bytes:
        return bytes(self._body)

    def feed(self, data: bytes) -> None:
        """Take what was received."""
        self._data = self.rest + data if self._at < len(self._data) else data
        self._at = 0
        while not self.is_over and self._step():
            pass

    def end(self) -> bool:
        """Take the end of the connection; return whether the response is whole."""
        self.is_over = self.is_over or self._step == self._until_end
        return self.is_over

    def _head(self) -> bool:
        data, at = self._data, self._at
        if not data.startswith(_BEGINNING, at) and not _BEGINNING.startswith(data[at : at + len(_BEGINNING)]):
            raise httpx2.RemoteProtocolError("illegal status line")
        blank_line, other = _BLANK_LINES
        end = data.find(blank_line, at)
        # The first of the two counts: the rest is the body.
        if (sooner := data.find(other, at, len(data) if end < 0 else end + 1)) >= 0:
            end, blank_line = sooner, other
        if (len(data) if end < 0 else end) - at > _HEAD_BYTES:
            raise httpx2.RemoteProtocolError("the headers are too long")
        if end < 0:
            return False
        self._at = end + len(blank_line)
        status, reason, headers, is_old = _read_head(data[at:end])
        if status < _FIRST_FINAL:  # another head follows
            self._interim += 1
            if status == _SWITCHES_PROTOCOLS or self._interim == _MOST_INTERIM:
                raise httpx2.RemoteProtocolError("no final response")
            return True
        self.reason = reason
        self.status_code, self.headers = status, headers
        if self.is_error:
            self._most_bytes = ERROR_BYTES
        options = headers.get("connection", "").lower()
        self.is_reusable = "close" not in options and (not is_old or "keep-alive" in options)
        self._begin_body()
        return True

    def _begin_body(self) -> None:
        headers = self.headers
        if self.status_code in _EMPTY_STATUSES:
            self.is_over = True
        elif (coding := headers.get("transfer-encoding")) is not None:
            if coding.lower() != "chunked":
                raise httpx2.RemoteProtocolError(f"unknown transfer-encoding {coding[:40]}")
            # With a length as well, the two ends of a connection may see different responses (RFC 9112, 6.1).
            self.is_reusable = self.is_reusable and "content-length" not in headers
            self._step = self._chunk_size
        elif (length := headers.get("content-length")) is None:
            self.is_reusable = False
            self._step = self._until_end
        else:
            self._step = self._exactly
            self._left = self._counted(_length(length))
            self.is_over = not self._left

    def _counted(self, more: int) -> int:
        self._total += more
        if self._total > self._most_bytes:
            raise BodyTooLong
        return more

    def _keep(self, most: int) -> int:
        """Keep so much of the data as part of the body, or what there is; return its length."""
        piece = self._data[self._at : self._at + most]
        if piece:
            self._at += len(piece)
            if not self._body:
                self._body = piece
            else:
                # A list of pieces as short as a server can make them takes thirty times the memory.
                if isinstance(self._body, bytes):
                    self._body = bytearray(self._body)
                self._body += piece
            self.words += not piece.isspace()
        return len(piece)

    def _exactly(self) -> bool:
        self._left -= self._keep(self._left)
        self.is_over = not self._left
        return False

    def _until_end(self) -> bool:
        self._counted(self._keep(len(self._data)))
        return False

    def _line(self) -> bytes | None:
        """Take a line without its end, ``None`` if it is not there yet."""
        end = self._data.find(b"\n", self._at)
        if end < 0:
            if len(self._data) - self._at > _LINE_BYTES:
                raise httpx2.RemoteProtocolError("an invalid chunk")
            return None
        line, self._at = self._data[self._at : end], end + 1
        return line.strip()

    def _chunk_size(self) -> bool:
        line = self._line()
        if line is None:
            return False
        digits = line.partition(b";")[0].strip()
        if not 0 < len(digits) <= _MOST_DIGITS or digits.strip(b"0123456789abcdefABCDEF"):
            raise httpx2.RemoteProtocolError("an invalid chunk")
        self._left = self._counted(int(digits, 16))
        self._step = self._chunk if self._left else self._trailer
        return True

    def _chunk(self) -> bool:
        self._left -= self._keep(self._left)
        if not self._left:
            self._step = self._end_of_chunk
        return not self._left

    def _end_of_chunk(self) -> bool:
        end = self._data[self._at : self._at + len(_END_OF_LINE)]
        if not _END_OF_LINE.startswith(end):
            raise httpx2.RemoteProtocolError("an invalid chunk")
        if end != _END_OF_LINE:
            return False
        self._at += len(_END_OF_LINE)
        self._step = self._chunk_size
        return True

    def _trailer(self) -> bool:
        line = self._line()
        self.is_over = line == b""
        return line is not None


def _read_head(head: bytes) -> tuple[int, str, dict[str, str], bool]:
    """Return status, reason and headers, and whether it is older than HTTP/1.1; raise ``RemoteProtocolError`` for anything else."""
    match = _HEAD.fullmatch(head.decode("latin-1"))
    if match is None:
        raise httpx2.RemoteProtocolError("illegal status or header line")
    version, status, reason, fields = match.groups()
    if "\n " in fields or "\n\t" in fields:
        fields = _FOLD.sub(" ", fields)
    headers: dict[str, str] = {}
    for line in fields.split("\n")[1:]:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return int(status), reason or "", headers, version < "1.1"


def _length(text: str) -> int:
    """Return the length of a body, given once or several times the same; raise ``RemoteProtocolError`` for anything else."""
    length, *others = {part.strip() for part in text.split(",")}
    if others or not length.isdecimal() or len(length) > _MOST_DIGITS:
        raise httpx2.RemoteProtocolError(f"invalid content-length {text[:40]}")
    return int(length)
