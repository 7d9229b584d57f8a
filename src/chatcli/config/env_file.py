"""Env files: ``NAME=value`` lines, of which only ``CHATCLI_*`` and ``OPENAI_*`` count."""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import io
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import ConfigurationError
from chatcli.storage.private_files import read_regular, read_regular_or_pipe

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE_NAME: Final = ".env"

_MOST_BYTES: Final = 262_144
_PATIENCE_S: Final = 10.0
_PREFIXES: Final = ("CHATCLI_", "OPENAI_")
_OUR_LINE: Final = re.compile(r"^[ \t]*(?:export[ \t]+)?((?:CHATCLI|OPENAI)_\w*)", re.MULTILINE)
_UNDECODABLE: Final = re.compile("[\udc80-\udcff]")
# What UTF-32 begins with begins like UTF-16: the longer one comes first.
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MANY_BLANKS: Final = re.compile(r"[^\S\r\n]{201}")
"""python-dotenv looks for a comment from each of the blanks anew: many of them would take minutes."""


@dataclass(frozen=True, slots=True)
class EnvFile:
    """What an env file says, and the SHA-256 of the very bytes that were read.

    ``odd_lines`` are the numbers of lines of ours that cannot be read, ``odd_names`` the variables they begin with.
    """

    variables: Mapping[str, str]
    sha256: str
    odd_lines: tuple[int, ...] = ()
    odd_names: frozenset[str] = field(default_factory=frozenset)


def env_file_of(folder: Path) -> Path | None:
    """Return the ``.env`` of a folder, ``None`` where it has none or cannot be looked at.

    A folder of that name is an environment of Python, and none of ours.
    """
    path = folder / FILE_NAME
    with contextlib.suppress(OSError):
        if path.exists() and not path.is_dir():
            return path
    return None


def read_env_file(path: Path, *, may_be_pipe: bool = False) -> EnvFile:
    """Return what a file in the syntax of python-dotenv says, without interpolation.

    Raises ``ConfigurationError`` for a file that cannot be read.
    """
    try:
        content = (
            read_regular_or_pipe(path, most_bytes=_MOST_BYTES, patience_s=_PATIENCE_S)
            if may_be_pipe
            else read_regular(path, most_bytes=_MOST_BYTES)
        )
    except (OSError, ValueError) as error:
        raise _unreadable(path, getattr(error, "strerror", None) or str(error)) from error
    return _parsed(path, content)


def _parsed(path: Path, content: bytes) -> EnvFile:
    from dotenv.parser import parse_stream  # noqa: PLC0415 -- 13 ms that a folder without an env file does not need

    text = _decoded(path, content)
    if (blanks := _MANY_BLANKS.search(text)) is not None:
        line = text.count("\n", 0, blanks.start()) + 1
        raise _unreadable(path, f"line {line} has more than 200 blanks in a row")
    variables: dict[str, str] = {}
    odd: dict[int, str] = {}
    for binding in parse_stream(io.StringIO(text, newline="")):
        if binding.error or _UNDECODABLE.search(binding.value or ""):
            # An open quote takes the lines up to the next one with it.
            original = binding.original
            for ours in _OUR_LINE.finditer(original.string):
                odd[original.line + original.string.count("\n", 0, ours.start(1))] = ours[1]
        elif binding.key and binding.key.startswith(_PREFIXES):
            variables[binding.key] = binding.value or ""
    variables = {name: value for name, value in variables.items() if value}
    if not (variables or odd) and _UNDECODABLE.search(text):
        raise _unreadable(path, "it is not UTF-8")
    return EnvFile(variables, hashlib.sha256(content).hexdigest(), tuple(odd), frozenset(odd.values()))


def _decoded(path: Path, content: bytes) -> str:
    """Return the text; a byte that is not UTF-8 becomes a lone surrogate and costs its own line only."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            try:
                return content.removeprefix(mark).decode(
                    encoding, "surrogateescape" if encoding == "utf-8" else "strict"
                )
            except UnicodeDecodeError as error:
                raise _unreadable(path, f"it begins like {encoding.upper()[:6]} and is not") from error
    if b"\0" in content:
        kind = "UTF-16 without a byte order mark" if _looks_like_utf_16(content) else "not text"
        raise _unreadable(path, f"it is {kind}")
    return content.decode("utf-8", "surrogateescape")


def _looks_like_utf_16(content: bytes) -> bool:
    return any(content[at::2].count(0) * 2 > len(content[at::2]) for at in (0, 1))


def _unreadable(path: Path, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"cannot read {path}: {reason}", hint="use a UTF-8 text file of NAME=value lines"
    )
