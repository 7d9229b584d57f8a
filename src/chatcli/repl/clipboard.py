"""The clipboard of the system if there is one, else of the terminal, even a remote one."""

from __future__ import annotations

import base64
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from chatcli.app.threads import in_thread
from chatcli.core.errors import LocalIOError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_WITHIN_S: Final = 5.0

# Terminals that document a limit accept more than this; xterm accepts no more.
TERMINAL_TAKES_BYTES: Final = 74_994


@dataclass(frozen=True, slots=True)
class _Program:
    """A program that copies its input to a clipboard, usable if the variable ``needs`` is set."""

    command: tuple[str, ...]
    needs: str | None = None
    encoding: str = "utf-8"


_PROGRAMS: Final = (
    _Program(("pbcopy",)),
    _Program(("wl-copy",), "WAYLAND_DISPLAY"),
    _Program(("xclip", "-selection", "clipboard", "-in"), "DISPLAY"),
    _Program(("xsel", "--clipboard", "--input"), "DISPLAY"),
    _Program(("termux-clipboard-set",)),
    # For Windows, and Linux inside it. Expects UTF-16 with a byte order mark.
    _Program(("clip.exe",), encoding="utf-16"),
)
# Windows may open a console window for a moment.
_NO_WINDOW: Final = getattr(subprocess, "CREATE_NO_WINDOW", 0)
_FARAWAY: Final = ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY")


async def copy(
    text: str, environment: Mapping[str, str], to_terminal: Callable[[str], bool], *, hint: str
) -> str:
    """Copy ``text`` to the clipboard and return the clipboard's name.

    Over SSH the clipboard of this machine is of no use, so the terminal is asked (OSC 52), through tmux if it
    is running, as tmux forwards only sequences addressed to it. ``to_terminal`` sends a sequence and returns
    whether the terminal understands such sequences. Raise ``LocalIOError`` with ``hint`` if no clipboard is
    available.
    """
    if not any(environment.get(name) for name in _FARAWAY):
        for program in _available(environment):
            if await _gave(program.command, text.encode(program.encoding, "replace"), environment):
                return "the clipboard"
    if environment.get("TMUX") and await _gave(
        ("tmux", "load-buffer", "-w", "-"), text.encode("utf-8", "replace"), environment
    ):
        return "tmux and the clipboard"
    if to_terminal(osc_52(text)):
        return "the terminal's clipboard"
    raise LocalIOError(
        "there is no clipboard here",
        hint=hint,
        code="no_clipboard",
    )


def osc_52(text: str) -> str:
    """Return the sequence that sets the terminal's clipboard (xterm, "Operating System Commands").

    https://invisible-island.net/xterm/ctlseqs/ctlseqs.html
    """
    return f"\x1b]52;c;{base64.b64encode(text.encode('utf-8', 'replace')).decode()}\x07"


def _available(environment: Mapping[str, str]) -> Iterator[_Program]:
    for program in _PROGRAMS:
        if program.needs is None or environment.get(program.needs):
            yield program


async def _gave(command: tuple[str, ...], content: bytes, environment: Mapping[str, str]) -> bool:
    """Write ``content`` to a program; return whether it exists and succeeded."""
    path = shutil.which(command[0], path=environment.get("PATH"))
    if path is None:
        return False

    def run() -> bool:
        try:
            # Its output must not reach the screen, and a copy running in the background must hold no pipe
            # open.
            done = subprocess.run(
                [path, *command[1:]],
                input=content,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_WITHIN_S,
                check=False,
                env=dict(environment),
                creationflags=_NO_WINDOW,
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0

    return await in_thread(run)
