"""Reading the log: its lines, those that are asked for, and the ones that are added meanwhile."""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from chatcli.core.event_log import LEVELS
from chatcli.storage.private_files import open_regular
from chatcli.telemetry.log_file import log_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_READ_BYTES: Final = 1 << 20
_LONGEST_LINE_BYTES: Final = 1 << 22
_COMPARED_BYTES: Final = 1_000
_KEYS: Final = ("at", "level", "event", "call")


class LogLine(NamedTuple):
    """A line: when, at which level, which event, the id of its call, empty for none, and the other facts."""

    at: datetime
    level: str
    event: str
    call: str
    facts: Mapping[str, Any]


def read_line(content: bytes) -> LogLine | None:
    """Return the line in ``content``, ``None`` if that is damaged."""
    try:
        fields = json.loads(content)
        at = datetime.fromisoformat(fields["at"]).astimezone()
        level, event, call = (str(fields.get(name, "")) for name in _KEYS[1:])
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError, RecursionError):
        return None
    facts = {name: value for name, value in fields.items() if name not in _KEYS}
    return LogLine(at, level, event, call, facts) if level in LEVELS and event else None


class _ReadUpTo(NamedTuple):
    """Up to where a file was read: ``last`` are the bytes before that, ``begun`` is a line without its end."""

    at: int = 0
    last: bytes = b""
    begun: bytes = b""


class LogReader:
    """Reads the files of a log from the oldest to the newest, and what is added later, wherever it is moved meanwhile.

    The files are open only while they are read: Windows moves no file that is open. ``damaged`` counts lines that are no events.
    """

    def __init__(self, path: Path) -> None:
        self.damaged = 0
        self._path = path
        self._places: dict[tuple[int, int], _ReadUpTo] = {}
        """Of every file that was read, so that none is read twice when a newer one is removed."""

    def new_lines(self) -> Iterator[LogLine]:
        """Yield the lines since the last call; one that has no end yet comes with its end. Raise ``OSError``."""
        for file, identity in [(file, _identity(file)) for file in log_files(self._path)]:
            try:
                stream = open_regular(file)
            except FileNotFoundError:  # moved on just now: the next call finds it
                return
            with stream:
                status = os.fstat(stream.fileno())
                if (status.st_dev, status.st_ino) != identity:
                    return
                yield from self._lines_of(stream, identity)

    def end(self) -> None:
        """Count lines without their end as damaged: nothing is read after them."""
        self.damaged += sum(bool(place.begun) for place in self._places.values())
        self._places.clear()

    def _lines_of(self, stream: BinaryIO, identity: tuple[int, int]) -> Iterator[LogLine]:
        at, last, begun = place = self._places.get(identity, _ReadUpTo())
        stream.seek(at - len(last))
        if stream.read(len(last)) != last:
            # Somebody has emptied it, or it has the number of one that was removed.
            self.damaged += bool(place.begun)
            at, last, begun = self._places[identity] = _ReadUpTo()
            stream.seek(0)
        while chunk := stream.read(_READ_BYTES):
            *whole, begun = (begun + chunk).split(b"\n")
            if len(begun) > _LONGEST_LINE_BYTES:
                begun = b"\0"  # no line of ours is that long, and its end is damaged as well
            at, last = at + len(chunk), (last + chunk)[-_COMPARED_BYTES:]
            self._places[identity] = _ReadUpTo(at, last, begun)
            for content in filter(None, whole):
                if (line := read_line(content)) is None:
                    self.damaged += 1
                else:
                    yield line


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


class LogFilter:
    """The lines asked for: of ``least`` level and above, not before ``since``, and of one ``request`` if any.

    ``request`` is the id of a call, or what the provider calls one of its requests.
    """

    def __init__(
        self, *, least: str = "debug", since: datetime | None = None, request: str | None = None
    ) -> None:
        self._least = LEVELS[least]
        self._since = since
        self._request = request
        self._calls = {request}
        self._before: dict[str, str] = {}
        """The call that a call follows."""

    @property
    def is_of_request(self) -> bool:
        return self._request is not None

    def learn(self, line: LogLine) -> None:
        """Learn which call ``line`` says the request belongs to, and which one that follows."""
        if not line.call or self._request is None:
            return
        if isinstance(before := line.facts.get("follows"), str):
            self._before[line.call] = before
            if before in self._calls:
                self._calls.add(line.call)
        if line.facts.get("request_id") == self._request:
            self._calls.add(line.call)
        call = line.call
        while call in self._calls and (call := self._before.get(call, "")):
            if call in self._calls:
                break
            self._calls.add(call)

    def takes(self, line: LogLine) -> bool:
        if LEVELS[line.level] < self._least or (self._since is not None and line.at < self._since):
            return False
        return (
            self._request is None or line.call in self._calls or line.facts.get("request_id") == self._request
        )
