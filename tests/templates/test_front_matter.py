from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.errors import ConfigurationError
from chatcli.templates.template import FrontMatter, split_front_matter

FULL = """\
+++
description = "Say  it"
model = "small"
temperature = 0
extract = true
output = "text"
[defaults]
to = "English"
+++

Hello +++
"""


def test_what_stands_above_the_words_is_read():
    matter, body, line = split_front_matter(FULL, "x.md")
    assert matter == FrontMatter(
        description="Say it",
        settings={"model": "small", "temperature": 0},
        extract=True,
        output="text",
        defaults={"to": "English"},
    )
    assert (body, line) == ("\nHello +++\n", 10)


@pytest.mark.parametrize(
    "text", ["Hello", "", "Hello\n+++\nx = 1\n+++", "--- \nA line\n---\nwords", "++++\n"]
)
def test_a_text_may_have_none(text):
    assert split_front_matter(text, "x.md") == (FrontMatter(), text, 1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("+++\nmodel = 1", "not closed"),
        ("+++\nmodel = a\n+++\n", "not valid TOML"),
        ("+++\napi_key = 'x'\n+++\n", "unknown key 'api_key'"),
        ("+++\nbase_url = 'https://host.example'\n+++\n", "unknown key 'base_url'"),
        ("+++\ndescription = 1\n+++\n", "description must be a text"),
        ("+++\nextract = 'yes'\n+++\n", "extract must be true or false"),
        ("+++\noutput = 'pdf'\n+++\n", "unknown output 'pdf'"),
        ("+++\ndefaults = 1\n+++\n", "defaults must be a table"),
        ("+++\n[defaults]\nn = 1\n+++\n", "defaults must be a table"),
        ("---\ndescription: x\nmodel: y\n---\nHello", "stands between lines of ---"),
    ],
)
def test_a_mistake_is_told_with_the_file_and_what_to_do(text, told):
    with pytest.raises(ConfigurationError, match=r"^x\.md.*") as caught:
        split_front_matter(text, "x.md")
    assert told in caught.value.message
    assert caught.value.hint


def test_a_mistyped_key_names_the_nearest():
    with pytest.raises(ConfigurationError) as caught:
        split_front_matter("+++\ntemprature = 1\n+++\n", "x.md")
    assert caught.value.hint == "did you mean temperature?"


@given(st.text())
def test_reading_never_fails_but_by_the_error_that_is_meant_for_it(toml):
    with suppress(ConfigurationError):
        split_front_matter(f"+++\n{toml}\n+++\nHello", "x.md")
