"""Files of questions and commands: ``/load``."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.errors import UsageError
from chatcli.repl.commands import COMMANDS, named
from chatcli.repl.loaded_files import STAYS_IN_CONVERSATION, LoadedLine, reaches_further, read_lines
from chatcli.repl.repl_session import split_command
from repl.fakes import KeptFrontend
from repl.test_repl_session import start_repl as start_repl  # noqa: PLC0414 - a fixture
from scripted_server import Answer, event_stream, json_answer, serving

PARIS = Answer(event_stream("Paris."))
REFUSED = json_answer({"error": {"message": "no such model"}}, status=404)


def questions(server):
    posted = [request for request in server.requests if request.method == "POST"]
    return [request.json["messages"][-1]["content"] for request in posted]


@pytest.fixture
def write(tmp_path):
    def written(name, text, folder=tmp_path):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_text(text, encoding="utf-8")
        return path

    return written


def test_lines_are_questions_and_commands_and_the_rest_is_left_out():
    text = '# hello\n\n  Capital of France?  \n/undo\n"""\n# no comment\n\nlast\n"""\n/review """\na\nb"""\n"""one"""\n'
    assert read_lines(text, "x") == [
        LoadedLine("Capital of France?", 3),
        LoadedLine("/undo", 4),
        LoadedLine("# no comment\n\nlast", 5),
        LoadedLine("/review a\nb", 10),
        LoadedLine("one", 13),
    ]


def test_a_text_without_an_end_is_a_mistake_with_its_line():
    with pytest.raises(UsageError, match="x:2: a text that begins here has no end"):
        read_lines('a\n"""b\nc', "x")


LINE = st.text(
    st.characters(exclude_characters='"\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029', exclude_categories=["Cs"]),
    min_size=1,
)


@given(
    st.lists(st.lists(LINE.map(str.strip).filter(bool), min_size=1, max_size=3).map("\n".join), max_size=4)
)
def test_every_text_can_be_written_as_one(texts):
    written = "\n".join(f'"""\n{text}\n"""' for text in texts)
    assert [line.text for line in read_lines(written, "x")] == texts


@given(st.text())
def test_reading_ends_in_lines_or_in_the_error_for_it(text):
    with suppress(UsageError):
        assert all(line.text.strip() and line.number >= 1 for line in read_lines(text, "x"))


def test_every_command_that_a_file_may_give_is_there():
    assert {command.name for command in COMMANDS} >= STAYS_IN_CONVERSATION


async def test_a_file_is_asked_and_run_in_its_order(start_repl, write):
    path = write("a.txt", "# two questions\nOne?\n/title Mine\n/explain this\n")
    async with serving(PARIS) as server:
        repl = start_repl(server)
        await repl.take(f"/load {path}")
        await repl.connection.close()
    assert len(questions(server)) == 2
    assert questions(server)[0] == "One?"
    assert "this" in questions(server)[1]
    assert repl.chat.opened.title == "Mine"
    assert [line for line in repl.frontend.output if line.startswith("> ")] == [
        f"> /load {path}",
        "> One?",
        "> /title Mine",
        "> /explain this",
    ]
    assert repl.was_completed


async def test_it_stops_at_the_first_error_and_says_where(start_repl, write):
    path = write("a.txt", "/title One\n\n/unod\n/title Two\n/title Three\n")
    repl = start_repl()
    await repl.take(f"/load {path}")
    assert repl.chat.opened.title == "One"
    assert repl.frontend.output[-1] == f"{path}:3: stopped here; 2 further lines not run"
    assert repl.failure.code == "no_such_command"
    await repl.take("/title Four")
    assert (repl.chat.opened.title, repl.was_completed) == ("Four", True)


async def test_a_question_that_fails_stops_it(start_repl, write):
    path = write("a.txt", "One?\nTwo?\n")
    async with serving(REFUSED) as server:
        repl = start_repl(server)
        await repl.take(f"/load {path}")
        await repl.connection.close()
    assert questions(server) == ["One?"]
    assert repl.frontend.output[-1] == f"{path}:1: stopped here; 1 further line not run"


async def test_a_value_that_is_not_given_stops_it(start_repl, write):
    path = write("a.txt", "/explain\n/title Two\n")
    repl = start_repl()
    await repl.take(f"/load {path}")
    assert repl.frontend.output[-1] == f"{path}:1: stopped here; 1 further line not run"


async def test_ctrl_c_stops_the_line_and_the_file(start_repl, write):
    path = write("a.txt", "/title One\nOne?\nTwo?\n")
    repl = start_repl()

    async def work(awaitable, what):
        task = asyncio.ensure_future(awaitable)
        if what == "waiting":
            task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    repl.frontend.work = work
    await repl.take(f"/load {path}")
    assert repl.chat.opened.title == "One"
    assert repl.frontend.output[-2:] == ["> One?", f"{path}:2: stopped here; 1 further line not run"]


@given(st.text(), st.sampled_from(["", " ", "\t", "\u3000", "\n"]), st.sampled_from(COMMANDS))
def test_no_way_of_writing_a_command_hides_it(argument, before, command):
    line = f"{before}/{command.name} {argument}"
    if split_command(line) is not None and command.name not in STAYS_IN_CONVERSATION:
        assert reaches_further(line, lambda name: named(name).name)


async def test_a_command_in_a_text_of_several_lines_is_one_too(start_repl, write):
    path = write("a.txt", '"""\n  /save out.md\n"""\n')
    repl = start_repl(frontend=KeptFrontend("n"))
    await repl.take(f"/load {path}")
    assert repl.failure.code == "file_not_trusted"


async def test_a_file_may_load_another_and_none_itself(start_repl, write, tmp_path):
    own = tmp_path / "CONFIG"
    inner = write("b.txt", "/title Inner\n", own)
    outer = write("a.txt", f"/load {inner}\n/note after\n", own)
    repl = start_repl()
    await repl.take(f"/load {outer}")
    assert repl.chat.opened.title == "Inner"
    assert repl.was_completed
    write("b.txt", f"/load {outer}", own)
    await repl.take(f"/load {outer}")
    assert f"error: {outer} is being run already" in repl.frontend.output
    assert repl.frontend.output[-2:] == [
        f"{inner}:1: stopped here",
        f"{outer}:1: stopped here; 1 further line not run",
    ]
    assert repl.loading == []


async def test_several_are_run_in_their_order(start_repl, write):
    first, second = write("a.txt", "/title One"), write("b.txt", "/title Two")
    repl = start_repl()
    await repl.take(f"/load {first} {second}")
    assert repl.chat.opened.title == "Two"


async def test_leaving_ends_it(start_repl, write):
    path = write("a.txt", "/exit\n/title Two\n")
    repl = start_repl()
    await repl.take(f"/load {path}")
    assert (repl.is_leaving, repl.chat.opened.title) == (True, "")


FAR = [
    "/load {notes}",
    "/summary edit",
    "?? @{notes}",
    "/save out.md",
    "/file notes.md",
    "/config base_url http://127.0.0.1/",
    "/resume x",
    "Read @{notes}",
    "/explain @{notes}",
]


@pytest.mark.parametrize("line", FAR)
@pytest.mark.parametrize("agrees", [True, False])
async def test_what_reaches_further_is_agreed_to_before_anything_is_run(start_repl, write, line, agrees):
    notes = write("notes.md", "secret")
    path = write("a.txt", f"/title One\n{line.format(notes=notes)}\n")
    repl = start_repl(frontend=KeptFrontend("y" if agrees else "n"))
    await repl.take(f"/load {path}")
    assert [label for label, _ in repl.frontend.asked][:1] == ["Run it with them? [y/N] "]
    assert any(f"  {path}:2: {line.format(notes=notes)}"[:100] in shown for shown in repl.frontend.output)
    assert (repl.chat.opened.title == "One") is agrees
    assert agrees or f"error: {path}:2 reaches beyond the conversation" in repl.frontend.text


async def test_the_persons_own_file_is_run_as_it_is(start_repl, write, tmp_path):
    path = write("a.txt", f"/save {tmp_path / 'copy.jsonl'}\n", tmp_path / "CONFIG" / "daily")
    repl = start_repl(frontend=KeptFrontend())
    await repl.take(f"/load {path}")
    assert repl.frontend.asked == []
    link = tmp_path / "CONFIG" / "link.txt"
    link.symlink_to(write("b.txt", "/save x\n"))
    await repl.take(f"/load {link}")
    assert [label for label, _ in repl.frontend.asked] == ["Run it with them? [y/N] "]


async def test_where_nobody_can_answer_it_is_refused(start_repl, write):
    path = write("a.txt", "/title One\n/save out.md\n")
    frontend = KeptFrontend("y")
    frontend.can_ask = False
    repl = start_repl(frontend=frontend)
    await repl.take(f"/load {path}")
    assert (repl.failure.code, frontend.asked, repl.chat.opened.title) == ("file_not_trusted", [], "")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\x00", "is not UTF-8"),
        (b'"""\n', ":1: a text that begins here has no end"),
        (b"x" * 1_000_001, "split it into several files"),
        (None, "cannot read "),
    ],
)
async def test_a_file_that_cannot_be_run_is_an_error(start_repl, tmp_path, content, message):
    if content is not None:
        (tmp_path / "a.txt").write_bytes(content)
    repl = start_repl()
    await repl.take(f"/load {tmp_path / 'a.txt'}")
    assert message in repl.frontend.text
    assert not repl.was_completed
