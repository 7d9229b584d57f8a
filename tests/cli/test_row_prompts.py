"""What the rows of a batch are asked with."""

from __future__ import annotations

from io import BytesIO

from chatcli.batching.input_rows import InputRecords
from chatcli.cli.row_prompts import RowPrompt
from chatcli.core.messages import TextPart
from chatcli.core.request import ResponseFormat
from chatcli.templates.template import read_template


def template(text):
    return read_template("labels", text, "labels.md")


def test_a_variable_of_the_command_line_is_a_word_of_the_person():
    records = InputRecords(BytesIO(b'{"text": "cat"}'), "rows.jsonl")
    prompt = RowPrompt(None, template("Into {{ language }}: {{ text }}"), ["language=French"])
    filled = prompt.row_template(records).message({"text": "cat"})
    assert filled.parts == (TextPart("Into French:"), TextPart("cat", "document"))


def test_rows_asked_with_other_words_are_other_rows():
    def words(text, *variables):
        return RowPrompt(None, template(text), variables).words

    assert words("a {{ b }}") != words("c {{ b }}")
    assert words("a {{ b }}", "b=1") != words("a {{ b }}", "b=2")
    assert words('a {{ b = "1" }}') != words('a {{ b = "2" }}')
    assert RowPrompt("Say {text}", None, ()).words == "Say {text}"


def test_rows_with_another_system_prompt_or_form_of_the_answer_are_other_rows():
    def words(system=None, schema=None):
        form = None if schema is None else ResponseFormat("answer", schema)
        return RowPrompt("Say {text}", None, (), system, form).words

    asked = [words(), words("a"), words("b"), words(schema={"type": "object"}), words(schema={})]
    assert len(set(asked)) == len(asked)
