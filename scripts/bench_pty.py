"""A process on a pseudo-terminal that is read as fast as it writes."""

from __future__ import annotations

import os
import re
import select
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COLUMNS, LINES = 100, 30
PATIENCE_S = 120.0

_LOOK_S: Final = 0.02
_ESCAPE: Final = re.compile(r"\x1b(?:\][^\x07\x1b]*(?:\x07|\x1b\\)|\[[0-?]*[ -/]*[@-~]|[@-Z\\^_=>78])")


@dataclass(slots=True)
class Output:
    """The output in chunks with their times, on the clock of ``time.perf_counter``."""

    chunks: list[tuple[float, bytes]] = field(default_factory=list)

    @property
    def content(self) -> bytes:
        return b"".join(chunk for _, chunk in self.chunks)

    @property
    def text(self) -> str:
        """The whole output without escape sequences."""
        return _ESCAPE.sub("", self.content.decode(errors="replace"))

    def on_terminal(self) -> str:
        """Return the output as a terminal shows it, including the scrolled part."""
        import pyte

        screen = pyte.HistoryScreen(COLUMNS, LINES, history=1_000_000)
        pyte.ByteStream(screen).feed(self.content)
        scrolled = ("".join(line[x].data for x in range(COLUMNS)) for line in screen.history.top)
        return "\n".join([*scrolled, *screen.display])

    def came_s(self, word: str) -> float:
        """Return the time at which ``word`` appeared."""
        end = self.content.index(word.encode()) + len(word.encode())
        for at_s, chunk in self.chunks:
            end -= len(chunk)
            if end <= 0:
                return at_s
        raise AssertionError("the word is in no piece")


class Running:
    """A process that runs while entered, and is ended if it does not end by itself."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        import pty
        import termios

        self.output = Output()
        self.peak_bytes = 0
        self.cpu_s = 0.0
        self._command = command
        self._looked_s = 0.0
        self._found = 0
        self._descriptor, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (LINES, COLUMNS))
        self.started_s = time.perf_counter()
        self._process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
            self._process.wait()
        os.close(self._descriptor)

    def type(self, keys: str) -> None:
        os.write(self._descriptor, keys.encode())

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait_for(self, text: str) -> float:
        """Return the time at which ``text`` appeared."""
        until_s = time.perf_counter() + PATIENCE_S
        while text.encode() not in self.output.content:
            if time.perf_counter() > until_s or not self._read():
                raise SystemExit(f"there is no {text!r} in:\n{self.output.text[-2000:]}")
        return self.output.came_s(text)

    def wait_for_new(self, text: str) -> float:
        """Return the time at which ``text`` appeared, in output that came after what the last call found."""
        word, until_s = text.encode(), time.perf_counter() + PATIENCE_S
        seen = b""
        while True:
            while self._found < len(self.output.chunks):
                at_s, content = self.output.chunks[self._found]
                self._found += 1
                seen += content
                if word in seen:
                    return at_s
            if time.perf_counter() > until_s or not self._read():
                raise SystemExit(f"there is no {text!r} in:\n{self.output.text[-2000:]}")

    def watch(self, duration_s: float) -> None:
        until_s = time.perf_counter() + duration_s
        while time.perf_counter() < until_s and self._read():
            pass

    def wait_for_exit(self) -> float:
        """Return the run time of the process in seconds."""
        until_s = time.perf_counter() + PATIENCE_S
        while self._read():
            if time.perf_counter() > until_s:
                raise SystemExit(f"{self._command[0]} does not end:\n{self.output.text[-2000:]}")
        _, status, usage = os.wait4(self._process.pid, 0)
        wall_s = time.perf_counter() - self.started_s
        self.cpu_s = usage.ru_utime + usage.ru_stime
        self._process.returncode = os.waitstatus_to_exitcode(status)
        if self._process.returncode:
            raise SystemExit(f"{' '.join(self._command)} failed:\n{self.output.text[-2000:]}")
        return wall_s

    def cpu_so_far_s(self) -> float:
        """Return the CPU time of the process as Linux reports it: in hundredths."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def running_s(self) -> float:
        """Return how long the process has run on a processor, to the microsecond where Linux tells it; else 0."""
        total_ns = 0
        for thread in Path(f"/proc/{self._process.pid}/task").glob("*/schedstat"):
            with suppress(OSError):  # the thread has ended
                total_ns += int(thread.read_text("ascii").split()[0])
        return total_ns / 1e9

    def _read(self) -> bool:
        """Read available output briefly; return whether the terminal is still in use."""
        came = select.select([self._descriptor], [], [], _LOOK_S)[0]
        at_s = time.perf_counter()
        if at_s - self._looked_s > _LOOK_S:
            self._looked_s = at_s
            self._look_at_memory()
        if not came:
            return True
        try:
            content = os.read(self._descriptor, 65_536)
        except OSError:  # Linux: the terminal is no longer open anywhere
            return False
        self.output.chunks.append((at_s, content))
        return bool(content)

    def _look_at_memory(self) -> None:
        """Record the peak memory of the process, if the system reports it."""
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text("ascii")
        except FileNotFoundError:  # no Linux
            return
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                self.peak_bytes = int(line.split()[1]) * 1024
