from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.config.env_files import TrustedFolders
from chatcli.config.instructions import folder_instructions, personal_instructions, read_instructions
from chatcli.config.paths import Paths
from chatcli.core.errors import ConfigurationError, ExitCode


@pytest.fixture
def paths(tmp_path):
    folders = [tmp_path / name for name in ("config", "data", "cache", "local")]
    folders[0].mkdir()
    return Paths(*folders)


def test_without_a_file_there_are_none(paths):
    assert personal_instructions(paths) is None
    (paths.config / "instructions.md").write_text(" \n\t\n")
    assert personal_instructions(paths) is None


def test_they_are_the_text_of_the_file(paths):
    (paths.config / "instructions.md").write_bytes("\ufeffSei kurz. 简短。\n".encode())
    assert personal_instructions(paths).text == "Sei kurz. 简短。"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a\0b", "it is not text in UTF-8"),
        (b"\xff\xfe", "it is not text in UTF-8"),
        (b"x" * 32_769, "it is larger than 32,768 bytes"),
    ],
)
def test_what_is_no_text_or_too_large_is_an_error_with_a_hint(paths, content, reason):
    (paths.config / "instructions.md").write_bytes(content)
    with pytest.raises(ConfigurationError, match=reason) as raised:
        personal_instructions(paths)
    assert raised.value.exit_code == ExitCode.CONFIGURATION
    assert "32,768 bytes" in raised.value.hint


def test_a_folder_in_its_place_is_an_error_and_the_null_device_is_empty(paths):
    (paths.config / "instructions.md").mkdir()
    with pytest.raises(ConfigurationError, match="it is a folder"):
        personal_instructions(paths)
    if os.name == "posix":
        (paths.config / "instructions.md").rmdir()
        (paths.config / "instructions.md").symlink_to(os.devnull)
        assert personal_instructions(paths) is None


def test_those_of_a_folder_are_trusted_by_content(paths, tmp_path):
    file = tmp_path / "AGENTS.md"
    assert folder_instructions(tmp_path, paths) == (None, False)
    file.write_text("Be kind.")
    found, is_trusted = folder_instructions(tmp_path, paths)
    assert (found.text, is_trusted) == ("Be kind.", False)
    TrustedFolders.of(paths).trust(file, found.sha256)
    assert folder_instructions(tmp_path, paths)[1]
    file.write_text("Be evil.")
    assert not folder_instructions(tmp_path, paths)[1]


def test_trust_in_a_folder_is_none_in_its_instructions(paths, tmp_path):
    (tmp_path / "AGENTS.md").write_text("Be kind.")
    found = read_instructions(tmp_path / "AGENTS.md")
    TrustedFolders.of(paths).trust(tmp_path, found.sha256)
    assert not folder_instructions(tmp_path, paths)[1]


@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("any") / "instructions.md"
    file.write_bytes(content)
    try:
        found = read_instructions(file)
    except ConfigurationError:
        return
    assert found is None or found.text == content.decode("utf-8-sig").strip()
