"""A real Redis server on a free loopback port, for as long as a block runs."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REDIS = shutil.which("redis-server")

_PATIENCE_S = 20
_POLL_S = 0.02
_ATTEMPTS = 5


@contextmanager
def running_redis(folder: Path) -> Iterator[str]:
    """Start a server that keeps nothing on the disk, and yield its URL; it ends with the block."""
    for _ in range(_ATTEMPTS):
        port = _free_port()
        command = [str(REDIS), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        process = subprocess.Popen(
            [*command, "--dir", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            if _answers(process, port):
                yield f"redis://127.0.0.1:{port}/0"
                return
        finally:
            process.terminate()
            process.wait(_PATIENCE_S)
    raise RuntimeError("no Redis server could be started")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the server answers; return ``False`` if it ends, as when somebody else took the port."""
    until_s = time.monotonic() + _PATIENCE_S
    while process.poll() is None and time.monotonic() < until_s:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            if connection.recv(16).startswith(b"+PONG"):
                return True
        time.sleep(_POLL_S)
    return False
