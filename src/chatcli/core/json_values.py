"""Values of parsed JSON, narrowed to the types they should have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LARGEST_NUMBER: Final = 10**15
"""Larger than any number of tokens, seconds or dollars, and safe to add as floats."""


def as_object(value: object) -> dict[str, Any]:
    """Return ``value`` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """Return ``value`` if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def objects_in(value: object) -> Iterator[dict[str, Any]]:
    """Return the objects in a list, none if ``value`` is no list."""
    return (each for each in (value if isinstance(value, list) else ()) if isinstance(each, dict))


def as_text(value: object) -> str:
    """Return ``value`` if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def optional_text(value: object) -> str | None:
    """Return ``value`` if it is a string, else ``None``."""
    return value if isinstance(value, str) else None


def optional_count(value: Any) -> int | None:
    """Return ``value`` if it is a whole number from 0, else ``None``."""
    return value if type(value) is int and 0 <= value <= _LARGEST_NUMBER else None


def optional_number(value: Any) -> float | None:
    """Return ``value`` if it is a number, else ``None``."""
    return value if type(value) in {int, float} and abs(value) <= _LARGEST_NUMBER else None


def required_text(fields: Mapping[str, Any], name: str) -> str:
    """Return the string in a field; raise ``TypeError`` if there is none."""
    value = fields.get(name)
    if not isinstance(value, str):
        raise TypeError(name)
    return value
