from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from chatcli.storage.file_lock import is_locked, lock, try_to_lock


def test_a_lock_that_another_holds_for_ever_is_given_up(tmp_path):
    path = tmp_path / "lock"
    path.write_bytes(b"")
    with path.open("rb+") as holder, path.open("rb+") as other:
        assert try_to_lock(holder.fileno())
        with pytest.raises(OSError, match="another program holds its lock"):
            lock(other.fileno(), patience_s=0.02)
    with path.open("rb+") as other:
        lock(other.fileno())


def test_whether_a_file_is_locked_is_seen_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "trip.jsonl"
    path.write_bytes(b"content")
    assert not is_locked(path)
    with path.open("rb+") as holder:
        assert try_to_lock(holder.fileno())
        assert is_locked(path)
        assert is_locked(path)
    assert not is_locked(path)
    assert [(found.name, found.read_bytes()) for found in tmp_path.iterdir()] == [("trip.jsonl", b"content")]


def test_what_is_no_file_is_not_locked(tmp_path):
    assert not is_locked(tmp_path)
    assert not is_locked(tmp_path / "absent")
    if sys.platform != "win32":
        os.mkfifo(tmp_path / "pipe")
        assert not is_locked(tmp_path / "pipe")


def test_whoever_only_looks_keeps_nobody_from_taking_the_lock(tmp_path):
    path = tmp_path / "trip.jsonl"
    path.write_bytes(b"")

    def take_and_let_go(_):
        with path.open("rb+") as holder:
            lock(holder.fileno(), patience_s=1)

    with ThreadPoolExecutor(4) as pool:
        looking = [pool.submit(lambda: [is_locked(path) for _ in range(300)]) for _ in range(3)]
        for number in range(100):
            take_and_let_go(number)
        for looked in looking:
            looked.result()
