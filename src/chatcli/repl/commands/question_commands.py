"""Slash commands that build a question: attached files, and suggestions."""

from __future__ import annotations

from asyncio import CancelledError
from typing import TYPE_CHECKING, Final

from chatcli.attachments.attached import AttachedPage, path_words, quoted, shown_size
from chatcli.core.errors import UsageError
from chatcli.repl.commands.command import Choice, Command, say_rows, whole_number
from chatcli.repl.loaded_files import load
from chatcli.repl.question_attachments import attached_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chatcli.attachments.attached import Attachment
    from chatcli.repl.repl_session import ReplSession


_REMOVED: Final = "-"
_ALL: Final = "-all"


async def _file(repl: ReplSession, argument: str) -> None:
    attachments = repl.attachments
    if not argument:
        _list_attachments(repl)
        return
    for name in _named_paths(argument):
        if name == _ALL:
            attachments.take()
        elif name.startswith(_REMOVED) and len(name) > 1:
            attachments.remove(name.removeprefix(_REMOVED))
        else:
            try:
                await attachments.add(name)
            except CancelledError:
                repl.frontend.remark(f"stopped: {name} is not attached")
                raise
    repl.frontend.remark(attached_line(attachments.named) or "removed all attachments")


def _list_attachments(repl: ReplSession) -> None:
    rows = [(attached.name, _size_of(attached)) for attached in repl.attachments.named]
    if rows:
        say_rows(repl, rows)
        repl.frontend.remark("sent with the next question; /file -PATH removes one, /file -all removes all")
    else:
        repl.frontend.remark(
            "nothing is attached; /file PATH or @PATH in a question attaches a text file or a web page"
        )


def _size_of(attached: Attachment) -> str:
    return attached.facts if isinstance(attached, AttachedPage) else shown_size(attached.size_bytes)


def _named_paths(argument: str) -> list[str]:
    try:
        return path_words(argument)
    except ValueError as error:
        raise UsageError(
            f"unbalanced quote in {argument}", hint='write a path with spaces as "my notes.md"'
        ) from error


async def _attached(repl: ReplSession) -> Iterable[Choice]:
    named = [Choice(_REMOVED + quoted(attached.name), "remove it") for attached in repl.attachments.named]
    return [*named, Choice(_ALL, "remove all")] if len(named) > 1 else named


async def _suggestions(repl: ReplSession, argument: str) -> None:
    ahead, proposals = repl.between_turns.ahead, repl.between_turns.proposals
    if not repl.settings.prefetch:
        raise UsageError(
            "follow-up questions are suggested only with prefetch",
            hint="/config prefetch 1 turns it on for this run",
        )
    if ahead is None or not proposals:
        reason = f": {ahead.reason}" if ahead is not None and ahead.reason else ""
        repl.frontend.remark(f"no suggestions{reason}")
        return
    if argument:
        number = whole_number(argument)
        if not 1 <= number <= len(proposals):
            raise UsageError(f"there is no suggestion {number}", hint="/suggestions lists them")
        repl.frontend.draft(proposals[number - 1])
        return
    say_rows(
        repl,
        [
            (f"{number}", proposal, "answered" if ahead.is_answered(proposal) else "")
            for number, proposal in enumerate(proposals, start=1)
        ],
    )
    repl.frontend.remark("/suggestions N puts one into the composer")


async def _proposed(repl: ReplSession) -> Iterable[Choice]:
    proposals = repl.between_turns.proposals
    return [Choice(f"{number}", proposal) for number, proposal in enumerate(proposals, start=1)]


def load_of(command_name: Callable[[str], str | None]) -> Command:
    """Return the ``/load`` command; ``command_name`` returns the command of a name or alias."""

    async def run(repl: ReplSession, argument: str) -> None:
        if not argument:
            raise UsageError("which file?", hint="/load FILE runs its questions and commands, one a line")
        await load(repl, _named_paths(argument), command_name)

    return Command("load", "run the questions and commands of a file", run, "FILE", takes_paths=True)


COMMANDS: Final = (
    Command(
        "file",
        "attach text files and web pages to the next question, or list them",
        _file,
        "[PATH|URL... | -PATH | -all]",
        _attached,
        takes_paths=True,
    ),
    Command("suggestions", "list likely follow-up questions, or choose one", _suggestions, "[N]", _proposed),
)
