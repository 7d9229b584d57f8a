"""The table of checks, in order, and running them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chatcli.core.errors import ChatcliError
from chatcli.doctor import local_checks, network_checks
from chatcli.doctor.examination import Finding, Status, of_error, skipped

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
    from typing import TypeAlias

    from chatcli.doctor.examination import Examination

    Look: TypeAlias = Callable[[Examination], Awaitable[Iterable[Finding]]]


@dataclass(frozen=True, slots=True)
class Check:
    """A row of the table. It is skipped if a check it ``needs`` found a problem or was skipped."""

    name: str
    look: Look
    needs: tuple[str, ...] = ()
    of_embedded: bool | None = None
    """Run only for the embedded model, or only for other endpoints; ``None``: always."""


CHECKS: tuple[Check, ...] = (
    Check("versions", local_checks.check_versions),
    Check("terminal", local_checks.check_terminal),
    Check("folders", local_checks.check_folders),
    Check("sessions", local_checks.check_sessions),
    Check("config", local_checks.check_configuration),
    Check("standing", local_checks.check_instructions),
    Check("embedded", local_checks.check_embedded_model, of_embedded=True),
    Check("proxy", network_checks.check_proxy, of_embedded=False),
    Check("dns", network_checks.check_dns, ("proxy",), of_embedded=False),
    Check("connect", network_checks.check_connection, ("dns",), of_embedded=False),
    Check("tls", network_checks.check_tls, ("connect",), of_embedded=False),
    Check("clock", network_checks.check_clock, ("tls",), of_embedded=False),
    Check("auth", network_checks.check_key, ("tls",), of_embedded=False),
    Check("models", network_checks.check_models, ("auth",), of_embedded=False),
    Check("answer", network_checks.check_answer, ("auth",), of_embedded=False),
)


async def examine(examination: Examination, checks: Iterable[Check] = CHECKS) -> AsyncGenerator[Finding]:
    """Yield the findings of each check as it makes them; its exception is a finding and ends only it."""
    failed: set[str] = set()
    for check in checks:
        if not _applies(check, examination):
            continue
        missing = _missing(check, examination, failed)
        if missing is not None:
            failed.add(check.name)
            yield skipped(check.name, f"needs {missing}")
            continue
        for finding in await _findings(check, examination):
            if finding.status is Status.PROBLEM:
                failed.add(check.name)
            yield finding


def _missing(check: Check, examination: Examination, failed: set[str]) -> str | None:
    if check.of_embedded is False and examination.endpoint is None:
        return "config"
    return next((name for name in check.needs if name in failed), None)


def _applies(check: Check, examination: Examination) -> bool:
    if examination.settings is None:
        # No destination is known.
        return check.of_embedded is None
    return check.of_embedded is None or check.of_embedded is (examination.base_url is None)


async def _findings(check: Check, examination: Examination) -> Iterable[Finding]:
    try:
        return await check.look(examination)
    except ChatcliError as error:
        return [of_error(check.name, error)]
