"""Paths among words: quoted where they hold blanks, as a person types them and as a terminal pastes what is dropped.

On Windows a backslash separates folders; elsewhere it keeps the character after it from meaning anything.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

_IS_WINDOWS: Final = sys.platform == "win32"
_NEEDS_QUOTES: Final = re.compile(r"[^\w@%+=:,./~-]" if not _IS_WINDOWS else r"[^\w@%+=:,./~\\-]")
_WINDOWS_WORD: Final = re.compile(r'"([^"]*)"|\'([^\']*)\'|(\S+)')
_LONGEST_DROP: Final = 32_768
_FILE_URL: Final = "file://"


def path_words(text: str) -> list[str]:
    """Return the words of ``text`` without their quotes. Raise ``ValueError`` for a quote without its end."""
    if not _IS_WINDOWS:
        return shlex.split(text)
    return [next(filter(None, match.groups()), "") for match in _WINDOWS_WORD.finditer(text)]


def quoted(path: str) -> str:
    """Return ``path`` as a word ``path_words`` reads back."""
    if not _NEEDS_QUOTES.search(path):
        return path
    return f'"{path}"' if _IS_WINDOWS else '"' + re.sub(r'(["\\])', r"\\\1", path) + '"'


def shell_word(text: str) -> str:
    """Return ``text`` as one word of the person's shell."""
    return subprocess.list2cmdline([text]) if _IS_WINDOWS else shlex.quote(text)


def unquoted(word: str) -> str:
    """Return what a word without quotes names."""
    return word if _IS_WINDOWS else re.sub(r"\\(.)", r"\1", word)


def dropped_files(text: str) -> list[str]:
    """Return the paths of existing files that ``text``, as a terminal pastes it, is made of; none if there is more.

    Only whole paths and ``file://`` addresses count: a relative path is something a person writes.
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
    return url2pathname(address.path) if _IS_WINDOWS else unquote(address.path)


def _is_file(name: str) -> bool:
    try:
        path = Path(name).expanduser()
        return path.is_absolute() and path.is_file()
    except (OSError, ValueError, RuntimeError):
        return False
