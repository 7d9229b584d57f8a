from __future__ import annotations

import os
import socket
import stat
import sys
import threading
from pathlib import Path

import pytest

from chatcli.storage.private_files import (
    close_to_others,
    create,
    open_for_append,
    open_regular,
    read_regular,
    read_regular_or_pipe,
    replace,
)

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="pipes in the file system are POSIX")


def make_pipe(path):
    os.mkfifo(path)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


def make_device(path):
    path.symlink_to("/dev/zero")


@posix_only
@pytest.mark.parametrize(
    ("make", "kind"),
    [(Path.mkdir, "a folder"), (make_pipe, "a pipe"), (make_socket, "a socket"), (make_device, "a device")],
)
def test_what_is_no_file_is_named_and_never_waited_for(tmp_path, monkeypatch, make, kind):
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    make(Path("file"))
    for read in (open_regular, lambda path: read_regular(path, most_bytes=1)):
        with pytest.raises(OSError, match="not a file") as caught:
            read(Path("file"))
        assert caught.value.strerror == f"it is {kind}, not a file"


def test_a_file_is_read_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345\r\n")
    assert read_regular(path, most_bytes=8) == read_regular(path, most_bytes=7) == b"12345\r\n"
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "none", most_bytes=7)
    for read in (
        read_regular,
        lambda path, most_bytes: read_regular_or_pipe(path, most_bytes=most_bytes, patience_s=0),
    ):
        with pytest.raises(OSError, match="larger than 6 bytes"):
            read(path, most_bytes=6)


@posix_only
def test_the_null_device_is_an_empty_file(tmp_path):
    (tmp_path / "off").symlink_to(os.devnull)
    assert read_regular(tmp_path / "off", most_bytes=5) == b""


@posix_only
def test_a_pipe_that_was_named_is_read_to_its_end(tmp_path):
    make_pipe(tmp_path / "pipe")
    content = bytes(range(256)) * 1000
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(content,))
    writer.start()
    assert read_regular_or_pipe(tmp_path / "pipe", most_bytes=len(content), patience_s=20) == content
    writer.join()


@posix_only
def test_a_pipe_that_nobody_writes_to_is_given_up(tmp_path):
    make_pipe(tmp_path / "pipe")
    with pytest.raises(OSError, match="a pipe that sent nothing"):
        read_regular_or_pipe(tmp_path / "pipe", most_bytes=1, patience_s=0.01)


@posix_only
def test_a_file_is_closed_to_others(tmp_path):
    path = tmp_path / "keys.json"
    path.touch(0o644)
    path.chmod(0o644)
    close_to_others(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix_only
def test_a_file_stricter_than_that_stays_as_it_is(tmp_path):
    path = tmp_path / "keys.json"
    path.touch()
    path.chmod(0o400)
    close_to_others(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o400


def test_a_file_is_replaced_in_one_step_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "last"
    for content in (b"old", b"new"):
        replace(path, content)
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@posix_only
def test_its_folder_is_made_for_its_owner_alone(tmp_path):
    replace(tmp_path / "made" / "too" / "last", b"new")
    assert [stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")] == [0o700, 0o700, 0o600]


@pytest.mark.parametrize("durably", [False, True])
def test_a_place_that_cannot_be_replaced_stays_and_nothing_is_left_beside_it(tmp_path, durably):
    (tmp_path / "last").mkdir()
    with pytest.raises(OSError, match="last"):
        replace(tmp_path / "last", b"new", durably=durably)
    assert [path.name for path in tmp_path.iterdir()] == ["last"]


@posix_only
def test_a_file_is_never_made_where_something_is(tmp_path):
    (tmp_path / "there").write_bytes(b"kept")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("there", "link"):
        with pytest.raises(FileExistsError):
            create(tmp_path / name, b"")
    assert (tmp_path / "there").read_bytes() == b"kept"
    assert not (tmp_path / "nowhere").exists()


def test_those_who_create_a_file_at_the_same_time_all_append_to_it(tmp_path):
    together, failures = threading.Barrier(4), []

    def append(path):
        together.wait(10)
        try:
            descriptor = open_for_append(path)
            os.write(descriptor, b"x")
            os.close(descriptor)
        except OSError as error:
            failures.append(error)

    for number in range(100):
        path = tmp_path / f"new {number}" / "file"
        threads = [threading.Thread(target=append, args=(path,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert path.read_bytes() == b"xxxx"
