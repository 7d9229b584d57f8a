"""The engine's log file, and what it says when something went wrong."""

from __future__ import annotations

import os
import re
from io import FileIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_STAMP = re.compile(r"^[\d.]+ (?P<level>[A-Z]) +\S+ +")
"""llama.cpp's: minutes.seconds.milliseconds.microseconds, level, component."""


def open_log(path: Path) -> FileIO:
    """Open an emptied log that only its owner can read."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Appending, so that two engines with one log do not write over each other.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    return FileIO(descriptor, "a")


def complaint(path: Path) -> str:
    """Return the first error in the log, which is the cause of those that follow, or else its last line."""
    try:
        lines = path.read_text("utf-8", "replace").split("\n")
    except OSError:
        return ""
    errors = [line for line in lines if (stamp := _STAMP.match(line)) and stamp["level"] == "E"]
    told = errors[:1] or [line for line in lines if line.strip()][-1:]
    return _STAMP.sub("", told[0]).strip() if told else ""
