from __future__ import annotations

import pytest

from chatcli.cli.main import main
from cli.fakes import terminal


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Return a function that runs a command in new folders; it returns its exit code and terminal."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    monkeypatch.chdir(tmp_path)
    folders = {
        f"CHATCLI_{kind}_DIR": str(tmp_path / kind.lower()) for kind in ("CONFIG", "DATA", "CACHE", "LOCAL")
    }

    def run(*arguments, stdin=b"", is_terminal=False, **environment):
        screen = terminal(stdin, is_terminal=is_terminal, **folders, **environment)
        return main(list(map(str, arguments)), screen), screen

    return run
