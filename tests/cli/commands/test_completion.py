from __future__ import annotations

import pytest

from chatcli.cli.main import main
from chatcli.core.errors import ExitCode
from cli.fakes import terminal


def run(*arguments, **environment):
    context = terminal(**environment)
    return main(["completion", *arguments], context), context


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_a_script_is_printed(shell):
    code, context = run(shell)
    assert code == ExitCode.DONE
    assert "--whole-tree" in context.out or "-l whole-tree" in context.out
    assert "@OPTION" not in context.out


def test_the_help_says_how_to_install_it():
    code, context = run("--help")
    assert code == ExitCode.DONE
    assert "source <(chatcli completion bash)" in context.out
    assert "~/.config/fish/completions/chatcli.fish" in context.out
    assert "--values" not in context.out


def test_which_shell_must_be_reported():
    code, context = run()
    assert code == ExitCode.USAGE
    assert "bash, zsh, fish or powershell" in context.err


def test_names_are_reported_to_the_scripts(tmp_path):
    (tmp_path / "sessions").mkdir()
    (tmp_path / "sessions" / "trip.jsonl").touch()
    assert run("--values", "sessions", CHATCLI_DATA_DIR=str(tmp_path))[1].out == "trip\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_hotkey_is_printed(shell):
    code, context = run("--hotkey", shell)
    assert code == ExitCode.DONE
    assert f"# Alt-E in {shell}" in context.out
    assert "Ctrl-X Ctrl-A" in run("--hotkey", shell, "--bind", "c-x c-a")[1].out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--hotkey"], "which shell?"),
        (["--hotkey", "powershell"], "there is no hotkey for powershell"),
        (["--bind", "f4", "bash"], "--bind only works with --hotkey"),
        (["--hotkey", "bash", "--bind", "e"], "could no longer be typed"),
    ],
)
def test_what_a_hotkey_lacks_is_reported(arguments, told):
    code, context = run(*arguments)
    assert code == ExitCode.USAGE
    assert told in context.err
