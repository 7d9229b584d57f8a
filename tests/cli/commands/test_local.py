from __future__ import annotations

from chatcli.core.errors import ExitCode


def test_what_is_there_of_the_embedded_model_is_reported(command):
    code, screen = command("local", "status")
    assert code == ExitCode.CONFIGURATION
    assert "not here: chatcli local setup" in screen.out


def test_removing_frees_what_there_was(command, tmp_path):
    code, screen = command("local", "remove")
    assert code == ExitCode.DONE
    assert "0 MB" in screen.err


def test_a_port_that_is_none_is_a_usage_error(command):
    code, screen = command("local", "serve", "--port", "70000")
    assert code == ExitCode.USAGE
    assert "1 to 65535" in screen.err
