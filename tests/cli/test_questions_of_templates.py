from __future__ import annotations

from argparse import Namespace

import pytest

from chatcli.app.run_context import RunContext
from chatcli.cli.questions import chosen_template, compose
from chatcli.config.paths import find_paths
from chatcli.core.errors import UsageError
from chatcli.core.messages import TextPart
from chatcli.templates.template import read_template
from cli.fakes import terminal


def options(*words, **given):
    usual = {
        "prompt": list(words),
        "prompt_option": None,
        "files": None,
        "encoding": None,
        "variables": None,
        "template": None,
        "output": None,
        "extract": False,
    }
    return Namespace(**{"reads_stdin": True, "quiet": False, **usual, **given})


def composed(text, *words, stdin=b"", is_terminal=False, **given):
    asking = terminal(stdin, is_terminal=is_terminal)
    return compose(options(*words, **given), asking, read_template("x", text, "x.md")).parts


def test_piped_text_stands_where_the_input_does_as_a_document():
    assert composed("Review {{ input }} well.", stdin=b"a,b") == (
        TextPart("Review"),
        TextPart('<document name="stdin">\na,b</document>', "document"),
        TextPart("well."),
    )


def test_piped_text_is_attached_to_a_template_without_a_place_for_it():
    assert [part.origin for part in composed("Review.", stdin=b"a,b")] == ["person", "document"]


def test_a_file_stands_there_too_and_words_follow(tmp_path):
    path = tmp_path / "notes.md"
    path.write_text("Buy {{ milk }}", encoding="utf-8")
    parts = composed("Sum up {{ input }}", "in", "two", "words", files=[str(path)])
    assert "Buy {{ milk }}" in parts[1].text
    assert parts[2] == TextPart("in two words")


def test_words_are_the_input_where_nothing_else_is():
    assert composed("Explain {{ input }}.", "two", "words") == (TextPart("Explain two words."),)
    assert composed("Explain {{ input }}.", "words", prompt_option="more") == (
        TextPart("Explain more\nwords."),
    )


def test_the_first_words_go_to_the_numbered_places():
    text = "From {{ 1 }} to {{ 2 }}: {{ input }}"
    assert composed(text, "a b", "c", "d", "e") == (TextPart("From a b to c: d e"),)


def test_variables_are_given_by_their_names():
    assert composed("To {{ to }} by {{ by }}", variables=["to=a=b", "by="]) == (TextPart("To a=b by "),)


@pytest.mark.parametrize(
    ("variables", "told"),
    [(["to"], "--var must be NAME=VALUE, not to"), (["ot=x"], "the template x has no variable ot")],
)
def test_a_variable_that_cannot_be_is_a_mistake(variables, told):
    with pytest.raises(UsageError, match=told):
        composed("{{ to }}", variables=variables)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("{{ to }}", "give it with --var to=VALUE"),
        ("{{ 1 }}", "write it behind the options, as word 1"),
        ("{{ input }}", "pipe it in, attach it with -f, or write it behind the options"),
    ],
)
def test_in_a_pipe_what_is_missing_is_told_with_how_to_give_it(text, hint):
    with pytest.raises(UsageError, match="the template x needs ") as caught:
        composed(text)
    assert (caught.value.hint, caught.value.code) == (hint, "missing_variable")


def test_at_a_keyboard_what_is_missing_is_asked_for_beside_the_answer():
    asking = terminal(b"French\nTCP\n", is_terminal=True)
    template = read_template("x", '{{ 1 = "Say" }} in {{ to }}: {{ input }}', "x.md")
    assert compose(options(), asking, template).text == "Say in French: TCP"
    assert (asking.err, asking.out) == ("to: input: ", "")


def test_a_person_who_gives_no_answer_is_told_what_is_missing():
    with pytest.raises(UsageError, match="the template x needs to"):
        composed("{{ to }}", is_terminal=True)


@pytest.fixture
def context(tmp_path):
    environment = {
        f"CHATCLI_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "CACHE", "LOCAL")
    }
    folder = tmp_path / "CONFIG" / "templates"
    folder.mkdir(parents=True)
    (folder / "mine.md").write_text(
        '+++\nmodel = "small"\nextract = true\noutput = "json"\n+++\nHello', encoding="utf-8"
    )
    return RunContext(environment, find_paths(environment))


def test_a_template_sets_what_the_person_does_not(context):
    given = options(template="mine")
    _, settings = chosen_template(given, context)
    assert (settings.place, settings.table) == ("template mine", {"model": "small"})
    assert (given.extract, given.output) == (True, "json")
    given = options(template="mine", output="text")
    chosen_template(given, context)
    assert (given.extract, given.output) == (False, "text")


def test_without_a_template_there_are_no_variables(context):
    with pytest.raises(UsageError, match="--var only works with a template"):
        chosen_template(options(variables=["a=b"]), context)
