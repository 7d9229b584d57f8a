from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.errors import ConfigurationError
from chatcli.templates.template import Placeholder, read_places


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("Hello", ("Hello",)),
        ("{{ input }}", (Placeholder("input"),)),
        ("{{input}} and {{ to }}.", (Placeholder("input"), " and ", Placeholder("to"), ".")),
        ('{{ to = "English" }}', (Placeholder("to", "English"),)),
        ('{{to="a \\"b\\" }}\\n"}}', (Placeholder("to", 'a "b" }}\n'),)),
        ("{{ 1 }}{{ 12 }}", (Placeholder("1"), Placeholder("12"))),
        ("{{ 语言 }} {{ max-length }}", (Placeholder("语言"), " ", Placeholder("max-length"))),
        ('{{ "{{" }} x }}', ("{{", " x }}")),
        ("$1 $HOME ${x} {x} } } }}", ("$1 $HOME ${x} {x} } } }}",)),
        ("", ()),
    ],
)
def test_a_text_is_read_as_words_and_places(text, segments):
    assert read_places(text, "x.md") == segments


@pytest.mark.parametrize(
    "braces",
    [
        "{{",
        "{{ }}",
        "{{ 0 }}",
        "{{ a.b }}",
        "{{ a | upper }}",
        "{{ a = b }}",
        "{{ a = 'b' }}",
        '{{ "open }}',
        '{{ "\\x" }}',
        "{{ import os }}",
        "{{{ a }}}",
    ],
)
def test_braces_that_are_no_place_are_told_with_their_line(braces):
    with pytest.raises(ConfigurationError, match=r"x\.md, line 5: cannot read \{\{") as caught:
        read_places(f"one\ntwo\n{braces}", "x.md", first_line=3)
    assert "{{ input }}" in caught.value.hint


@given(st.text(st.sampled_from('{}"\\=|1a input\n') | st.characters()))
def test_reading_ends_in_segments_or_in_the_error_that_is_meant_for_it(text):
    try:
        segments = read_places(text, "x.md")
    except ConfigurationError:
        return
    assert "{{" in text or "".join(map(str, segments)) == text
