"""What the scripts say: in a checkout that cannot be written, at the first start, and what they pass on."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import HINT, writing

SCRIPTS = Path(__file__).parent.parent / "scripts"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_what_cannot_be_written_is_said_in_one_line_and_a_hint(number, capsys):
    with pytest.raises(SystemExit) as ended, writing():
        raise OSError(number, os.strerror(number), "docs/a.md")
    assert ended.value.code == 1
    line, hint = capsys.readouterr().err.splitlines()
    assert line.endswith(f": cannot write docs/a.md: {os.strerror(number)}")
    assert hint == HINT


def test_any_other_error_is_reported_as_ever():
    with pytest.raises(FileNotFoundError), writing():
        raise FileNotFoundError(errno.ENOENT, "no such file", "a")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a user who is not root")
def test_a_script_that_needs_to_write_does_not_begin(tmp_path):
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPTS / "writable", tmp_path / "scripts")
    command = ["sh", tmp_path / "scripts" / "writable", "test"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    tmp_path.chmod(0o500)
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, f"scripts/test: cannot write {tmp_path}\n{HINT}\n")


posix = pytest.mark.skipif(os.name != "posix", reason="the scripts need a Unix shell")


def shown_in_40_columns(command, **variables):
    """Return the lines a command writes to a terminal of 40 columns."""
    import pty  # noqa: PLC0415 - not on Windows
    import termios  # noqa: PLC0415

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 40))
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env={**environment, **variables},
    )
    os.close(theirs)
    written = b""
    try:
        while chunk := os.read(ours, 4096):
            written += chunk
    except OSError:  # Linux: the other end is closed
        pass
    process.wait()
    os.close(ours)
    return [line.rstrip() for line in written.decode().splitlines()]


@posix
@pytest.mark.parametrize(
    "text",
    [
        "installing chatcli and what it needs, about 80 MB …",
        "see the messages above; behind a proxy, set HTTPS_PROXY, and run the same command again",
    ],
)
def test_the_first_start_breaks_its_lines_between_words(text):
    code = f"import setup; setup.say({text!r})"
    lines = shown_in_40_columns([sys.executable, "-c", code], PYTHONPATH=str(SCRIPTS))
    assert max(map(len, lines)) <= 40
    assert " ".join(lines) == f"chatcli setup: {text}"


@posix
def test_a_missing_python_is_told_in_lines_that_break_between_words(tmp_path):
    for name in ("fold", "stty"):
        (tmp_path / name).symlink_to(shutil.which(name))
    command = [shutil.which("sh"), SCRIPTS / "find-python", "setup.py"]
    lines = shown_in_40_columns(command, PATH=str(tmp_path))
    assert max(map(len, lines)) <= 40
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={"PATH": str(tmp_path)})
    assert (done.returncode, done.stderr) == (3, " ".join(lines) + "\n")


@posix
def test_the_program_is_told_what_the_person_typed(tmp_path):
    folder = tmp_path / "scripts"
    python = tmp_path / ".venv" / "bin" / "python"
    folder.mkdir()
    python.parent.mkdir(parents=True)
    shutil.copy(SCRIPTS / "chat", folder)
    (folder / "ready").write_text("#!/bin/sh\n")
    python.write_text('#!/bin/sh\necho "$_CHATCLI_COMMAND"\n')
    for program in (folder / "ready", python):
        program.chmod(0o700)
    for typed in ("scripts/chat", "./scripts/chat"):
        done = subprocess.run([typed], cwd=tmp_path, check=True, capture_output=True, text=True)
        assert done.stdout == f"{typed}\n"
