"""What a folder tells of its sessions without opening them: which there are, and whether one has changed."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from chatcli.sessions.names import SUFFIX

if TYPE_CHECKING:
    from pathlib import Path


class Stamp(NamedTuple):
    """Another one means another content: a session file only grows."""

    mtime_ns: int
    size_bytes: int


def stamps(folder: Path) -> dict[str, Stamp]:
    """Return the stamp of each session of ``folder`` by its name; of a folder that cannot be read there are none."""
    found: dict[str, Stamp] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIX) and (stamp := _stamp(entry)) is not None:
                    found[entry.name.removesuffix(SUFFIX)] = stamp
    except OSError:
        return found
    return found


def stamp_of(folder: Path, name: str) -> Stamp | None:
    """Return the stamp of one session, ``None`` where there is none of that name."""
    return _stamp(folder / f"{name}{SUFFIX}")


def newest_first(found: dict[str, Stamp]) -> list[str]:
    return sorted(found, key=lambda name: (-found[name].mtime_ns, name))


def _stamp(entry: os.DirEntry[str] | Path) -> Stamp | None:
    try:
        status = entry.stat()
    except OSError:
        return None
    return Stamp(status.st_mtime_ns, status.st_size) if stat.S_ISREG(status.st_mode) else None
