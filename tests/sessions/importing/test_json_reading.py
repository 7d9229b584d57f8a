from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.sessions.importing import json_reading
from chatcli.sessions.importing.json_reading import BrokenJSON, read_values

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class Dribble:
    """A stream that returns ``content`` in chunks of a fixed size, whatever size is requested."""

    def __init__(self, content, size):
        self._stream = io.BytesIO(content)
        self._size = size

    def read(self, size):
        return self._stream.read(min(size, self._size))


def read(content, size=1 << 20):
    return list(read_values(Dribble(content, size)))


@given(st.lists(values, max_size=5), st.integers(1, 40), st.booleans(), st.sampled_from([None, 2]))
def test_the_values_are_those_of_the_array_however_it_is_cut(expected, size, ascii_only, indent):
    content = json.dumps(expected, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    assert read(content, size) == expected


def test_what_is_no_array_is_one_value():
    assert read(b' {"a": [1, 2]} ') == [{"a": [1, 2]}]
    assert read(b"12", 1) == [12]


def test_a_byte_order_mark_and_control_characters_do_no_harm():
    assert read(b'\xef\xbb\xbf["a\x01b"]') == ["a\x01b"]


def test_bytes_that_are_no_utf_8_cost_a_character():
    assert read(b'["a\xffb"]') == ["a\ufffdb"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[",
        b"[1",
        b"[1,",
        b'["a',
        b'[{"a": 1',
        b"[1 2]",
        b"[}]",
        b"nonsense",
        b"\x00\x01",
        b"[1,]",
        b'["\\ud8',
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_what_is_broken_is_reported(content, size):
    with pytest.raises(BrokenJSON):
        read(content, size)


def test_what_came_before_the_break_is_given_out():
    values = read_values(io.BytesIO(b'[{"a": 1}, {"b": }, {"c": 3}' + b" " * 100))
    assert next(values) == {"a": 1}
    with pytest.raises(BrokenJSON, match="at character 11"):
        next(values)


def test_a_broken_entry_is_found_without_reading_all_that_follows():
    stream = io.BytesIO(b'[{"a": 1}, {"b": }, ' + b" " * 10_000_000 + b"]")
    with pytest.raises(BrokenJSON):
        list(read_values(stream))
    assert stream.tell() < 1_000_000


def test_nesting_without_end_is_broken_not_a_crash():
    with pytest.raises(BrokenJSON, match="nested too deeply"):
        read(b"[" * 200_000)


@pytest.mark.parametrize("content", [b"7" * 6_000, b"[" + b"7" * 300_000, b'[{"a": ' + b"7" * 6_000 + b"}]"])
def test_a_number_that_python_does_not_read_is_broken_not_a_crash(content):
    with pytest.raises(BrokenJSON, match="a number is too long"):
        read(content)


def test_an_entry_may_not_have_parts_without_end(monkeypatch):
    monkeypatch.setattr(json_reading, "MOST_VALUES", 1_000)
    with pytest.raises(BrokenJSON, match="too long"):
        read(b'[{"a": [' + b"[]," * 500_000)


def test_an_entry_may_not_be_endless(monkeypatch):
    monkeypatch.setattr(json_reading, "LONGEST_CHARACTERS", 1000)
    with pytest.raises(BrokenJSON, match="too long"):
        read(b'["' + b"x" * 1_000_000)


def test_a_long_entry_is_tried_only_a_few_times():
    class Counting:
        def __init__(self, content):
            self.stream = io.BytesIO(content)
            self.reads = 0

        def read(self, size):
            self.reads += 1
            return self.stream.read(size)

    stream = Counting(b'["' + b"x" * 40_000_000 + b'"]')
    assert len(next(read_values(stream))) == 40_000_000
    assert stream.reads < 12
