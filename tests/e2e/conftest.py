from __future__ import annotations

import signal

import pytest

from e2e.program import Program


@pytest.fixture(autouse=True, scope="session")
def _signals_as_a_terminal_leaves_them() -> None:
    """Undo ``nohup`` and a shell's ``&``: a signal ignored here would be ignored by every program started here."""
    for name in ("SIGINT", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def program(tmp_path) -> Program:
    return Program(tmp_path)
