"""What the engine's process is told to do: one line of JSON on its standard input, so that no secret is in argv."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

ENGINE_MISSING = "engine_missing"
"""The process's ``error`` when its engine is not installed."""


@dataclass(frozen=True, slots=True)
class EngineOrder:
    """Serve the weights on ``port`` of the loopback; 0 takes a free one, an empty ``api_key`` lets everybody in."""

    weights_path: str
    model: str
    context_tokens: int
    port: int
    api_key: str = field(repr=False)

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> EngineOrder:
        return cls(**json.loads(line))
