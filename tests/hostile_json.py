"""JSON of any shape, for hypothesis: unexpected values in place of expected ones."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

HUGE = int("9" * 400)

any_text = st.text(st.characters(exclude_categories=()), max_size=12)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 1, 2**63, HUGE, -HUGE, 1e308, -1e308, float("inf"), float("nan"), 1e-320]),
    st.sampled_from(["", "\0", "\ud800", "\x1b[2J", "a" * 5_000, "9999-12-31T23:59:59-14:00", "0001-01-01"]),
    st.integers(),
    st.floats(),
    any_text,
)
DEEP: Any = json.loads("[" * 150 + "]" * 150)
values = st.one_of(
    st.recursive(
        scalars,
        lambda inside: st.lists(inside, max_size=3) | st.dictionaries(any_text, inside, max_size=3),
        max_leaves=6,
    ),
    st.builds(copy.deepcopy, st.just(DEEP)),
)


@st.composite
def damaged(draw: Any, sound: Any, *, times: int = 2) -> Any:
    """Draw a copy of ``sound``, a JSON value, with arbitrary values in a few places."""
    value = copy.deepcopy(draw(st.sampled_from(sound)))
    for _ in range(draw(st.integers(1, times))):
        places = list(_places(value))
        if not places:
            break
        owner, key = draw(st.sampled_from(places))
        action = draw(st.sampled_from(["replace", "remove", "add"]))
        if action == "replace":
            owner[key] = draw(values)
        elif action == "remove":
            del owner[key]
        elif isinstance(owner, dict):
            owner[draw(any_text)] = draw(values)
        else:
            owner.append(draw(values))
    return value


def dumped(value: Any) -> bytes:
    """Return ``value`` as a line of JSON, including what only Python reads (NaN, lone surrogates)."""
    return json.dumps(value, ensure_ascii=True).encode()


def _places(value: Any, depth: int = 0) -> Any:
    if depth > 6:
        return
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key], depth + 1)
