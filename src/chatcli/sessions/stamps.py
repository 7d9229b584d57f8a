"""What a folder tells of its sessions without opening them: which there are, and whether one has changed."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.sessions.names import SUFFIX

if TYPE_CHECKING:
    from pathlib import Path


_MOST_NS: Final = 2**63 - 1
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(9999, 12, 30, tzinfo=UTC)
"""From here on a time can be shown in every time zone."""


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


def moment_of(mtime_ns: int) -> datetime:
    """Return a time of a file; one that no calendar has, as a clock gone wrong may set it, is the nearest it has."""
    seconds = mtime_ns / 1e9
    return datetime.fromtimestamp(min(max(seconds, _EARLIEST.timestamp()), _LATEST.timestamp()), UTC)


def newest_first(found: dict[str, Stamp]) -> list[str]:
    return sorted(found, key=lambda name: (-found[name].mtime_ns, name))


def _stamp(entry: os.DirEntry[str] | Path) -> Stamp | None:
    try:
        status = entry.stat()
    except OSError:
        return None
    # A file system may know later times than the index does.
    mtime_ns = max(-_MOST_NS, min(status.st_mtime_ns, _MOST_NS))
    return Stamp(mtime_ns, status.st_size) if stat.S_ISREG(status.st_mode) else None
