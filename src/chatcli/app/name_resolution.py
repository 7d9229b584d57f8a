"""Addresses of hosts that a person named, as the system resolves them."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from chatcli.app.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Sequence


async def resolve_here(host: str, port: int) -> Sequence[str]:
    """Return the addresses of ``host`` as the system resolves it."""
    found = await in_thread(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
