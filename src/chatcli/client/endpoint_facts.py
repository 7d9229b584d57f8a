"""What the models of one endpoint showed of themselves: known to the whole run, and to later ones where that is wanted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from chatcli.storage.cache import JsonFileCache

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chatcli.client.endpoint import Endpoint

SHORTEST_TOKENS: Final = 200
"""Of a shorter prompt a chat template and its own system prompt are the better part."""

LARGEST_SHARE: Final = 1.0
"""Who tells of more than twice the tokens counts something else."""

_NOTHING: Final = object()
_EASED: Final = 0.25
"""How much of the way to a smaller share one answer goes: what was too little once may be again."""


class Facts:
    """One fact about each model at ``base_url``: any JSON value. A file at ``path`` has those of earlier runs.

    Without ``is_kept`` nothing is added to the file. ``now_s`` tells the time in seconds since the epoch.
    """

    def __init__(
        self,
        base_url: str = "",
        path: Path | None = None,
        *,
        is_kept: bool = True,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._base_url = base_url
        self._path = path
        self._is_kept = is_kept
        self._now_s = now_s
        self._known: dict[str, tuple[bool, object]] = {}
        self._stored: set[str] = set()

    def recall(self, model: str) -> tuple[bool, object]:
        """Return whether something is known of ``model``, and what: a value of the file was checked by nobody."""
        if model not in self._known:
            value = _NOTHING if (file := self._file()) is None else file.get(self._key(model), _NOTHING)
            self._known[model] = (False, None) if value is _NOTHING else (True, value)
        return self._known[model]

    def remember(self, model: str, value: object) -> None:
        # Stored once a run although it is known, as the file forgets after a week.
        if model in self._stored and self._known.get(model) == (True, value):
            return
        self._known[model] = True, value
        self._stored.add(model)
        if self._is_kept and (file := self._file()) is not None:
            file.put(self._key(model), value)

    def _file(self) -> JsonFileCache | None:
        return None if self._path is None else JsonFileCache(self._path, now_s=self._now_s())

    def _key(self, model: str) -> str:
        return f"{self._base_url} {model}"


class LearnedCounts:
    """What to add to a count for the models of an endpoint, as a share of it: from nothing to ``LARGEST_SHARE``.

    A larger share counts at once, as a prompt that is too long is refused; a smaller one is come to in steps. It is
    never negative: nothing is sent in the hope that an endpoint counts little.
    """

    def __init__(self, shares: Facts | None = None) -> None:
        self._shares = shares or Facts()

    def share(self, model: str) -> float:
        _, value = self._shares.recall(model)
        return value if isinstance(value, float) and 0 <= value <= LARGEST_SHARE else 0.0

    def learn(self, model: str, counted_tokens: int, reported_tokens: int) -> None:
        """Take note that the endpoint reported ``reported_tokens`` where the vocabulary said ``counted_tokens``."""
        if counted_tokens < SHORTEST_TOKENS:
            return
        seen = max(0.0, reported_tokens / counted_tokens - 1)
        if seen > LARGEST_SHARE:
            return
        before = self.share(model)
        share = round(seen if seen > before else before + (seen - before) * _EASED, 4)
        if share != before:
            self._shares.remember(model, share)


class EndpointFacts:
    """What was learned of one endpoint: see the layers that learn it. Files in the folder ``cache`` are for later runs.

    Of the embedded model, whose address is another with each start, only what is cheap to lose is kept.
    """

    def __init__(self, endpoint: Endpoint, cache: Path, *, is_kept: bool) -> None:
        def facts(file: str, *, has_file: bool) -> Facts:
            return Facts(endpoint.base_url, cache / file if has_file else None)

        is_lasting = is_kept and not endpoint.embedded
        self.refused = facts("parameters.json", has_file=is_kept)
        """The fields of a request that a model does not take, and roles."""
        self.endings = facts("endings.json", has_file=is_kept)
        """How the endpoint ends its streams."""
        self.reasoning_styles = facts("reasoning.json", has_file=is_lasting)
        self.counts = LearnedCounts(facts("counts.json", has_file=is_lasting))
        # A run that leaves no trace reads them all the same: a window is waited for.
        self.windows = Facts(endpoint.base_url, cache / "windows.json", is_kept=is_lasting)
