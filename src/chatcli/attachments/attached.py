"""Attached files and web pages: how a text mentions them, and quoting of their paths.

A text mentions a file as ``@notes.md`` or ``@"my notes.md"``, and a page as ``@https://host.example/page``. A path
with blanks is quoted, as it is typed and as terminals paste dropped files. On Windows a backslash separates folders;
elsewhere it escapes the next character.
"""

from __future__ import annotations

import re
import shlex
import stat
import subprocess
import sys
from itertools import islice
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from chatcli.core.errors import UsageError
from chatcli.core.frozen import frozen
from chatcli.core.typed_paths import typed_path
from chatcli.text.documents import heading_of
from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TypeAlias

    Attachment: TypeAlias = "Attached | AttachedPage"

MENTION: Final = "@"

# After a letter, a digit or a slash it is part of a mail or web address.
_SIGN: Final = r"(?<![A-Za-z0-9._%+/@-])@"
_QUOTED: Final = r'"(?P<double>(?:\\.|[^"\\\n])+)"' if sys.platform != "win32" else r'"(?P<double>[^"\n]+)"'
_BARE: Final = r"(?P<bare>(?:\\.|[^\s\"'\\])+)" if sys.platform != "win32" else r"(?P<bare>[^\s\"']+)"
_MENTION: Final = lazy_pattern(rf"{_SIGN}(?:{_QUOTED}|'(?P<single>[^'\n]+)'|{_BARE})")
_OPEN_BARE: Final = r"(?:\\.|[^\s\"'\\])*" if sys.platform != "win32" else r"[^\s\"']*"
_OPEN_MENTION: Final = lazy_pattern(rf'{_SIGN}(?P<word>"[^"\n]*|\'[^\'\n]*|{_OPEN_BARE})\Z')
_PUNCTUATION: Final = ".,;:!?)]}>…。，、；：！？）】」』》”’"
_MOST_TRIED: Final = 8
_MOST_MENTIONS: Final = 100  # a long list of addresses must not read the disk with every key
_IS_WINDOWS: Final = sys.platform == "win32"
_NEEDS_QUOTES: Final = lazy_pattern(r"[^\w@%+=:,./~-]" if not _IS_WINDOWS else r"[^\w@%+=:,./~\\-]")
_WINDOWS_WORD: Final = lazy_pattern(r'"([^"]*)"|\'([^\']*)\'|(\S+)')
_LONGEST_DROP: Final = 32_768
_FILE_URL: Final = "file://"
_WEB_ADDRESS: Final = lazy_pattern(r"https?://[^\s/?#]", re.IGNORECASE)
_END_OF_ADDRESS: Final = lazy_pattern(r"[\s\"'<>…。，、；：！？）】」』》”’]")
_CLOSING: Final = {")": "(", "]": "[", "}": "{"}
_LONGEST_LABEL: Final = 60


@frozen
class Attached:
    """A file by the name the person gave, with its size when it was checked."""

    name: str
    path: Path
    size_bytes: int

    @property
    def key(self) -> str:
        """Its identity: a question has each file once."""
        return str(self.path)

    @property
    def label(self) -> str:
        """The label shown for it; a long path would crowd out others."""
        return f"{self.path.name} {shown_size(self.size_bytes)}"


@frozen
class AttachedPage:
    """A web page by the address the person gave, with its ``text`` once it was fetched."""

    name: str
    text: str | None = None

    @property
    def key(self) -> str:
        return self.name

    @property
    def size_bytes(self) -> int:
        return len((self.text or "").encode("utf-8", "replace"))

    @property
    def facts(self) -> str:
        """The title, if it has one, and the size of a fetched page."""
        heading = heading_of(self.text or "")
        from chatcli.text.shortening import shortened  # noqa: PLC0415 - wcwidth is slow to import

        title = f"“{shortened(heading, _LONGEST_LABEL)}” " if heading else ""
        return title + shown_size(self.size_bytes)

    @property
    def label(self) -> str:
        """The label shown for it: the address, and the facts once they are known."""
        from chatcli.text.shortening import shortened  # noqa: PLC0415 - wcwidth is slow to import

        address = shortened(self.name.partition("://")[2].removesuffix("/"), _LONGEST_LABEL)
        return address if self.text is None else f"{address} {self.facts}"


def is_web_address(name: str) -> bool:
    return _WEB_ADDRESS.match(name) is not None


def attach(name: str) -> Attached:
    """Check the file ``name``; raise ``UsageError`` if it does not exist."""
    try:
        path = typed_path(name)
        state = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"cannot read {name}: {reason}", hint="check the path and its permissions"
        ) from error
    if not stat.S_ISREG(state.st_mode):
        raise not_attachable(name, state.st_mode)
    return Attached(name, path, state.st_size)


def mentioned(text: str) -> list[Attachment]:
    """Return the files and web pages mentioned in ``text``, each once.

    A word after ``@`` that is neither stays a word.
    """
    found: dict[str, Attachment] = {}
    if MENTION in text:
        for match in islice(_MENTION.finditer(text), _MOST_MENTIONS):
            attached = _page(match) or next(filter(None, map(_file, _names(match))), None)
            if attached is not None:
                found.setdefault(attached.key, attached)
    return list(found.values())


def open_mention(before: str) -> str | None:
    """Return the unfinished mention at the end of ``before`` without its ``@``, ``None`` without one."""
    match = _OPEN_MENTION.search(before[before.rfind("\n") + 1 :]) if MENTION in before else None
    return match["word"] if match else None


def shown_size(size_bytes: int) -> str:
    for unit, name in ((1e6, "MB"), (1e3, "kB")):
        if size_bytes >= unit:
            return f"{size_bytes / unit:,.1f} {name}"
    return f"{size_bytes} B"


def not_attachable(name: str, mode: int) -> UsageError:
    """Return the reason why something with ``mode`` that is no regular file cannot be attached."""
    if stat.S_ISDIR(mode):
        return UsageError(f"{name} is a folder", hint="name files in it instead")
    if stat.S_ISFIFO(mode):
        return UsageError(f"{name} is a named pipe", hint="save its output to a file and attach that")
    kind = "a socket" if stat.S_ISSOCK(mode) else "a device"
    return UsageError(f"{name} is {kind}", hint="attach a regular file")


def _page(match: re.Match[str]) -> AttachedPage | None:
    """Return the web page a mention names. Unquoted, its address ends where a sentence goes on."""
    quoted_name = match["single"] or (match["double"] and unquoted(match["double"]))
    address = quoted_name or unquoted(match["bare"] or "")
    if not is_web_address(address):
        return None
    return AttachedPage(address if quoted_name else _without_sentence_end(address))


def _without_sentence_end(address: str) -> str:
    address = _END_OF_ADDRESS.split(address, maxsplit=1)[0]
    while address and address[-1] in _PUNCTUATION:
        opening = _CLOSING.get(address[-1])
        if opening and address.count(opening) >= address.count(address[-1]):
            break
        address = address[:-1]
    return address


def _names(match: re.Match[str]) -> Iterator[str]:
    """Yield the names the mention may mean, the longest first: a sentence may continue right after it."""
    if match["single"]:
        yield match["single"]
    elif match["double"]:
        yield unquoted(match["double"])
    else:
        yield from map(unquoted, islice(_shorter(match["bare"]), _MOST_TRIED))


def _shorter(word: str) -> Iterator[str]:
    while word:
        yield word
        if word[-1] in _PUNCTUATION:
            word = word[:-1]
        else:
            # Chinese and Japanese continue without a blank.
            ends = [at for at in range(1, len(word)) if word[at - 1].isascii() and not word[at].isascii()]
            word = word[: ends[-1]] if ends else ""


def _file(name: str) -> Attached | None:
    try:
        path = typed_path(name)
        state = path.stat()
    except (OSError, ValueError):
        return None
    return Attached(name, path, state.st_size) if stat.S_ISREG(state.st_mode) else None


def path_words(text: str) -> list[str]:
    """Split ``text`` into unquoted words. Raise ``ValueError`` for an unterminated quote."""
    if not _IS_WINDOWS:
        return shlex.split(text)
    return [next(filter(None, match.groups()), "") for match in _WINDOWS_WORD.finditer(text)]


def quoted(path: str) -> str:
    """Quote ``path`` as one word for ``path_words``."""
    if not _NEEDS_QUOTES.search(path):
        return path
    return f'"{path}"' if _IS_WINDOWS else '"' + re.sub(r'(["\\])', r"\\\1", path) + '"'


def shell_word(text: str) -> str:
    """Quote ``text`` as one word of the person's shell."""
    return subprocess.list2cmdline([text]) if _IS_WINDOWS else shlex.quote(text)


def unquoted(word: str) -> str:
    """Return the name in an unquoted word, with escapes resolved."""
    return word if _IS_WINDOWS else re.sub(r"\\(.)", r"\1", word)


def dropped_files(text: str) -> list[str]:
    """Return the existing files whose pasted paths make up ``text``; empty if it contains anything else.

    Only absolute paths and ``file://`` URLs count: relative paths are typed by people.
    """
    text = text.strip()
    if not text or len(text) > _LONGEST_DROP:
        return []
    if _is_file(text):  # a terminal that does not quote
        return [text]
    try:
        paths = [_of_address(word) for word in path_words(text)]
    except ValueError:
        return []
    return paths if all(map(_is_file, paths)) else []


def _of_address(word: str) -> str:
    if not word.startswith(_FILE_URL):
        return word
    address = urlsplit(word)
    if not _IS_WINDOWS:
        return unquote(address.path)
    from urllib.request import url2pathname  # noqa: PLC0415 - loads an HTTP client

    return url2pathname(address.path)


def _is_file(name: str) -> bool:
    try:
        path = typed_path(name)
        return path.is_absolute() and path.is_file()
    except (OSError, ValueError):
        return False
