"""Reading text that people hand over: stdin and files, in whatever encoding they come."""

from __future__ import annotations

import codecs
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from chatcli.core.errors import LocalIOError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

STALLED_AFTER_S = 2.0

_SPACE = 0x20

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class Text:
    """A decoded text; ``note`` says what had to be guessed."""

    text: str
    note: str | None = None


def decode(content: bytes, name: str) -> Text:
    """Decode text by its byte order mark, as UTF-8 or, with a note, as Latin-1. Raise ``UsageError`` for binary data."""
    encoding = next((encoding for mark, encoding in _BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8")
    try:
        if encoding == "utf-8" and b"\0" in content:
            raise _binary(name)
        return Text(content.decode(encoding))
    except UnicodeDecodeError:
        if encoding != "utf-8" or _looks_binary(content):
            raise _binary(name) from None
    return Text(
        content.decode("cp1252", "replace"), f"{name} is not UTF-8: read as Western European (Windows-1252)"
    )


def read_file(name: str) -> Text:
    """Return the text of a file the person named."""
    if name.startswith(("http://", "https://")):
        raise UsageError(
            f"an address cannot be attached: {name}",
            hint=f'fetch it yourself: curl -s "{name}" | chatcli "PROMPT"',
        )
    try:
        content = Path(name).expanduser().read_bytes()
    except (OSError, ValueError) as error:
        raise UsageError(
            f"cannot read {name}: {getattr(error, 'strerror', None) or error}",
            hint="check the path and its rights",
        ) from error
    return decode(content, name)


def read_pipe(stdin: BinaryIO, tell: Callable[[str], None]) -> Text:
    """Read stdin to its end; ``tell`` is given a line when nothing has come for ``STALLED_AFTER_S`` seconds."""
    stalled = threading.Timer(
        STALLED_AFTER_S,
        tell,
        ["waiting for text on stdin; end it with Ctrl-D, or start with </dev/null to skip it"],
    )
    stalled.daemon = True
    stalled.start()
    try:
        first = stdin.read(1)
        stalled.cancel()
        content = first + stdin.read()
    except OSError as error:
        raise LocalIOError(
            f"cannot read stdin: {error.strerror}", hint="check where it comes from"
        ) from error
    finally:
        stalled.cancel()
    return decode(content, "stdin")


def _looks_binary(content: bytes) -> bool:
    """Tell text from data by its control characters: Western text in an 8-bit encoding has next to none."""
    sample = content[:65_536]
    controls = sum(byte < _SPACE and byte not in b"\t\n\r\f\x1b" for byte in sample)
    return controls * 100 > len(sample)


def _binary(name: str) -> UsageError:
    return UsageError(f"{name} is not text", hint="only text can be attached; convert it first")
