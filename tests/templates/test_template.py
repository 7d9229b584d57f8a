from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.errors import ConfigurationError, UsageError
from chatcli.core.messages import TextPart
from chatcli.templates.template import Filling, read_template

DOCUMENT = '<document name="stdin">\na,b</document>'


def template(text):
    return read_template("x", text, "x.md")


def asked(text, **filling):
    return template(text).question(Filling(**filling)).parts


def test_what_is_typed_stands_where_the_input_does():
    assert asked("Explain {{ input }}, please.", typed="TCP") == (TextPart("Explain TCP, please."),)


def test_what_is_handed_over_stands_there_as_a_document():
    assert asked("Review:\n\n{{ input }}\n\nBe brief.\n", documents=[DOCUMENT]) == (
        TextPart("Review:"),
        TextPart(DOCUMENT, "document"),
        TextPart("Be brief."),
    )


def test_what_is_typed_beside_it_follows_the_words_of_the_template():
    assert asked("Review {{ input }} well.", documents=[DOCUMENT], typed="Mind the locks.")[2] == TextPart(
        "well.\n\nMind the locks."
    )
    assert asked("Review {{ input }}", documents=[DOCUMENT], typed="Mind the locks.")[2] == TextPart(
        "Mind the locks."
    )


def test_without_a_place_for_it_input_comes_behind_the_words():
    assert asked("Review.", typed="Mind the locks.", documents=[DOCUMENT]) == (
        TextPart("Review.\n\nMind the locks."),
        TextPart(DOCUMENT, "document"),
    )


def test_the_value_that_was_given_comes_before_the_default_in_the_text_and_that_before_the_one_above():
    text = '+++\n[defaults]\nto = "above"\n+++\n{{ to = "inside" }} {{ to }}'
    assert asked(text, values={"to": "given"}) == (TextPart("given given"),)
    assert asked(text) == (TextPart("inside inside"),)
    assert asked(text.replace(' = "inside"', "")) == (TextPart("above above"),)


def test_words_are_taken_by_their_number():
    read = template("{{ 2 }} before {{ 1 }}: {{ input }}")
    assert read.words_taken == 2
    assert read.question(Filling(words=["a", "b"], typed="c")).text == "b before a: c"


def test_what_there_is_nothing_for_is_missing():
    read = template('{{ input }} {{ to }} {{ 1 }} {{ kind = "plain" }}')
    assert read.missing(Filling()) == ("input", "to", "1")
    assert read.missing(Filling(words=["a"], values={"to": ""}, documents=[DOCUMENT])) == ()


def test_dollars_and_braces_of_the_text_stay_as_they_are():
    assert asked('echo $1 $HOME ${X} {y} }} {{ "{{" }} z }}') == (
        TextPart("echo $1 $HOME ${X} {y} }} {{ z }}"),
    )


def test_nothing_filled_in_with_nothing_is_not_sent():
    with pytest.raises(UsageError, match="is empty once filled in"):
        asked("{{ x }} {{ y }}", values={"x": " ", "y": ""})


def test_a_template_that_says_nothing_is_none():
    with pytest.raises(ConfigurationError, match=r"^x\.md is empty$"):
        template('+++\nmodel = "a"\n+++\n \n')


def test_a_default_for_what_does_not_stand_in_the_text_is_a_mistake():
    with pytest.raises(ConfigurationError, match="a default for langauge") as caught:
        template('+++\n[defaults]\nlangauge = "English"\n+++\n{{ language }}')
    assert caught.value.hint == "variables in the text: language"


def test_a_mistake_below_front_matter_is_told_with_its_line():
    with pytest.raises(ConfigurationError, match=r"x\.md, line 6: cannot read"):
        template('+++\nmodel = "a"\n+++\n\nHello\n{{ oops')


GIVEN = st.text() | st.sampled_from(["{{ x }}", "{{ input }}", "$1", '{{ "{{" }}', "{{"])


@given(typed=GIVEN, value=GIVEN, word=GIVEN)
def test_what_is_filled_in_is_never_expanded(typed, value, word):
    (part,) = asked(
        "a {{ x }} b {{ 1 }} c {{ input }} d", words=[word], values={"x": value}, typed=typed or "-"
    )
    assert part == TextPart(f"a {value} b {word} c {typed or '-'} d")


@given(document=GIVEN.filter(bool))
def test_a_document_comes_through_as_it_is(document):
    parts = asked("a {{ input }} b", documents=[document])
    assert parts == (TextPart("a"), TextPart(document, "document"), TextPart("b"))


@given(
    text=st.lists(
        st.sampled_from(["{{ input }}", "{{ x }}", '{{ x = "d" }}', "{{ 2 }}", " ", "\n", "word"])
    ).map("".join),
    filling=st.builds(
        Filling,
        words=st.lists(st.text()),
        typed=st.text(),
        values=st.dictionaries(st.just("x"), st.text()),
        documents=st.lists(st.text(min_size=1), max_size=2),
    ),
)
def test_filling_in_never_fails(text, filling):
    read = template(f"{text} words")
    message = read.question(filling)
    assert message.parts
    assert {part.text for part in message.documents} == set(filling.documents)
