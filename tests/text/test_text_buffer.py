"""A text built from many chunks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatcli.text.text_buffer import TextBuffer


@given(st.lists(st.tuples(st.text(), st.booleans()), max_size=20), st.integers(1, 60))
def test_is_all_of_them_in_order_whenever_it_is_asked_for(chunks, times):
    gathered, expected = TextBuffer(), []
    for chunk, is_asked in chunks * times:
        gathered.append(chunk)
        expected.append(chunk)
        if is_asked:
            assert gathered.text == "".join(expected)
    assert gathered.text == "".join(expected)
    assert bool(gathered) == bool("".join(expected))


@given(st.lists(st.text(), max_size=400), st.integers(0, 30), st.text())
def test_loses_its_last_characters_where_they_are_dropped(chunks, count, after):
    gathered = TextBuffer()
    for chunk in chunks:
        gathered.append(chunk)
    text = "".join(chunks)
    gathered.drop_last(count)
    gathered.append(after)
    assert gathered.text == text[: max(0, len(text) - count)] + after
