"""Key-value caches of values that can be obtained again.

A value can disappear at any time: expired, evicted, deleted or unreadable; it is then fetched or computed
again. Caches never raise and never block. Caches on disk are readable only by their owner, can be deleted at
any time, and hold JSON values, which their readers validate.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from chatcli.core.json_values import as_object
from chatcli.storage.private_files import read_regular, replace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_DAY_S: Final = 86_400
KEPT_FOR_S: Final = 7 * _DAY_S
"""Lifetime of a value on disk: a server may load the same model with other settings meanwhile."""

MOST_ENTRIES: Final = 500
"""Maximum number of values in one file."""

_MOST_BYTES: Final = 1 << 26
_SUFFIX: Final = ".json"

_Value = TypeVar("_Value")
_Default = TypeVar("_Default")


class Cache(Protocol[_Value]):
    """Values by key. A key is any text."""

    def get(self, key: str, default: _Default) -> _Value | _Default:
        """Return the last value stored under ``key``, ``default`` if there is none or it has expired."""
        ...

    def put(self, key: str, value: _Value) -> None: ...

    def prune(self) -> None:
        """Delete expired values and, oldest first, those beyond the limit; ``put`` may defer this."""
        ...


class MemoryCache(Generic[_Value]):
    """A cache in memory; beyond its limit the least recently used values are evicted."""

    def __init__(
        self,
        *,
        most_entries: int,
        most_age_s: float = math.inf,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most_entries = most_entries
        self._most_age_s = most_age_s
        self._clock_s = clock_s
        self._entries: dict[str, tuple[float, _Value]] = {}

    def get(self, key: str, default: _Default) -> _Value | _Default:
        entry = self._entries.pop(key, None)
        if entry is None or self._is_old(entry[0]):
            return default
        self._entries[key] = entry
        return entry[1]

    def put(self, key: str, value: _Value) -> None:
        self._entries.pop(key, None)
        self._entries[key] = (self._clock_s(), value)
        if len(self._entries) > self._most_entries:
            del self._entries[next(iter(self._entries))]

    def prune(self) -> None:
        self._entries = {key: entry for key, entry in self._entries.items() if not self._is_old(entry[0])}

    def _is_old(self, at_s: float) -> bool:
        return self._clock_s() - at_s >= self._most_age_s


class JsonFileCache:
    """A few small values in one file, ``{KEY: {"value": ..., "at": seconds since the epoch}}``.

    The file is read again when it has changed. If two processes write at the same time, one value may be
    lost. ``clock_s`` returns seconds since the epoch.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock_s: Callable[[], float] = time.time,
        most_entries: int = MOST_ENTRIES,
        most_age_s: float = KEPT_FOR_S,
    ) -> None:
        self._path = path
        self._clock_s = clock_s
        self._most_entries = most_entries
        self._most_age_s = most_age_s
        self._state: tuple[int, int, int] | None = None
        self._entries: dict[str, object] = {}

    def get(self, key: str, default: _Default) -> object | _Default:
        entry = self._fresh().get(key)
        return default if entry is None else entry.get("value")

    def values(self) -> list[object]:
        return [entry.get("value") for entry in self._fresh().values()]

    def put(self, key: str, value: object) -> None:
        self._write(self._fresh() | {key: {"value": value, "at": self._clock_s()}})

    def prune(self) -> None:
        if self._path.exists():
            self._write(self._fresh())

    def _write(self, entries: dict[str, dict[str, object]]) -> None:
        newest = sorted(entries.items(), key=lambda item: _seconds(item[1].get("at")))[-self._most_entries :]
        # A value written by another version may nest deeper than this one can write.
        with suppress(OSError, RecursionError):
            replace(self._path, json.dumps(dict(newest), indent=1).encode())
        self._state = None

    def _fresh(self) -> dict[str, dict[str, object]]:
        try:
            status = self._path.stat()
            state = status.st_mtime_ns, status.st_size, status.st_ino
            if state != self._state:
                entries = json.loads(read_regular(self._path, most_bytes=_MOST_BYTES))
                self._entries, self._state = as_object(entries), state
        except (OSError, ValueError, RecursionError):
            self._entries, self._state = {}, None
        now_s = self._clock_s()
        return {
            key: entry
            for key, entry in self._entries.items()
            # A time in the future was written before the clock was set back: the age is unknown.
            if isinstance(entry, dict) and now_s - self._most_age_s < _seconds(entry.get("at")) <= now_s
        }


class FolderCache:
    """Many or large values in files of their own, ``{"value": ...}``, named by the SHA-256 of the key.

    ``most_bytes`` limits their total size; the modification time of a file is the age of its value.
    """

    def __init__(
        self,
        folder: Path,
        *,
        most_entries: int = 20_000,
        most_age_s: float = KEPT_FOR_S,
        most_bytes: int = 50_000_000,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._most_entries = most_entries
        self._most_age_s = most_age_s
        self._most_bytes = most_bytes
        self._clock_s = clock_s

    def get(self, key: str, default: _Default) -> object | _Default:
        try:
            path = self._path(key)
            if self._is_old(path.stat().st_mtime):
                return default
            entry = json.loads(read_regular(path, most_bytes=min(self._most_bytes, _MOST_BYTES)))
        except (OSError, ValueError, RecursionError):
            return default
        return entry["value"] if isinstance(entry, dict) and "value" in entry else default

    def put(self, key: str, value: object) -> None:
        with suppress(OSError, RecursionError):
            # Escaped: half a surrogate pair, which a model may send, cannot be encoded in UTF-8.
            replace(self._path(key), json.dumps({"value": value}).encode())

    def prune(self) -> None:
        found: list[tuple[float, int, Path]] = []
        with suppress(OSError):
            for path in self._folder.iterdir():
                with suppress(OSError):
                    status = path.stat()
                    found.append((status.st_mtime, status.st_size, path))
        found.sort(key=lambda file: file[0], reverse=True)
        kept_bytes = 0
        for number, (changed_s, size_bytes, path) in enumerate(found):
            kept_bytes += size_bytes
            is_too_much = kept_bytes > self._most_bytes or number >= self._most_entries
            if is_too_much or self._is_old(changed_s):
                with suppress(OSError):
                    path.unlink()

    def _path(self, key: str) -> Path:
        return self._folder / f"{key_of(key)}{_SUFFIX}"

    def _is_old(self, changed_s: float) -> bool:
        return self._clock_s() - changed_s >= self._most_age_s


def key_of(*texts: str) -> str:
    """Return a cache key for a value that depends on ``texts``: their SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    for text in texts:
        content = text.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(content))
        digest.update(content)
    return digest.hexdigest()


def _seconds(value: object) -> float:
    return value if isinstance(value, int | float) else -math.inf
