"""Parsing of session files: from bytes to records."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import ConfigurationError
from chatcli.sessions.records import FORMAT, HeaderRecord, UnreadableRecord, decode
from chatcli.text.lazy_pattern import lazy_pattern
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from chatcli.sessions.records import Record

HEADER_SEARCH_BYTES: Final = 65_536
"""The number of bytes ``find_header`` needs."""

_HEADER_START: Final = b'{"type":"header"'
_OWN_HEADER_START: Final = b'{"type":"header","format":1,'
_OWN_RECORD: Final = lazy_pattern(
    rb'\{"type":"(?:message|partial|mark)","id":"[^"]*","parent":(?:null|"[^"]*"),"at":"[0-9]{4}-[0-9]{2}-'
)
"""The beginning of all other records as chatcli writes them: lines of no other program begin so."""


def read_records(content: bytes) -> Iterator[Record]:
    """Yield the records of a session file in order, unreadable ones included."""
    # Not splitlines(): a message may contain U+2028, NEL or a form feed, and only \n ends a record.
    return records_in(content.split(b"\n"))


def records_in(lines: Iterable[bytes]) -> Iterator[Record]:
    """Yield the records of lines, as ``read_records`` does for a whole file.

    ``lines`` are the texts between line feeds, with or without them.
    """
    is_first = True
    for line in lines:
        bare = line.removesuffix(b"\n")
        if is_first:
            bare, is_first = bare.removeprefix(codecs.BOM_UTF8), False
        if bare.strip():
            yield decode(bare)


def find_header(content: bytes, path: Path) -> HeaderRecord | None:
    """Return the header in ``content``, the beginning of a file; ``None`` if none is written yet, or it is damaged.

    A file cut inside its header is an empty session. Despite any damage, a single valid record makes the file
    a session. Raise ``ConfigurationError`` for any other file.
    """
    is_session, is_anything_else = False, False
    for line in content[:HEADER_SEARCH_BYTES].removeprefix(codecs.BOM_UTF8).split(b"\n"):
        if _OWN_RECORD.match(line):
            is_session = True
            continue
        record = decode(line)
        if isinstance(record, HeaderRecord):
            return _of_this_format(record, path)
        if line.startswith(_OWN_HEADER_START):
            is_session = True
        is_cut = isinstance(record, UnreadableRecord) and _HEADER_START.startswith(line[: len(_HEADER_START)])
        is_anything_else = is_anything_else or not is_cut
    if is_anything_else and not is_session:
        raise not_a_session(path)
    return None


def damage(count: int) -> str:
    """Return the message about a session with ``count`` damaged records."""
    return f"{counted(count, 'damaged record')}"


def not_a_session(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{path} is not a chatcli session",
        hint="use another -s name or path; the file was not changed",
        code="not_a_session",
    )


def _of_this_format(header: HeaderRecord, path: Path) -> HeaderRecord:
    if header.format > FORMAT:
        raise ConfigurationError(
            f"{path} was made by a newer chatcli (session format {header.format}, this one reads {FORMAT})",
            hint="update chatcli, or use another -s name; the file was not changed",
            code="newer_session_format",
        )
    return header
