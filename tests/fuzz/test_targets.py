from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.targets import TARGETS

HERE = Path(__file__).parent
KEPT = [
    pytest.param(name, path, id=f"{name} {path.name}")
    for name in TARGETS
    for folder in ("corpus", "findings")
    for path in sorted((HERE / folder / name).glob("*"))
]


@pytest.mark.parametrize(("name", "path"), KEPT)
def test_what_was_fuzzed_before_is_read_right(name, path):
    TARGETS[name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
@settings(deadline=None)
@given(st.data())
def test_any_bytes_and_any_mixture_of_the_corpus_are_read_right(name, data):
    seeds = [path.read_bytes() for path in sorted((HERE / "corpus" / name).glob("*"))]
    lines = sorted({line for seed in seeds for line in seed.split(b"\n")})
    pieces = data.draw(st.lists(st.sampled_from(lines) | st.binary(max_size=20), max_size=8))
    TARGETS[name](b"\n".join(pieces))
