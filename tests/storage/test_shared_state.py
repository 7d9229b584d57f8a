from __future__ import annotations

import os
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import pytest
import redis

from chatcli.storage.shared_state import RedisState, SQLiteState

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


@pytest.fixture(params=["sqlite", "redis"])
def any_state(request, path):
    state = (
        SQLiteState(path) if request.param == "sqlite" else RedisState(request.getfixturevalue("redis_url"))
    )
    yield state
    state.close()


@pytest.fixture
def key():
    """Return a key that no other test uses."""
    return os.urandom(8).hex()


def test_a_change_sees_what_the_last_one_left(any_state, key):
    assert [any_state.change(key, one_more) for _ in range(3)] == [1, 2, 3]
    assert any_state.change(f"{key} other", one_more) == 1


def test_the_time_is_the_same_for_all(any_state, key):
    first, second = (any_state.change(key, lambda _, now_s: now_s) for _ in range(2))
    assert abs(first - time.time()) < 60
    assert second >= first


def test_no_change_of_several_threads_is_lost(any_state, key):
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(lambda _: any_state.change(key, one_more), range(40))) == list(range(1, 41))


def test_what_is_on_a_server_of_others_says_whose_it_is(redis_url, key):
    with closing(RedisState(redis_url)) as state, redis.Redis.from_url(redis_url) as server:
        state.change(key, one_more)
        assert list(server.scan_iter(f"*{key}")) == [f"chatcli:limits:1:{key}".encode()]


def test_a_server_that_is_not_there_is_an_error():
    state = RedisState("redis://:secret@127.0.0.1:9/0")
    with pytest.raises(OSError, match=r"Redis: (?!.*secret).*127\.0\.0\.1:9"):
        state.change("key", one_more)
    state.close()


def test_closing_ends_a_change_that_waits_for_a_server_without_end():
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        state, failed = RedisState(f"redis://127.0.0.1:{server.getsockname()[1]}/0"), threading.Event()

        def change():
            with suppress(OSError, ValueError):
                state.change("key", one_more)
            failed.set()

        threading.Thread(target=change, daemon=True).start()
        connection, _ = server.accept()
        with closing(connection):
            connection.recv(1)
            connection.sendall(b"$1000\r\n")
            for _ in range(1_000):
                if failed.wait(0.01):
                    return
                state.close()
                with suppress(OSError):
                    connection.sendall(b"x")
        raise AssertionError("the change goes on")


def test_a_change_that_fails_changes_nothing(any_state, key):
    def fails(value, now_s):
        value["count"] = 100
        raise RuntimeError

    any_state.change(key, one_more)
    with pytest.raises(RuntimeError):
        any_state.change(key, fails)
    assert any_state.change(key, one_more) == 2


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


def test_tables_of_another_program_are_begun_anew(state, path):
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE states (something TEXT)")
    assert state.change("key", one_more) == 1
    assert state.change("key", one_more) == 2


@pytest.mark.parametrize("value", ["'[1, 2'", "'[1, 2]'", "x'00ff'", "'\"text\"'"])
def test_a_value_of_another_kind_is_begun_anew(state, path, value):
    state.change("key", one_more)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(f"UPDATE states SET value = {value}")
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
