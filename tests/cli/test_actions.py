from __future__ import annotations

from argparse import Namespace
from contextlib import contextmanager

import pytest

from chatcli.cli.actions import Action, Family, add_examples
from chatcli.cli.options import Parser
from chatcli.core.errors import ExitCode, UsageError
from cli.fakes import terminal


@pytest.fixture
def doors():
    """Return a family of two actions and what happened to its subject."""
    happened = []

    @contextmanager
    def opened(_):
        happened.append("opened")
        yield "front"
        happened.append("closed")

    def show(options, subject, _):
        happened.append(f"{subject} {options.how}")
        return ExitCode.NOTHING_TO_EXTRACT

    table = (
        Action("show", "show the doors", show, lambda parser: parser.add_argument("--how")),
        Action("lock", "lock them", show),
    )
    return Family("doors", table, "show", opened), happened


def test_an_action_runs_with_the_subject_of_its_family_open(doors):
    family, happened = doors
    code = family.actions()["show"].run(Namespace(how="wide"), terminal())
    assert (code, happened) == (ExitCode.NOTHING_TO_EXTRACT, ["opened", "front wide", "closed"])


def test_an_action_adds_its_own_arguments(doors):
    family, _ = doors
    parser = Parser(prog="chatcli doors show")
    family.actions()["show"].add_arguments(parser)
    assert parser.parse_args(["--how", "wide"]).how == "wide"


def test_the_help_of_a_family_lists_its_actions(doors):
    family, _ = doors
    parser = Parser(prog="chatcli doors")
    family.add_arguments(parser)
    assert parser.epilog == "actions:\n  show    show the doors\n  lock    lock them"


def test_a_family_without_an_action_says_where_they_are_listed(doors):
    family, happened = doors
    with pytest.raises(UsageError, match="what should be done with doors"):
        family.run(Namespace(), terminal())
    assert happened == []


def test_examples_stand_in_columns():
    parser = Parser(prog="chatcli")
    add_examples(parser, ("a", "first"), ("bbb", "second"))
    assert parser.epilog == "examples:\n  a    first\n  bbb  second"
