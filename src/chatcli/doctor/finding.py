"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chatcli.core.errors import ChatcliError


class Status(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: which check, how it ended, what it saw and, in ``hint``, what to do.

    It holds no secret and may hold whatever a server said: sanitize it before it is shown.
    """

    name: str
    status: Status
    text: str
    hint: str | None = None


def ok(name: str, text: str) -> Finding:
    return Finding(name, Status.OK, text)


def warning(name: str, text: str, hint: str | None = None) -> Finding:
    return Finding(name, Status.WARNING, text, hint)


def problem(name: str, text: str, hint: str | None = None) -> Finding:
    return Finding(name, Status.PROBLEM, text, hint)


def skipped(name: str, text: str) -> Finding:
    return Finding(name, Status.SKIPPED, text)


def of_error(name: str, error: ChatcliError) -> Finding:
    return problem(name, error.message, error.hint)


def milliseconds(time_s: float) -> str:
    """Return a measured time as a person reads it."""
    return f"{time_s:.1f} s" if time_s >= 1 else f"{time_s * 1000:.0f} ms"
