"""What endpoints said about themselves, remembered, so that each is asked once."""

from __future__ import annotations

from typing import Final

from chatcli.storage.cache import JsonFileCache

_NOTHING: Final = object()


class EndpointMemory(JsonFileCache):
    """A file of the cache folder with one thing that the models of endpoints said, ``None`` included.

    What is not remembered is asked again, nothing more.
    """

    def recall(self, base_url: str, model: str) -> tuple[bool, object]:
        """Return whether something is remembered, and what: any JSON value, checked by nobody."""
        value = self.get(f"{base_url} {model}", _NOTHING)
        return (False, None) if value is _NOTHING else (True, value)

    def remember(self, base_url: str, model: str, value: object) -> None:
        self.put(f"{base_url} {model}", value)
