"""``/NAME`` and ``/t``: asking with a template."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import width

from chatcli.core.errors import UsageError
from chatcli.repl.commands import named
from chatcli.repl.commands.template_commands import read_filling
from chatcli.templates.template import read_template
from chatcli.templates.template_store import TemplateStore
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
    return folder


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
    await repl.take("/greef")
    assert "→ did you mean /greet?" in repl.frontend.output


@pytest.mark.parametrize("name", ["greet", "問候"])
async def test_a_template_is_a_command_of_its_name(start_repl, templates, name):
    (templates / "greet.md").rename(templates / f"{name}.md")
    async with serving(PARIS) as server:
        repl = start_repl(server)
        await repl.take(f"/{name} who=Ann  Hello\nthere")
        await repl.connection.close()
    assert messages(server) == [("user", "Greet Ann in English: Hello\nthere")]
    assert repl.frontend.output[0] == f"> /{name} who=Ann  Hello\nthere"


async def test_several_templates_are_asked_with_as_one(start_repl, templates):
    (templates / "strict.md").write_text(
        '+++\nsystem = "Be strict."\nmodel = "large"\n+++\nLook at {{ input }} again.', encoding="utf-8"
    )
    async with serving(PARIS) as server:
        repl = start_repl(server)
        await repl.take("/plain+strict the roof")
        await repl.take("/t strict+plain the door")
        await repl.connection.close()
    assert messages(server, 0) == [("user", "Be strict.\n\nLook around.\n\nLook at the roof again.")]
    assert messages(server, 1)[-1] == ("user", "Be strict.\n\nLook at the door again.\n\nLook around.")
    assert "the conversation keeps its own model; that of a template counts with -T" in repl.frontend.output
    await repl.take("/plain+gone x")
    assert "error: there is no template gone" in repl.frontend.output


async def test_a_name_of_a_command_stays_the_commands(start_repl, templates):
    (templates / "undo.md").write_text("Undo {{ input }}", encoding="utf-8")
    (templates / "quit.md").write_text("Quit {{ input }}", encoding="utf-8")
    repl = start_repl()
    await repl.take("/undo it")
    assert "error: /undo: nothing has been asked yet" in repl.frontend.text
    assert [text for text, _ in await completions(repl, "/un")] == []
    await repl.take("/quit")
    assert repl.is_leaving


async def test_a_template_is_found_by_name_never_by_path(start_repl, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.md").write_text("From the working folder", encoding="utf-8")
    repl = start_repl()
    await repl.take("/here.md")
    assert "error: there is no command /here.md" in repl.frontend.output


async def test_files_mentioned_in_pasted_text_are_not_attached(start_repl, tmp_path):
    (tmp_path / "notes.md").write_text("secret", encoding="utf-8")
    (tmp_path / "more.md").write_text("shown", encoding="utf-8")
    pasted = f"@{tmp_path / 'notes.md'}"
    async with serving(PARIS) as server:
        repl = start_repl(server)
        await repl.take(
            f"/plain {pasted} @{tmp_path / 'more.md'}", shown=f"/plain [Pasted] @{tmp_path / 'more.md'}"
        )
        await repl.connection.close()
    text = messages(server)[-1][1]
    assert "shown" in text
    assert "secret" not in text


async def test_names_and_variables_are_completed_in_the_menu(start_repl, templates):
    (templates / "help.md").write_text("Hidden by the command.", encoding="utf-8")
    repl = start_repl()
    assert await completions(repl, "/gr") == [("/greet", "Say hello")]
    assert [text for text, _ in await completions(repl, "/help")] == ["/help"]
    assert await completions(repl, "/greet ") == [("who=", "must be given"), ("language=", "else English")]
    assert await completions(repl, "/greet who=Ann la") == [("language=", "else English")]
    assert await completions(repl, "/nothing ") == []


async def test_a_changed_template_is_described_anew(start_repl, templates):
    repl = start_repl()
    assert await completions(repl, "/gr") == [("/greet", "Say hello")]
    (templates / "greet.md").write_text('+++\ndescription = "Say goodbye"\n+++\nBye', encoding="utf-8")
    assert await completions(repl, "/gr") == [("/greet", "Say goodbye")]


@pytest.mark.parametrize("columns", [80, 40])
async def test_help_lists_those_of_the_person_with_their_descriptions(start_repl, templates, columns):
    (templates / "help.md").write_text('+++\ndescription = "Help out"\n+++\nHelp', encoding="utf-8")
    (templates / "翻譯成中文.md").write_text('+++\ndescription = "翻譯"\n+++\n{{ input }}', encoding="utf-8")
    (templates / "odd.md").write_text("{{ oops", encoding="utf-8")
    repl = start_repl(frontend=KeptFrontend(columns=columns))
    await repl.take("/help")
    lines = repl.frontend.text.split("\n")
    assert all(width(line) <= columns for line in lines)
    own = lines[lines.index("your templates") :]
    shown = " ".join(" ".join(own).split())
    assert "/greet Say hello /t help Help out /odd cannot be used" in shown
    assert "/翻譯成中文 翻譯" in shown
    assert "built-in templates: /commit, /explain," in shown


async def test_help_lists_no_more_than_can_be_read(start_repl, templates):
    for number in range(30):
        (templates / f"many-{number:02}.md").write_text("Hello", encoding="utf-8")
    repl = start_repl()
    await repl.take("/help")
    assert "  /many-10" in repl.frontend.text
    assert "/many-29" not in repl.frontend.text
    assert "and 12 more templates of yours: /t lists them" in repl.frontend.text


async def test_help_explains_a_template_and_a_command_of_its_name(start_repl, templates):
    (templates / "undo.md").write_text("Undo {{ input }}", encoding="utf-8")
    repl = start_repl()
    await repl.take("/help greet")
    assert repl.frontend.output[-1].split("\n") == [
        "/greet [VARIABLE=VALUE...] [TEXT]",
        "  Say hello",
        "  who: must be given",
        "  language: else English",
        f"  a template of yours: {templates / 'greet.md'}",
    ]
    await repl.take("/help undo")
    lines = repl.frontend.output[-1].split("\n")
    assert lines[0].startswith("/undo")
    assert "/t undo [TEXT]" in lines
    await repl.take("/help review")
    assert repl.frontend.output[-1].endswith("  a built-in template")


async def test_help_without_a_drawing_frontend_is_in_sentences(start_repl):
    repl = start_repl(frontend=KeptFrontend(draws=False))
    await repl.take("/help")
    assert "\nyour templates:\n/greet: Say hello\n/plain: \nbuilt-in templates: /commit" in repl.frontend.text


def test_no_shipped_template_has_the_name_of_a_command(tmp_path):
    shipped = TemplateStore(tmp_path).entries()
    assert [entry.name for entry in shipped if named(entry.name) is not None] == []


def test_a_quote_without_an_end_is_a_mistake():
    with pytest.raises(UsageError, match="the quote behind who= has no end"):
        read_filling(read_template("x", "{{ who }}", "x.md"), 'who="Ann Lee')


@given(st.text())
def test_whatever_is_written_is_the_input_where_a_template_takes_nothing_else(written):
    filling = read_filling(read_template("x", "{{ input }}", "x.md"), written)
    assert filling.typed.strip() == written.strip()
