"""Files of JSON that may be large, and may lie in a zip: read as a stream, nothing is unpacked to the disk."""

from __future__ import annotations

import re
import struct
import zipfile
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from zlib import error as BrokenDeflate  # noqa: N812 - named as the error it is

from chatcli.core.errors import ConfigurationError, LocalIOError
from chatcli.sessions.importing.imported_conversation import Damaged, Progress
from chatcli.sessions.importing.json_values import BrokenJSON, read_values
from chatcli.storage.private_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from chatcli.sessions.importing.imported_conversation import ImportedConversation, Item

ZIP_MAGIC: Final = b"PK\x03\x04"

# Large exports are split: conversations-000.json, conversations-001.json and so on.
_MEMBER: Final = re.compile(r"(?:.*/)?conversations(?:-\d+)?\.json")
_BROKEN_ZIP: Final = (
    zipfile.BadZipFile,
    BrokenDeflate,
    EOFError,
    NotImplementedError,
    RuntimeError,
    # What the package itself stumbles over: names that are no text, places before the beginning.
    ValueError,
    LookupError,
    ArithmeticError,
    struct.error,
)
_COMPRESSIONS: Final = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


def read_items(
    path: Path, progress: Progress, to_conversation: Callable[[Any], ImportedConversation]
) -> Generator[Item]:
    """Yield what ``to_conversation`` makes of each entry of the arrays in a file; it raises ``ValueError`` for none.

    Raises ``ConfigurationError`` for a file that is no JSON from its beginning, and ``LocalIOError``.
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
    """Return the first entry of a file, ``None`` where there is none or it is no JSON."""
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
    """One JSON file, open, as a stream that counts what was read of it."""

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
    """Yield the JSON files of ``path``, each open until the next is asked for."""
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
