"""``/help``, and what names a command answers to."""

from __future__ import annotations

import pytest
from wcwidth import width

from chatcli.repl.commands import _MEANT, COMMAND_GROUPS, COMMANDS, named
from repl.fakes import KeptSurface
from repl.test_talk import completions
from repl.test_talk import talking as talking  # noqa: PLC0414 - a fixture


@pytest.mark.parametrize("columns", [200, 80, 40, 30])
async def test_all_commands_stand_under_their_headings_in_any_width(talking, columns):
    talk = talking(surface=KeptSurface(columns=columns))
    await talk.take("/help")
    lines = talk.surface.text.split("\n")
    places = [lines.index(heading) for heading, _ in COMMAND_GROUPS]
    assert places == sorted(places)
    assert all(any(f"  /{command.name}" in line for line in lines) for command in COMMANDS)
    assert all(width(line) <= columns for line in lines)


async def test_it_says_why_some_can_do_nothing_now(talking):
    talk = talking()
    await talk.take("/help")
    assert "not now (nothing has been asked yet): /retry, /continue, " in talk.surface.text


async def test_those_that_can_do_nothing_now_are_dimmed(talking):
    talk = talking(surface=KeptSurface(color_system="256"))
    await talk.take("/help")
    rows = dict.fromkeys(row for row in talk.surface.text.split("\n") if "/undo" in row or "/model" in row)
    model, undo = (next(row for row in rows if f"  /{name}" in row) for name in ("model", "undo"))
    assert not model.startswith("\x1b")
    assert undo.startswith("\x1b")


async def test_at_80_columns_it_is_no_longer_than_it_needs_to_be(talking):
    talk = talking()
    await talk.take("/help")
    listed = talk.surface.said[1].split("\n")
    assert len(listed) <= len(COMMANDS) + len(COMMAND_GROUPS) + 16


async def test_every_command_can_be_explained_whether_it_can_act_or_not(talking):
    talk = talking()
    for command in COMMANDS:
        for name in (command.name, f"/{command.name}", *command.aliases):
            await talk.take(f"/help {name}")
            assert talk.surface.said[-1].startswith(command.usage)
    await talk.take("/help edit")
    assert talk.surface.said[-1].endswith("  not now: nothing has been asked yet")
    await talk.take("/help resume")
    assert "  also called /resume" in talk.surface.said[-1]
    await talk.take("/help nonsense")
    assert "error: there is no command /nonsense" in talk.surface.text


@pytest.mark.parametrize("mark", ["?", " ? ", "\uff1f"])
async def test_a_question_mark_alone_is_help(talking, mark):
    talk = talking()
    await talk.take(mark)
    assert "not now (nothing has been asked yet)" in talk.surface.text


@pytest.mark.parametrize(
    ("alias", "name"),
    [("resume", "sessions"), ("models", "model"), ("history", "tree"), ("quit", "exit")],
)
async def test_what_other_programs_call_it_is_an_alias(talking, alias, name):
    assert named(alias) is named(name) is not None
    talk = talking()
    await talk.take(f"/help {alias}")
    assert talk.surface.said[-1].startswith(f"/{name}")


async def test_an_alias_is_completed_where_the_name_does_not_begin_so(talking):
    talk = talking()
    assert [name for name, _ in await completions(talk, "/resu")] == ["/resume"]
    assert [name for name, _ in await completions(talk, "/mod")] == ["/model"]


def test_no_two_commands_answer_to_one_name():
    names = [name for command in COMMANDS for name in (command.name, *command.aliases)]
    assert len(names) == len(set(names))
    assert not set(names) & set(_MEANT)
    assert {meant for meant in _MEANT.values() if named(meant) is None} == set()


async def test_a_suggestion_knows_what_people_mean_and_says_where_that_can_do_nothing(talking):
    talk = talking()
    await talk.take("/attach")
    assert talk.surface.said[-1] == "→ did you mean /file?"
    await talk.take("/Regenerate")
    assert talk.surface.said[-1] == "→ did you mean /retry? (not now: nothing has been asked yet)"
    await talk.take("/xyzzy")
    assert talk.surface.said[-1] == "→ /help lists the commands"
