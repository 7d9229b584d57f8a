"""Several templates as one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.errors import UsageError
from chatcli.templates.combining import combined, in_conversation
from chatcli.templates.template import Filling, read_template

TEXT = st.text(
    st.characters(exclude_characters="{}+", exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1
)


def read(name, text):
    return read_template(name, text, f"{name}.md")


def together(*texts, notes=None):
    templates = [read(name, text) for name, text in zip("abc", texts, strict=False)]
    return combined(templates, (lambda _: None) if notes is None else notes.append)


def asked(template, **filling):
    return [part.text for part in template.question(Filling(**filling)).parts]


def test_texts_stand_in_order_with_a_line_between():
    assert asked(together("Review it.", "Then test it."), typed="Now.") == [
        "Review it.\n\nThen test it.\n\nNow."
    ]


def test_documents_are_attached_once_and_typed_text_stands_in_each_place():
    template = together("Review {{ input }}", "Test {{ input }}")
    assert asked(template, typed="x") == ["Review x\n\nTest x"]
    assert asked(template, documents=["<x>"], typed="Now.") == ["Review", "<x>", "Test\n\nNow."]


def test_documents_stand_in_the_first_place_for_them():
    assert asked(together("Hello.", "Test {{ input }}"), documents=["<x>"]) == ["Hello.\n\nTest", "<x>"]


def test_a_variable_of_one_name_is_one_variable_and_the_last_default_counts():
    template = together('{{ to = "A" }}', '+++\n[defaults]\nto = "B"\n+++\n{{ to }}', "{{ to }}")
    assert template.variables == ("to",)
    assert asked(template) == ["B\n\nB\n\nB"]
    assert asked(template, values={"to": "C"}) == ["C\n\nC\n\nC"]


def test_system_prompts_are_joined_and_of_other_settings_the_last_counts():
    notes = []
    template = together(
        '+++\nsystem = "One."\nmodel = "m"\ntemperature = 1\noutput = "json"\n+++\na',
        '+++\nsystem = "Two."\nmodel = "m"\ntemperature = 0\noutput = "text"\nextract = true\n+++\nb',
        notes=notes,
    )
    assert template.matter.settings == {"system": "One.\n\nTwo.", "model": "m", "temperature": 0}
    assert (template.matter.output, template.matter.extract) == ("text", True)
    assert notes == [
        "temperature comes from the template b, not from a",
        "output comes from the template b, not from a",
    ]


def test_the_last_schema_counts():
    notes = []
    template = together('+++\nschema = "x"\n+++\na', '+++\nschema_multi = "y"\n+++\nb', notes=notes)
    assert (template.matter.schema, template.matter.is_schema_of_items) == ("y", True)
    assert notes == ["schema comes from the template b, not from a"]


def test_code_and_a_schema_cannot_both_be_wanted():
    with pytest.raises(UsageError, match=r"a \+ b: extract of a and a schema cannot be combined"):
        together("+++\nextract = true\n+++\na", '+++\nschema = "y"\n+++\nb')


def test_one_template_stays_as_it_is():
    one = read("a", '+++\ndescription = "d"\n+++\n{{ x = "1" }}')
    assert combined([one], print) is one


def test_in_a_conversation_its_system_prompt_stands_above_it():
    template = in_conversation(read("a", '+++\nsystem = "Be {{ brief }}."\nmodel = "m"\n+++\nLook.'))
    assert asked(template) == ["Be {{ brief }}.\n\nLook."]
    assert template.matter.settings == {"model": "m"}
    plain = read("b", "Look.")
    assert in_conversation(plain) is plain


@given(st.lists(TEXT, min_size=1, max_size=4), TEXT)
def test_every_text_is_there_in_order_and_a_document_once(texts, document):
    template = combined(
        [read(f"t{at}", f"{text} {{{{ input }}}}") for at, text in enumerate(texts)], lambda _: None
    )
    parts = template.question(Filling(documents=[document])).parts
    assert [part.text for part in parts if part.origin == "document"] == [document]
    assert (
        "\n".join(part.text for part in parts if part.origin == "person").split()
        == "\n\n".join(texts).split()
    )
