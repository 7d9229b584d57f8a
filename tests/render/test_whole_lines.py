from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.render.plain import WholeLines


def written(*texts, **named):
    chunks = []
    write = WholeLines(chunks.append, **named)
    for text in texts:
        write(text)
    return chunks


def test_half_a_line_is_held_back():
    assert written("Par", "is.\nMad", "rid.\n", "Rome") == ["Paris.\n", "Madrid.\n"]


@given(st.lists(st.text(alphabet="ab \n")))
def test_every_whole_line_is_passed_on_as_it_is(texts):
    chunks = written(*texts)
    whole = "".join(texts)
    assert "".join(chunks) == whole[: whole.rfind("\n") + 1]
    assert all(chunk.endswith("\n") for chunk in chunks)


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        (["Paris.\nYes.\n", "Really.\n"], "Assistant: Paris.\nYes.\nReally.\n"),
        (["\n", "\nParis.\n"], "\n\nAssistant: Paris.\n"),
        (["\n"], "\n"),
        ([], ""),
    ],
)
def test_the_speaker_is_named_once(texts, shown):
    assert "".join(written(*texts, speaker="Assistant: ")) == shown
