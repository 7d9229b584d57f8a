"""What there is to chat with on this machine: engine, weights, and servers that already run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chatcli.local.discovery import WELL_KNOWN, find_servers
from chatcli.local.engine import engine_state
from chatcli.local.weights import status

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from chatcli.local.discovery import FoundServer, ServerCandidate
    from chatcli.local.engine import EngineState
    from chatcli.local.weights import WeightsState


@dataclass(frozen=True, slots=True)
class LocalState:
    engine: EngineState
    weights: WeightsState
    servers: tuple[FoundServer, ...]

    @property
    def ready(self) -> bool:
        """Whether the embedded model can be started."""
        return self.engine.installed and self.weights.ready


async def local_state(folder: Path, candidates: Iterable[ServerCandidate] = WELL_KNOWN) -> LocalState:
    """Look at the engine, at the weights in ``folder`` and at the usual ports of the loopback."""
    return LocalState(engine_state(), status(folder), await find_servers(candidates))
