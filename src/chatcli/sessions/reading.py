"""From the bytes of a session file to its records."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import ConfigurationError
from chatcli.sessions.records import FORMAT, HeaderRecord, UnreadableRecord, decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from chatcli.sessions.records import Record

HEADER_SEARCH_BYTES: Final = 65_536
"""How much of a file ``find_header`` needs to see."""

_HEADER_START: Final = b'{"type":"header"'
_OWN_HEADER_START: Final = b'{"type":"header","format":1,'
_OWN_RECORD: Final = re.compile(
    rb'\{"type":"(?:message|partial|mark)","id":"[^"]*","parent":(?:null|"[^"]*"),"at":"[0-9]{4}-[0-9]{2}-'
)
"""How the other records begin, as they are written here: no other program's lines do."""


def read_records(content: bytes) -> Iterator[Record]:
    """Yield the records of a session file in file order, with those that cannot be read."""
    # Not splitlines(): a message may hold U+2028, NEL or a form feed, and only \n ends a record.
    return records_in(content.split(b"\n"))


def records_in(lines: Iterable[bytes]) -> Iterator[Record]:
    """Yield the records of the lines of a session file, as ``read_records`` does: a file can be read piece by piece.

    ``lines`` are those between line feeds, with theirs or without.
    """
    is_first = True
    for line in lines:
        bare = line.removesuffix(b"\n")
        if is_first:
            bare, is_first = bare.removeprefix(codecs.BOM_UTF8), False
        if bare.strip():
            yield decode(bare)


def find_header(content: bytes, path: Path) -> HeaderRecord | None:
    """Return the header in ``content``, the beginning of a file; ``None`` where none was written yet, or it is damaged.

    A file that was cut inside its header is a session in which nothing was said. Whatever is damaged, a single record
    of a session makes the file one. Raises ``ConfigurationError`` for anything that is no session of this format.
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
    """Return what is wrong with a session of which ``count`` records are damaged."""
    return f"{count:,} damaged record{'' if count == 1 else 's'}"


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
