from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys

import pytest

from chatcli.storage.shared_state import SQLiteState

COUNTING = """
import sys
from pathlib import Path
from chatcli.storage.shared_state import SQLiteState

def one_more(value, now_s):
    value["count"] = value.get("count", 0) + 1

state = SQLiteState(Path(sys.argv[1]), patience_s=60)
for _ in range(50):
    state.change("key", one_more)
state.close()
"""


def one_more(value, now_s):
    value["count"] = value.get("count", 0) + 1
    return value["count"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "limits.db"


@pytest.fixture
def state(path):
    state = SQLiteState(path)
    yield state
    state.close()


def test_a_change_sees_what_the_last_one_left(state):
    assert [state.change("key", one_more) for _ in range(3)] == [1, 2, 3]
    assert state.change("other", one_more) == 1


def test_a_change_that_fails_changes_nothing(state):
    def fails(value, now_s):
        value["count"] = 100
        raise RuntimeError

    state.change("key", one_more)
    with pytest.raises(RuntimeError):
        state.change("key", fails)
    assert state.change("key", one_more) == 2


def test_no_change_of_several_processes_is_lost(state, path):
    processes = [subprocess.Popen([sys.executable, "-c", COUNTING, path]) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert state.change("key", one_more) == 201


@pytest.mark.skipif(os.name == "nt", reason="permissions of Windows are those of the profile")
def test_only_its_owner_can_read_it(state, path):
    state.change("key", one_more)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"no database at all", b"SQLite format 3\x00" + b"\xff" * 4000])
def test_a_damaged_file_is_begun_anew(state, path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    assert state.change("key", one_more) == 1
    assert state.change("key", one_more) == 2


def test_a_file_deleted_meanwhile_is_begun_anew(state, path):
    state.change("key", one_more)
    path.unlink()
    assert state.change("key", one_more) == 1
    assert path.exists()


def test_a_value_of_another_kind_is_begun_anew(state, path):
    state.change("key", one_more)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE states SET value = '[1, 2'")
    connection.close()
    assert state.change("key", one_more) == 1


def test_what_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    state = SQLiteState(tmp_path / "file" / "limits.db")
    with pytest.raises(OSError, match="file"):
        state.change("key", one_more)


def test_a_folder_or_link_in_its_place_is_refused(tmp_path):
    (tmp_path / "limits.db").mkdir()
    with pytest.raises(OSError, match="regular file"):
        SQLiteState(tmp_path / "limits.db").change("key", one_more)
