"""What endpoints said about themselves, remembered, so that each is asked once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.storage.cache import JsonFileCache

if TYPE_CHECKING:
    from pathlib import Path

MOST_ENTRIES: Final = 500
"""Whoever asks more models of more endpoints than that in a week asks some of them again."""

_DAY_S: Final = 86_400
KEPT_FOR_S: Final = 7 * _DAY_S
"""A server may load the same model in another way; after a week it is asked again."""

_NOTHING: Final = object()


class EndpointMemory:
    """A file of the cache folder with one thing that the models of endpoints said, ``None`` included.

    What is not remembered is asked again, nothing more. ``now_s`` is the time in seconds since the epoch.
    """

    def __init__(self, path: Path, *, now_s: float) -> None:
        self._cache = JsonFileCache(
            path, most_entries=MOST_ENTRIES, most_age_s=KEPT_FOR_S, clock_s=lambda: now_s
        )

    def recall(self, base_url: str, model: str) -> tuple[bool, object]:
        """Return whether something is remembered, and what: any JSON value, checked by nobody."""
        value = self._cache.get(f"{base_url} {model}", _NOTHING)
        return (False, None) if value is _NOTHING else (True, value)

    def remember(self, base_url: str, model: str, value: object) -> None:
        self._cache.put(f"{base_url} {model}", value)
