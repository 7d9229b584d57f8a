from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.errors import UsageError
from chatcli.schemas.schema_source import checked_schema
from chatcli.schemas.short_form import read_short_form

TEXT = {"type": "string"}


def properties(text):
    return read_short_form(text)["properties"]


def test_fields_are_texts_unless_they_name_a_type():
    schema = read_short_form("name, age int, tall bool, height float, born date, seen datetime")
    assert schema["properties"] == {
        "name": TEXT,
        "age": {"type": "integer"},
        "tall": {"type": "boolean"},
        "height": {"type": "number"},
        "born": {"type": "string", "format": "date"},
        "seen": {"type": "string", "format": "date-time"},
    }
    assert schema["required"] == list(schema["properties"])


def test_a_list_is_of_texts_unless_it_names_a_type():
    numbers = {"type": "array", "items": {"type": "integer"}}
    assert properties("tags list, pages list int, years list[int]") == {
        "tags": {"type": "array", "items": TEXT},
        "pages": numbers,
        "years": numbers,
    }


@pytest.mark.parametrize("name", ["姓名", "имя", "नाम", "ชื่อ", "e\u0301te\u0301", "_id", "a-1"])
def test_a_name_may_be_of_any_script(name):
    assert properties(f"{name} int, b") == {name: {"type": "integer"}, "b": TEXT}


def test_the_punctuation_of_chinese_and_japanese_keyboards_means_the_same():
    wide, narrow = (
        "姓名，年龄？ int，标签 list：照片上的词，全部的，城市",
        "姓名,年龄? int,标签 list:照片上的词，全部的,城市",
    )
    assert read_short_form(wide) == read_short_form(narrow)
    assert read_short_form("姓名：全名，\n年龄 int，") == read_short_form("姓名: 全名\n年龄 int")


def test_a_description_follows_a_colon_and_may_hold_commas():
    assert properties("tags list: the words on the label, all of them, size int") == {
        "tags": {
            "type": "array",
            "items": TEXT,
            "description": "the words on the label, all of them",
        },
        "size": {"type": "integer"},
    }


def test_on_lines_of_their_own_descriptions_hold_every_comma():
    assert properties("name: first, last\nage int") == {
        "name": {**TEXT, "description": "first, last"},
        "age": {"type": "integer"},
    }


def test_choices_are_written_with_bars_and_optional_fields_with_a_question_mark():
    schema = read_short_form("mood good|bad, note?")
    assert schema["properties"]["mood"] == {"type": "string", "enum": ["good", "bad"]}
    assert schema["required"] == ["mood"]


@pytest.mark.parametrize(
    "text", ["", " , ", "1st", "name name, name", "a, a", "age itn", "mood a||b", "x list list"]
)
def test_what_is_no_schema_is_refused_with_an_example_or_the_types(text):
    with pytest.raises(UsageError) as caught:
        read_short_form(text)
    assert caught.value.hint


def test_a_mistyped_type_is_answered_with_the_nearest():
    with pytest.raises(UsageError) as caught:
        read_short_form("age itn")
    assert caught.value.hint == "did you mean int?"


@given(st.text(max_size=200))
def test_any_text_is_a_sound_schema_or_refused(text):
    try:
        schema = read_short_form(text)
    except UsageError:
        return
    assert checked_schema(schema, "it") == schema
