"""What endpoints said about themselves, remembered, so that each is asked once."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from chatcli.storage.private_files import make_folder, read_regular, replace

if TYPE_CHECKING:
    from pathlib import Path

MOST_ENTRIES = 500
"""Whoever asks more models of more endpoints than that in a week asks some of them again."""

_MOST_BYTES = 1 << 26
_DAY_S = 86_400
KEPT_FOR_S = 7 * _DAY_S
"""A server may load the same model in another way; after a week it is asked again."""


class EndpointMemory:
    """A JSON file ``{"<base_url> <model>": {"value": ..., "at": seconds}}`` in the cache folder.

    It can be deleted at any time. A broken file counts as empty and a write that fails is forgotten: the endpoint is
    asked again, nothing more. ``now_s`` is the time in seconds since the epoch.
    """

    def __init__(self, path: Path, *, now_s: float) -> None:
        self._path = path
        self._now_s = now_s

    def recall(self, base_url: str, model: str) -> tuple[bool, object]:
        """Return whether something is remembered, and what: any JSON value, checked by nobody."""
        entry = self._entries().get(_key(base_url, model))
        if not isinstance(entry, dict) or not self._is_fresh(entry.get("at")):
            return False, None
        return True, entry.get("value")

    def remember(self, base_url: str, model: str, value: object) -> None:
        entries = self._entries()
        entries[_key(base_url, model)] = {"value": value, "at": self._now_s}
        newest = sorted(
            ((key, entry) for key, entry in entries.items() if self._is_fresh(entry.get("at"))),
            key=_at_s,
        )[-MOST_ENTRIES:]
        fresh = dict(newest)
        # What another version remembers may nest deeper than it can be written here.
        with suppress(OSError, RecursionError):
            make_folder(self._path.parent)
            replace(self._path, json.dumps(fresh, indent=1).encode())

    def _entries(self) -> dict[str, dict[str, object]]:
        try:
            entries = json.loads(read_regular(self._path, most_bytes=_MOST_BYTES))
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(entries, dict):
            return {}
        return {key: entry for key, entry in entries.items() if isinstance(entry, dict)}

    def _is_fresh(self, at_s: object) -> bool:
        return isinstance(at_s, int | float) and self._now_s - KEPT_FOR_S < at_s <= self._now_s


def _at_s(item: tuple[str, dict[str, object]]) -> float:
    at_s = item[1].get("at")
    return at_s if isinstance(at_s, int | float) else 0.0


def _key(base_url: str, model: str) -> str:
    return f"{base_url} {model}"
