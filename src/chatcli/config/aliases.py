"""Aliases of models: the table ``[aliases]``, and the models a part of a name can mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def resolved_aliases(aliases: Mapping[str, str], place: str) -> dict[str, str]:
    """Return the model behind each alias; an alias may lead to another one.

    One that leads to itself is no alias: a profile takes back the alias of an outer table so. Raise
    ``ConfigurationError``, which names ``place``, for aliases that go in a circle.
    """
    return {
        alias: _model_behind(alias, aliases, place) for alias, target in aliases.items() if target != alias
    }


def _model_behind(alias: str, aliases: Mapping[str, str], place: str) -> str:
    passed, name = [alias], aliases[alias]
    while name in aliases and aliases[name] != name:
        passed.append(name)
        if name in passed[:-1]:
            raise ConfigurationError(
                f"{place} aliases go in a circle: {' → '.join(passed)}", hint="let one of them name a model"
            )
        name = aliases[name]
    return name


def aliases_of(model: str, aliases: Mapping[str, str]) -> tuple[str, ...]:
    """Return the ``aliases`` of ``model``, in their order."""
    return tuple(alias for alias, target in aliases.items() if target == model)


def matching(query: str, models: Iterable[str], aliases: Mapping[str, str]) -> list[str]:
    """Return those of ``models`` that contain every word of ``query``, in their name or their aliases, in any case."""
    words = query.casefold().split()
    return [
        model
        for model in models
        if all(
            any(word in name.casefold() for name in (model, *aliases_of(model, aliases))) for word in words
        )
    ]
