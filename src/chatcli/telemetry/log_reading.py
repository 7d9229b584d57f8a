"""Reading the log: its lines, those that are asked for, and the ones that are added meanwhile."""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chatcli.core.event_log import LEVELS
from chatcli.storage.private_files import open_regular
from chatcli.telemetry.log_file import log_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_READ_BYTES: Final = 1 << 20
_LONGEST_LINE_BYTES: Final = 1 << 22
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


class LogReader:
    """Reads the files of a log from the oldest to the newest, and what is added later, wherever it is moved meanwhile.

    The files are open only while they are read: Windows moves no file that is open. ``damaged`` counts lines that are no events.
    """

    def __init__(self, path: Path) -> None:
        self.damaged = 0
        self._path = path
        self._file: tuple[int, int] | None = None
        self._at = 0
        self._begun = b""

    def new_lines(self) -> Iterator[LogLine]:
        """Yield the lines since the last call; one that has no end yet comes with its end. Raise ``OSError``."""
        files = [(file, _identity(file)) for file in log_files(self._path)]
        identities = [identity for _, identity in files]
        if self._file in identities:
            files = files[identities.index(self._file) :]
        for file, identity in files:
            if identity != self._file:
                self._begin(identity)
            yield from self._lines_of(file, identity)

    def end(self) -> None:
        """Count a last line without its end as damaged: nothing is read after it."""
        self._begin(None)

    def _begin(self, identity: tuple[int, int] | None) -> None:
        self.damaged += bool(self._begun)
        self._file, self._at, self._begun = identity, 0, b""

    def _lines_of(self, file: Path, identity: tuple[int, int] | None) -> Iterator[LogLine]:
        try:
            stream = open_regular(file)
        except FileNotFoundError:  # moved on just now: the next call finds it
            return
        with stream:
            status = os.fstat(stream.fileno())
            if (status.st_dev, status.st_ino) != identity:
                return
            if status.st_size < self._at:  # somebody has emptied it
                self._begin(identity)
            stream.seek(self._at)
            while chunk := stream.read(_READ_BYTES):
                self._at += len(chunk)
                *whole, self._begun = (self._begun + chunk).split(b"\n")
                if len(self._begun) > _LONGEST_LINE_BYTES:
                    self._begun = b"\0"  # no line of ours is that long, and its end is damaged as well
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

    def learn(self, line: LogLine) -> None:
        """Learn which call ``line`` says the request belongs to."""
        if line.call and self._request is not None and line.facts.get("request_id") == self._request:
            self._calls.add(line.call)

    def takes(self, line: LogLine) -> bool:
        if LEVELS[line.level] < self._least or (self._since is not None and line.at < self._since):
            return False
        return (
            self._request is None or line.call in self._calls or line.facts.get("request_id") == self._request
        )
