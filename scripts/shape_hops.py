"""Count the hops of a question: calls from one file of the package into a function of another.

A hop is a call that enters a function of the package from another file, of the package or of a library. Hops
are counted from the end of argument parsing (in the REPL: from Enter) to the first byte sent to the server,
in all threads. Code that runs because a module is imported does not count, nor what generates a method or a
pattern when it is first used, nor a resumed coroutine, nor the report of a request that takes a while.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import CodeType, FrameType

MOST_HOPS: Final = 153
MOST_FILES: Final = 64
"""The limits of a piped question; they are lowered with each change that shortens its path. The last two came with what
measures every call, and with its log."""

RUNS: Final = 3
PATIENCE_S: Final = 60
SETTLED_AFTER_S: Final = 3
SHOWN_AFTER_S: Final = 2

QUESTION: Final = "What is the capital of France?"
ANSWER: Final = "Paris"

_NEEDED_VARIABLES: Final = ("PATH", "SYSTEMROOT", "TEMP", "TMP")
_BY_THE_CLOCK: Final = frozenset({"_redraw", "_poll_output_size", "_tick"})
"""Methods that draw a frame, look at the size of the terminal, move the line of what is going on: how often depends on the machine."""
_GENERATING: Final = tuple(
    str(Path(*parts)) for parts in (("core", "frozen.py"), ("text", "lazy_pattern.py"))
)
_SENDING: Final = frozenset({"send", "sendall", "sendmsg", "sendto"})


class Hops(NamedTuple):
    """The count; ``files`` are those in which a function was entered."""

    hops: int
    files: int


def hops_report(runs: int = RUNS) -> Iterator[str]:
    piped = [hops_of_a_piped_question() for _ in range(runs)]
    yield f"hops of a piped question   {spread([each.hops for each in piped])} (at most {MOST_HOPS})"
    yield f"files of a piped question  {spread([each.files for each in piped])} (at most {MOST_FILES})"
    if sys.platform == "win32":
        yield "hops of a REPL question    not counted: it needs a pseudo terminal, which Python does not have on Windows"
        return
    typed = [hops_of_a_repl_question() for _ in range(runs)]
    yield f"hops of a REPL question    {spread([each.hops for each in typed])} (from Enter on, without what the clock calls)"
    yield f"files of a REPL question   {spread([each.files for each in typed])}"


def spread(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low} to {high}"


def hops_of_a_piped_question() -> Hops:
    """Run chatcli once against a loopback server, in folders of its own."""
    with _counted() as (command, environment, result):
        run = subprocess.run(
            command,
            input=QUESTION,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
            cwd=environment["HOME"],
            env=environment,
        )
        if run.returncode or ANSWER not in run.stdout:
            raise RuntimeError(f"the question was not answered: exit {run.returncode}: {run.stderr}")
        return result()


def hops_of_a_repl_question() -> Hops:
    """Type a question on a pseudo-terminal once everything is loaded, and count from Enter on."""
    from bench_pty import Running

    with _counted(on_signal=True) as (command, environment, result):
        with Running(command, environment | {"TERM": "xterm-256color"}) as running:
            running.wait_for("> ")
            running.watch(SETTLED_AFTER_S)
            running.type(QUESTION)
            running.watch(SHOWN_AFTER_S)
            running.signal(signal.SIGUSR1)
            running.watch(SHOWN_AFTER_S)
            running.type("\r")
            running.wait_for(ANSWER)
            running.type("/exit\r")
            running.wait_for_exit()
        return result()


@contextmanager
def _counted(*, on_signal: bool = False) -> Iterator[tuple[list[str], dict[str, str], Callable[[], Hops]]]:
    """Return a command that counts while running chatcli, its environment, and a reader of the result."""
    from bench_endpoint import MODEL, serve_answers

    with tempfile.TemporaryDirectory() as folder, serve_answers([ANSWER]) as base_url:
        counted = Path(folder, "hops.json")
        environment = {
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
        }
        port = str(urlsplit(base_url).port)
        command = [sys.executable, __file__, port, str(counted), *(["--on-signal"] if on_signal else [])]
        yield command, environment, lambda: Hops(**json.loads(counted.read_text("utf-8")))


class HopCounter:
    """A function for ``sys.setprofile`` that counts after ``begins`` returns, until a byte goes to ``port``."""

    def __init__(self, package: Path, begins: CodeType | None, port: int) -> None:
        self.is_counting = False
        self.hops = 0
        self.files: set[str] = set()
        self._package = f"{package}{os.sep}"
        self._begins = begins
        self._port = port

    def begin(self) -> None:
        self.is_counting = True

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if event == "return" and frame.f_code is self._begins:
            self.begin()
        elif self.is_counting and event == "call":
            self._count(frame)
        elif self.is_counting and event == "c_call" and self._is_sent(argument):
            self.is_counting = False

    def _count(self, frame: FrameType) -> None:
        path = frame.f_code.co_filename
        is_ours = path.startswith(self._package) and not path.endswith(_GENERATING)
        if not is_ours or _goes_on(frame) or self._is_aside(frame):
            return
        self.files.add(path)
        caller = frame.f_back
        self.hops += caller is None or caller.f_code.co_filename != path

    def _is_aside(self, frame: FrameType | None) -> bool:
        """Whether the code runs on behalf of a module being imported, or of the clock."""
        while frame is not None:
            name, path = frame.f_code.co_name, frame.f_code.co_filename
            if name in _BY_THE_CLOCK or (name == "<module>" and path.startswith(self._package)):
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
    """Whether a generator or coroutine is resumed: the argument of RESUME is 0 only at the start."""
    return frame.f_code.co_code[frame.f_lasti + 1] & 3 != 0


def _main(port: str, counted: str, *on_signal: str) -> int:
    """Run chatcli in this process and write the count to a file. With ``on_signal``, SIGUSR1 starts it."""
    import chatcli
    from chatcli.cli import options
    from chatcli.cli.main import main
    from chatcli.client import pipeline

    pipeline._REPORT_EVERY_S = 3600.0  # noqa: SLF001 - on a slow machine the report would come in between
    begins = None if on_signal else options.parse.__code__
    counter = HopCounter(Path(chatcli.__file__).parent, begins, int(port))
    if on_signal:
        signal.signal(signal.SIGUSR1, lambda *_: counter.begin())
    threading.setprofile(counter)
    sys.setprofile(counter)
    try:
        return main([])
    finally:
        sys.setprofile(None)
        Path(counted).write_text(json.dumps({"hops": counter.hops, "files": len(counter.files)}), "utf-8")


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
