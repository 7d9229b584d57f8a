from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import platformdirs
import pytest

from chatcli.config.paths import (
    PATH_VARIABLES,
    changing,
    ensure_private_folder,
    env_file_of,
    find_paths,
    write_private_file,
)
from chatcli.core.errors import ConfigurationError, LocalIOError

posix_only = pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_environment_names_the_folders():
    paths = find_paths({name: f"/there/{name}" for name in PATH_VARIABLES})
    assert paths.config == Path("/there/CHATCLI_CONFIG_DIR")
    assert paths.data == Path("/there/CHATCLI_DATA_DIR")
    assert paths.cache == Path("/there/CHATCLI_CACHE_DIR")
    assert paths.local == Path("/there/CHATCLI_LOCAL_DIR")


def test_the_local_folder_lies_in_the_data_folder_unless_named():
    assert find_paths({"CHATCLI_DATA_DIR": "/there"}).local == Path("/there/local")


def test_otherwise_the_platform_names_them():
    paths = find_paths({"CHATCLI_DATA_DIR": ""})
    assert all("chatcli" in path.parts for path in (paths.config, paths.data, paths.cache, paths.local))
    assert paths.config.is_absolute()


def raise_without_a_home(*_, **__):
    raise RuntimeError("no home")


@pytest.mark.parametrize(
    "platform_answer",
    [raise_without_a_home, lambda *_, **__: Path("~/.local/share/chatcli")],
    ids=["platformdirs raises", "an older platformdirs leaves ~ as it is"],
)
def test_a_user_without_a_home_gets_a_clear_error(monkeypatch, platform_answer):
    monkeypatch.setattr(platformdirs, "user_data_path", platform_answer)
    with pytest.raises(ConfigurationError, match="no home folder") as caught:
        find_paths({})
    assert caught.value.hint == "set HOME, or CHATCLI_DATA_DIR"


def test_a_user_without_a_home_may_name_every_folder(monkeypatch):
    for function in ("user_config_path", "user_data_path", "user_cache_path"):
        monkeypatch.setattr(platformdirs, function, raise_without_a_home)
    assert find_paths(dict.fromkeys(PATH_VARIABLES, "/there")).data == Path("/there")


@posix_only
def test_new_folders_and_their_new_parents_are_private(tmp_path):
    tmp_path.chmod(0o755)
    folder = ensure_private_folder(tmp_path / "a" / "b")
    assert (mode(folder), mode(folder.parent), mode(tmp_path)) == (0o700, 0o700, 0o755)


@posix_only
def test_an_open_folder_is_closed(tmp_path):
    tmp_path.chmod(0o755)
    ensure_private_folder(tmp_path)
    assert mode(tmp_path) == 0o700


@posix_only
def test_a_folder_shared_by_everyone_is_refused_and_left_alone(tmp_path):
    tmp_path.chmod(0o1777)
    with pytest.raises(LocalIOError, match="shared with other users"):
        ensure_private_folder(tmp_path)
    assert mode(tmp_path) == 0o1777


def test_a_folder_that_is_there_is_kept_with_what_it_holds(tmp_path):
    (tmp_path / "kept").write_text("kept", encoding="utf-8")
    assert ensure_private_folder(ensure_private_folder(tmp_path)) == tmp_path
    assert (tmp_path / "kept").exists()


@pytest.mark.parametrize("inside", ["", "further/in"])
def test_a_file_in_the_way_is_a_clear_error(tmp_path, inside):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(LocalIOError, match="cannot make the folder") as caught:
        ensure_private_folder(tmp_path / "file" / inside)
    assert "CHATCLI_DATA_DIR" in str(caught.value.hint)


def test_the_content_takes_the_place_of_the_old_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "folder" / "keys.json"
    for content in (b"old", b"new"):
        write_private_file(path, content)
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


@posix_only
def test_file_and_folder_are_the_owners_alone(tmp_path):
    path = tmp_path / "folder" / "keys.json"
    write_private_file(path, b"")
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)


@posix_only
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


def test_changes_of_one_file_wait_for_each_other(tmp_path):
    path = tmp_path / "count"
    path.write_bytes(b"0")

    def count_on(_):
        with changing(path):
            write_private_file(path, str(int(path.read_bytes()) + 1).encode())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count_on, range(32)))
    assert path.read_bytes() == b"32"


def test_a_lock_that_cannot_be_taken_is_a_clear_error(tmp_path):
    (tmp_path / ".lock").mkdir()
    with pytest.raises(LocalIOError, match=r"cannot write .*keys\.json"), changing(tmp_path / "keys.json"):
        pytest.fail("without the lock nothing is changed")


def test_a_folder_named_dotenv_is_no_env_file(tmp_path):
    (tmp_path / ".env").mkdir()
    assert env_file_of(tmp_path) is None


def test_a_folder_without_one_has_no_env_file(tmp_path):
    assert env_file_of(tmp_path) is None
    assert env_file_of(tmp_path / "missing") is None
