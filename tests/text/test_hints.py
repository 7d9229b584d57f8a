from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.text.hints import QUOTED_NAME, SINGLE_QUOTES, STRAIGHT_QUOTES, did_you_mean, toml_hint


def test_the_nearest_name_is_suggested():
    assert did_you_mean("modle", ["system", "model", "seed"]) == "did you mean model?"


def test_without_a_near_name_all_are_listed():
    assert did_you_mean("xyz", ["model", "seed"]) == "known: model, seed"


def test_of_very_many_the_first_are_listed():
    listed = did_you_mean("xyz", map(str, range(1_200)), "templates")
    assert listed.startswith("templates: 0, 1, 2")
    assert listed.endswith("98, 99 and 1,100 more")


def test_without_any_name_that_is_reported():
    assert did_you_mean("xyz", []) == "there are none"


def hint_of(text):
    try:
        tomllib.loads(text)
    except ValueError as error:
        return toml_hint(text, error)
    raise AssertionError("that is TOML")


@pytest.mark.parametrize(
    "text",
    [
        r'path = "C:\Users\ada"',
        'a = 1\npath = "C:\\dev"\nb = 2\n',
        r'path = "C:\x"',
        'path = "C:\\',
        r'o = { p = "\d" }',
    ],
)
def test_a_backslash_in_double_quotes_wants_single_ones(text):
    assert hint_of(text) == SINGLE_QUOTES


@pytest.mark.parametrize("text", ['[aliases]\n中文 = "zh"\n', "[profiles.búo]", 'modèle = "x"'])
def test_a_name_with_other_letters_wants_quotes(text):
    assert hint_of(text) == QUOTED_NAME


@pytest.mark.parametrize("text", ["a = \u201cb\u201d", "a = \u300cb\u300d", 'a = ["b", \u2018c\u2019]'])
def test_quotes_of_a_text_editor_are_not_those_of_toml(text):
    assert hint_of(text) == STRAIGHT_QUOTES


@pytest.mark.parametrize(
    "text",
    [
        'a = "中文" "x"',
        "a = b # 中文",
        "model = unquoted",
        "a = 'C:\\x'\nb = unquoted",
        "a = True",
        "[",
        'a = "x',
    ],
)
def test_any_other_mistake_has_no_hint_of_its_own(text):
    assert hint_of(text) is None


@given(st.text(), st.text())
def test_any_text_and_any_message_are_taken(text, message):
    assert toml_hint(text, ValueError(message)) in {None, SINGLE_QUOTES, STRAIGHT_QUOTES, QUOTED_NAME}
