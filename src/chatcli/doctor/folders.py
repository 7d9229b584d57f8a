"""The folders: whether they can be written, and by nobody else read."""

from __future__ import annotations

import os
import shutil
import stat
from typing import TYPE_CHECKING

from chatcli.config.paths import obstacle
from chatcli.cost.ledger import FILE_NAME as LEDGER
from chatcli.cost.ledger import Ledger, unreadable_lines
from chatcli.doctor.finding import ok, problem, warning
from chatcli.storage.private_files import check_regular

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from chatcli.doctor.examination import Examination
    from chatcli.doctor.finding import Finding

_NAME = "folders"
_LITTLE_BYTES = 100_000_000
_FOR_OTHERS = 0o077
_HAS_MODES = os.name == "posix"
_FILES = ("keys.json", "trusted-folders.json", "config.toml", "last", "input-history.jsonl", LEDGER)
_PRIVATE_FILES = (*_FILES, "sessions/*.jsonl")
_SHOWN = 5


async def check(examination: Examination) -> Iterable[Finding]:
    paths = examination.world.paths
    named = {"config": paths.config, "data": paths.data, "cache": paths.cache}
    findings = [_look(what, folder) for what, folder in named.items()]
    for folder in (paths.config, paths.data):
        findings += [*_no_files(folder), *_open_files(folder)]
    return [*findings, *_ledger(paths.data / LEDGER)]


def _look(what: str, folder: Path) -> Finding:
    try:
        return _existing(what, folder) if folder.exists() else _missing(what, folder)
    except OSError as error:
        return problem(
            _NAME, f"{what} {folder}: {error.strerror or error}", "check the permissions of this folder"
        )


def _existing(what: str, folder: Path) -> Finding:
    shown = f"{what} {folder}"
    if not folder.is_dir():
        return problem(_NAME, f"{shown}: a file is in its place", "move the file away")
    if not os.access(folder, os.W_OK | os.X_OK):
        return problem(_NAME, f"{shown} cannot be written", f"chmod u+rwx {folder}")
    mode = stat.S_IMODE(folder.stat().st_mode)
    if _HAS_MODES and mode & _FOR_OTHERS:
        return warning(_NAME, f"{shown} is open to others (mode {mode:04o})", f"chmod 700 {folder}")
    rights = f"mode {mode:04o}, " if _HAS_MODES else ""
    return _with_space(folder, f"{shown} ({rights}", ")")


def _missing(what: str, folder: Path) -> Finding:
    if (reason := obstacle(folder)) is not None:
        return problem(
            _NAME,
            f"{what} {folder} does not exist and cannot be created: {reason}",
            f"fix that, or name another folder with CHATCLI_{what.upper()}_DIR",
        )
    above = next(level for level in folder.parents if level.exists())
    return _with_space(above, f"{what} {folder} (created when needed, ", ")")


def _with_space(place: Path, before: str, after: str) -> Finding:
    free_bytes = shutil.disk_usage(place).free
    text = f"{before}{free_bytes / 1e9:.1f} GB free{after}"
    if free_bytes < _LITTLE_BYTES:
        return warning(_NAME, text, "free some space: conversations are saved here")
    return ok(_NAME, text)


def _no_files(folder: Path) -> Iterable[Finding]:
    for path in (folder / name for name in _FILES):
        try:
            check_regular(path.stat())
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            yield problem(_NAME, f"{path} cannot be used: {error.strerror or error}", f"move {path} away")


def _ledger(path: Path) -> Iterable[Finding]:
    ledger = Ledger(path)
    try:
        ledger.month()
    except OSError:
        return  # said with the files that are none
    if count := ledger.unreadable_lines:
        yield warning(
            _NAME, unreadable_lines(path, count), f"remove these lines, or move {path} away to start over"
        )


def _open_files(folder: Path) -> Iterable[Finding]:
    if not _HAS_MODES:
        return
    files = [path for pattern in _PRIVATE_FILES for path in sorted(folder.glob(pattern)) if _is_open(path)]
    for path in files[:_SHOWN]:
        yield warning(_NAME, f"{path} can be read by others", f"chmod 600 {path}")
    if len(files) > _SHOWN:
        yield warning(_NAME, f"{len(files) - _SHOWN} more files in {folder} can be read by others")


def _is_open(path: Path) -> bool:
    try:
        return bool(stat.S_IMODE(path.stat().st_mode) & _FOR_OTHERS)
    except OSError:
        return False
