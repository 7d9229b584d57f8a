from __future__ import annotations

import codecs
import hashlib
import os
import threading
from contextlib import contextmanager

import pytest

from chatcli.config.env_files import EnvFile, env_file_of, read_env_file
from chatcli.core.errors import ConfigurationError


@contextmanager
def in_a_thread_writing(path, content):
    writer = threading.Thread(target=path.write_bytes, args=(content,))
    writer.start()
    yield
    writer.join()


@pytest.fixture
def read_file(tmp_path):
    def write_and_read(content: str | bytes) -> EnvFile:
        path = tmp_path / "some.env"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_env_file(path)

    return write_and_read


@pytest.fixture
def read(read_file):
    return lambda content: read_file(content).variables


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


@pytest.mark.parametrize(
    "bad", ["CHATCLI_SYSTEM='no end", 'export CHATCLI_SYSTEM="a" b', b"CHATCLI_SYSTEM=\xff"]
)
def test_a_line_of_ours_that_cannot_be_read_costs_itself_alone(read_file, bad):
    line = bad.encode() if isinstance(bad, str) else bad
    file = read_file(b"CHATCLI_MODEL=a\n\n" + line + b"\nCHATCLI_SEED=1\n")
    assert file.variables == {"CHATCLI_MODEL": "a", "CHATCLI_SEED": "1"}
    assert (file.odd_lines, file.odd_names) == ((3,), {"CHATCLI_SYSTEM"})


def test_a_comment_in_another_encoding_is_no_mistake(read_file):
    file = read_file("# Schlüssel für die Prüfung\nCHATCLI_MODEL=a # schön\n".encode("latin-1"))
    assert (file.variables, file.odd_lines) == ({"CHATCLI_MODEL": "a"}, ())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_byte_order_mark_tells_the_encoding(read, encoding):
    text = "CHATCLI_MODEL=a\nCHATCLI_SYSTEM=schön\n"
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}.get(encoding, b"")
    assert read(mark + text.encode(encoding)) == {"CHATCLI_MODEL": "a", "CHATCLI_SYSTEM": "schön"}


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_called_so(read, encoding):
    with pytest.raises(ConfigurationError, match="it is UTF-16 without a byte order mark"):
        read("CHATCLI_MODEL=a\n".encode(encoding))


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\xfe\xff\xd8\x00", b"a\0b=c\n" * 9])
def test_what_is_no_text_is_a_clear_error(read, content):
    with pytest.raises(ConfigurationError, match=r"cannot read .* it (is|begins)"):
        read(content)


def test_the_sum_is_that_of_the_bytes(read_file):
    assert read_file(b"A=\r\n").sha256 == hashlib.sha256(b"A=\r\n").hexdigest()


def test_a_file_that_would_take_long_to_read_is_refused_at_once(read):
    for content in ("CHATCLI_MODEL=a" + " " * 200_000 + "b\n", "#" * 300_000):
        with pytest.raises(ConfigurationError, match=r"200 blanks in a row|larger than 262,144 bytes"):
            read(content)


def test_a_pipe_is_no_env_file_unless_it_is_named(tmp_path):
    path = tmp_path / ".env"
    os.mkfifo(path)
    with pytest.raises(ConfigurationError, match="it is a pipe, not a file"):
        read_env_file(path)
    with in_a_thread_writing(path, b"CHATCLI_MODEL=a\n"):
        assert read_env_file(path, may_be_pipe=True).variables == {"CHATCLI_MODEL": "a"}


def test_a_line_of_another_program_is_its_own_business(read, capfd):
    assert read("OTHER='no end\nCHATCLI_MODEL=a\n") == {"CHATCLI_MODEL": "a"}
    assert capfd.readouterr().err == ""


def test_a_missing_file_is_a_clear_error(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot read"):
        read_env_file(tmp_path / "missing.env")


def test_a_file_that_is_not_text_is_a_clear_error(read):
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        read(b"MODEL=\xff\xfe")


def test_a_folder_named_dotenv_is_no_env_file(tmp_path):
    (tmp_path / ".env").mkdir()
    assert env_file_of(tmp_path) is None


def test_a_folder_without_one_has_no_env_file(tmp_path):
    assert env_file_of(tmp_path) is None
    assert env_file_of(tmp_path / "missing") is None
