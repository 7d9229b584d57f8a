"""Which alerts are firing, and those that fired before: a small file beside the calls, shared by all processes.

A change is made while a lock is held, so that of several processes that see a crossing one announces it. The file is
replaced whole; a damaged one counts as empty, so that at worst an alert is announced again.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chatcli.core.frozen import mutable
from chatcli.core.json_values import as_object, as_text, objects_in, optional_count, optional_number
from chatcli.storage.file_lock import lock
from chatcli.storage.private_files import open_for_append, read_regular, replace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MOST_BYTES: Final = 1_000_000
_MOST_KEPT: Final = 200
_PATIENCE_S: Final = 1.0
_LATEST_S: Final = 250_000_000_000
"""In the year 9892: dates end with the year 9999."""


class Firing(NamedTuple):
    """An alert that fires since ``since_s``, in seconds since the epoch; ``value`` is the one that crossed the threshold."""

    since_s: float
    value: float


class AlertEvent(NamedTuple):
    """An alert that began to fire, or was over, at ``at_s``.

    ``value`` is that of its metric over ``calls``, ``None`` if it is over because there were too few calls to tell.
    """

    at_s: float
    rule: str
    metric: str
    is_firing: bool
    value: float | None
    calls: int


@mutable
class AlertStates:
    """The alerts that fire, by the keys of their rules, and past events, oldest first."""

    firing: dict[str, Firing] = field(default_factory=dict)
    events: list[AlertEvent] = field(default_factory=list)

    def note(self, key: str, event: AlertEvent) -> None:
        """Take over what has changed."""
        if event.is_firing and event.value is not None:
            self.firing[key] = Firing(event.at_s, event.value)
        else:
            self.firing.pop(key, None)
        self.events = [*self.events, event][-_MOST_KEPT:]


class AlertFile:
    """The file at ``path``. A change waits up to ``patience_s`` for that of another process."""

    def __init__(self, path: Path, *, patience_s: float = _PATIENCE_S) -> None:
        self._path = path
        self._patience_s = patience_s

    def read(self) -> AlertStates:
        """Return what the file holds. Raise ``OSError`` if it cannot be read."""
        try:
            content = read_regular(self._path, most_bytes=_MOST_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            return AlertStates()
        return _decoded(content)

    @contextmanager
    def changing(self) -> Iterator[AlertStates]:
        """Give what the file holds, and write it back; no other process changes it meanwhile.

        Raise ``BlockingIOError`` if another process is suspended with the lock, any other ``OSError`` if the file cannot be
        written.
        """
        descriptor = open_for_append(self._path.with_name(f"{self._path.name}.lock"))
        try:
            lock(descriptor, patience_s=self._patience_s)
            states = self.read()
            yield states
            replace(self._path, _encoded(states))
        finally:
            os.close(descriptor)


def _encoded(states: AlertStates) -> bytes:
    fields = {
        "firing": {key: firing._asdict() for key, firing in states.firing.items()},
        "events": [event._asdict() for event in states.events],
    }
    return json.dumps(fields, indent=1).encode()


def _decoded(content: bytes) -> AlertStates:
    try:
        fields = as_object(json.loads(content))
    except (ValueError, RecursionError):
        fields = {}
    firing = {key: _firing(as_object(value)) for key, value in as_object(fields.get("firing")).items()}
    events = (_event(each) for each in objects_in(fields.get("events")))
    return AlertStates(
        {key: each for key, each in firing.items() if each is not None},
        [event for event in events if event is not None][-_MOST_KEPT:],
    )


def _moment_s(value: Any) -> float | None:
    """Return a time that dates can be made of, ``None`` for any other value."""
    at_s = optional_number(value)
    return at_s if at_s is not None and 0 <= at_s <= _LATEST_S else None


def _firing(fields: dict[str, Any]) -> Firing | None:
    since_s, value = _moment_s(fields.get("since_s")), optional_number(fields.get("value"))
    return None if since_s is None or value is None else Firing(since_s, value)


def _event(fields: dict[str, Any]) -> AlertEvent | None:
    at_s, is_firing = _moment_s(fields.get("at_s")), fields.get("is_firing")
    if at_s is None or not isinstance(is_firing, bool):
        return None
    return AlertEvent(
        at_s,
        as_text(fields.get("rule")),
        as_text(fields.get("metric")),
        is_firing,
        optional_number(fields.get("value")),
        optional_count(fields.get("calls")) or 0,
    )
