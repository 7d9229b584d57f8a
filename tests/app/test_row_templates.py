"""A template whose variables are columns."""

from __future__ import annotations

import pytest

from chatcli.app.row_templates import filled_by_columns
from chatcli.core.errors import UsageError
from chatcli.core.messages import TextPart
from chatcli.templates.template import read_template


def template(text):
    return read_template("labels", text, "labels.md")


def parts(text, fields, *, given=None, columns=None):
    return filled_by_columns(template(text), given or {}, columns).message(fields).parts


def test_columns_are_the_variables_of_a_template_and_text_of_others():
    assert parts("Is {{ review }} in {{ language }}?", {"review": "Bon!", "language": "fr"}) == (
        TextPart("Is"),
        TextPart("Bon!", "document"),
        TextPart("in"),
        TextPart("fr", "document"),
        TextPart("?"),
    )


def test_a_given_variable_is_a_word_of_the_person():
    asked = parts("Into {{ language }}: {{ text }}", {"text": "cat"}, given={"language": "French"})
    assert asked == (TextPart("Into French:"), TextPart("cat", "document"))


def test_a_default_serves_where_a_row_or_the_input_has_no_value():
    text = 'Into {{ language = "French" }}: {{ input }}'
    assert parts(text, {"input": "cat", "language": "Dutch"})[1] == TextPart("Dutch", "document")
    assert parts(text, {"input": "cat"})[1] == TextPart("French", "document")
    assert parts(text, {"text": "cat"}, columns=["text"])[0] == TextPart("Into French:")


@pytest.mark.parametrize(
    ("fields", "columns"),
    [({"prompt": "cat"}, None), ({"text": "cat"}, ["id", "text"]), ({"word": "cat"}, ["word"])],
)
def test_the_input_is_the_column_that_is_called_so_or_the_only_one(fields, columns):
    assert parts("Define {{ input }}", fields, columns=columns)[1] == TextPart("cat", "document")


def test_the_input_follows_a_template_that_has_no_place_for_it():
    assert parts("Translate.", {"text": "cat"}, columns=["text"]) == (
        TextPart("Translate."),
        TextPart("cat", "document"),
    )


@pytest.mark.parametrize(
    ("text", "columns", "message", "hint"),
    [
        ("{{ review }}", ["stars"], "needs review", "--var review=VALUE; columns: stars"),
        ("{{ input }}", ["a", "b"], "which column is its input", "columns: a, b"),
        ("{{ 1 }}", ["a"], "takes words", "{{ language }} instead of {{ 1 }}"),
    ],
)
def test_a_template_that_the_input_cannot_fill_is_refused(text, columns, message, hint):
    with pytest.raises(UsageError, match=message) as refused:
        filled_by_columns(template(text), {}, columns)
    assert hint in refused.value.hint


def test_the_input_follows_other_columns_only_if_it_is_called_so():
    text = 'Translate into {{ language = "French" }}.'
    assert parts(text, {"input": "cat"})[-1] == TextPart("cat", "document")
    assert parts(text, {"input": "cat"}, columns=["input"])[-1] == TextPart("cat", "document")
    assert parts(text, {"text": "cat"}) == (
        TextPart("Translate into"),
        TextPart("French", "document"),
        TextPart("."),
    )
