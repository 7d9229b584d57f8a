from __future__ import annotations

import json
from pathlib import Path

import pytest

from chatcli.core.errors import ExitCode


@pytest.fixture
def own(tmp_path):
    folder = tmp_path / "config" / "templates"
    folder.mkdir(parents=True)
    (folder / "mine.md").write_text('+++\ndescription = "Mine."\n+++\nSay {{ input }}\n')
    return folder


def listed(command):
    return {each["name"]: each for each in json.loads(command("templates", "list", "--json")[1].out)}


def test_shipped_and_own_templates_are_listed(command, own):
    there = listed(command)
    assert there["mine"]["description"] == "Mine."
    assert (there["mine"]["shipped"], there["review"]["shipped"]) == (False, True)
    assert "mine" in command("templates", "list")[1].out


def test_a_template_that_cannot_be_read_is_listed_with_its_error(command, own):
    (own / "broken.md").write_text("+++\ndescription = \n+++\nHi\n")
    assert listed(command)["broken"]["error"]


def test_the_file_of_one_is_printed(command, own):
    code, screen = command("templates", "show", "mine")
    assert code == ExitCode.DONE
    assert screen.out == (own / "mine.md").read_text()


def test_the_folder_of_the_persons_own_is_printed(command, own):
    assert command("templates", "path")[1].out == f"{own}\n"


def test_a_new_one_comes_from_a_pipe_and_only_once(command, own):
    code, screen = command("templates", "new", "short", stdin=b"Be short: {{ input }}\n")
    assert code == ExitCode.DONE, screen.err
    assert (own / "short.md").read_text() == "Be short: {{ input }}\n"
    code, screen = command("templates", "new", "short", stdin=b"Again\n")
    assert code == ExitCode.USAGE
    assert "chatcli templates edit short" in screen.err


def test_what_was_written_is_kept_although_it_cannot_be_used(command, own):
    code, screen = command("templates", "new", "odd", stdin=b"{{ if x }}\n")
    assert code == ExitCode.CONFIGURATION
    assert (own / "odd.md").read_text() == "{{ if x }}\n"
    assert "written: " in screen.err


def test_one_of_the_persons_own_is_removed_and_the_shipped_one_shows_again(command, own):
    (own / "review.md").write_text("Mine\n")
    code, screen = command("templates", "rm", "review")
    assert code == ExitCode.DONE
    assert "built-in one again" in screen.err
    assert listed(command)["review"]["shipped"]


@pytest.mark.parametrize("action", ["show", "edit", "rm", "new"])
def test_an_action_without_a_name_says_which_is_missing(command, action):
    code, screen = command("templates", action)
    assert code == ExitCode.USAGE
    assert f"chatcli templates {action} NAME" in screen.err


def test_without_an_action_the_help_is_named(command):
    code, screen = command("templates")
    assert code == ExitCode.USAGE
    assert "chatcli templates --help" in screen.err


def test_one_that_is_hidden_by_a_command_is_reported_when_saved_and_listed(command, own):
    code, screen = command("templates", "new", "help", stdin=b"Help {{ input }}\n")
    assert code == ExitCode.DONE
    assert "/help is a command in conversations; the template help is used by /t help" in screen.err
    _, screen = command("templates", "list")
    assert screen.err == "/help is a command in conversations; the template help is used by /t help\n"
    assert command("templates", "list", "-q")[1].err == ""


FOREIGN = Path(__file__).parents[2] / "templates" / "foreign"


def test_templates_of_others_are_imported_with_a_report(command, own):
    (own / "roast.md").write_text("Mine\n")
    code, screen = command("templates", "import", str(FOREIGN / "llm"))
    assert code == ExitCode.DONE, screen.err
    lines = screen.out.splitlines()
    assert lines[0] == "dogs: imported"
    assert "hostile: imported" in lines
    assert "  left out: functions (Python code, which is not run)" in lines
    assert lines[-1] == "roast: there already (--replace replaces it)"
    assert (own / "roast.md").read_text() == "Mine\n"
    assert json.loads((own.parent / "schemas" / "dogs.json").read_text())["required"] == ["name"]
    assert 'schema = "dogs"' in (own / "dogs.md").read_text()
    assert listed(command)["dogs"]["error"] is None
    code, screen = command("templates", "import", str(FOREIGN / "llm" / "roast.yaml"), "--replace")
    assert screen.out.startswith("roast: imported\n")
    assert listed(command)["roast"]["places"] == ["target", "style"]


def test_a_schema_of_that_name_stays(command, own):
    (own.parent / "schemas").mkdir()
    (own.parent / "schemas" / "dogs.json").write_text("{}")
    command("templates", "import", str(FOREIGN / "llm" / "dogs.yaml"))
    command("templates", "import", str(FOREIGN / "llm" / "dogs.yaml"), "--replace")
    assert 'schema = "dogs-2"' in (own / "dogs.md").read_text()
    assert sorted(path.name for path in (own.parent / "schemas").iterdir()) == ["dogs-2.json", "dogs.json"]


def test_an_import_says_what_it_hides_and_what_hides_it(command, own, tmp_path):
    for name in ("review", "help"):
        (tmp_path / "patterns" / name).mkdir(parents=True)
        (tmp_path / "patterns" / name / "system.md").write_text("Look.")
    _, screen = command("templates", "import", str(tmp_path / "patterns"))
    assert screen.out == "help: imported\nreview: imported (it replaces the built-in one)\n"
    assert screen.err == "/help is a command in conversations; the template help is used by /t help\n"


def test_an_import_says_what_to_do_about_each_that_failed(command, own, tmp_path):
    (tmp_path / "bad name.yaml").write_text("prompt: a")
    (tmp_path / "bin.yaml").write_bytes(b"\xff")
    _, screen = command("templates", "import", str(tmp_path))
    assert screen.err == "→ save it as UTF-8\nerror: 'bad name' is not a template name\n→ rename it\n"
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "system.md").write_text("Look.")
    code, screen = command("templates", "import", str(tmp_path))
    assert (code, screen.err) == (ExitCode.DONE, "→ rename it\n→ save it as UTF-8\n")
    assert command("templates", "import", str(tmp_path), "-q")[1].err == ""


def test_of_two_with_one_name_only_the_first_is_imported(command, own, tmp_path):
    (tmp_path / "a.yaml").write_text("prompt: First")
    (tmp_path / "a.yml").write_text("prompt: Second")
    for options in ((), ("--replace",)):
        _, screen = command("templates", "import", str(tmp_path), *options)
        assert screen.out == "a: imported\na: not imported: another one of this name was\n"
        assert "First" in (own / "a.md").read_text()
        (own / "a.md").unlink()


def test_an_import_that_takes_nothing_is_an_error(command, own, tmp_path):
    (tmp_path / "x.yaml").write_text("- a")
    code, screen = command("templates", "import", str(tmp_path / "x.yaml"))
    assert (code, screen.out) == (ExitCode.CONFIGURATION, "x: not imported: x is not a template of llm\n")
    code, screen = command("templates", "import")
    assert (code, "import what?" in screen.err) == (ExitCode.USAGE, True)
