from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.render.plain import WholeLines


def written(*texts, **named):
    pieces = []
    write = WholeLines(pieces.append, **named)
    for text in texts:
        write(text)
    return pieces


def test_half_a_line_is_held_back():
    assert written("Par", "is.\nMad", "rid.\n", "Rome") == ["Paris.\n", "Madrid.\n"]


@given(st.lists(st.text(alphabet="ab \n")))
def test_every_whole_line_is_passed_on_as_it_is(texts):
    pieces = written(*texts)
    whole = "".join(texts)
    assert "".join(pieces) == whole[: whole.rfind("\n") + 1]
    assert all(piece.endswith("\n") for piece in pieces)


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        (["Paris.\nYes.\n", "Really.\n"], "Assistant: Paris.\nYes.\nReally.\n"),
        (["\n", "\nParis.\n"], "\n\nAssistant: Paris.\n"),
        (["\n"], "\n"),
        ([], ""),
    ],
)
def test_who_speaks_is_named_once(texts, shown):
    assert "".join(written(*texts, speaker="Assistant: ")) == shown
