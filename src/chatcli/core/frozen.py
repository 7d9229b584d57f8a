"""Dataclasses that compile nothing before they are used.

``dataclass(frozen=True, slots=True)`` compiles six methods for each class, in a millisecond. There are some two hundred such
classes: that was a fifth of the time until the prompt is drawn, and a short run uses a few of them. Here one of the six is
compiled, ``__init__``, when the first instance is made; the others are the same functions for all classes.
"""

from __future__ import annotations

from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields, make_dataclass
from functools import cache
from inspect import signature
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, Final, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from dataclasses import Field
    from inspect import Signature

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[_T]) -> type[_T]:
    """Make ``cls`` what ``dataclass(frozen=True, slots=True)`` makes it. It has no ``InitVar``; what derives from it is made so too."""
    return _made(cls, _FROZEN)


@dataclass_transform(eq_default=False, field_specifiers=(field,))
def mutable(cls: type[_T]) -> type[_T]:
    """Make ``cls`` what ``dataclass(eq=False, slots=True)`` makes it. It has no ``InitVar``."""
    return _made(cls, _MUTABLE)


def _made(cls: type[_T], methods: Mapping[str, Any]) -> type[_T]:
    own = vars(cls)
    # Otherwise the signature of a class without one would be its docstring, which takes as long as the methods.
    cls.__doc__ = cls.__doc__ or cls.__name__
    made = dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    for name, method in {**methods, "__init__": _late_init(made), "__signature__": _LateSignature()}.items():
        # Python sets ``__hash__`` to None where there is an ``__eq__``.
        if own.get(name) is None:
            setattr(made, name, method)
    return made


def _late_init(cls: type) -> Callable[..., None]:
    def compile_and_call(self: object, *arguments: Any, **named: Any) -> None:
        init = _init_of(cls)
        setattr(cls, "__init__", init)  # noqa: B010 - for mypy it is a method of an instance
        init(self, *arguments, **named)

    return compile_and_call


def _init_of(cls: type) -> Callable[..., None]:
    namespace: dict[str, Any] = {
        "__name__": cls.__module__,
        "_set": object.__setattr__,
        "_not_given": MISSING,
    }
    usual: list[str] = ["self"]
    named: list[str] = []
    body: list[str] = []
    for each in fields(cls):
        name, value = each.name, each.name
        parameters = named if each.kw_only else usual
        if each.default_factory is not MISSING:
            namespace[f"_make_{name}"] = each.default_factory
            value = f"_make_{name}() if {name} is _not_given else {name}" if each.init else f"_make_{name}()"
            default = "=_not_given"
        elif each.default is not MISSING:
            namespace[f"_default_{name}"] = each.default
            value = name if each.init else f"_default_{name}"
            default = f"=_default_{name}"
        elif each.init:
            default = ""
        else:
            continue  # ``__post_init__`` sets it
        parameters += [name + default] if each.init else []
        body.append(f" _set(self, {name!r}, {value})\n")
    body += [" self.__post_init__()\n"] if hasattr(cls, "__post_init__") else []
    usual += ["*", *named] if named else []
    exec(f"def __init__({', '.join(usual)}):\n{''.join(body) or ' pass'}", namespace)  # noqa: S102 - names of fields
    init: Callable[..., None] = namespace["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init


def _equal(self: Any, other: object) -> Any:
    if type(other) is not type(self):
        return NotImplemented
    cls: Any = type(self)  # for mypy some classes cannot be hashed
    values = _values_of(cls, "compare")
    return values(self) == values(other)


def _hash(self: Any) -> int:
    cls: Any = type(self)
    return hash(_values_of(cls, "hash")(self))


@recursive_repr()
def _shown(self: object) -> str:
    cls: Any = type(self)
    shown = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields(cls) if each.repr)
    return f"{type(self).__qualname__}({shown})"


def _refuse_to_set(_self: object, name: str, _value: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_self: object, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


@cache
def _values_of(cls: type, used_to: str) -> Callable[[object], tuple[Any, ...]]:
    """Return a function that returns the values of an instance that are used to ``compare`` it, or for its ``hash``."""
    names = [
        each.name
        for each in fields(cls)
        if (each.compare if used_to == "compare" or each.hash is None else each.hash)
    ]
    if len(names) > 1:
        return attrgetter(*names)
    # ``attrgetter`` returns a single value as it is.
    return lambda instance: tuple(getattr(instance, name) for name in names)


class _LateSignature:
    def __get__(self, instance: object, cls: type) -> Signature:
        given = [(each.name, each.type, _as_given(each)) for each in fields(cls)]
        return signature(make_dataclass(cls.__name__, given))


def _as_given(each: Field[Any]) -> Any:
    names = ("default", "default_factory", "init", "repr", "hash", "compare", "kw_only")
    return field(**{name: getattr(each, name) for name in names})


def _state(self: Any) -> list[Any]:
    return [getattr(self, each.name) for each in fields(self)]


def _restore(self: Any, state: list[Any]) -> None:
    for each, kept in zip(fields(self), state, strict=True):
        object.__setattr__(self, each.name, kept)


_MUTABLE: Final[Mapping[str, Any]] = {"__repr__": _shown}
_FROZEN: Final[Mapping[str, Any]] = {
    **_MUTABLE,
    "__eq__": _equal,
    "__hash__": _hash,
    "__setattr__": _refuse_to_set,
    "__delattr__": _refuse_to_delete,
    # A copy and a pickle are restored past the methods that refuse to set a field.
    "__getstate__": _state,
    "__setstate__": _restore,
}
