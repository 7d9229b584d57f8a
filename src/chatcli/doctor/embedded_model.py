"""The embedded model, where no endpoint is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.doctor.finding import ok, problem
from chatcli.local.engine import ENGINE, ENGINE_REQUIREMENT, engine_state
from chatcli.local.weights import SMOLLM2, status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.doctor.examination import Examination
    from chatcli.doctor.finding import Finding

_NAME = "embedded"
_OTHER_WAYS = "chatcli config login keeps a key, --base-url names a server"


async def check(examination: Examination) -> Iterable[Finding]:
    engine, weights = engine_state(), status(examination.world.paths.local)
    findings = []
    if engine.installed:
        findings.append(ok(_NAME, f"engine {ENGINE} {engine.version or ''}".rstrip()))
    else:
        findings.append(
            problem(
                _NAME,
                "the engine is not installed",
                f"pip install '{ENGINE_REQUIREMENT}'; else {_OTHER_WAYS}",
            )
        )
    if weights.ready:
        findings.append(ok(_NAME, f"weights {SMOLLM2.title} in {weights.path}"))
    else:
        missing = "unfinished" if weights.present else "not here"
        findings.append(
            problem(_NAME, f"the weights are {missing}", f"chatcli local setup; else {_OTHER_WAYS}")
        )
    return findings
