"""The engine of the embedded model: its presence, the memory it has, its child process, and its log."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from io import FileIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from chatcli.core.errors import LocalIOError

if TYPE_CHECKING:
    from collections.abc import Mapping


ENGINE = "xllamacpp"
ENGINE_REQUIREMENT = "xllamacpp>=2026.10,<2026.11"
"""The requirement of the extra ``local``, for installation hints."""


@dataclass(frozen=True, slots=True)
class EngineState:
    """``version`` is ``None`` if the engine is missing or does not report one."""

    installed: bool
    version: str | None


def engine_state(name: str = ENGINE) -> EngineState:
    """Look for the engine without loading it."""
    return EngineState(find_spec(name) is not None, _version(name))


def _version(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 -- 15 ms that few starts need

    try:
        return version(name)
    except PackageNotFoundError:
        return None


def machine_memory_bytes() -> int | None:
    """Return the memory of this machine, or the part of it that a container may use; ``None`` if it is unknown."""
    if sys.platform == "win32":
        return _windows_memory_bytes()
    try:
        total_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
    with suppress(OSError, ValueError):  # "max" is no number
        total_bytes = min(total_bytes, int(_CONTAINER_LIMIT.read_text("ascii")))
    return total_bytes


if sys.platform == "win32":

    def _windows_memory_bytes() -> int | None:
        import ctypes  # noqa: PLC0415 - no other platform needs it

        kilobytes = ctypes.c_ulonglong()
        found = ctypes.windll.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes))
        return kilobytes.value * 1024 if found else None


_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""Linux's, of control groups 2."""

_STAMP = re.compile(r"^[\d.]+ (?P<level>[A-Z]) +\S+ +")
"""llama.cpp's: minutes.seconds.milliseconds.microseconds, level, component."""


def open_log(path: Path) -> FileIO:
    """Open an empty log that only its owner can read."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Appending, so that two engines with one log do not overwrite each other.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    return FileIO(descriptor, "a")


def complaint(path: Path) -> str:
    """Return the first error in the log, which caused the others, or else its last line."""
    try:
        lines = path.read_text("utf-8", "replace").split("\n")
    except OSError:
        return ""
    errors = [line for line in lines if (stamp := _STAMP.match(line)) and stamp["level"] == "E"]
    relevant = errors[:1] or [line for line in lines if line.strip()][-1:]
    return _STAMP.sub("", relevant[0]).strip() if relevant else ""


_PATIENCE_S = 0.5
_ANSWER_LIMIT_BYTES = 64 * 1024

if sys.platform == "win32":
    _CREATION_FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
else:
    _CREATION_FLAGS = 0


class EngineProcess:
    """``python -m chatcli.local.child``: out of reach of the terminal's Ctrl-C, its output in ``log_path``.

    :raises LocalIOError: the log or the process cannot be made
    """

    def __init__(self, executable: str, environment: Mapping[str, str], log_path: Path) -> None:
        # -P: a module in the working folder must not shadow one of ours. PYTHONPATH still counts.
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
        """Send the order and return the reply; empty if the process died."""
        with suppress(OSError):
            self._orders.write(line)
            self._orders.flush()
        return self._answers.readline(_ANSWER_LIMIT_BYTES)

    def end(self) -> None:
        """End the process: by closing its input, then by a signal, then by force."""
        with suppress(OSError):
            self._orders.close()
        for harder in (self._process.terminate, self._process.kill):
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_PATIENCE_S)
                break
            harder()
        self._process.wait()
        self._answers.close()
