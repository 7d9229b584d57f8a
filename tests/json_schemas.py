"""Strategies for JSON Schemas, and for values that may fit them."""

from __future__ import annotations

from hypothesis import strategies as st

KEYWORDS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["object", "array", "string", "integer", "null", "boolean", "number"]),
        "minLength": st.integers(0, 3),
        "maximum": st.integers(-3, 3),
        "required": st.lists(st.sampled_from("abc"), unique=True),
        "enum": st.lists(st.none() | st.integers(-2, 2) | st.sampled_from("abc"), min_size=1, max_size=4),
        "additionalProperties": st.booleans(),
        "uniqueItems": st.booleans(),
        "pattern": st.sampled_from(["a", "^b", "[ab]$"]),
    },
)
SCHEMAS = st.recursive(
    KEYWORDS,
    lambda inner: st.builds(
        lambda keywords, more: {**keywords, **more},
        KEYWORDS,
        st.fixed_dictionaries(
            {},
            optional={
                "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
                "items": inner,
                "anyOf": st.lists(inner, min_size=1, max_size=3),
                "oneOf": st.lists(inner, min_size=1, max_size=2),
                "not": inner,
                "patternProperties": st.dictionaries(st.sampled_from(["a", "^b"]), inner, max_size=2),
            },
        ),
    ),
    max_leaves=8,
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-4, 4) | st.sampled_from(["", "a", "b", "ab", "value"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "b", "c", "value"]), inner, max_size=3)
    ),
    max_leaves=8,
)
