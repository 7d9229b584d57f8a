"""Stopping a program in the middle of an answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from e2e.program import Ended, Program, ended
from scripted_server import HOLD, Answer, text_events

if TYPE_CHECKING:
    from e2e.program import Process
    from scripted_server import ScriptedServer

UNFINISHED = Answer([*text_events("Par"), HOLD])

_PATIENCE_S = 60


def interrupted(program: Program, number: int, *arguments: str, server: ScriptedServer) -> Ended:
    """Return how a run ended after a signal, sent once its partial text was on disk."""
    with program.started(*arguments, server=server) as process:
        _wait_for_partial(program, process)
        process.send_signal(number)
        return ended(process)


def interrupted_before_the_first_word(
    program: Program, number: int, *arguments: str, server: ScriptedServer
) -> Ended:
    """Return how a run ended after a signal, sent once its question had reached the server."""
    before = len(server.requests)
    with program.started(*arguments, server=server) as process:
        until_s = time.monotonic() + _PATIENCE_S
        while len(server.requests) == before:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until_s, "no prompt was given"
            time.sleep(0.05)
        process.send_signal(number)
        return ended(process)


def _wait_for_partial(program: Program, process: Process) -> None:
    until_s = time.monotonic() + _PATIENCE_S
    while not any('"partial"' in path.read_text(encoding="utf-8") for path in program.session_paths):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until_s, "no partial answer on disk"
        time.sleep(0.05)
