"""What was typed at the prompt, kept over sessions and shared by all running copies."""

from __future__ import annotations

import json
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prompt_toolkit.history import History, InMemoryHistory

from chatcli.sessions.records import local_now, timestamp
from chatcli.storage.json_lines import LineFollower, SharedJsonLines, encode_line

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
    from pathlib import Path

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
        self._has_warned = False
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
        if not self._has_warned:
            self._has_warned = True
            self._tell(
                f"cannot use the input history {self._file.path}: {error.strerror or error}; what you type is "
                "remembered until you leave. To keep it, make that file readable and writable."
            )


class HistoryFile:
    """A file with one JSON object a line, ``{"at": RFC 3339 in UTC, "text": ...}``, that any copy may add to.

    Lines that are torn or somebody else's are skipped, and a text that would fill half of what is read is not kept.
    Methods raise ``OSError``.
    """

    def __init__(self, path: Path, *, limits: Limits = _LIMITS, clock: Clock = local_now) -> None:
        self.path = path
        self._limits = limits
        self._clock = clock
        self._texts: deque[str] = deque(maxlen=limits.texts)
        self._file = SharedJsonLines(path)
        self._lines = LineFollower(path, self._texts.clear, newest_bytes=limits.read_bytes)

    def texts(self) -> Sequence[str]:
        """Return the newest texts, the oldest first; only what came since the last call is read."""
        for line in self._newest(self._lines):
            text = _text(line)
            if text and not (self._texts and self._texts[-1] == text):
                self._texts.append(text)
        return self._texts

    def append(self, texts: Iterable[str]) -> None:
        at = timestamp(self._clock())
        lines = (_line(at, text) for text in texts)
        self._file.append(b"".join(line for line in lines if len(line) <= self._limits.read_bytes // 2))

    def shorten(self) -> None:
        """Rewrite a file that has grown too large with its newest texts."""
        if self._is_large():
            self._file.compact(self._shortened)

    def _shortened(self) -> Iterable[bytes] | None:
        # Looked at again: another copy may just have done it.
        if not self._is_large():
            return None
        newest = self._newest(LineFollower(self.path, newest_bytes=self._limits.read_bytes))
        return [line + b"\n" for line in newest if _text(line)]

    def _is_large(self) -> bool:
        try:
            return self.path.stat().st_size > self._limits.file_bytes
        except FileNotFoundError:
            return False

    def _newest(self, lines: LineFollower) -> Iterable[bytes]:
        return deque(lines.new_lines(), maxlen=self._limits.texts)


def _line(at: str, text: str) -> bytes:
    return encode_line({"at": at, "text": text})


def _text(line: bytes) -> str | None:
    try:
        fields = json.loads(line.decode())
    except (ValueError, RecursionError):
        return None
    text = fields.get("text") if isinstance(fields, dict) else None
    return text if isinstance(text, str) else None
