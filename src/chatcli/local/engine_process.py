"""The engine's process, from its parent's side. Everything here blocks, for moments."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from typing import IO, TYPE_CHECKING, cast

from chatcli.core.errors import LocalIOError
from chatcli.local.engine_log import open_log

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PATIENCE_S = 0.5
_ANSWER_LIMIT_BYTES = 64 * 1024

if sys.platform == "win32":
    _CREATION_FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
else:
    _CREATION_FLAGS = 0


class EngineProcess:
    """``python -m chatcli.local.child``: out of reach of the terminal's Ctrl-C, its noise in ``log_path``.

    :raises LocalIOError: the log or the process cannot be made
    """

    def __init__(self, executable: str, environment: Mapping[str, str], log_path: Path) -> None:
        # -P: a module in the working folder must not be taken for one of ours. PYTHONPATH still counts.
        command = [executable, "-P", "-m", "chatcli.local.child"]
        try:
            with open_log(log_path) as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=dict(environment),
                    start_new_session=True,  # ignored on Windows, which has the flags
                    creationflags=_CREATION_FLAGS,
                )
        except OSError as error:
            raise LocalIOError(
                f"cannot start the embedded model: {error}", hint=f"check that {log_path} can be written"
            ) from error
        self._orders = cast("IO[bytes]", self._process.stdin)
        self._answers = cast("IO[bytes]", self._process.stdout)

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, line: bytes) -> bytes:
        """Send the order and return the answer; nothing, if the process died."""
        with suppress(OSError):
            self._orders.write(line)
            self._orders.flush()
        return self._answers.readline(_ANSWER_LIMIT_BYTES)

    def end(self) -> None:
        """End the process: by the end of its input, then by a signal, then by force."""
        with suppress(OSError):
            self._orders.close()
        for harder in (self._process.terminate, self._process.kill):
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_PATIENCE_S)
                break
            harder()
        self._process.wait()
        self._answers.close()
