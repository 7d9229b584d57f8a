from __future__ import annotations

import os
import sys

import pytest

from chatcli.safety.private_files import open_to_read, read

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="pipes with names")


@posix_only
def test_a_pipe_with_a_name_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="it is no file"):
        open_to_read(tmp_path / "pipe")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(OSError, match=str(tmp_path.name)):
        read(tmp_path)


def test_a_file_is_read_up_to_its_limit(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read(path) == read(path, largest_bytes=5) == b"12345"
    with pytest.raises(OSError, match="too large"):
        read(path, largest_bytes=4)
