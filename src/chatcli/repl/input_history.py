"""What was typed at the prompt, kept over sessions and shared by all running copies."""

from __future__ import annotations

import json
import os
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prompt_toolkit.history import History, InMemoryHistory

from chatcli.sessions.records import local_now, timestamp
from chatcli.storage.file_lock import lock
from chatcli.storage.private_files import make_folder, open_for_append, open_regular, replace

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from chatcli.sessions.records import Clock


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept: of a file larger than ``file_bytes`` its newest ``texts`` within ``read_bytes``."""

    texts: int = 5_000
    read_bytes: int = 2_000_000
    file_bytes: int = 4_000_000


_LIMITS: Final = Limits()


def input_history(path: Path | None, tell: Callable[[str], None]) -> History:
    """Return the history kept in ``path``, or one that ends with this session when nothing may be written."""
    return InMemoryHistory() if path is None else InputHistory(HistoryFile(path), tell)


class InputHistory(History):
    """What was typed, the newest first. A text that equals the one before it is kept once.

    Each time the composer starts afresh it loads again, and so has what other copies took in meanwhile. A file that
    cannot be used stops nobody: texts wait in memory for the next chance to be written, and ``tell`` is given the
    reason once.
    """

    def __init__(self, file: HistoryFile, tell: Callable[[str], None]) -> None:
        super().__init__()
        self._file = file
        self._tell = tell
        self._told = False
        self._kept: Sequence[str] = ()
        self._unwritten: list[str] = []

    async def load(self) -> AsyncGenerator[str, None]:
        """Yield all texts. Reading 5,000 of them takes less than 10 ms after the first drawing: no thread is needed."""
        texts = self._loaded_strings = list(self.load_history_strings())
        for text in texts:
            yield text

    def load_history_strings(self) -> Iterable[str]:
        try:
            self._kept = self._file.texts()
        except OSError as error:
            self._complain(error)
        # A file that stays too large costs its reader nothing: the next copy may have more luck.
        with suppress(OSError):
            self._file.shorten()
        return [*reversed(self._unwritten), *reversed(self._kept)]

    def append_string(self, string: str) -> None:
        if self._loaded_strings[:1] != [string]:
            super().append_string(string)

    def store_string(self, string: str) -> None:
        self._unwritten.append(string)
        try:
            self._file.append(self._unwritten)
        except OSError as error:
            self._complain(error)
        else:
            self._unwritten.clear()

    def _complain(self, error: OSError) -> None:
        if not self._told:
            self._told = True
            self._tell(
                f"cannot use the input history {self._file.path}: {error.strerror or error}; what you type is "
                "remembered until you leave. To keep it, make that file readable and writable."
            )


class HistoryFile:
    """A file with one JSON object a line, ``{"at": RFC 3339 in UTC, "text": ...}``, that any copy may add to.

    Whoever writes holds the lock beside it, so that no text is lost when another copy puts a shorter file in its
    place. Readers need none: they see the old file or the new one. Lines that are torn or somebody else's are
    skipped, and a text that would fill half of what is read is not kept. Methods raise ``OSError``.
    """

    def __init__(self, path: Path, *, limits: Limits = _LIMITS, clock: Clock = local_now) -> None:
        self.path = path
        self._lock_path = path.with_suffix(".lock")
        self._limits = limits
        self._clock = clock
        self._texts: deque[str] = deque(maxlen=limits.texts)
        self._identity: tuple[int, int] | None = None
        self._read_up_to = 0

    def texts(self) -> Sequence[str]:
        """Return the newest texts, the oldest first; only what came since the last call is read."""
        try:
            with open_regular(self.path) as file:
                self._follow(file)
        except FileNotFoundError:
            self._start_over(None)
        return self._texts

    def append(self, texts: Iterable[str]) -> None:
        at = timestamp(self._clock())
        lines = (_line(at, text) for text in texts)
        content = b"".join(line for line in lines if len(line) <= self._limits.read_bytes // 2)
        make_folder(self.path.parent)
        with self._locked():
            # A link here is the person's own: nobody else can write in this folder.
            descriptor = open_for_append(self.path, follow_link=True)
            try:
                _write(descriptor, content)
            finally:
                os.close(descriptor)

    def shorten(self) -> None:
        """Rewrite a file that has grown too large with its newest texts."""
        if not self._is_large():
            return
        with self._locked():
            # Looked at again: another copy may just have done it.
            if self._is_large():
                replace(self.path.resolve(), self._newest())

    def _is_large(self) -> bool:
        try:
            return self.path.stat().st_size > self._limits.file_bytes
        except FileNotFoundError:
            return False

    def _newest(self) -> bytes:
        with open_regular(self.path) as file:
            lines, _ = self._lines(file, since=0)
        return b"".join(line + b"\n" for line in lines if _text(line))

    def _follow(self, file: BinaryIO) -> None:
        status = os.fstat(file.fileno())
        identity = (status.st_dev, status.st_ino)
        if identity != self._identity or status.st_size < self._read_up_to:
            self._start_over(identity)
        lines, self._read_up_to = self._lines(file, since=self._read_up_to)
        for line in lines:
            text = _text(line)
            if text and not (self._texts and self._texts[-1] == text):
                self._texts.append(text)

    def _start_over(self, identity: tuple[int, int] | None) -> None:
        self._texts.clear()
        self._identity = identity
        self._read_up_to = 0

    def _lines(self, file: BinaryIO, *, since: int) -> tuple[list[bytes], int]:
        """Return the newest whole lines after the place ``since``, and the place after them."""
        size = os.fstat(file.fileno()).st_size
        start = max(since, size - self._limits.read_bytes)
        # From the end of the line before, so that a start inside a line loses that line alone.
        file.seek(max(0, start - 1))
        content = file.read(size - file.tell())
        if start:
            content = content.partition(b"\n")[2]
        whole, _, unfinished = content.rpartition(b"\n")
        return whole.split(b"\n")[-self._limits.texts :], size - len(unfinished)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = open_for_append(self._lock_path)
        try:
            lock(descriptor)
            yield
        finally:
            os.close(descriptor)


def _line(at: str, text: str) -> bytes:
    line = json.dumps({"at": at, "text": text}, ensure_ascii=False, separators=(",", ":"))
    # A lone surrogate becomes its JSON escape.
    return line.encode("utf-8", "backslashreplace") + b"\n"


def _text(line: bytes) -> str | None:
    try:
        fields = json.loads(line.decode())
    except (ValueError, RecursionError):
        return None
    text = fields.get("text") if isinstance(fields, dict) else None
    return text if isinstance(text, str) else None


def _write(descriptor: int, lines: bytes) -> None:
    """Write ``lines`` at the end; what a full disk leaves of them is taken back."""
    size = os.lseek(descriptor, 0, os.SEEK_END)
    # A line torn when its writer died gets its end, so that it stays alone in being unreadable.
    content = b"\n" + lines if _ends_torn(descriptor, size) else lines
    if (written := os.write(descriptor, content)) < len(content):
        os.ftruncate(descriptor, size)
        raise OSError(f"only {written:,} of {len(content):,} bytes could be written")


def _ends_torn(descriptor: int, size: int) -> bool:
    if not size:
        return False
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return os.read(descriptor, 1) != b"\n"
