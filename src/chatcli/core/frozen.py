"""Frozen dataclasses whose methods are generated on first use.

``dataclass(frozen=True, slots=True)`` compiles six methods for each class, in half a millisecond. There are some two hundred
such classes: that was a fifth of the time until the prompt is drawn, and a short run uses a few of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, make_dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any, Final, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import Field
    from inspect import Signature

_T = TypeVar("_T")

_GENERATED: Final = ("__init__", "__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[_T]) -> type[_T]:
    """Make ``cls`` what ``dataclass(frozen=True, slots=True)`` makes it. It has no ``InitVar``, and no base with fields."""
    own = vars(cls)
    # Otherwise the signature of a class without one would be its docstring, which takes as long as the methods.
    cls.__doc__ = cls.__doc__ or cls.__name__
    made: Any = dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    for name in _GENERATED:
        # Python sets ``__hash__`` to None where there is an ``__eq__``.
        if own.get(name) is None:
            setattr(made, name, _to_be_generated(made, name))
    made.__signature__ = _LateSignature()
    # A copy and a pickle are restored past the methods that refuse to set a field.
    made.__getstate__, made.__setstate__ = _state, _restore
    kept: type[_T] = made
    return kept


def _to_be_generated(cls: type, name: str) -> Callable[..., Any]:
    def generate(self: object, *arguments: Any, **named: Any) -> Any:
        _generate(cls)
        return getattr(cls, name)(self, *arguments, **named)

    generate.__name__, generate.__qualname__ = name, f"{cls.__qualname__}.{name}"
    vars(generate)["is_to_be_generated"] = True
    return generate


def _generate(cls: type) -> None:
    """Put the methods of a dataclass with the same fields in place of those that call this."""
    after = {"__post_init__": vars(cls)["__post_init__"]} if "__post_init__" in vars(cls) else {}
    given = [(each.name, each.type, _as_given(each)) for each in fields(cls)]
    model = make_dataclass(cls.__name__, given, frozen=True, namespace=after)
    for name in _GENERATED:
        if hasattr(vars(cls).get(name), "is_to_be_generated"):
            generated = vars(model)[name]
            generated.__qualname__ = f"{cls.__qualname__}.{name}"
            setattr(cls, name, generated)


def _as_given(each: Field[Any]) -> Any:
    names = ("default", "default_factory", "init", "repr", "hash", "compare", "kw_only")
    return field(**{name: getattr(each, name) for name in names})


class _LateSignature:
    def __get__(self, instance: object, cls: type) -> Signature:
        _generate(cls)
        generated = signature(vars(cls)["__init__"])
        return generated.replace(parameters=[*generated.parameters.values()][1:])


def _state(self: Any) -> list[Any]:
    return [getattr(self, each.name) for each in fields(self)]


def _restore(self: Any, state: list[Any]) -> None:
    for each, kept in zip(fields(self), state, strict=True):
        object.__setattr__(self, each.name, kept)
