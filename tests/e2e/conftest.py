from __future__ import annotations

from contextlib import contextmanager

import pytest

from chatcli.conversation.counting import O200K_BASE, TiktokenCounter
from e2e.program import Program, command


@pytest.fixture
def program(tmp_path) -> Program:
    return Program(tmp_path)


@pytest.fixture
def terminal(program):
    """Return a function that runs chatcli on a terminal of its own and returns the terminal."""
    from e2e.pseudo_terminal import COLUMNS, LINES, on_terminal  # noqa: PLC0415 - POSIX only

    @contextmanager
    def start(*arguments, server=None, columns=COLUMNS, lines=LINES, job=False, **environment):
        started = on_terminal(
            command(*arguments),
            environment=program.environment(server, **environment),
            folder=program.working_folder,
            columns=columns,
            lines=lines,
            job=job,
        )
        with started as screen:
            yield screen

    return start


@pytest.fixture(scope="session")
def o200k_counter() -> TiktokenCounter:
    counter = TiktokenCounter(O200K_BASE)
    counter.load()
    return counter
