"""The models that endpoints list: read from there, kept for later runs, and compared with the name of a model."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from chatcli.config.aliases import candidates, listing
from chatcli.core.errors import EndpointError, UsageError
from chatcli.storage.cache import JsonFileCache

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from chatcli.client.catalog import OfferedModel
    from chatcli.client.pool import PoolEntry

FILE_NAME: Final = "models.json"
"""The file in the cache folder, with the lists of every endpoint."""

_CATALOG_TIMEOUT_S: Final = 5.0
_MOST_LISTS, _MOST_NAMES, _LONGEST_NAME = 50, 5_000, 200
_ANSWERING_TO_ANY_NAME: Final = frozenset({"llamacpp"})
"""The owners of models whose server has one model, and asks it whatever name a request has: llama.cpp."""


class ModelLists:
    """The names each endpoint listed last, in a file of the folder ``cache``. Without ``is_kept`` nothing is written."""

    def __init__(self, cache: Path, *, is_kept: bool = True) -> None:
        self._kept = JsonFileCache(cache / FILE_NAME, most_entries=_MOST_LISTS)
        self._is_kept = is_kept

    def names(self, base_url: str) -> tuple[str, ...]:
        """Return the models of an endpoint, none if its list was never read; send no request."""
        return _names(self._kept.get(base_url, ()))

    def every_name(self) -> set[str]:
        """Return the models of all endpoints."""
        return {name for names in self._kept.values() for name in _names(names)}

    def keep(self, base_url: str, names: Iterable[str]) -> None:
        """Keep a list in place of an earlier one; of an endless one, the beginning."""
        kept = tuple(islice((name for name in names if len(name) <= _LONGEST_NAME), _MOST_NAMES))
        if self._is_kept and kept and kept != self.names(base_url):
            self._kept.put(base_url, kept)


def _names(value: object) -> tuple[str, ...]:
    # Values in the file are not validated.
    return tuple(name for name in value if isinstance(name, str)) if isinstance(value, list) else ()


async def list_offered(entry: PoolEntry, lists: ModelLists | None = None) -> tuple[OfferedModel, ...]:
    """Return the models the endpoint lists, and keep their names in ``lists``. Raise an ``EndpointError``."""
    from chatcli.client.catalog import offered_models  # noqa: PLC0415 - only to read a list

    offered = await offered_models(entry, timeout_s=_CATALOG_TIMEOUT_S)
    if lists is not None and not entry.endpoint.embedded:
        lists.keep(entry.endpoint.base_url, [model.id for model in offered])
    return offered


async def refuse_part(name: str, entry: PoolEntry, lists: ModelLists) -> None:
    """Raise ``UsageError`` if ``name`` is only a part of names that the endpoint is known to list.

    A model is never chosen for a script. Where no list was read, nothing is refused; one from earlier is read again first,
    since the endpoint may have a new model of that name.
    """
    endpoint = entry.endpoint
    if endpoint.embedded or not candidates(name, lists.names(endpoint.base_url)):
        return
    try:
        offered = await list_offered(entry, lists)
    except EndpointError:
        # The request will report it, or be answered.
        return
    found = candidates(name, [model.id for model in offered])
    if found and not any(model.owner in _ANSWERING_TO_ANY_NAME for model in offered):
        raise part_of_a_name(name, found, endpoint.host)


def part_of_a_name(name: str, found: Sequence[str], host: str) -> UsageError:
    """Return the error for a ``name`` in a script that is only a part of those ``found`` at ``host``."""
    return UsageError(
        f"{host} lists no model {name}, but {listing(found)}",
        hint="give a whole name, or an alias from [aliases] in config.toml",
        code="part_of_a_name",
    )
