from __future__ import annotations

import os
import stat
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.cli.output_file import OutputFile
from chatcli.core.errors import LocalIOError

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="modes, links and pipes of POSIX")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "answer.md"


def write(path, *texts):
    file = OutputFile(str(path))
    for text in texts:
        file.write(text)
    file.close()


def test_the_file_gets_its_name_when_it_is_closed(path):
    file = OutputFile(str(path))
    file.write("Par")
    assert not path.exists()
    file.write("is.\n")
    file.close()
    assert path.read_bytes() == b"Paris.\n"
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_an_earlier_answer_stays_if_nothing_is_written(path):
    path.write_text("before")
    write(path)
    assert path.read_text() == "before"
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=("Cs",)))))
def test_a_file_holds_exactly_what_was_written(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("out") / "answer.md"
    write(path, *texts, "end")
    assert path.read_bytes() == "".join([*texts, "end"]).encode()


@posix_only
def test_a_replaced_file_keeps_its_permissions_and_a_link_its_target(path, tmp_path):
    kept = tmp_path / "kept.md"
    kept.write_text("before")
    kept.chmod(0o640)
    path.symlink_to(kept)
    write(path, "after")
    assert path.is_symlink()
    assert kept.read_text() == "after"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o640


@posix_only
def test_a_pipe_is_written_to_and_not_replaced(path):
    os.mkfifo(path)
    read = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    write(path, "Paris.")
    reader.join()
    assert read == [b"Paris."]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_a_place_that_cannot_be_written_is_a_clear_error(tmp_path):
    for place in (tmp_path, tmp_path / "missing" / "answer.md"):
        with pytest.raises(LocalIOError, match="cannot write"):
            OutputFile(str(place))
    assert list(tmp_path.iterdir()) == []
