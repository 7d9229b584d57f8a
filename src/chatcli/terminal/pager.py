"""Showing a long text in a pager: ``$PAGER``, or the system's default."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import LocalIOError

if TYPE_CHECKING:
    from collections.abc import Mapping

_USUAL: Final = ("less", "more")
_HOW: Final = "set PAGER to one there is, like PAGER=less"


class Pager:
    """Shows styled text; ``environment`` names the program."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def command(self) -> list[str]:
        """Return the program and its arguments. Raise ``LocalIOError`` if there is none."""
        chosen = self._environment.get("PAGER", "").strip()
        try:
            words = shlex.split(chosen, posix=sys.platform != "win32")
        except ValueError as error:
            raise LocalIOError(f"PAGER cannot be read: {error}", hint=_HOW) from error
        path = self._path_of(words[0]) if words else next(filter(None, map(self._path_of, _USUAL)), None)
        if path is None:
            raise LocalIOError(f"there is no pager{f' {words[0]}' if words else ''}", hint=_HOW)
        return [path, *words[1:]]

    async def show(self, text: str) -> None:
        """Show ``text`` until the person leaves the pager."""
        # Without R, less shows escape sequences as text; without UTF-8, it shows non-ASCII as numbers, as
        # with LANG=C.
        environment = {"LESS": "R", "LESSCHARSET": "utf-8", **self._environment}
        try:
            process = await asyncio.create_subprocess_exec(
                *self.command(), stdin=asyncio.subprocess.PIPE, env=environment
            )
        except OSError as error:
            raise LocalIOError(f"the pager: {error.strerror or error}", hint=_HOW) from error
        try:
            # The pager was closed before it had read everything.
            with suppress(BrokenPipeError, ConnectionResetError):
                await process.communicate(text.encode("utf-8", "replace"))
        except asyncio.CancelledError:
            process.terminate()
            raise

    def _path_of(self, program: str) -> str | None:
        return shutil.which(program, path=self._environment.get("PATH"))
