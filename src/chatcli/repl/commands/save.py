"""``/save``: keep the conversation under a name of one's own, or a block of code in a file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import LocalIOError, UsageError
from chatcli.repl.commands.command import Command
from chatcli.repl.commands.copy import code_block

if TYPE_CHECKING:
    from chatcli.repl.repl_session import ReplSession

_WHOLE: Final = "/save NAME saves the whole conversation"
_BLOCK: Final = re.compile(r"(?P<number>\d+)\s+(?P<path>\S.*)", re.DOTALL)


async def _run(repl: ReplSession, argument: str) -> None:
    if block := _BLOCK.fullmatch(argument):
        await _save_block(repl, int(block["number"]), block["path"])
        return
    chat = repl.chat
    if argument.isdecimal():
        code_block(repl, int(argument), otherwise=_WHOLE)
        raise UsageError(
            f"/save {argument} needs a path", hint=f"/save {argument} PATH writes code block {argument}"
        )
    if argument:
        chat.opened.save_as(chat.opened.store.resolve(argument))
        repl.frontend.remark(f"saved as {chat.opened.name}; continuing there")
    elif chat.opened.file is None or not chat.opened.is_kept:
        chat.opened.save_as(chat.opened.store.new())
        repl.frontend.remark(f"saving from now on, as {chat.opened.name}")
    else:
        repl.frontend.remark(f"already saved in {chat.opened.file.path}; /save NAME makes a copy")


async def _save_block(repl: ReplSession, number: int, named: str) -> None:
    code = code_block(repl, number, otherwise=_WHOLE)
    try:
        path = Path(named).expanduser()  # noqa: ASYNC240 - looks up a name
        if _is_there(path) and not await repl.frontend.confirm(f"{path} already exists. Overwrite?"):
            repl.frontend.remark("nothing was written")
            return
        _write(path, code)
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise LocalIOError(
            f"cannot write {named}: {reason}",
            hint="give another path, or create its folder",
            code="not_written",
        ) from error
    repl.frontend.remark(f"code block {number} saved to {path}")


def _is_there(path: Path) -> bool:
    """Return whether there is such a file. Raise ``OSError`` for what is none: a pipe would be waited for."""
    if path.exists() and not path.is_file():
        raise OSError(None, "it is not a regular file")
    return path.exists()


def _write(path: Path, code: str) -> None:
    path.write_text(code, encoding="utf-8", errors="replace", newline="\n")


COMMAND = Command(
    "save",
    "save the conversation under another name, or code block N to a file",
    _run,
    "[NAME|PATH|N PATH]",
)
