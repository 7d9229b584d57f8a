"""A process that has imported the program, and becomes it for each run: importing is most of a short run.

``Program.run`` uses it where nothing but the environment and the arguments decide what happens; a run that depends on how
the interpreter itself starts (``LANG``, ``PYTHON…``) is a process of its own, as are all runs on Windows and those that
``CHATCLI_REAL_STARTS`` asks for. What is started with ``Program.started`` or on a terminal always is.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import random
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

IS_SUPPORTED: Final = (
    hasattr(os, "fork") and hasattr(socket, "send_fds") and "CHATCLI_REAL_STARTS" not in os.environ
)
_AT_START: Final = ("LANG", "LC_", "PYTHON", "OPENAI_LOG", "TZ", "COVERAGE", "SSLKEYLOGFILE", "LD_")
_KNOWN_AT_START: Final = {"PYTHON_KEYRING_BACKEND"}
"""Read when the keyring is imported, which the server does not do."""
_PRELOADED: Final = (
    "asyncio",
    "httpx2",
    "keyring.errors",
    "openai",
    "openai.types.chat",
    "pygments",
    "rich.console",
    "tenacity",
    "tiktoken",
    "tomllib",
    "chatcli.__main__",
    "chatcli.client.pipeline",
    "chatcli.client.openai_client",
    "chatcli.cli.main",
    "chatcli.cli.run_chat",
)
_LENGTH_BYTES: Final = 8


def depends_on_its_start(environment: Mapping[str, str]) -> bool:
    """Tell whether a variable decides how the interpreter or a library starts."""
    return any(name.startswith(_AT_START) and name not in _KNOWN_AT_START for name in environment)


class ForkServer:
    """One for a worker of the tests; it ends with it."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="chatcli-forks-")
        self._address = str(Path(self._folder, "socket"))
        self._process = subprocess.Popen(
            [sys.executable, __file__, self._address], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        atexit.register(self.close)
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise RuntimeError("the fork server did not start")

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def run(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        files: tuple[int, int, int],
        timeout_s: float,
    ) -> int:
        """Run to the end with ``files`` as standard input, output and error; return the code as ``subprocess`` does."""
        order = json.dumps([list(arguments), dict(environment), str(folder)]).encode()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self._address)
            socket.send_fds(connection, [len(order).to_bytes(_LENGTH_BYTES, "big")], list(files))
            connection.sendall(order)
            pid = int(_line(connection))
            connection.settimeout(timeout_s)
            try:
                return int(_line(connection))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise


def _line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        if not (read := connection.recv(32)):
            raise RuntimeError("the fork server hung up")
        line += read
    return line


def _serve(address: str) -> int:
    """Accept orders until standard input ends; return the exit code of a run where this process has become one."""
    for name in _PRELOADED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait for a run
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as selector:
        listener.bind(address)
        listener.listen(64)
        os.write(1, b"ready\n")
        selector.register(listener, selectors.EVENT_READ)
        selector.register(0, selectors.EVENT_READ)
        while True:
            if any(key.fileobj == 0 for key, _ in selector.select()):
                return 0
            connection, _ = listener.accept()
            if os.fork():
                connection.close()
                continue
            break
    return _attend(connection)


def _attend(connection: socket.socket) -> int:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, files, _, _ = socket.recv_fds(connection, _LENGTH_BYTES, 3)
    order = b""
    while len(order) < int.from_bytes(head, "big"):
        order += connection.recv(1 << 20)
    arguments, environment, folder = json.loads(order)
    if pid := os.fork():
        for file in files:
            os.close(file)
        connection.sendall(b"%d\n" % pid)
        _, status = os.waitpid(pid, 0)
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
        os._exit(0)
    connection.close()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    random.seed()
    os.chdir(folder)
    sys.argv = ["chatcli", *arguments]
    from chatcli.__main__ import main  # noqa: PLC0415 - the tests import this file as well

    return main()


if __name__ == "__main__":
    sys.exit(_serve(sys.argv[1]))
