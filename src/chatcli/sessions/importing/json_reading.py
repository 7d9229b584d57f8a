"""Streaming reader of JSON files of any size, zipped or not: one value of an array at a time, without unpacking to disk."""

from __future__ import annotations

import codecs
import json
import re
import struct
import zipfile
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from zlib import error as BrokenDeflate  # noqa: N812 - named as the error it is

from chatcli.core.errors import ConfigurationError, LocalIOError
from chatcli.sessions.importing.importer import Damaged, Progress
from chatcli.storage.private_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path
    from typing import Protocol

    from chatcli.sessions.importing.importer import ImportedConversation, Item

    class ByteStream(Protocol):
        def read(self, size: int, /) -> bytes: ...


LONGEST_CHARACTERS: Final = 1 << 27
"""The largest value in characters; a longer one cannot be a conversation, and memory is limited."""
MOST_VALUES: Final = 8_000_000
"""The most values within one, counted by commas and brackets: even empty ones take sixty bytes each."""
_LARGEST_BYTES: Final = 1 << 28
_CHUNK_BYTES: Final = 1 << 18
_MOST_AT_ONCE_BYTES: Final = 1 << 25
_SPACE: Final = re.compile(r"[ \t\r\n]*")
# How far before the end of a chunk the decoder can fail on a value that is only cut: -Infinity, \ud83d\ude00.
_CUT_CHARACTERS: Final = 16


class BrokenJSON(ValueError):
    """The text is invalid JSON from some place on; the values before it were yielded."""


def read_values(stream: ByteStream) -> Generator[Any]:
    """Yield the values of the array in ``stream``; of any other JSON text, that single value.

    Memory is bounded by the longest value. Invalid UTF-8 becomes U+FFFD. Raise ``BrokenJSON``.
    """
    text = _Text(stream)
    if text.next_character() != "[":
        yield text.value()
        return
    text.take()
    if text.next_character() == "]":
        return
    while True:
        yield text.value()
        match text.next_character():
            case ",":
                text.take()
            case "]":
                return
            case "":
                raise BrokenJSON("the file ends in the middle")
            case _:
                raise text.broken("a comma is missing")


class _Text:
    """The text of a stream, of which only the unread part is kept."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._json = json.JSONDecoder(strict=False)
        self._text = ""
        self._at = 0
        self._given = 0
        self._is_at_end = False

    def next_character(self) -> str:
        """Return the next character other than white space, empty at the end."""
        while True:
            match = _SPACE.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read_on():
                return ""

    def take(self) -> None:
        self._at += 1

    def value(self) -> Any:
        self.next_character()
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._is_broken(error) or not self._read_on():
                    raise self.broken(_reason(error)) from error
            except RecursionError as error:
                raise self.broken("it is nested too deeply") from error
            except ValueError as error:
                raise self.broken("a number is too long") from error
            else:
                if self._is_whole(value, end) or not self._read_on():
                    self._at = end
                    return value

    def _is_whole(self, value: Any, end: int) -> bool:
        """Return whether a number is complete: 0, 0. and 0.5e may all continue as 0.5e3."""
        return not isinstance(value, int | float) or self._text[end : end + 1] in {*" \t\r\n,]"}

    def broken(self, reason: str) -> BrokenJSON:
        return BrokenJSON(f"{reason}, at character {self._given + self._at:,}")

    def _is_broken(self, error: json.JSONDecodeError) -> bool:
        """Return whether an error is final, or may be due to a value that is only partly read."""
        return error.pos < len(self._text) - _CUT_CHARACTERS and not error.msg.startswith(
            "Unterminated string"
        )

    def _read_on(self) -> bool:
        """Read as much again as is buffered, so that a long value is tried only a few times."""
        if self._is_at_end:
            return False
        waiting = self._text[self._at :]
        # A single rare character makes Python store all others in four bytes.
        is_large = len(waiting) > LONGEST_CHARACTERS or waiting.__sizeof__() > _LARGEST_BYTES
        if is_large or sum(map(waiting.count, ",[{")) > MOST_VALUES:
            raise self.broken("one entry is too long")
        content = self._stream.read(min(max(_CHUNK_BYTES, len(waiting)), _MOST_AT_ONCE_BYTES))
        self._is_at_end = not content
        self._given += self._at
        self._text = waiting + self._decoder.decode(content, final=self._is_at_end)
        self._at = 0
        return True


def _reason(error: json.JSONDecodeError) -> str:
    return error.msg[:1].lower() + error.msg[1:]


ZIP_MAGIC: Final = b"PK\x03\x04"
# Large exports are split: conversations-000.json, conversations-001.json and so on.
_MEMBER: Final = re.compile(r"(?:.*/)?conversations(?:-\d+)?\.json")
_BROKEN_ZIP: Final = (
    zipfile.BadZipFile,
    BrokenDeflate,
    EOFError,
    NotImplementedError,
    RuntimeError,
    # Errors inside zipfile: names that are not text, offsets before the beginning.
    ValueError,
    LookupError,
    ArithmeticError,
    struct.error,
)
_COMPRESSIONS: Final = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


def read_items(
    path: Path, progress: Progress, to_conversation: Callable[[Any], ImportedConversation]
) -> Generator[Item]:
    """Yield ``to_conversation`` of each entry of the arrays in a file; it raises ``ValueError`` for an invalid entry.

    Raise ``ConfigurationError`` for a file that is not JSON at all, and ``LocalIOError``.
    """
    number = 0
    for member in _members(path, progress):
        with closing(member.values()) as values:
            while True:
                number += 1
                try:
                    value = next(values)
                except StopIteration:
                    number -= 1
                    break
                except BrokenJSON as error:
                    if number == 1:
                        raise not_importable(path) from error
                    yield Damaged(
                        f"entry {number} of {member.name}", f"{error}; nothing after it can be read"
                    )
                    break
                yield _item(value, number, to_conversation)


def first_value(path: Path) -> Any:
    """Return the first entry of a file, ``None`` if there is none or it is not JSON."""
    try:
        for member in _members(path, Progress()):
            with closing(member.values()) as values:
                return next(values, None)
    except (BrokenJSON, ConfigurationError):
        pass
    return None


def not_importable(path: Path, what: str = "nothing that can be imported") -> ConfigurationError:
    return ConfigurationError(
        f"{path} is {what}",
        hint="give ChatGPT's conversations.json or .zip, llm's logs.db, or what chatcli sessions export"
        " --format json wrote",
        code="not_importable",
    )


def not_readable(path: Path, error: OSError) -> LocalIOError:
    return LocalIOError(
        f"cannot read {path}: {error.strerror or error}",
        hint="check the path and its permissions",
        code="not_read",
    )


def _item(value: Any, number: int, to_conversation: Callable[[Any], ImportedConversation]) -> Item:
    try:
        return to_conversation(value)
    except (ValueError, RecursionError) as error:
        return Damaged(f"entry {number}", str(error))


@dataclass(slots=True)
class _Member:
    """One open JSON file, as a stream that counts the bytes read."""

    name: str
    stream: BinaryIO
    progress: Progress
    path: Path

    def read(self, size: int, /) -> bytes:
        try:
            content = self.stream.read(size)
        except OSError as error:
            raise not_readable(self.path, error) from error
        except _BROKEN_ZIP as error:
            raise BrokenJSON(f"the zip is damaged: {error}") from error
        self.progress.done += len(content)
        return content

    def values(self) -> Generator[Any]:
        return read_values(self)


def _members(path: Path, progress: Progress) -> Iterator[_Member]:
    """Yield the JSON files of ``path``, each open until the next is requested."""
    with ExitStack() as opened:
        try:
            file = opened.enter_context(open_regular(path))
            beginning = file.read(len(ZIP_MAGIC))
            file.seek(0)
            if beginning != ZIP_MAGIC:
                progress.total += path.stat().st_size
                yield _Member(path.name, file, progress, path)
                return
            archive = opened.enter_context(zipfile.ZipFile(file))
            members = sorted(
                (info for info in archive.infolist() if _MEMBER.fullmatch(info.filename)),
                key=lambda info: info.filename,
            )
            progress.total += sum(info.file_size for info in members)
        except OSError as error:
            raise not_readable(path, error) from error
        except _BROKEN_ZIP as error:
            raise not_importable(path, f"a damaged zip: {error}") from error
        if not members:
            raise not_importable(path, "a zip without conversations.json")
        for info in members:
            if info.compress_type not in _COMPRESSIONS:
                raise not_importable(path, "a zip that is compressed in another way")
            try:
                stream = opened.enter_context(archive.open(info))
            except _BROKEN_ZIP as error:
                raise not_importable(path, f"a zip that cannot be opened: {error}") from error
            yield _Member(info.filename, stream, progress, path)  # type: ignore[arg-type]
