"""Completion of paths: the files and folders of the folder that is being written."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.attachments.attached import shown_size
from chatcli.attachments.path_words import quoted, unquoted

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_LOOKED_AT: Final = 5_000
_MOST_OFFERED: Final = 200
_QUOTES: Final = frozenset("\"'")
_HIDDEN: Final = "."


class PathChoice(NamedTuple):
    """A word that completes what is written, how it is listed, and what it is."""

    word: str
    shown: str
    meaning: str


def path_choices(word: str) -> list[PathChoice]:
    """Return what ``word``, quoted or not, may go on as: files, and folders with a slash behind them.

    Names that begin so come first, then those that hold what is written. Hidden ones are offered where the name begins
    with a dot.
    """
    path = word[1:] if word[:1] in _QUOTES else unquoted(word)
    folder, _, begun = path.rpartition("/") if os.sep == "/" else _split(path)
    before = path[: len(path) - len(begun)]
    sought = begun.casefold()
    names = [entry for entry in _entries(folder, before) if _is_meant(entry.name, begun)]
    names.sort(key=lambda entry: (not entry.name.casefold().startswith(sought), entry.name.casefold()))
    return [_choice(before, entry) for entry in names[:_MOST_OFFERED]]


def _is_meant(name: str, begun: str) -> bool:
    if name.startswith(_HIDDEN) or begun.startswith(_HIDDEN):
        return begun.startswith(_HIDDEN) and name.casefold().startswith(begun.casefold())
    return begun.casefold() in name.casefold()


def _split(path: str) -> tuple[str, str, str]:
    at = max(path.rfind("/"), path.rfind("\\"))
    return path[: max(at, 0)], path[at : at + 1], path[at + 1 :]


def _entries(folder: str, before: str) -> list[os.DirEntry[str]]:
    try:
        # "/" alone is the root, nothing at all the working folder.
        where = Path(folder or before or ".").expanduser()
        with os.scandir(where) as entries:
            return list(islice(_printable(entries), _MOST_LOOKED_AT))
    except (OSError, ValueError, RuntimeError):
        return []


def _printable(entries: Iterator[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
    return (entry for entry in entries if entry.name.isprintable())


def _choice(before: str, entry: os.DirEntry[str]) -> PathChoice:
    try:
        is_folder = entry.is_dir()
        meaning = "folder" if is_folder else shown_size(entry.stat().st_size)
    except OSError:
        is_folder, meaning = False, "cannot be read"
    end = "/" if is_folder else ""
    word = quoted(before + entry.name + end)
    # A folder's quote stays open, for what is in it.
    word = word[:-1] if is_folder and word[-1] in _QUOTES else word
    return PathChoice(word, entry.name + end, meaning)
