from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.json_values import (
    as_list,
    as_object,
    as_text,
    objects_in,
    optional_count,
    optional_number,
    optional_text,
    required_text,
)

any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=8,
)


@given(any_json)
def test_a_value_of_the_type_stays_and_any_other_is_empty(value):
    for narrow, kind in ((as_object, dict), (as_list, list), (as_text, str)):
        assert narrow(value) == (value if isinstance(value, kind) else kind())


@given(any_json)
def test_only_the_objects_of_a_list_are_taken(value):
    taken = list(objects_in(value))
    assert taken == ([each for each in value if isinstance(each, dict)] if isinstance(value, list) else [])


@given(any_json)
def test_an_optional_value_is_of_its_type_or_none(value):
    assert optional_text(value) == (value if isinstance(value, str) else None)
    assert optional_count(value) in {None, value if type(value) is int and value >= 0 else None}
    assert optional_number(value) in {None, value if type(value) in {int, float} else None}


@pytest.mark.parametrize("value", [True, -1, 1.0, "1", 10**15 + 1])
def test_a_count_is_a_whole_number_from_zero_of_sensible_size(value):
    assert optional_count(value) is None
    assert (optional_count(0), optional_count(10**15)) == (0, 10**15)


def test_what_is_true_is_no_number():
    assert (optional_number(True), optional_number(-0.5)) == (None, -0.5)


def test_a_required_text_is_there_or_an_error_names_its_field():
    assert required_text({"id": "a"}, "id") == "a"
    for fields in ({}, {"id": 1}, {"id": None}):
        with pytest.raises(TypeError, match="id"):
            required_text(fields, "id")
