"""Aliases of models: the table ``[aliases]``, and the models a part of a name can mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.core.errors import ConfigurationError
from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_COMPLETION: Final = lazy_pattern(r"(?:[:-]latest|-[0-9]{3,8}|-[0-9]{4}-[0-9]{2}-[0-9]{2})?")
_MOST_SHOWN: Final = 8


def resolved_aliases(aliases: Mapping[str, str], place: str) -> dict[str, str]:
    """Return the model behind each alias; an alias may lead to another one.

    One that leads to itself says that it is the whole name of a model, as a profile does for an alias of an outer table.
    Raise ``ConfigurationError``, which names ``place``, for aliases that go in a circle.
    """
    return {alias: _model_behind(alias, aliases, place) for alias in aliases}


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
    return tuple(alias for alias, target in aliases.items() if target == model != alias)


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


def candidates(name: str, listed: Iterable[str]) -> list[str]:
    """Return the models of an endpoint of whose names ``name`` is only a part, none if it may be a whole name."""
    listed = tuple(listed)
    if any(is_name_of(name, model) for model in listed):
        return []
    return matching(name, listed, {}) if name.strip() else []


def is_name_of(name: str, model: str) -> bool:
    """Return whether an endpoint that lists ``model`` may know it as ``name`` too.

    Names are completed by a tag (``qwen3:latest`` at Ollama) or a date (``gpt-4o-2024-08-06``), and Gemini's by ``models/``.
    """
    return model.endswith(f"/{name}") or bool(
        model.startswith(name) and _COMPLETION.fullmatch(model[len(name) :])
    )


def listing(models: Sequence[str]) -> str:
    """Return the first of several names, and how many more there are, for a message."""
    more = len(models) - _MOST_SHOWN
    return ", ".join(models[:_MOST_SHOWN]) + (f" and {more:,} more" if more > 0 else "")
