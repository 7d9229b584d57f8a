"""What endpoints said about context windows, remembered, so that each is asked once."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_DAY_S = 86_400
KEPT_FOR_S = 7 * _DAY_S
"""A server may load the same model with another window; after a week it is asked again."""


class WindowMemory:
    """A JSON file ``{"<base_url> <model>": {"tokens": int or null, "at": seconds}}`` in the cache folder.

    It can be deleted at any time. A broken file counts as empty and a write that fails is forgotten: the endpoint is
    asked again, nothing more. ``now_s`` is the time in seconds since the epoch.
    """

    def __init__(self, path: Path, *, now_s: float) -> None:
        self._path = path
        self._now_s = now_s

    def recall(self, base_url: str, model: str) -> tuple[bool, int | None]:
        """Return whether the endpoint was asked, and what it said in tokens, ``None`` when it did not know."""
        entry = self._entries().get(_key(base_url, model))
        if not isinstance(entry, dict) or not self._is_fresh(entry.get("at")):
            return False, None
        tokens = entry.get("tokens")
        return True, tokens if isinstance(tokens, int) and tokens > 0 else None

    def remember(self, base_url: str, model: str, tokens: int | None) -> None:
        entries = self._entries()
        entries[_key(base_url, model)] = {"tokens": tokens, "at": self._now_s}
        fresh = {key: entry for key, entry in entries.items() if self._is_fresh(entry.get("at"))}
        with suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary = self._path.with_suffix(f".{os.getpid()}")
            temporary.write_text(json.dumps(fresh, indent=1), encoding="utf-8")
            temporary.replace(self._path)

    def _entries(self) -> dict[str, dict[str, object]]:
        try:
            entries = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        if not isinstance(entries, dict):
            return {}
        return {key: entry for key, entry in entries.items() if isinstance(entry, dict)}

    def _is_fresh(self, at_s: object) -> bool:
        return isinstance(at_s, int | float) and 0 <= self._now_s - at_s < KEPT_FOR_S


def _key(base_url: str, model: str) -> str:
    return f"{base_url} {model}"
