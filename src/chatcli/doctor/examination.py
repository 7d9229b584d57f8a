"""The subject of the checks, the results they share, and their findings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from chatcli.app.run_context import DEFAULT_MODEL

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
    """One line of the report: the check, its outcome, its observation and a ``hint`` what to do.

    It contains no secret, but possibly text of a server: sanitize it before it is shown.
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


LONGEST_ANSWER_S = 30.0
"""The longest wait for a server in one step."""


@dataclass(frozen=True, slots=True)
class TerminalFacts:
    """What is known about the terminal without a query. ``colors`` is ``None`` if none are shown."""

    stdin_is_terminal: bool
    stdout_is_terminal: bool
    term: str
    colors: str | None
    encoding: str
    columns: int


@dataclass(slots=True)
class Examination:
    """``settings`` is ``None`` if resolving them failed with ``error``.

    The checks fill in the rest: ``endpoint``, with its key, once the configuration is valid; ``addresses`` of
    the host to connect to; ``visit``, the server's reply.
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
        """The URL of the endpoint to check; ``None`` for the embedded model."""
        if self.settings is None or self.embedded or self.settings.uses_local:
            return None
        return self.settings.base_url

    @property
    def model(self) -> str | None:
        """The model to ask, ``None`` if the endpoint must list its models first."""
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
        """The endpoint, for checks that run only once there is one."""
        if self.endpoint is None:
            raise LookupError("check the configuration first")
        return self.endpoint
