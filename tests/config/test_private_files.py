from __future__ import annotations

import os
import stat

import pytest

from chatcli.config.private_files import close_to_others, write_private_file
from chatcli.core.errors import LocalIOError

posix = pytest.mark.skipif(os.name == "nt", reason="Windows keeps the rights of the user's profile")


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_content_takes_the_place_of_the_old_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "folder" / "keys.json"
    for content in (b"old", b"new"):
        write_private_file(path, content)
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


@posix
def test_file_and_folder_are_the_owners_alone(tmp_path):
    path = tmp_path / "folder" / "keys.json"
    write_private_file(path, b"")
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)


@posix
def test_a_link_is_kept_and_followed(tmp_path):
    kept = tmp_path / "dotfiles.toml"
    link = tmp_path / "config.toml"
    link.symlink_to(kept)
    write_private_file(link, b"x")
    assert link.is_symlink()
    assert kept.read_bytes() == b"x"


def test_a_place_that_cannot_be_written_is_a_clear_error_and_leaves_nothing(tmp_path):
    (tmp_path / "keys.json").mkdir()
    with pytest.raises(LocalIOError, match=r"cannot write .*keys\.json"):
        write_private_file(tmp_path / "keys.json", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]


@posix
def test_a_file_is_closed_to_others(tmp_path):
    path = tmp_path / "keys.json"
    path.touch(0o644)
    path.chmod(0o644)
    close_to_others(path)
    assert mode(path) == 0o600


@posix
def test_a_file_stricter_than_that_stays_as_it_is(tmp_path):
    path = tmp_path / "keys.json"
    path.touch()
    path.chmod(0o400)
    close_to_others(path)
    assert mode(path) == 0o400
