"""The saved conversations: whether each can be read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from chatcli.core.errors import ConfigurationError
from chatcli.doctor.finding import ok, problem
from chatcli.sessions.names import SUFFIX
from chatcli.sessions.reading import HEADER_SEARCH_BYTES, find_header
from chatcli.sessions.store import SessionStore
from chatcli.storage.private_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from chatcli.doctor.examination import Examination
    from chatcli.doctor.finding import Finding

_NAME = "sessions"
_SHOWN = 5


async def check(examination: Examination) -> Iterable[Finding]:
    return await asyncio.to_thread(_look, examination.world.paths.data)


def _look(data: Path) -> list[Finding]:
    paths = sorted((data / "sessions").glob(f"*{SUFFIX}"))
    if not paths:
        return [ok(_NAME, "none are saved yet")]
    damaged = [(path, reason) for path in paths if (reason := _damage(path)) is not None]
    findings = [
        problem(_NAME, reason, f"check {path.name}, and move it away if it is not yours")
        for path, reason in damaged[:_SHOWN]
    ]
    if len(damaged) > _SHOWN:
        findings.append(problem(_NAME, f"{len(damaged) - _SHOWN} more cannot be read"))
    if len(damaged) == len(paths):
        return findings
    return [
        ok(_NAME, f"{len(paths) - len(damaged)} of {len(paths)} readable"),
        *findings,
        *_last(data, {path for path, _ in damaged}),
    ]


def _damage(path: Path) -> str | None:
    try:
        with open_regular(path) as file:
            find_header(file.read(HEADER_SEARCH_BYTES), path)
    except ConfigurationError as error:
        return error.message
    except OSError as error:
        return f"{path} cannot be read: {error.strerror or error}"
    return None


def _last(data: Path, told: set[Path]) -> Iterable[Finding]:
    """Load the session used last as a whole, as ``-c`` does, unless it was ``told`` of already."""
    store = SessionStore(data)
    file = store.last_used()
    if file is None or file.path in told:
        return
    try:
        turns = len(store.load(file).questions)
    except ConfigurationError as error:
        yield problem(_NAME, error.message, error.hint)
    else:
        yield ok(_NAME, f"the last one, {file.name}, has {turns} question{'' if turns == 1 else 's'}")
