"""Which endpoints take the beginning of an answer and go on with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatcli.client.endpoint import Endpoint

_PREFIX: Final = {"prefix": True}
_BY_PLACE: Final[tuple[tuple[str, str, Mapping[str, Any]], ...]] = (
    ("api.mistral.ai", "", _PREFIX),  # https://docs.mistral.ai/capabilities/completion/prefix
    ("api.deepseek.com", "/beta", _PREFIX),  # https://api-docs.deepseek.com/guides/chat_prefix_completion
)


def opening_for(endpoint: Endpoint) -> Mapping[str, Any] | None:
    """Return what such an endpoint wants beside the assistant's last message; ``None`` for one that starts anew."""
    if endpoint.embedded:
        # llama.cpp goes on with a conversation that ends in the assistant's words.
        return {}
    parts = urlsplit(endpoint.base_url)
    for host, path, fields in _BY_PLACE:
        if parts.hostname == host and parts.path.startswith(path):
            return fields
    return None
