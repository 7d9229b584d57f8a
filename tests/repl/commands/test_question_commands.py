"""``/t``: asking with a template."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.errors import UsageError
from chatcli.repl.commands.question_commands import read_filling
from chatcli.templates.template import read_template
from repl.fakes import KeptFrontend
from repl.test_repl_session import completions, messages
from repl.test_repl_session import start_repl as start_repl  # noqa: PLC0414 - a fixture
from scripted_server import Answer, event_stream, serving
from unframed import unframed

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


async def test_what_is_written_behind_the_name_fills_it_in(start_repl):
    async with serving(PARIS) as server:
        repl = start_repl(server)
        await repl.take('/t greet who="Ann Lee" language=French x=1  and\nmore')
        await repl.take("/t plain and listen")
        await repl.connection.close()
    assert messages(server, 0) == [("user", "Greet Ann Lee in French: x=1  and\nmore")]
    assert messages(server, 1)[-1] == ("user", "Look around.\n\nand listen")
    assert repl.frontend.output[0] == '> /t greet who="Ann Lee" language=French x=1  and\nmore'


async def test_what_is_missing_is_asked_for(start_repl):
    async with serving(PARIS) as server:
        repl = start_repl(server, frontend=KeptFrontend("Hi!", "Ann"))
        await repl.take("/t greet")
        await repl.take("/t greet who=Bob")
        await repl.connection.close()
    assert [label for label, _ in repl.frontend.asked] == ["who: ", "input: ", "input: "]
    assert messages(server, 0) == [("user", "Greet Hi! in English: Ann")]
    assert repl.frontend.output[-1] == "not sent"


async def test_files_stand_where_the_input_does(start_repl, tmp_path):
    (tmp_path / "notes.md").write_text("Buy {{ milk }}", encoding="utf-8")
    async with serving(PARIS) as server:
        repl = start_repl(server)
        await repl.take(f"/file {tmp_path / 'notes.md'}")
        await repl.take("/t greet who=Ann shortly")
        await repl.connection.close()
    (_, asked) = messages(server, 0)
    text = unframed(asked[1])
    assert text.startswith("Greet Ann in English:\n\n<document name=")
    assert text.endswith("\nBuy {{ milk }}</document>\n\nshortly")
    assert repl.attachments.named == ()


async def test_a_question_that_finds_nobody_comes_back_as_it_was_written(start_repl):
    repl = start_repl(base_url="https://api.openai.com/v1")
    await repl.take("/t plain")
    assert repl.frontend.aside == "/t plain"
    await repl.connection.close()


async def test_templates_are_listed_and_completed(start_repl):
    repl = start_repl()
    await repl.take("/t")
    assert any(line.split() == ["greet", "Say", "hello"] for line in repl.frontend.output[1].splitlines())
    assert await completions(repl, "/t gre") == [("greet", "Say hello")]


async def test_an_unknown_one_names_the_nearest(start_repl):
    repl = start_repl()
    await repl.take("/t greef")
    assert "→ did you mean greet?" in repl.frontend.output


def test_a_quote_without_an_end_is_a_mistake():
    with pytest.raises(UsageError, match="the quote behind who= has no end"):
        read_filling(read_template("x", "{{ who }}", "x.md"), 'who="Ann Lee')


@given(st.text())
def test_whatever_is_written_is_the_input_where_a_template_takes_nothing_else(written):
    filling = read_filling(read_template("x", "{{ input }}", "x.md"), written)
    assert filling.typed.strip() == written.strip()
