from __future__ import annotations

import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.errors import UsageError
from chatcli.sessions.names import checked_name, is_path


@pytest.mark.parametrize("text", ["a/b", "./a", "/a", "a.jsonl", "~/a", f"a{os.sep}b"])
def test_a_separator_or_the_suffix_makes_a_path(text):
    assert is_path(text)


@pytest.mark.parametrize("text", ["a", "a.json", "trip to Rome", "会话", ""])
def test_anything_else_is_a_name(text):
    assert not is_path(text)


@pytest.mark.parametrize(
    "name",
    [
        "trip",
        "Trip to Rome",
        "会话",
        "a.b",
        "2026-11-23-2105-a1b2",
        "é",
        "می\u200cخواهم",
        "👨\u200d👩\u200d👧",
        "console",
    ],
)
def test_words_of_every_script_are_names(name):
    assert checked_name(name) == name


def test_a_name_is_composed():
    assert checked_name("e\u0301") == "é"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "  ",
        ".",
        "..",
        ".hidden",
        "-s",
        "a.",
        "a ",
        "x" * 101,
        "会" * 90,
        "a\nb",
        "a\0",
        "a\x9b",
        "a\u202eb",
        "\udc80",
    ]
    + [f"a{character}b" for character in '<>:"|?*\\/']
    + ["CON", "nul", "Com1", "LPT9.txt", "aux.a.b"],
)
def test_what_could_leave_the_folder_or_fails_elsewhere_is_refused(name):
    with pytest.raises(UsageError, match="cannot name a session") as caught:
        checked_name(name)
    assert caught.value.hint
    assert caught.value.message.isprintable()


@given(st.text(st.characters(exclude_categories=())))
def test_an_accepted_name_is_one_file_name(text):
    try:
        name = checked_name(text)
    except UsageError:
        return
    assert os.path.basename(name) == name  # noqa: PTH119 -- the rule of the system itself
    assert len(f"{name}.jsonl".encode()) <= 255
    assert checked_name(unicodedata.normalize("NFD", name)) == name
