"""A log in memory: what a run notes of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatcli.core.event_log import DEBUG, EventLog

if TYPE_CHECKING:
    from collections.abc import Mapping


class NotedEvents(EventLog):
    """An ``EventLog`` that keeps its events of ``least`` level and above, and is its own sink."""

    def __init__(self, least: int = DEBUG) -> None:
        super().__init__()
        self.levels: list[int] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.write_to("memory", lambda: self, least=least)

    def write(self, level: int, event: str, facts: Mapping[str, Any]) -> None:
        self.levels.append(level)
        self.events.append((event, {name: value for name, value in facts.items() if value is not None}))

    def close(self) -> None:
        pass

    @property
    def names(self) -> list[str]:
        return [event for event, _ in self.events]

    def facts(self, event: str) -> list[dict[str, Any]]:
        """Return the facts of each event with this name."""
        return [facts for name, facts in self.events if name == event]
