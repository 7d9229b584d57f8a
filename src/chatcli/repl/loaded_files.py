"""Files of questions and commands, run line by line as if they were typed: ``/load`` and ``--load``.

A file that may have come from elsewhere can do what a conversation does: ask, take back, change the model. What
reaches further (files, programs, endpoints, other sessions) it may do only if it lies in the person's
configuration folder, or if they agree to the lines that are shown to them.
"""

from __future__ import annotations

import errno
from asyncio import CancelledError
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.attachments.attached import mentioned
from chatcli.core.errors import LocalIOError, UsageError
from chatcli.core.typed_paths import typed_path
from chatcli.repl.repl_session import split_command
from chatcli.storage.private_files import read_regular_or_pipe
from chatcli.text.shortening import shortened
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatcli.repl.repl_session import ReplSession

_COMMENT: Final = "#"
_QUOTES: Final = '"""'
_LONGEST_BYTES: Final = 1_000_000
_PATIENCE_S: Final = 10.0
_DEEPEST: Final = 5
_MOST_SHOWN: Final = 10
_LONGEST_SHOWN: Final = 400

STAYS_IN_CONVERSATION: Final = frozenset(
    (
        *("suggestions", "t", "retry", "continue", "undo", "alt", "tree", "btw", "new", "title", "clear"),
        *("context", "tokens", "compact", "pin", "unpin", "drop", "note", "system", "model"),
        *("reasoning", "theme", "cost", "stats", "status", "verbose", "help", "keys", "exit"),
    )
)
"""The commands that a file from anywhere may give. Any other one may write or read files (``/load`` sends their lines),
run programs, or lead elsewhere."""


class LoadedLine(NamedTuple):
    """A question or command of a file, and the line where it begins."""

    text: str
    number: int


@dataclass(slots=True)
class LoadedFile:
    """A file that is run: its name as it was given, its path, and the lines that are left."""

    name: str
    path: Path
    lines: deque[LoadedLine] = field(default_factory=deque)


def read_lines(text: str, where: str) -> list[LoadedLine]:
    """Return the questions and commands of ``text``.

    Empty lines and those that begin with ``#`` are skipped. A text between three quotes has several lines, alone
    or behind a command. Raise ``UsageError``, mentioning ``where``, if it does not end.
    """
    lines: list[LoadedLine] = []
    # A text of several lines: what stands before its quotes, and its lines so far.
    command, begun, number = "", list[str](), 0
    is_open = False
    for at, written in enumerate(text.splitlines(), start=1):
        line = written.strip()
        if is_open:
            is_open = not line.endswith(_QUOTES)
            begun.append(written if is_open else written.rstrip().removesuffix(_QUOTES))
        elif not line or line.startswith(_COMMENT):
            continue
        elif line.startswith(_QUOTES):
            command, number, rest = "", at, line.removeprefix(_QUOTES)
            is_open = not rest.endswith(_QUOTES)
            begun = [rest.removesuffix(_QUOTES)]
        elif line.startswith("/") and line.endswith(_QUOTES):
            command, number, begun, is_open = f"{line.removesuffix(_QUOTES).rstrip()} ", at, [], True
        else:
            command, number, begun = "", at, [line]
        if not is_open:
            lines.append(LoadedLine(f"{command}{chr(10).join(begun).strip(chr(10))}".rstrip(), number))
    if is_open:
        raise UsageError(
            f"{where}:{number}: a text that begins here has no end", hint=f"end it with {_QUOTES}"
        )
    return [line for line in lines if line.text]


def reaches_further(line: str, command_name: Callable[[str], str | None]) -> bool:
    """Whether ``line`` acts on more than the conversation; ``command_name`` returns the command of a name or alias."""
    if mentioned(line):
        return True
    command = split_command(line)
    name = None if command is None else command_name(command[0])
    return name is not None and name not in STAYS_IN_CONVERSATION


async def load(repl: ReplSession, names: Sequence[str], command_name: Callable[[str], str | None]) -> None:
    """Read the files ``names``, which are run after the submission in hand.

    Let the person decide about lines that reach further, unless it is their own file. Raise a ``ChatcliError`` if
    one cannot be read, or nobody can decide.
    """
    files = []
    for name in names:
        path = _path(name)
        if path in repl.loading:
            raise UsageError(f"{name} is being run already", hint="remove the /load that leads back to it")
        if len(repl.loading) == _DEEPEST:
            raise UsageError(f"more than {_DEEPEST} files load each other", hint="load fewer")
        file = LoadedFile(name, path, deque(read_lines(_text_of(path, name), name)))
        far = [line for line in file.lines if reaches_further(line.text, command_name)]
        if far and not path.is_relative_to(_path(str(repl.context.paths.config))):
            await _settle(repl, name, far)
        files.append(file)

    async def run() -> None:
        for file in files:
            await _run(repl, file)
            if not repl.was_completed or repl.is_leaving:
                break

    repl.follow_up = run


async def _run(repl: ReplSession, file: LoadedFile) -> None:
    """Run the lines of ``file``, until one fails, is stopped or declined, or leaves."""
    repl.frontend.remark(f"{file.name}: {counted(len(file.lines), 'line')}")
    if repl.frontend.can_ask:
        repl.frontend.pause()
    repl.loading.append(file.path)
    try:
        while file.lines and not repl.is_leaving:
            line = file.lines.popleft()
            repl.frontend.loaded(line.text)
            try:
                await repl.take(line.text)
            except CancelledError:
                _report(repl, file, line)
                raise
            if not repl.was_completed and not repl.is_leaving:
                _report(repl, file, line)
                break
    finally:
        repl.loading.remove(file.path)


def _report(repl: ReplSession, file: LoadedFile, line: LoadedLine) -> None:
    not_run = f"; {counted(len(file.lines), 'further line')} not run" if file.lines else ""
    repl.frontend.remark(f"{file.name}:{line.number}: stopped here{not_run}")


async def _settle(repl: ReplSession, name: str, far: Sequence[LoadedLine]) -> None:
    shown = [f"  {name}:{line.number}: {shortened(line.text, _LONGEST_SHOWN)}" for line in far[:_MOST_SHOWN]]
    if len(far) > _MOST_SHOWN:
        shown.append(f"  and {counted(len(far) - _MOST_SHOWN, 'more line')}")
    if not repl.frontend.can_ask:
        raise _refused(name, far[0], repl)
    repl.frontend.remark(
        f"{name} is not in your configuration folder, and these lines reach beyond the conversation:"
    )
    for line in shown:
        repl.frontend.remark(line)
    if not await repl.frontend.confirm("Run it with them?"):
        raise _refused(name, far[0], repl)


def _refused(name: str, line: LoadedLine, repl: ReplSession) -> UsageError:
    return UsageError(
        f"{name}:{line.number} reaches beyond the conversation: {shortened(line.text, _LONGEST_SHOWN)}",
        hint=f"read the file, and if you trust it, keep it in {repl.context.paths.config}",
        code="file_not_trusted",
    )


def _path(name: str) -> Path:
    try:
        return typed_path(name).resolve()
    except (OSError, RuntimeError, ValueError):  # a loop of links, a null character
        return Path(name)


def _text_of(path: Path, name: str) -> str:
    try:
        content = read_regular_or_pipe(path, most_bytes=_LONGEST_BYTES, patience_s=_PATIENCE_S)
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not UTF-8", hint="save it as UTF-8") from error
    except (OSError, ValueError) as error:
        is_too_large = getattr(error, "errno", None) == errno.EFBIG
        raise LocalIOError(
            f"cannot read {name}: {getattr(error, 'strerror', None) or error}",
            hint="split it into several files" if is_too_large else "check the path and its permissions",
        ) from error
