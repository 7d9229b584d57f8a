"""Env files: ``NAME=value`` lines with ``CHATCLI_*`` and ``OPENAI_*`` variables, and which files are trusted.

A ``.env`` in the working folder may have come with somebody's repository. Until the person trusts it, it may
choose the model and its parameters, and bring a key if there is no other. It may not decide where requests
go, what the model is sent, what is saved and what is spent.

The folders with a trusted ``.env`` are listed in ``trusted-folders.json`` in the configuration folder. Format
1 stores the hash of the ``.env``, so that a changed one has to be trusted again::

    {"format": 1, "folders": {"/home/ada/project": {"sha256": "…"}}}

A file of the same format in the cache folder remembers which files were already mentioned.
"""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import io
import json
import re
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from chatcli.config.endpoints import OPENAI_URL, origin_of
from chatcli.config.paths import changing, write_private_file
from chatcli.config.settings import SETTINGS_BY_NAME, SETTINGS_BY_VARIABLE
from chatcli.core.errors import ConfigurationError, LocalIOError
from chatcli.core.frozen import frozen
from chatcli.storage.private_files import close_to_others, read_regular, read_regular_or_pipe
from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from chatcli.config.paths import Paths
    from chatcli.config.settings import Untrusted

_MOST_BYTES: Final = 262_144
_MOST_BYTES_OF_FOLDERS: Final = 10_000_000
_MOST_MENTIONED: Final = 500
_MOST_NUMBERS: Final = 5
_KEYS: Final = frozenset(SETTINGS_BY_NAME["api_key"].variables)
_URLS: Final = frozenset(SETTINGS_BY_NAME["base_url"].variables)
_PATIENCE_S: Final = 10.0
_PREFIXES: Final = ("CHATCLI_", "OPENAI_")
_OUR_LINE: Final = lazy_pattern(r"^[ \t]*(?:export[ \t]+)?((?:CHATCLI|OPENAI)_\w*)", re.MULTILINE)
_UNDECODABLE: Final = lazy_pattern("[\udc80-\udcff]")
# UTF-32's mark begins with UTF-16's, so the longer one is tried first.
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MANY_BLANKS: Final = lazy_pattern(r"[^\S\r\n]{201}")
"""python-dotenv searches for a comment from each blank again: many blanks would take minutes."""


@frozen
class EnvFile:
    """The content of an env file, and the SHA-256 of exactly the bytes that were read.

    ``odd_lines`` are the numbers of unreadable lines of ours, ``odd_names`` their variables.
    """

    variables: Mapping[str, str]
    sha256: str
    odd_lines: tuple[int, ...] = ()
    odd_names: frozenset[str] = field(default_factory=frozenset)


def read_env_file(path: Path, *, may_be_pipe: bool = False) -> EnvFile:
    """Return the content of a file in python-dotenv's syntax, without interpolation.

    Raise ``ConfigurationError`` if the file cannot be read.
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
            # An open quote extends over the following lines up to the next quote.
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
    """Return the text; a byte that is not UTF-8 becomes a lone surrogate and spoils only its own line."""
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


def names_unread_endpoint(file: EnvFile) -> bool:
    """Return whether an unreadable line sets an endpoint."""
    return not _URLS.isdisjoint(file.odd_names)


def odd_lines(place: str, file: EnvFile) -> tuple[str, ...]:
    """Return a message about unreadable lines, if there are any."""
    if not file.odd_lines:
        return ()
    numbers = ", ".join(map(str, file.odd_lines[:_MOST_NUMBERS]))
    more = " …" if len(file.odd_lines) > _MOST_NUMBERS else ""
    lines = "line" if len(file.odd_lines) == 1 else "lines"
    return (
        f"{place}: ignored {lines} {numbers}{more}, which cannot be read (check the quotes and the encoding)",
    )


def permitted(
    file: EnvFile, *, has_other_key: bool, base_url: str | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the variables an untrusted file may set, and the known ones that need trust.

    ``has_other_key`` says that there is a key elsewhere, ``base_url`` is the endpoint set elsewhere.
    """
    names_endpoint = names_unread_endpoint(file) or not _URLS.isdisjoint(file.variables)
    is_default = base_url is None or origin_of(base_url) == origin_of(OPENAI_URL)
    may_bring_key = is_default and not (names_endpoint or has_other_key)
    known = known_variables(file)
    allowed = tuple(
        name for name in known if SETTINGS_BY_VARIABLE[name].harmless or (name in _KEYS and may_bring_key)
    )
    return allowed, tuple(name for name in known if name not in allowed)


def known_variables(file: EnvFile) -> list[str]:
    """Return the file's variables that belong to settings, in the order of the table."""
    return [name for name in SETTINGS_BY_VARIABLE if name in file.variables]


class TrustedFolders:
    """SHA-256 sums by the real path of their folder, limited to the newest ``most``.

    Every method raises ``ConfigurationError`` if the file cannot be read.
    """

    def __init__(self, path: Path, *, most: int | None = None) -> None:
        self._path = path
        self._most = most

    @classmethod
    def of(cls, paths: Paths) -> TrustedFolders:
        return cls(paths.config / "trusted-folders.json")

    def trusts(self, folder: Path, sha256: str) -> bool:
        return self.all().get(_real(folder)) == sha256

    def trust(self, folder: Path, sha256: str) -> None:
        """Trust this content in this folder, replacing any other. Raise ``LocalIOError``."""
        with changing(self._path):
            folders = self.all()
            folders.pop(_real(folder), None)
            newest = {**folders, _real(folder): sha256}
            self._write(newest if self._most is None else dict(list(newest.items())[-self._most :]))

    def remove(self, folder: Path) -> bool:
        """Stop trusting the folder; return whether it was trusted. Raise ``LocalIOError``."""
        if _real(folder) not in self.all():
            return False
        with changing(self._path):
            folders = self.all()
            folders.pop(_real(folder), None)
            self._write(folders)
        return True

    def all(self) -> dict[str, str]:
        """Return the sums by folder, the newest last."""
        try:
            content = read_regular(self._path, most_bytes=_MOST_BYTES_OF_FOLDERS)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise ConfigurationError(
                f"cannot read {self._path}: {error.strerror or error}", hint="check its permissions"
            ) from error
        close_to_others(self._path)
        try:
            return _sums(json.loads(content))
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(
                f"{self._path} is not a file of trusted folders: {error}",
                hint="remove it and trust the folders again: chatcli trust FOLDER",
            ) from error

    def _write(self, folders: dict[str, str]) -> None:
        document = {
            "format": 1,
            "folders": {folder: {"sha256": sha256} for folder, sha256 in folders.items()},
        }
        write_private_file(self._path, json.dumps(document, indent=2).encode() + b"\n")


def mention_once(untrusted: Untrusted, paths: Paths, *, remember: bool) -> bool:
    """Return whether this content of this folder is still to be mentioned, and ``remember`` it.

    If it cannot be remembered, it is mentioned again.
    """
    mentioned = TrustedFolders(paths.cache / "mentioned-folders.json", most=_MOST_MENTIONED)
    with contextlib.suppress(ConfigurationError, LocalIOError):
        if mentioned.trusts(untrusted.folder, untrusted.sha256):
            return False
        if remember:
            mentioned.trust(untrusted.folder, untrusted.sha256)
    return True


def _sums(document: Any) -> dict[str, str]:
    """Return the sums of a format 1 document; raise ``ValueError`` for anything else."""
    match document:
        case {"format": 1, "folders": dict(entries)}:
            return {folder: _sum(entry) for folder, entry in entries.items()}
        case {"format": int(number)} if number > 1:
            raise ValueError("it was written by a newer chatcli")
        case _:
            raise ValueError("it is not of format 1")


def _sum(entry: Any) -> str:
    match entry:
        case {"sha256": str(sha256)}:
            return sha256
        case _:
            raise ValueError("an entry has no sum")


def _real(folder: Path) -> str:
    return str(folder.resolve())
