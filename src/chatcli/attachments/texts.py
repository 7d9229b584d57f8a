"""Reading text from stdin and files, and choosing its encoding if that is ambiguous."""

from __future__ import annotations

import os
import re
import select
import stat
import threading
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO, Final

from chatcli.attachments.attached import is_web_address, not_attachable
from chatcli.attachments.encodings import NO_HINTS, EncodingHints, Text, as_typed, decode
from chatcli.core.errors import LocalIOError, UsageError
from chatcli.core.typed_paths import typed_path
from chatcli.storage.private_files import open_regular
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.wording import number_meant

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import RawIOBase
    from pathlib import Path

    from chatcli.attachments.encodings import Reading

STALLED_AFTER_S: Final = 2.0
LONGEST_TEXT_BYTES: Final = 64_000_000
"""The most that is read: more than any model can take, and few enough to count in seconds."""

_CHUNK_BYTES: Final = 1_000_000
_BEGINNING_BYTES: Final = 4_096
_PREVIEW_CHARACTERS: Final = 36
_BEFORE: Final = 8
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")


def read_file(name: str, notify: Callable[[str], None], *, hints: EncodingHints = NO_HINTS) -> Text:
    """Return the text of a named file, which may be a named pipe, as the shell's ``<(…)`` makes it.

    ``notify`` is given a line when nothing has arrived for ``STALLED_AFTER_S`` seconds.
    """
    shown = as_typed(name)
    if not name.strip():
        raise UsageError("no file was named", hint="give the path of a file, or - for stdin")
    if is_web_address(name):
        raise UsageError(
            f"{shown} is a web address, not a file",
            hint="-f and @ in a question read web pages; elsewhere, save the page in a file",
        )
    try:
        silence = _silence(notify, f"waiting for text from {shown}")
        try:
            content = _file_content(typed_path(name), shown, silence.cancel)
        finally:
            silence.cancel()
    except (OSError, ValueError) as error:
        raise UsageError(
            f"cannot read {shown}: {getattr(error, 'strerror', None) or error}",
            hint="check the path and its permissions",
        ) from error
    return decode(content, shown, hints)


def beginning_of_file(path: Path) -> bytes:
    """Return the first bytes of a regular file, empty if they cannot be read."""
    try:
        with open_regular(path) as file:
            return file.read(_BEGINNING_BYTES)
    except OSError:
        return b""


def read_pipe(stdin: BinaryIO, notify: Callable[[str], None], *, hints: EncodingHints = NO_HINTS) -> Text:
    """Read stdin to its end; ``notify`` is given a line when nothing arrives for ``STALLED_AFTER_S`` s."""
    message = "waiting for text on stdin; end it with Ctrl-D, or start with --no-stdin to skip it"
    try:
        silence = _silence(notify, message)
        try:
            # A buffered reader cannot tell the end of a file from an empty non-blocking pipe.
            content = _content(getattr(stdin, "raw", stdin), "stdin", silence.cancel)
        finally:
            silence.cancel()
    except OSError as error:
        raise LocalIOError(
            f"cannot read stdin: {error.strerror}", hint="check the command that feeds it"
        ) from error
    return decode(content, "stdin", hints)


def _silence(notify: Callable[[str], None], message: str) -> threading.Timer:
    """Start a timer that passes ``message`` to ``notify`` unless cancelled in time."""
    stalled = threading.Timer(STALLED_AFTER_S, notify, [message])
    stalled.daemon = True
    stalled.start()
    return stalled


def _file_content(path: Path, shown: str, heard: Callable[[], None]) -> bytes:
    # Before it is opened, which has effects on some devices.
    _check_kind(path.stat().st_mode, shown)
    with path.open("rb", buffering=0) as file:
        state = os.fstat(file.fileno())
        _check_kind(state.st_mode, shown)
        if stat.S_ISREG(state.st_mode) and state.st_size > LONGEST_TEXT_BYTES:
            raise _too_long(shown, f": {_megabytes(state.st_size)}")
        return _content(file, shown, heard)


def _check_kind(mode: int, shown: str) -> None:
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        raise not_attachable(shown, mode)


def _content(file: BinaryIO | RawIOBase, shown: str, heard: Callable[[], None]) -> bytes:
    content = bytearray()
    while chunk := _chunk(file):
        heard()
        content += chunk
        if len(content) > LONGEST_TEXT_BYTES:
            raise _too_long(shown)
    return bytes(content)


def _chunk(file: BinaryIO | RawIOBase) -> bytes:
    """Return available bytes, waiting even for a non-blocking file; empty at the end."""
    while (chunk := file.read(_CHUNK_BYTES)) is None:
        select.select([file], [], [])
    return chunk


def _too_long(shown: str, size: str = "") -> UsageError:
    return UsageError(
        f"{shown} is longer than {_megabytes(LONGEST_TEXT_BYTES)}{size}",
        hint="pass only the part that matters, with grep, head or tail",
        code="input_too_long",
    )


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.0f} MB"


def encoding_choices(text: Text) -> list[str]:
    """Return a heading, and a line for each reading: its number, its encoding, and its beginning."""
    width = max(len(reading.title) for reading in text.readings)
    rows = (
        f" {number} {reading.title:<{width}}  {_preview(reading)}"
        for number, reading in enumerate(text.readings, start=1)
    )
    return list(chain([f"{text.name} is not UTF-8 and may be in any of these encodings:"], rows))


def encoding_prompt(text: Text) -> str:
    return f"Which one reads right? [1-{len(text.readings)}, Enter = 1, Ctrl-C cancels] "


def encoding_chosen(text: Text, answer: str) -> Text | None:
    """Return ``text`` in the encoding chosen by ``answer``, ``None`` for an invalid number."""
    number = number_meant(answer.strip() or "1", len(text.readings))
    return None if number is None else text.read_as(text.readings[number - 1])


def no_encoding_chosen(text: Text) -> UsageError:
    return UsageError(
        f"no encoding was chosen for {text.name}",
        hint="name it with --encoding, for example --encoding gb18030",
    )


def _preview(reading: Reading) -> str:
    found = _NOT_ASCII.search(reading.text)
    start = max(0, (found.start() if found else 0) - _BEFORE)
    line_start = reading.text.rfind("\n", 0, found.start() if found else 0) + 1
    start = max(start, line_start)
    return sanitize_line(reading.text[start : start + _PREVIEW_CHARACTERS])
