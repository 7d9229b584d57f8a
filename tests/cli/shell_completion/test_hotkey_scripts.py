from __future__ import annotations

import shutil
import subprocess

import pytest

from chatcli.cli.shell_completion.hotkey_scripts import HOTKEY_SCRIPTS, hotkey_script
from chatcli.core.errors import UsageError


def bound(shell, key):
    lines = hotkey_script(shell, key).splitlines()
    return next(line.split(maxsplit=1)[1] for line in map(str.strip, lines) if line.startswith("bind"))


@pytest.mark.parametrize(
    ("key", "bash", "zsh", "fish"),
    [
        ("alt-e", r"\ee", r"\ee", r"\ee"),
        ("M-E", r"\ee", r"\ee", r"\ee"),
        ("alt-shift-e", r"\eE", r"\eE", r"\eE"),
        ("^G", r"\C-g", "^g", r"\cg"),
        ("f5", r"\e[15~", r"\e[15~", r"\e\[15\~"),
        ("ctrl-x a", r"\C-xa", "^xa", r"\cxa"),
        ("alt-;", r"\e;", r"\e;", r"\e\;"),
        ("alt-\\", r"\e\\", r"\e\\", r"\e\\"),
    ],
)
def test_a_key_is_written_in_the_notation_of_each_shell(key, bash, zsh, fish):
    assert bound("bash", key) == f"-x '\"{bash}\": _chatcli_hotkey'"
    assert bound("zsh", key) == f"'{zsh}' _chatcli_hotkey"
    assert bound("fish", key) == f"{fish} __chatcli_hotkey"


@pytest.mark.parametrize(
    "key",
    ["", "e", "enter", "tab", "up", "ctrl-c", "ctrl-d", "ctrl-space", "ctrl-alt-e", "alt-[", "alt-é", "f13"],
)
def test_a_key_that_a_shell_needs_or_never_sees_is_refused(key):
    with pytest.raises(UsageError):
        hotkey_script("bash", key)


@pytest.mark.parametrize("shell", HOTKEY_SCRIPTS)
@pytest.mark.parametrize("key", ["alt-'", 'alt-"', "alt-$", "alt-`", "alt-;", "alt-\\", "alt-#", "alt-("])
def test_a_key_that_means_something_to_the_shell_is_quoted(shell, key):
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    done = subprocess.run(
        [shell, "-n"],
        input=hotkey_script(shell, key),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
