"""A TCP relay on loopback that notices when the client hangs up."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BLOCK_BYTES = 65_536


class Relay:
    """Passes one connection on to the server at ``base_url``; its own ``base_url`` is the relay's."""

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        self._server_address = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{parts.path}"
        self.client_left = threading.Event()

    def run(self) -> None:
        with suppress(OSError), self._listener:
            client, _ = self._listener.accept()
            with client, socket.create_connection(self._server_address) as server:
                answering = threading.Thread(target=_pass_on, args=(server, client, lambda: None))
                answering.start()
                _pass_on(client, server, self.client_left.set)
                answering.join()

    def close(self) -> None:
        # Wakes an accept without a client.
        with suppress(OSError), socket.create_connection(self._listener.getsockname()):
            pass


def _pass_on(source: socket.socket, target: socket.socket, ended: Callable[[], None]) -> None:
    with suppress(OSError):
        while block := source.recv(_BLOCK_BYTES):
            target.sendall(block)
    ended()
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


@contextmanager
def relaying(base_url: str) -> Iterator[Relay]:
    relay = Relay(base_url)
    thread = threading.Thread(target=relay.run)
    thread.start()
    try:
        yield relay
    finally:
        relay.close()
        thread.join()
