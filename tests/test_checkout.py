"""What the scripts say in a checkout that cannot be written."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
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
