"""Front matter, placeholders, and the question a template makes."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.errors import ConfigurationError, UsageError
from chatcli.core.messages import TextPart
from chatcli.templates.template import (
    Filling,
    FrontMatter,
    Placeholder,
    TemplateText,
    read_places,
    read_template,
    split_front_matter,
)

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


def test_an_empty_filled_template_is_refused():
    with pytest.raises(UsageError, match="is empty once filled in"):
        asked("{{ x }} {{ y }}", values={"x": " ", "y": ""})


def test_a_template_that_says_nothing_is_none():
    with pytest.raises(ConfigurationError, match=r"^x\.md is empty$"):
        template('+++\nmodel = "a"\n+++\n \n')


def test_a_default_for_what_does_not_stand_in_the_text_is_a_mistake():
    with pytest.raises(ConfigurationError, match="a default for langauge") as caught:
        template('+++\n[defaults]\nlangauge = "English"\n+++\n{{ language }}')
    assert caught.value.hint == "variables in the text: language"


def test_a_mistake_below_front_matter_is_reported_with_its_line():
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
    ("text", "message"),
    [
        ("+++\nmodel = 1", "not closed"),
        ("+++\nmodel = a\n+++\n", "not valid TOML"),
        ("+++\nschema = 'a, b'\nschema_multi = 'a, b'\n+++\n", "schema and schema_multi cannot be combined"),
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
def test_a_mistake_is_reported_with_the_file_and_what_to_do(text, message):
    with pytest.raises(ConfigurationError, match=r"^x\.md.*") as caught:
        split_front_matter(text, "x.md")
    assert message in caught.value.message
    assert caught.value.hint


def test_a_mistyped_key_names_the_nearest():
    with pytest.raises(ConfigurationError) as caught:
        split_front_matter("+++\ntemprature = 1\n+++\n", "x.md")
    assert caught.value.hint == "did you mean temperature?"


@given(st.text())
def test_reading_never_fails_but_by_the_error_that_is_meant_for_it(toml):
    with suppress(ConfigurationError):
        split_front_matter(f"+++\n{toml}\n+++\nHello", "x.md")


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
def test_braces_that_are_no_place_are_reported_with_their_line(braces):
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


def text_of(template, **filling):
    return template.question(Filling(**filling)).person_text


def reading(texts, name="main"):
    def find(wanted):
        if wanted not in texts:
            raise UsageError(f"there is no template {wanted}", hint="did you mean rules?")
        return TemplateText(wanted, texts[wanted], f"{wanted}.md")

    return read_template(name, texts[name], f"{name}.md", find=find)


def test_an_included_template_brings_its_text_and_defaults_and_nothing_else():
    template = reading(
        {
            "main": '+++\nmodel = "m"\n[defaults]\ntone = "warm"\n+++\nHello.\n{{> rules }}\n{{ input }}',
            "rules": '+++\nmodel = "x"\ndescription = "d"\n[defaults]\nlines = "5"\ntone = "cold"\n+++\n'
            "\nAt most {{ lines }} lines, {{ tone }}.\n\n",
        }
    )
    assert text_of(template, typed="Hi") == "Hello.\nAt most 5 lines, warm.\nHi"
    assert template.matter.settings == {"model": "m"}
    assert template.variables == ("lines", "tone")


def test_braces_that_come_from_an_included_text_are_read_once():
    template = reading({"main": "{{>a}}", "a": '{{ "{{> b }}" }}'})
    assert text_of(template) == "{{> b }}"


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"main": "a\n{{> gone }}"}, "main.md, line 2: there is no template gone"),
        ({"main": "{{> main }}"}, "main.md, line 1: templates include each other: main includes main"),
        (
            {"main": "{{> a }}", "a": "{{> b }}", "b": "{{> a }}"},
            "b.md, line 1: .* main includes a includes b includes a",
        ),
        ({"main": "{{> a }}", "a": ""}, "a.md is empty"),
        ({"main": "{{> a }}", "a": "{{ oops"}, "a.md, line 1: cannot read {{ oops"),
        ({"main": "{{> a }}", "a": "+++\nx = 1\n+++\nb"}, "a.md: unknown key 'x'"),
        ({"main": "{{> ../a }}"}, "main.md, line 1: cannot read"),
        ({"main": "{{> a }}" * 51, "a": "b"}, "main.md, line 1: it includes more than 50 templates"),
        ({"main": "{{> a }}{{> a }}", "a": "b" * 600_000}, "or 1,000,000 characters"),
        (
            {"main": "{{> a0 }}", **{f"a{n}": f"{{{{> a{n + 1} }}}}" for n in range(20)}, "a20": "b"},
            "a7.md, line 1: more than 8 templates inside each other",
        ),
    ],
)
def test_what_cannot_be_included_is_reported_with_its_place(texts, message):
    with pytest.raises(ConfigurationError, match=message):
        reading(texts)


@given(
    st.dictionaries(
        st.sampled_from("abcd"),
        st.lists(
            st.sampled_from(["{{> a }}", "{{> b }}", "{{> c }}", "{{> d }}", "x", "{{ y }}"]), max_size=6
        ).map("".join),
    )
)
def test_whatever_includes_whatever_ends_in_a_template_or_the_error_for_it(texts):
    with suppress(ConfigurationError):
        template = reading({"main": "{{> a }}{{> b }}", **texts})
        assert not any("{{>" in segment for segment in template.segments if isinstance(segment, str))
