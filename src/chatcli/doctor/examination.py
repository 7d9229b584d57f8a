"""What the checks look at, what they leave for each other, and what they find."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from chatcli.app.resolver import DEFAULT_MODEL

if TYPE_CHECKING:
    from chatcli.app.run_context import RunContext
    from chatcli.client.endpoint import Endpoint
    from chatcli.client.inspection import Visit
    from chatcli.config.settings import Settings
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


LONGEST_ANSWER_S = 30.0
"""No step waits longer for a server."""


@dataclass(frozen=True, slots=True)
class TerminalFacts:
    """What is known of the terminal without asking it. ``colors`` is ``None`` where none are shown."""

    stdin_is_terminal: bool
    stdout_is_terminal: bool
    term: str
    colors: str | None
    encoding: str
    columns: int


@dataclass(slots=True)
class Examination:
    """``settings`` is ``None`` where they could not be settled, and ``error`` says why.

    The checks fill in the rest: ``endpoint``, with its key, once the configuration is found to be right;
    ``addresses`` of the host that is connected to; ``visit``, what the server answered.
    """

    context: RunContext
    terminal: TerminalFacts
    settings: Settings | None = None
    error: ChatcliError | None = None
    embedded: bool = False
    insecure_http: bool = False
    endpoint: Endpoint | None = None
    addresses: tuple[str, ...] = ()
    visit: Visit | None = None

    @property
    def base_url(self) -> str | None:
        """The URL of the endpoint to look at; ``None`` where it is the embedded model."""
        return None if self.settings is None or self.embedded else self.settings.base_url

    @property
    def model(self) -> str | None:
        """The model that would be asked, ``None`` where the endpoint has to be asked for one."""
        if self.settings is not None and self.settings.model is not None:
            return self.settings.model
        if self.endpoint is not None and self.endpoint.is_openai:
            return DEFAULT_MODEL
        models = self.visit.models if self.visit else None
        return models[0].id if models else None

    @property
    def answer_timeout_s(self) -> float:
        return min(LONGEST_ANSWER_S, self.settings.timeout_s) if self.settings else LONGEST_ANSWER_S

    @property
    def destination(self) -> Endpoint:
        """The endpoint, for checks that are only made once there is one."""
        if self.endpoint is None:
            raise LookupError("check the configuration first")
        return self.endpoint
