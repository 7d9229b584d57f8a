from __future__ import annotations

from argparse import Namespace

import pytest

from chatcli.cli.line_frontend import LineFrontend
from chatcli.cli.typed_lines import TypedLines
from chatcli.config.paths import find_paths
from chatcli.config.resolve import resolve
from chatcli.core.errors import UsageError
from cli.fakes import terminal


@pytest.fixture
def surface_on(tmp_path):
    """Return a function that makes a frontend on an in-memory terminal."""

    def start(shown, *, plain=False, quiet=False, clock=lambda: 0.0):
        environment = {
            f"CHATCLI_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "CACHE", "LOCAL")
        }
        settings = resolve({"plain": plain}, environment, find_paths(environment), tmp_path)
        return LineFrontend(
            Namespace(quiet=quiet, verbose=False, debug=False, output=None),
            shown,
            TypedLines(shown),
            settings=lambda: settings,
            chat=lambda: pytest.fail("no turn is shown"),
            plain=plain,
            clock=clock,
        )

    return start


async def test_what_is_asked_is_the_next_line_of_a_pipe_a_secret_too(surface_on):
    shown = terminal(b"2\r\nsk-1\n")
    frontend = surface_on(shown)
    assert await frontend.ask("Which one? ") == "2"
    assert await frontend.ask("Key: ", secret=True) == "sk-1"
    assert await frontend.ask("And? ") is None
    assert shown.out == "Which one? Key: And? \n"


async def test_what_is_asked_without_a_stdin_is_turned_down(surface_on):
    assert await surface_on(terminal(None)).ask("Which one? ") is None


def test_what_is_reported_goes_to_stdout_and_what_is_reported_beside_it_to_stderr(surface_on):
    shown = terminal()
    frontend = surface_on(shown)
    frontend.say("→  small\x1b[2J\n   large")
    frontend.remark("kept")
    frontend.complain(UsageError("there is no theme x", hint="say dark"))
    frontend.echo("never shown twice")
    assert shown.out == "→  small␛[2J\n   large\n"
    assert shown.err == "kept\nerror: there is no theme x\n→ say dark\n"


def test_signs_are_words_where_they_are_read_aloud(surface_on):
    shown = terminal(is_terminal=True)
    frontend = surface_on(shown, plain=True)
    frontend.complain(UsageError("there is no theme x", hint="say dark"))
    assert shown.err == "Error: there is no theme x.\nWhat to do: say dark.\n"


def test_who_wants_it_quiet_hears_of_errors_only(surface_on):
    shown = terminal()
    frontend = surface_on(shown, quiet=True)
    frontend.remark("kept")
    frontend.draft("Capital of France?")
    frontend.complain(UsageError("no"))
    assert shown.err == "error: no\n"


def test_what_could_be_sent_again_is_one_line_and_not_a_book(surface_on):
    shown = terminal()
    surface_on(shown).draft("two\nlines " + "x" * 1000)
    assert shown.err.startswith("to send it again: two")
    assert shown.err.endswith("x …\n")
    assert shown.err.count("\n") == 1
    assert len(shown.err) < 450


def test_rows_are_cut_only_where_somebody_sees_them_end(surface_on):
    assert surface_on(terminal(is_terminal=True)).columns() < 1000
    assert surface_on(terminal(is_terminal=True), plain=True).columns() >= 1000
    assert surface_on(terminal()).columns() >= 1000


def test_progress_is_reported_now_and_then(surface_on):
    shown = terminal()
    seconds = iter([0.0, 0.1, 9.9, 10.0])
    frontend = surface_on(shown, clock=lambda: next(seconds))
    for what in ("1 MB", "2 MB", "3 MB", "4 MB"):
        frontend.doing(what)
    assert shown.err == "1 MB\n4 MB\n"


def test_an_answer_from_before_is_spoken_as_it_was_at_first(surface_on):
    shown = terminal()
    surface_on(shown, plain=True).answer("# Tea\n\nIt is **hot**. Drink it.\n")
    assert shown.out == "Assistant: Heading: Tea\nIt is hot.\nDrink it.\nEnd of answer.\n"


def test_read_aloud_keys_have_names_that_can_be_reported(surface_on):
    shown = terminal()
    surface_on(shown, plain=True).say("/keys: list the keys; not now: only Enter, Ctrl-C and Ctrl-D")
    assert shown.out == "/keys: list the keys; not now: only Enter, Control C and Control D\n"
