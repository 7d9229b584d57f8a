"""Which endpoints are servers that run models themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.client.catalog import OfferedModel
    from chatcli.client.endpoint import Endpoint

_OWNERS: Final = {"library": "Ollama", "organization_owner": "LM Studio", "llamacpp": "llama.cpp"}
"""By whom the models are owned that such a server lists."""

_PORTS: Final = {11434: "Ollama", 1234: "LM Studio"}
"""No other program takes these ports unless told so."""

MODEL_SERVERS: Final = frozenset(_OWNERS.values())
"""The servers that ``served_windows.py`` knows how to ask."""


def server_of(endpoint: Endpoint, offered: Iterable[OfferedModel]) -> str | None:
    """Return which of ``MODEL_SERVERS`` offers these models, ``None`` where it is another one."""
    owners = {model.owner for model in offered}
    known = next((server for owner, server in _OWNERS.items() if owner in owners), None)
    port = urlsplit(endpoint.base_url).port
    return known or (_PORTS.get(port) if endpoint.loopback and port else None)
