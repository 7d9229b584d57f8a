"""Count the hops of a question: how often a call leads from one file of the package into a function of another.

A hop is a call that enters a function of the package whose file is not the caller's, be that one of the package or of a
library. It is counted from the end of argument parsing to the first byte that is sent to the server, in all threads. What runs
only because a module is imported is not on the way of the question and does not count, nor does a coroutine that goes on.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import CodeType, FrameType

MOST_HOPS: Final = 320
"""What a piped question may take; it is lowered with each step that shortens the way."""

PATIENCE_S: Final = 60
RUNS: Final = 3

_NEEDED_VARIABLES: Final = ("PATH", "SYSTEMROOT", "TEMP", "TMP")
_SENDING: Final = frozenset({"send", "sendall", "sendmsg", "sendto"})


class Hops(NamedTuple):
    """``files`` are those in which a function was entered."""

    hops: int
    files: int


def hops_report(runs: int = RUNS) -> Iterator[str]:
    counted = [hops_of_a_piped_question() for _ in range(runs)]
    yield f"hops of a piped question   {spread([each.hops for each in counted])} (at most {MOST_HOPS})"
    yield f"files of a piped question  {spread([each.files for each in counted])}"


def spread(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low} to {high}"


def hops_of_a_piped_question() -> Hops:
    """Run chatcli once against a server of its own on loopback, in folders of its own."""
    from bench_endpoint import MODEL, serve_answers

    with tempfile.TemporaryDirectory() as folder, serve_answers(["Paris"]) as base_url:
        counted = Path(folder, "hops.json")
        run = subprocess.run(
            [sys.executable, __file__, str(urlsplit(base_url).port), str(counted)],
            input="What is the capital of France?",
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
            cwd=folder,
            env={
                **{name: os.environ[name] for name in _NEEDED_VARIABLES if name in os.environ},
                **{
                    f"CHATCLI_{kind}_DIR": str(Path(folder, kind))
                    for kind in ("CONFIG", "DATA", "CACHE", "LOCAL")
                },
                "CHATCLI_BASE_URL": base_url,
                "CHATCLI_CONTEXT_WINDOW": "8192",
                "CHATCLI_MODEL": MODEL,
                "HOME": folder,
                "PYTHONHASHSEED": "0",
                "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            },
        )
        if run.returncode or "Paris" not in run.stdout:
            raise RuntimeError(f"the question was not answered: exit {run.returncode}: {run.stderr}")
        return Hops(**json.loads(counted.read_text("utf-8")))


class HopCounter:
    """A function for ``sys.setprofile`` that counts once ``begins`` has returned, until a byte goes to ``port``."""

    def __init__(self, package: Path, begins: CodeType, port: int) -> None:
        self.is_counting = False
        self.hops = 0
        self.files: set[str] = set()
        self._package = f"{package}{os.sep}"
        self._begins = begins
        self._port = port

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if event == "return" and frame.f_code is self._begins:
            self.is_counting = True
        elif self.is_counting and event == "call":
            self._count(frame)
        elif self.is_counting and event == "c_call" and self._is_sent(argument):
            self.is_counting = False

    def _count(self, frame: FrameType) -> None:
        path = frame.f_code.co_filename
        if not path.startswith(self._package) or _goes_on(frame) or self._is_importing(frame):
            return
        self.files.add(path)
        caller = frame.f_back
        self.hops += caller is None or caller.f_code.co_filename != path

    def _is_importing(self, frame: FrameType | None) -> bool:
        """Whether a module of the package runs here, or has called what runs here."""
        while frame is not None:
            if frame.f_code.co_name == "<module>" and frame.f_code.co_filename.startswith(self._package):
                return True
            frame = frame.f_back
        return False

    def _is_sent(self, function: object) -> bool:
        sender = getattr(function, "__self__", None)
        if not isinstance(sender, socket.socket) or getattr(function, "__name__", "") not in _SENDING:
            return False
        try:
            return sender.getpeername()[1:2] == (self._port,)
        except OSError:
            return False


def _goes_on(frame: FrameType) -> bool:
    """Whether a generator or a coroutine goes on where it had stopped: the argument of RESUME is 0 only at the start."""
    return frame.f_code.co_code[frame.f_lasti + 1] & 3 != 0


def _main(port: int, counted: Path) -> int:
    """Run chatcli in this process, and write what was counted into a file."""
    import chatcli
    from chatcli.cli import options
    from chatcli.cli.main import main

    counter = HopCounter(Path(chatcli.__file__).parent, options.parse.__code__, port)
    threading.setprofile(counter)
    sys.setprofile(counter)
    try:
        return main([])
    finally:
        sys.setprofile(None)
        counted.write_text(json.dumps({"hops": counter.hops, "files": len(counter.files)}), "utf-8")


if __name__ == "__main__":
    sys.exit(_main(int(sys.argv[1]), Path(sys.argv[2])))
