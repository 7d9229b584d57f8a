from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, make_dataclass
from datetime import date, datetime, time
from enum import Enum
from typing import Annotated, Any, Generic, Literal, TypeVar

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.errors import UsageError
from chatcli.schemas.python_types import typed_format
from chatcli.schemas.schema_source import SchemaFolder

T = TypeVar("T")


class Mood(Enum):
    GOOD = "good"
    BAD = "bad"


@dataclass
class City:
    name: str
    people: int | None = None


@dataclass
class Person:
    name: Annotated[str, "first name, then family name"]
    age: int
    mood: Mood
    born: date
    seen: datetime | None
    wakes: time
    kind: Literal["a", "b"]
    height: float
    home: City
    visited: list[City] = field(default_factory=list)
    tags: tuple[str, ...] = ()
    notes: dict[str, Any] = field(default_factory=dict, metadata={"description": "anything else"})
    friends: list[Person] = field(default_factory=list)
    id: int = field(default=0, init=False)


class Row(pydantic.BaseModel):
    name: str
    size: int = pydantic.Field(gt=3)
    day: date | None = None


ANN = {
    "name": "Ann",
    "age": 5,
    "mood": "good",
    "born": "2020-02-29",
    "seen": None,
    "wakes": "07:30",
    "kind": "a",
    "height": 1,
    "home": {"name": "Paris"},
    "visited": [{"name": "Rome", "people": 3}],
    "tags": ["x"],
    "friends": [],
}


@pytest.fixture
def folder(tmp_path):
    return SchemaFolder(tmp_path)


def answered(schema, folder, value):
    form = typed_format(schema, folder)
    data, problem = form.response_format.check(json.dumps(value))
    return problem or form.build(data)


def test_a_dataclass_becomes_an_instance_with_all_it_holds(folder):
    ann = answered(Person, folder, {**ANN, "friends": [{**ANN, "name": "Bob"}]})
    assert isinstance(ann, Person)
    assert (ann.mood, ann.born, ann.wakes) == (Mood.GOOD, date(2020, 2, 29), time(7, 30))
    assert (ann.home, ann.visited, ann.tags) == (City("Paris"), [City("Rome", 3)], ("x",))
    assert isinstance(ann.height, float)
    assert ann.friends[0].name == "Bob"


def test_the_schema_of_a_dataclass_has_descriptions_and_what_is_required(folder):
    schema = typed_format(Person, folder).response_format.schema
    assert schema["properties"]["name"] == {"type": "string", "description": "first name, then family name"}
    assert schema["properties"]["notes"]["description"] == "anything else"
    assert "visited" not in schema["required"]
    assert "id" not in schema["properties"]


@pytest.mark.parametrize(
    "wrong", [{"age": "5"}, {"mood": "so so"}, {"born": "soon"}, {"home": {}}, {"kind": "c"}]
)
def test_what_does_not_fit_a_dataclass_is_a_problem(folder, wrong):
    assert isinstance(answered(Person, folder, {**ANN, **wrong}), str)


def test_a_list_of_dataclasses_is_a_list(folder):
    assert answered(list[City], folder, {"value": [{"name": "Rome"}]}) == [City("Rome")]
    assert answered(City | None, folder, {"value": None}) is None


def test_a_pydantic_model_makes_its_own_instances_and_its_own_problems(folder):
    assert answered(Row, folder, {"name": "a", "size": 4, "day": "2024-01-01"}) == Row(
        name="a", size=4, day=date(2024, 1, 1)
    )
    assert "less than or equal to" in answered(Row, folder, {"name": "a", "size": 3})
    assert answered(list[Row], folder, {"value": [{"name": "a", "size": 4}]}) == [Row(name="a", size=4)]


@dataclass
class Even:
    n: int

    def __post_init__(self):
        if self.n % 2:
            raise ValueError(f"{self.n} is odd")


def test_what_a_class_refuses_is_a_problem(folder):
    assert answered(Even, folder, {"n": 3}) == "3 is odd"
    assert answered(Even, folder, {"n": 4}) == Even(4)


def test_what_a_model_refuses_of_a_long_list_is_told_in_short(folder):
    class Numbers(pydantic.BaseModel):
        all: list[Annotated[int, pydantic.AfterValidator(lambda n: Even(n).n)]]

    problem = answered(Numbers, folder, {"all": [1] * 1_000})
    assert "1 is odd" in problem
    assert len(problem) < 1_000


def test_a_whole_number_may_be_written_with_a_point(folder):
    (n,) = (answered(int, folder, {"value": 5.0}),)
    assert (n, type(n)) == (5, int)
    assert answered(City, folder, {"name": "Rome", "people": 3.0}) == City("Rome", 3)


@dataclass
class Cat:
    kind: Literal["cat"]
    name: str


@dataclass
class Dog:
    kind: Literal["dog"]
    name: str


@dataclass
class Place:
    name: str


@dataclass
class Shop:
    name: str
    closes: time


class Sized(pydantic.BaseModel):
    size: int


class Worded(pydantic.BaseModel):
    size: str


@pytest.mark.parametrize(
    ("choice", "value", "instance"),
    [
        (Cat | Dog, {"kind": "dog", "name": "Rex"}, Dog("dog", "Rex")),
        (Place | Shop, {"name": "Ann's", "closes": "18:00"}, Shop("Ann's", time(18))),
        (Place | Shop, {"name": "Rome"}, Place("Rome")),
        (Sized | Worded, {"size": "5"}, Worded(size="5")),
        (list[str] | str, "abc", "abc"),
        (set[str] | Literal["none"], "none", "none"),
        (list[str] | dict[str, int], {"a": 1}, {"a": 1}),
        (list[int] | list[date], ["2020-02-29"], [date(2020, 2, 29)]),
        (Literal[1] | date, "2020-02-29", date(2020, 2, 29)),
    ],
    ids=str,
)
def test_a_value_becomes_the_one_of_several_types_that_it_fits(folder, choice, value, instance):
    assert answered(make_dataclass("Asked", [("it", choice)]), folder, {"it": value}).it == instance


class Box(pydantic.BaseModel, Generic[T]):
    value: T


def test_an_endpoint_gets_a_name_it_takes(folder):
    names = [
        typed_format(kind, folder).response_format.name for kind in (Box[int], type("Größe", (Even,), {}))
    ]
    assert names == ["Box_int", "Gr_e"]


def test_classes_of_one_name_are_told_apart(folder):
    class Shop(pydantic.BaseModel):
        at: pydantic.create_model("City", zip=int)

    class Trip(pydantic.BaseModel):
        to: pydantic.create_model("City", name=str)

    both = make_dataclass("Both", [("home", City), ("shop", Shop), ("trip", Trip)])
    found = answered(
        both, folder, {"home": {"name": "Rome"}, "shop": {"at": {"zip": 1}}, "trip": {"to": {"name": "Bari"}}}
    )
    assert (found.home, found.shop.at.zip, found.trip.to.name) == (City("Rome"), 1, "Bari")


def test_patterns_may_name_classes_of_letters(folder):
    word = pydantic.create_model("Word", text=(str, pydantic.Field(pattern=r"^\p{L}+$")))
    assert answered(word, folder, {"text": "été"}).text == "été"
    assert "does not match" in answered(word, folder, {"text": "5"})


def test_json_schemas_and_the_short_form_give_plain_values(folder):
    assert answered("name, age int", folder, {"name": "Ann", "age": 5}) == {"name": "Ann", "age": 5}
    assert answered({"type": "object"}, folder, {"a": 1}) == {"a": 1}


@pytest.mark.parametrize(
    "wrong",
    [
        object(),
        object,
        5,
        {1, 2},
        tuple[int, str],
        dict[int, str],
        {"type": 5},
        {"a": object()},
        Literal[Mood.GOOD],
        pydantic.BaseModel,
        pydantic.create_model("Called", it=Callable[[int], int]),
        list[pydantic.create_model("Unknown", it="Nowhere")],
        Enum("Odd", {"NAN": float("nan")}),
    ],
)
def test_what_is_no_schema_is_refused(folder, wrong):
    with pytest.raises(UsageError):
        typed_format(wrong, folder)


CITIES = st.builds(City, st.text(max_size=5), st.none() | st.integers())


@given(
    st.lists(CITIES, max_size=3), st.sampled_from(Mood), st.dates(), st.none() | st.datetimes(), st.times()
)
def test_an_instance_survives_the_way_through_json(visited, mood, born, seen, wakes):
    ann = Person("Ann", 5, mood, born, seen, wakes, "b", 1.5, City("Rome"), visited)
    written = json.loads(
        json.dumps(
            asdict(ann), default=lambda each: each.value if isinstance(each, Enum) else each.isoformat()
        )
    )
    del written["id"]
    assert answered(Person, SchemaFolder(None), written) == ann
