"""Editing text in the person's editor: ``$VISUAL``, ``$EDITOR``, or the system's default."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import LocalIOError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_VARIABLES: Final = ("VISUAL", "EDITOR")
_USUAL: Final = ("notepad",) if sys.platform == "win32" else ("editor", "nano", "vim", "vi")
_HOW: Final = 'set EDITOR to the one you want, like EDITOR="code --wait"'


class Editor:
    """Edits a text in a temporary file; ``environment`` names the program."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def command(self) -> list[str]:
        """Return the program and its arguments, without the file. Raise ``LocalIOError`` if there is none."""
        chosen = next((name for name in _VARIABLES if self._environment.get(name, "").strip()), None)
        if chosen is None:
            found = next(filter(self._path_of, _USUAL), None)
            if found is None:
                raise LocalIOError("there is no editor", hint=_HOW)
            return [found]
        try:
            words = _words(self._environment[chosen])
        except ValueError as error:
            raise LocalIOError(f"{chosen} cannot be read: {error}", hint=_HOW) from error
        path = self._path_of(words[0])
        if path is None:
            raise LocalIOError(f"there is no editor {words[0]} ({chosen})", hint=_HOW)
        return [path, *words[1:]]

    async def edit(self, text: str) -> str:
        """Return the edited ``text``. Raise ``LocalIOError`` if the editor failed."""
        command = self.command()
        try:
            with _file_of(text) as path:
                await _run([*command, str(path)])
                return _text_of(path)
        except OSError as error:
            raise LocalIOError(f"{command[0]}: {error.strerror or error}", hint=_HOW) from error

    def _path_of(self, program: str) -> str | None:
        return shutil.which(program, path=self._environment.get("PATH"))


async def _run(command: list[str]) -> None:
    process = await asyncio.create_subprocess_exec(*command)
    try:
        code = await process.wait()
    except asyncio.CancelledError:
        process.terminate()
        raise
    if code:
        name = Path(command[0]).name
        raise LocalIOError(f"{name} ended with {code}", hint="your text is unchanged")


@contextmanager
def _file_of(text: str) -> Iterator[Path]:
    # Readable by the person alone; the suffix makes editors treat it as Markdown.
    descriptor, name = tempfile.mkstemp(prefix="chatcli-", suffix=".md")
    path = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text + "\n")
        yield path
    finally:
        path.unlink(missing_ok=True)


def _text_of(path: Path) -> str:
    # Editors add a newline at the end of the file.
    return path.read_bytes().decode("utf-8-sig", "replace").replace("\r\n", "\n").removesuffix("\n")


def _words(command: str) -> list[str]:
    if sys.platform == "win32":
        # A backslash separates path components there.
        return [word.strip('"') for word in shlex.split(command, posix=False)]
    return shlex.split(command)
