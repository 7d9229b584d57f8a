"""From the bytes of a session file to its records."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import ConfigurationError
from chatcli.sessions.records import FORMAT, HeaderRecord, decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from chatcli.sessions.records import Record

HEADER_SEARCH_BYTES: Final = 65_536
"""How much of a file ``find_header`` needs to see."""

_HEADER_START: Final = b'{"type":"header"'


def read_records(content: bytes) -> Iterator[Record]:
    """Yield the records of a session file in file order; a line that is torn or damaged is skipped."""
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
        if bare and (record := decode(bare)) is not None:
            yield record


def find_header(content: bytes, path: Path) -> HeaderRecord | None:
    """Return the header ``content`` begins with, ``None`` where none was written yet.

    A file that was cut inside its header is a session in which nothing was said. Raises ``ConfigurationError`` for
    anything that is no session of this format.
    """
    for line in content[:HEADER_SEARCH_BYTES].removeprefix(codecs.BOM_UTF8).split(b"\n"):
        record = decode(line)
        if isinstance(record, HeaderRecord):
            return _of_this_format(record, path)
        if record is not None or not _HEADER_START.startswith(line[: len(_HEADER_START)]):
            raise not_a_session(path)
    return None


def not_a_session(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{path} is not a chatcli session",
        hint="give -s another name or path; the file was left as it is",
        code="not_a_session",
    )


def _of_this_format(header: HeaderRecord, path: Path) -> HeaderRecord:
    if header.format > FORMAT:
        raise ConfigurationError(
            f"{path} was made by a newer chatcli (session format {header.format}, this one reads {FORMAT})",
            hint="update chatcli, or give -s another name; the file was left as it is",
            code="newer_session_format",
        )
    return header
