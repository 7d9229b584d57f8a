"""``/t``: a question as a template says it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.errors import UsageError
from chatcli.repl.commands.t import read_filling
from chatcli.templates.template import read_template
from repl.fakes import KeptSurface
from repl.test_talk import completions, messages
from repl.test_talk import talking as talking  # noqa: PLC0414 - a fixture
from scripted_server import Answer, event_stream, serving

PARIS = Answer(event_stream("Paris."))


@pytest.fixture(autouse=True)
def templates(tmp_path):
    folder = tmp_path / "CONFIG" / "templates"
    folder.mkdir(parents=True)
    (folder / "greet.md").write_text(
        '+++\ndescription = "Say hello"\n+++\nGreet {{ who }} in {{ language = "English" }}: {{ input }}',
        encoding="utf-8",
    )
    (folder / "plain.md").write_text("Look around.", encoding="utf-8")


async def test_what_is_written_behind_the_name_fills_it_in(talking):
    async with serving(PARIS) as server:
        talk = talking(server)
        await talk.take('/t greet who="Ann Lee" language=French x=1  and\nmore')
        await talk.take("/t plain and listen")
        await talk.connection.close()
    assert messages(server, 0) == [("user", "Greet Ann Lee in French: x=1  and\nmore")]
    assert messages(server, 1)[-1] == ("user", "Look around.\n\nand listen")
    assert talk.surface.said[0] == '> /t greet who="Ann Lee" language=French x=1  and\nmore'


async def test_what_is_missing_is_asked_for(talking):
    async with serving(PARIS) as server:
        talk = talking(server, surface=KeptSurface("Hi!", "Ann"))
        await talk.take("/t greet")
        await talk.take("/t greet who=Bob")
        await talk.connection.close()
    assert [label for label, _ in talk.surface.asked] == ["who: ", "input: ", "input: "]
    assert messages(server, 0) == [("user", "Greet Hi! in English: Ann")]
    assert talk.surface.said[-1] == "not sent"


async def test_files_stand_where_the_input_does(talking, tmp_path):
    (tmp_path / "notes.md").write_text("Buy {{ milk }}", encoding="utf-8")
    async with serving(PARIS) as server:
        talk = talking(server)
        await talk.take(f"/file {tmp_path / 'notes.md'}")
        await talk.take("/t greet who=Ann shortly")
        await talk.connection.close()
    ((_, text),) = messages(server, 0)
    assert text.startswith("Greet Ann in English:\n\n<document name=")
    assert text.endswith("\nBuy {{ milk }}</document>\n\nshortly")
    assert talk.attachments.named == ()


async def test_a_question_that_finds_nobody_comes_back_as_it_was_written(talking):
    talk = talking(base_url="https://api.openai.com/v1")
    await talk.take("/t plain")
    assert talk.surface.aside == "/t plain"
    await talk.connection.close()


async def test_templates_are_listed_and_completed(talking):
    talk = talking()
    await talk.take("/t")
    assert any(line.split() == ["greet", "Say", "hello"] for line in talk.surface.said[1].splitlines())
    assert await completions(talk, "/t gre") == [("greet", "Say hello")]


async def test_an_unknown_one_names_the_nearest(talking):
    talk = talking()
    await talk.take("/t greef")
    assert "→ did you mean greet?" in talk.surface.said


def test_a_quote_without_an_end_is_a_mistake():
    with pytest.raises(UsageError, match="the quote behind who= has no end"):
        read_filling(read_template("x", "{{ who }}", "x.md"), 'who="Ann Lee')


@given(st.text())
def test_whatever_is_written_is_the_input_where_a_template_takes_nothing_else(written):
    filling = read_filling(read_template("x", "{{ input }}", "x.md"), written)
    assert filling.typed.strip() == written.strip()
