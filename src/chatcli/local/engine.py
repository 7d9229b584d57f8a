"""Which engine runs the embedded model, and whether it is here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

ENGINE = "xllamacpp"
ENGINE_REQUIREMENT = "xllamacpp>=2026.10,<2026.11"
"""The extra ``local``, for messages that tell how to install it."""


@dataclass(frozen=True, slots=True)
class EngineState:
    """``version`` is ``None`` when the engine is missing or does not tell."""

    installed: bool
    version: str | None


def engine_state(name: str = ENGINE) -> EngineState:
    """Look for the engine without loading it."""
    return EngineState(find_spec(name) is not None, _version(name))


def _version(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 -- 15 ms that few starts need

    try:
        return version(name)
    except PackageNotFoundError:
        return None
