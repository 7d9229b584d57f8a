"""``/file``: text files that go with the next question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.attachments.attached import shown_size
from chatcli.attachments.path_words import path_words, quoted
from chatcli.core.errors import UsageError
from chatcli.render.text_columns import sentences, table
from chatcli.repl.commands.command import Choice, Command
from chatcli.repl.question_attachments import attached_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.repl.repl_session import ReplSession

_AWAY: Final = "-"
_ALL: Final = "-all"


async def _run(repl: ReplSession, argument: str) -> None:
    attachments = repl.attachments
    if not argument:
        _list(repl)
        return
    for name in _names(argument):
        if name == _ALL:
            attachments.take()
        elif name.startswith(_AWAY) and len(name) > 1:
            attachments.remove(name.removeprefix(_AWAY))
        else:
            await attachments.add(name)
    repl.frontend.remark(attached_line(attachments.named) or "removed all attachments")


def _list(repl: ReplSession) -> None:
    rows = [(attached.name, shown_size(attached.size_bytes)) for attached in repl.attachments.named]
    if rows:
        is_spoken = repl.settings.plain
        repl.frontend.say(sentences(rows) if is_spoken else table(rows, repl.frontend.columns()))
        repl.frontend.remark("sent with the next question; /file -PATH removes one, /file -all removes all")
    else:
        repl.frontend.remark("nothing is attached; /file PATH or @PATH in a question attaches a text file")


def _names(argument: str) -> list[str]:
    try:
        return path_words(argument)
    except ValueError as error:
        raise UsageError(
            f"unbalanced quote in {argument}", hint='write a path with spaces as "my notes.md"'
        ) from error


async def _choices(repl: ReplSession) -> Iterable[Choice]:
    named = [Choice(_AWAY + quoted(attached.name), "remove it") for attached in repl.attachments.named]
    return [*named, Choice(_ALL, "remove all")] if len(named) > 1 else named


COMMAND = Command(
    "file",
    "attach text files to the next question, or list them",
    _run,
    "[PATH... | -PATH | -all]",
    _choices,
    takes_paths=True,
)
