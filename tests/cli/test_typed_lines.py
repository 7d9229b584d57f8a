from __future__ import annotations

import pytest

from chatcli.cli.typed_lines import TypedLines, agrees, answered
from cli.fakes import terminal


def test_lines_are_read_without_their_ends_until_the_input_ends():
    found = terminal(b"Hi\r\n\nlast")
    lines = TypedLines(found)
    assert [lines.read("> ") for _ in range(4)] == ["Hi", "", "last", None]
    assert found.out == "> > > > \n"


def test_kept_lines_come_first_and_are_shown_where_they_would_have_been_typed():
    found = terminal(b"third\n")
    lines = TypedLines(found)
    lines.keep(b"first\n")
    lines.keep(b"\x1b[2Jsecond\n")
    assert [lines.next("> ") for _ in range(3)] == ["first", "\x1b[2Jsecond", "third"]
    assert found.out == "> first\n> ␛[2Jsecond\n> "


def test_a_line_in_the_encoding_of_the_system_is_read():
    assert TypedLines(terminal("Grüße\n".encode("latin-1"))).read("") == "Grüße"


def test_a_secret_from_a_pipe_is_a_line():
    assert TypedLines(terminal(b"sk-1\n")).read_secret("key: ") == "sk-1"


@pytest.mark.parametrize(
    ("typed", "agreed"), [(b"y\n", True), (b"YES\n", True), (b"n\n", False), (b"", False)]
)
def test_only_a_yes_agrees(typed, agreed):
    found = terminal(typed)
    assert agrees("Delete?", found) is agreed
    assert found.err.startswith("Delete? [y/N] ")


def test_a_question_is_sanitized():
    found = terminal(b"y\n")
    assert agrees("Delete a\x1b[2Jb?", found)
    assert found.err.startswith("Delete a␛[2Jb? [y/N] ")


def test_without_an_input_there_is_no_answer():
    for found in (terminal(None), terminal(b"")):
        assert answered("Which? ", found) is None
        assert found.err == "Which? \n"
