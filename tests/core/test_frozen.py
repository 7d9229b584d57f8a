from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
import threading
from dataclasses import KW_ONLY, FrozenInstanceError, dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.frozen import frozen, mutable


class Fields:
    name: str
    size: int = 3
    tags: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list, compare=False)
    secret: str = field(default="", repr=False)
    length: int = field(init=False, default=0)

    def __post_init__(self):
        object.__setattr__(self, "length", len(self.name))


def made_by(decorator):
    """Return the class of these fields, made anew: as if no method had been generated yet."""
    namespace = {
        name: value for name, value in vars(Fields).items() if name not in {"__dict__", "__weakref__"}
    }
    for name in ("notes", "secret", "length"):
        each = vars(Fields)[name]
        namespace[name] = field(
            default=each.default,
            default_factory=each.default_factory,
            init=each.init,
            repr=each.repr,
            compare=each.compare,
        )
    return decorator(type("Kept", (), namespace))


Kept = made_by(frozen)
Usual = made_by(dataclass(frozen=True, slots=True))
ARGUMENTS = st.fixed_dictionaries(
    {"name": st.text(max_size=3)},
    optional={
        "size": st.integers(0, 3),
        "tags": st.tuples(st.text(max_size=1)),
        "notes": st.lists(st.text(max_size=1), max_size=1),
        "secret": st.sampled_from(["", "a"]),
    },
)


@given(ARGUMENTS, ARGUMENTS)
def test_values_are_those_of_a_frozen_dataclass(one, other):
    ours, usual = Kept(**one), Usual(**one)
    assert repr(ours) == repr(usual)
    assert hash(ours) == hash(usual)
    assert dataclasses.asdict(ours) == dataclasses.asdict(usual)
    assert (ours == Kept(**other)) == (usual == Usual(**other))
    assert ours != usual
    changed = dataclasses.replace(ours, size=9)
    assert (changed.size, changed.length, changed.name) == (9, len(one["name"]), one["name"])


def test_its_description_is_that_of_a_frozen_dataclass():
    assert inspect.signature(made_by(frozen)) == inspect.signature(Usual)
    assert Kept.__match_args__ == Usual.__match_args__
    assert [each.name for each in dataclasses.fields(Kept)] == [
        each.name for each in dataclasses.fields(Usual)
    ]
    assert dataclasses.is_dataclass(Kept)
    assert not hasattr(Kept("a"), "__dict__")


@pytest.mark.parametrize(
    "first",
    [
        lambda cls: cls("a", 1).name == "a",
        lambda cls: cls(name="a", tags=("b",)).tags == ("b",),
        lambda cls: str(inspect.signature(cls)).startswith("(name"),
        lambda cls: cls("a") == cls("a"),
        lambda cls: repr(cls("a")).startswith("Kept(name='a'"),
        lambda cls: {cls("a"): 1}[cls("a")],
        lambda cls: cls.__eq__ is not object.__eq__,
    ],
)
def test_any_use_may_be_the_first(first):
    cls = made_by(frozen)
    assert first(cls)
    assert first(cls)


@pytest.mark.parametrize("argument", [{}, {"name": "a", "nobody": 1}, {"name": "a", "length": 1}], ids=str)
def test_wrong_arguments_are_refused(argument):
    for cls in (made_by(frozen), Usual):
        with pytest.raises(TypeError, match="argument"):
            cls(**argument)


def test_a_field_can_neither_be_set_nor_deleted():
    kept = made_by(frozen)("a")
    with pytest.raises(FrozenInstanceError):
        kept.name = "b"
    with pytest.raises(FrozenInstanceError):
        del kept.name
    assert kept.name == "a"


def test_a_value_matches_by_position():
    match Kept("a", 2):
        case Kept(name, size):
            assert (name, size) == ("a", 2)
        case _:
            pytest.fail("it does not match")


@frozen
class Pickled:
    name: str
    tags: tuple[str, ...] = ()


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))]
)
def test_copies_are_equal(copied):
    assert copied(Pickled("a", ("b",))) == Pickled("a", ("b",))


def test_methods_of_its_own_are_kept():
    @frozen
    class OfOneLength:  # noqa: PLW1641 - a frozen class has one
        """Equal if as long."""

        text: str

        def __eq__(self, other):
            return isinstance(other, OfOneLength) and len(self.text) == len(other.text)

        def __repr__(self):
            return f"<{self.text}>"

    assert (repr(OfOneLength("a")), OfOneLength("a") == OfOneLength("b")) == ("<a>", True)
    assert hash(OfOneLength("a")) == hash(("a",))
    assert OfOneLength.__doc__ == "Equal if as long."


def test_fields_of_a_base_come_first():
    def derived(decorator):
        @decorator
        class Base:
            line: bytes | None = field(default=None, init=False, repr=False, compare=False)

        @decorator
        class Derived(Base):
            name: str
            size: int = 3

        return Derived

    ours, usual = derived(frozen)("a"), derived(dataclass(frozen=True, slots=True))("a")
    assert repr(ours) == repr(usual)
    assert hash(ours) == hash(usual)
    assert ours.line is None
    assert dataclasses.replace(ours, size=4) == type(ours)("a", 4)


def test_a_class_that_is_derived_without_fields_may_call_the_method_it_replaces():
    @frozen
    class Base:
        name: str

    class Derived(Base):
        def __init__(self):
            super().__init__("a")

    assert Derived().name == Base("a").name == "a"


def test_a_value_that_holds_itself_is_shown():
    notes: list[object] = []
    value = Kept("a", notes=notes)
    notes.append(value)
    assert repr(value) == "Kept(name='a', size=3, tags=(), notes=[...], length=1)"


@given(ARGUMENTS)
def test_a_mutable_one_is_what_a_dataclass_without_equality_is(arguments):
    ours = made_by(mutable)(**arguments)
    usual = made_by(dataclass(eq=False, slots=True))(**arguments)
    assert repr(ours) == repr(usual)
    assert dataclasses.asdict(ours) == dataclasses.asdict(usual)
    ours.name = "b"
    assert (ours.name, ours == ours, ours != made_by(mutable)(**arguments)) == ("b", True, True)  # noqa: PLR0124
    assert {ours: 1}[ours]


def test_fields_behind_the_mark_are_given_by_name():
    @mutable
    class Named:
        path: str
        _: KW_ONLY
        is_private: bool = False

    assert Named("a", is_private=True).is_private
    with pytest.raises(TypeError, match="argument"):
        Named("a", True)


def test_threads_may_make_the_first_one_at_once():
    for _ in range(20):
        cls, gate, made = made_by(frozen), threading.Barrier(8), []

        def make(cls=cls, gate=gate, made=made):
            gate.wait()
            made.append(cls("a", 2))

        threads = [threading.Thread(target=make) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [each == cls("a", 2) for each in made] == [True] * 8


def test_a_class_that_is_not_used_compiles_nothing():
    code = """
import builtins, dataclasses
compiled, execute = [], builtins.exec
builtins.exec = lambda *arguments: (compiled.append(arguments[0]), execute(*arguments))[1]
from chatcli.core.frozen import frozen, mutable
compiled.clear()
@frozen
class Kept:
    name: str
assert not compiled
Kept("a")
assert compiled
"""
    subprocess.run([sys.executable, "-c", code], check=True)
