"""A program in its own tmux: a terminal that reflows when resized, and keeps scrolled lines."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

LINES = 24
TMUX = shutil.which("tmux")

_PATIENCE_S = 60  # of a busy machine; only what fails takes as long
_POLL_S = 0.05


class Tmux:
    """The screen with scrolled lines, a keyboard, and a resizable window."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def run(self, *arguments: str) -> str:
        command = [str(TMUX), "-S", str(self._socket), *arguments]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout

    @property
    def everything(self) -> str:
        """All lines, including scrolled ones; wrapped lines are joined."""
        return self.run("capture-pane", "-p", "-J", "-S", "-")

    def type(self, keys: str) -> None:
        self.run("send-keys", "-l", keys)

    def resize(self, columns: int) -> None:
        self.run("resize-window", "-x", str(columns), "-y", str(LINES))

    def wait_for(self, text: str) -> str:
        """Return everything once it contains ``text``."""
        until_s = time.monotonic() + _PATIENCE_S
        while text not in (shown := self.everything):
            assert time.monotonic() < until_s, f"no {text!r} in:\n{shown}"
            time.sleep(_POLL_S)
        return shown


@contextmanager
def on_tmux(
    command: Sequence[str], *, columns: int, environment: Mapping[str, str], folder: Path, socket: Path
) -> Iterator[Tmux]:
    tmux = Tmux(socket)
    configuration = socket.with_suffix(".conf")
    configuration.write_text("set -g history-limit 10000\n", encoding="utf-8")
    variables = [f"{name}={value}" for name, value in environment.items()]
    tmux.run(
        *("-f", str(configuration), "new-session", "-d", "-x", str(columns), "-y", str(LINES)),
        *("-c", str(folder), shlex.join(["env", "-i", "TERM=tmux-256color", *variables, *command])),
    )
    try:
        yield tmux
    finally:
        tmux.run("kill-server")
