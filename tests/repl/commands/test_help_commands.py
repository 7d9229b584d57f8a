"""``/help``, and the names of commands."""

from __future__ import annotations

import pytest
from wcwidth import width

from chatcli.repl.commands import _MEANT, COMMAND_GROUPS, COMMANDS, named
from repl.fakes import KeptFrontend
from repl.test_repl_session import completions
from repl.test_repl_session import start_repl as start_repl  # noqa: PLC0414 - a fixture


@pytest.mark.parametrize("columns", [200, 80, 40, 30])
async def test_all_commands_stand_under_their_headings_in_any_width(start_repl, columns):
    repl = start_repl(frontend=KeptFrontend(columns=columns))
    await repl.take("/help")
    lines = repl.frontend.text.split("\n")
    places = [lines.index(heading) for heading, _ in COMMAND_GROUPS]
    assert places == sorted(places)
    assert all(any(f"  /{command.name}" in line for line in lines) for command in COMMANDS)
    assert all(width(line) <= columns for line in lines)


async def test_it_says_why_some_can_do_nothing_now(start_repl):
    repl = start_repl()
    await repl.take("/help")
    assert "not now (nothing has been asked yet): /retry, /continue, " in repl.frontend.text


async def test_those_that_can_do_nothing_now_are_dimmed(start_repl):
    repl = start_repl(frontend=KeptFrontend(color_system="256"))
    await repl.take("/help")
    rows = dict.fromkeys(row for row in repl.frontend.text.split("\n") if "/undo" in row or "/model" in row)
    model, undo = (next(row for row in rows if f"  /{name}" in row) for name in ("model", "undo"))
    assert not model.startswith("\x1b")
    assert undo.startswith("\x1b")


async def test_at_80_columns_it_is_no_longer_than_it_needs_to_be(start_repl):
    repl = start_repl()
    await repl.take("/help")
    listed = repl.frontend.output[1].split("\n")
    assert len(listed) <= len(COMMANDS) + len(COMMAND_GROUPS) + 18


async def test_every_command_can_be_explained_whether_it_can_act_or_not(start_repl):
    repl = start_repl()
    for command in COMMANDS:
        for name in (command.name, f"/{command.name}", *command.aliases):
            await repl.take(f"/help {name}")
            assert repl.frontend.output[-1].startswith(command.usage)
    await repl.take("/help edit")
    assert repl.frontend.output[-1].endswith("  not now: nothing has been asked yet")
    await repl.take("/help resume")
    assert "  also called /resume" in repl.frontend.output[-1]
    await repl.take("/help nonsense")
    assert "error: there is no command /nonsense" in repl.frontend.text


@pytest.mark.parametrize("mark", ["?", " ? ", "\uff1f"])
async def test_a_question_mark_alone_is_help(start_repl, mark):
    repl = start_repl()
    await repl.take(mark)
    assert "not now (nothing has been asked yet)" in repl.frontend.text


@pytest.mark.parametrize(
    ("alias", "name"),
    [("resume", "sessions"), ("models", "model"), ("history", "tree"), ("quit", "exit")],
)
async def test_what_other_programs_call_it_is_an_alias(start_repl, alias, name):
    assert named(alias) is named(name) is not None
    repl = start_repl()
    await repl.take(f"/help {alias}")
    assert repl.frontend.output[-1].startswith(f"/{name}")


async def test_an_alias_is_completed_where_the_name_does_not_begin_so(start_repl):
    repl = start_repl()
    assert [name for name, _ in await completions(repl, "/resu")] == ["/resume"]
    assert [name for name, _ in await completions(repl, "/mod")] == ["/model"]


def test_no_two_commands_answer_to_one_name():
    names = [name for command in COMMANDS for name in (command.name, *command.aliases)]
    assert len(names) == len(set(names))
    assert not set(names) & set(_MEANT)
    assert {meant for meant in _MEANT.values() if named(meant) is None} == set()


async def test_a_suggestion_knows_what_people_mean_and_says_where_that_can_do_nothing(start_repl):
    repl = start_repl()
    await repl.take("/attach")
    assert repl.frontend.output[-1] == "→ did you mean /file?"
    await repl.take("/Regenerate")
    assert repl.frontend.output[-1] == "→ did you mean /retry? (not now: nothing has been asked yet)"
    await repl.take("/xyzzy")
    assert repl.frontend.output[-1] == "→ /help lists the commands"
