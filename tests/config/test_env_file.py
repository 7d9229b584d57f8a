from __future__ import annotations

import pytest

from chatcli.config.env_file import env_file_of, read_env_file
from chatcli.core.errors import ConfigurationError


@pytest.fixture
def read(tmp_path):
    def write_and_read(content: str | bytes) -> dict[str, str]:
        path = tmp_path / "some.env"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_env_file(path)

    return write_and_read


def test_only_variables_of_chatcli_and_openai_count(read):
    assert read("CHATCLI_MODEL=a\nexport OPENAI_API_KEY='k'\nPATH=/evil\nLD_PRELOAD=evil.so\n") == {
        "CHATCLI_MODEL": "a",
        "OPENAI_API_KEY": "k",
    }


def test_nothing_is_interpolated(read, monkeypatch):
    monkeypatch.setenv("PRIVATE", "secret")
    assert read("CHATCLI_SYSTEM=${PRIVATE}\n") == {"CHATCLI_SYSTEM": "${PRIVATE}"}


def test_empty_variables_are_not_set(read):
    assert read("CHATCLI_MODEL=\nCHATCLI_API_KEY\n# CHATCLI_SYSTEM=x\n") == {}


def test_quoted_values_may_have_lines(read):
    assert read('CHATCLI_SYSTEM="one\\ntwo\nthree" # a comment\n') == {"CHATCLI_SYSTEM": "one\ntwo\nthree"}


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter(read):
    assert read(b"\xef\xbb\xbfCHATCLI_MODEL=a\r\nCHATCLI_SEED=1\r\n") == {
        "CHATCLI_MODEL": "a",
        "CHATCLI_SEED": "1",
    }


def test_a_line_of_ours_that_cannot_be_read_is_named(read):
    with pytest.raises(ConfigurationError, match=r"some\.env, line 2: cannot read .* CHATCLI_SYSTEM"):
        read("CHATCLI_MODEL=a\nCHATCLI_SYSTEM='no end\n")


def test_a_line_of_another_program_is_its_own_business(read, capfd):
    assert read("OTHER='no end\nCHATCLI_MODEL=a\n") == {"CHATCLI_MODEL": "a"}
    assert capfd.readouterr().err == ""


def test_a_missing_file_is_a_clear_error(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot read"):
        read_env_file(tmp_path / "missing.env")


def test_a_file_that_is_not_text_is_a_clear_error(read):
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        read(b"CHATCLI_MODEL=\xff\xfe")


def test_a_folder_named_dotenv_is_no_env_file(tmp_path):
    (tmp_path / ".env").mkdir()
    assert env_file_of(tmp_path) is None


def test_a_folder_without_one_has_no_env_file(tmp_path):
    assert env_file_of(tmp_path) is None
    assert env_file_of(tmp_path / "missing") is None
