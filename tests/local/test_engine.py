from __future__ import annotations

from chatcli.local.engine import complaint, machine_memory_bytes, open_log


def test_the_first_error_is_the_cause(tmp_path):
    path = tmp_path / "log"
    path.write_text(
        "0.00.000.373 I srv          init: initializing ...\n"
        "0.00.001.850 E srv         start: couldn't bind HTTP server socket\n"
        "0.00.001.953 E srv          init: exiting due to HTTP server error\n"
    )
    assert complaint(path) == "start: couldn't bind HTTP server socket"


def test_without_an_error_the_last_line_is_reported(tmp_path):
    path = tmp_path / "log"
    path.write_text("Traceback (most recent call last):\nImportError: no such library\n\n")
    assert complaint(path) == "ImportError: no such library"


def test_an_empty_or_missing_log_complains_of_nothing(tmp_path):
    assert complaint(tmp_path / "log") == ""
    open_log(tmp_path / "log").close()
    assert complaint(tmp_path / "log") == ""


def test_two_writers_of_one_log_keep_each_others_lines(tmp_path):
    with open_log(tmp_path / "log") as first, open_log(tmp_path / "log") as second:
        for writer in (first, second, first):
            writer.write(b"line\n")
    assert (tmp_path / "log").read_bytes() == b"line\n" * 3


def test_the_memory_of_this_machine_is_known():
    assert 100_000_000 < machine_memory_bytes() < 1 << 50
