"""Templates, as they are typed."""

from __future__ import annotations

import json
import sys

import pytest

from e2e.program import asked
from scripted_server import Answer, event_stream, serving_in_thread
from unframed import unframed_messages

FINE = Answer(event_stream("Fine."))
DIFF = "-a {{ input }} $1\n+b {{ x }}\n"


def write(program, name, text):
    folder = program.config_folder / "templates"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


def test_a_change_is_piped_into_a_shipped_template(program):
    with serving_in_thread(FINE) as server:
        done = program.run("-T", "review", "Mind the locks.", server=server, stdin=DIFF)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "Fine.\n", "")
    ((_, text),) = unframed_messages(asked(server))
    assert text.startswith(
        f'Review this change as a careful colleague would.\n\n<document name="stdin">\n{DIFF}</document>\n\nLook for'
    )
    assert text.endswith("\n\nMind the locks.")
    parts = json.loads(program.session_paths[0].read_text("utf-8").splitlines()[1])["message"]["parts"]
    assert [part["origin"] for part in parts] == ["person", "document", "person"]


def test_a_template_chooses_model_system_prompt_and_parameters_below_the_flags(program):
    write(
        program,
        "mine.md",
        '+++\nmodel = "large"\nsystem = "Be brief."\ntemperature = 1\n+++\nTell of {{ input }}.',
    )
    with serving_in_thread(FINE) as server:
        program.run("-T", "mine", "-t", "0.5", "Rome", server=server)
    assert server.requests[-1].json["model"] == "large"
    assert server.requests[-1].json["temperature"] == 0.5
    assert asked(server) == [("system", "Be brief."), ("user", "Tell of Rome.")]


def test_a_template_may_choose_a_profile(program):
    (program.config_folder / "config.toml").write_text("[profiles.cold]\ntemperature = 0\n", encoding="utf-8")
    write(program, "mine.md", '+++\nprofile = "cold"\n+++\nHello')
    with serving_in_thread(FINE) as server:
        program.run("-T", "mine", server=server)
    assert server.requests[-1].json["temperature"] == 0


def test_a_template_may_want_the_code_alone(program):
    code = Answer(event_stream("So:\n\n```sh\nls | wc -l\n```\n"))
    with serving_in_thread(code) as server:
        assert program.run("-T", "shell", "count files", server=server).stdout == "ls | wc -l\n"
        assert program.run("-T", "shell", "-o", "text", "count", server=server).stdout.startswith("So:")


def test_a_path_is_a_template_too(program):
    (program.working_folder / "letter.txt").write_text("Dear {{ name }}", encoding="utf-8")
    with serving_in_thread(FINE) as server:
        program.run("-T", "./letter.txt", "--var", "name=all", server=server)
    assert asked(server) == [("user", "Dear all")]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["-T", "letter"], 2, "error: the template letter needs name\n→ give it with --var name=VALUE\n"),
        (["-T", "review"], 2, "error: the template review needs input\n→ pipe it in"),
        (["-T", "reveiw"], 2, "error: there is no template reveiw\n→ did you mean review?\n"),
        (["-T", "odd", "Hi"], 3, "odd.md, line 2: cannot read {{ oops\n→ "),
        (["-T", "hot", "Hi"], 3, "template hot temperature must be a number from 0 to 2"),
        (["-T", "gone", "Hi"], 3, "template gone: config.toml has no profile 'gone'\n"),
        (["--var", "a=b", "Hi"], 2, "error: --var only works with a template\n"),
    ],
)
def test_what_cannot_be_is_reported_with_what_to_do(program, arguments, exit_code, message):
    write(program, "letter.md", "Dear {{ name }}")
    write(program, "odd.md", "Hello\n{{ oops")
    write(program, "hot.md", "+++\ntemperature = 9\n+++\nHello")
    write(program, "gone.md", '+++\nprofile = "gone"\n+++\nHello')
    with serving_in_thread(FINE) as server:
        done = program.run(*arguments, server=server)
    assert (done.exit_code, done.stdout, server.requests) == (exit_code, "", [])
    assert message in done.stderr


def test_templates_are_listed_shown_and_removed(program):
    write(program, "review.md", '+++\ndescription = "My own"\n+++\nLook at \x1bthis.')
    listed = program.run("templates", "list").stdout.splitlines()
    assert "review     yours    My own" in listed
    assert any(line.startswith("translate  shipped  Translate: ") for line in listed)
    described = {each["name"]: each for each in json.loads(program.run("templates", "list", "--json").stdout)}
    assert described["review"]["overrides"] is True
    assert described["translate"]["places"] == ["to", "input"]
    assert program.run("templates", "show", "review").stdout.endswith("Look at ␛this.\n")
    removed = program.run("templates", "rm", "review").stderr
    assert removed.startswith("removed ")
    assert removed.endswith("review is the built-in one again\n")
    again = program.run("templates", "rm", "review")
    assert (again.exit_code, "is built in" in again.stderr) == (2, True)


def test_the_path_is_where_ones_own_go(program):
    assert program.run("templates", "path").stdout == f"{program.config_folder / 'templates'}\n"


def test_a_new_one_may_come_from_a_pipe(program):
    made = program.run("templates", "new", "greet", stdin="Greet {{ input }}.\n")
    assert made.exit_code == 0
    assert program.run("templates", "show", "greet").stdout == "Greet {{ input }}.\n"
    twice = program.run("templates", "new", "greet", stdin="Hello\n")
    assert (twice.exit_code, "the template greet already exists" in twice.stderr) == (2, True)
    wrong = program.run("templates", "new", "../greet", stdin="Hello\n")
    assert (wrong.exit_code, "is not a template name" in wrong.stderr) == (2, True)


@pytest.mark.skipif(sys.platform == "win32", reason="a script as an editor")
def test_a_shipped_one_is_edited_as_ones_own(program):
    editor = program.working_folder / "editor"
    editor.write_text("#!/bin/sh\nprintf 'Short {{ input }}\\n' > \"$1\"\n", encoding="utf-8")
    editor.chmod(0o755)
    assert program.run("templates", "edit", "review", EDITOR=str(editor)).exit_code == 0
    assert program.run("templates", "show", "review").stdout == "Short {{ input }}\n"
    unchanged = program.run("templates", "edit", "review", EDITOR="true")
    assert unchanged.stderr == "nothing changed, nothing written\n"
    editor.write_text("#!/bin/sh\nprintf 'Broken {{\\n' > \"$1\"\n", encoding="utf-8")
    broken = program.run("templates", "new", "mine", EDITOR=str(editor))
    assert (broken.exit_code, "line 1: cannot read {{" in broken.stderr) == (3, True)
    assert program.run("templates", "show", "mine").stdout == "Broken {{\n"


def test_several_templates_ask_one_question_and_include_others(program):
    write(program, "rules.md", "Answer in {{ language }}.")
    write(program, "a.md", '+++\nsystem = "One."\ntemperature = 1\n+++\nReview {{ input }}')
    write(
        program,
        "b.md",
        '+++\nsystem = "Two."\ntemperature = 0\ntop_p = 0.5\n+++\nTest {{ input }}\n{{> rules }}',
    )
    with serving_in_thread(FINE) as server:
        done = program.run("-T", "a", "-T", "b", "--var", "language=French", server=server, stdin="x = 1")
    assert (done.exit_code, done.stderr) == (0, "temperature comes from the template b, not from a\n")
    assert (server.requests[-1].json["temperature"], server.requests[-1].json["top_p"]) == (0, 0.5)
    system, (_, text) = unframed_messages(asked(server))
    assert system == ("system", "One.\n\nTwo.")
    assert text == 'Review\n\n<document name="stdin">\nx = 1</document>\n\nTest\nAnswer in French.'
