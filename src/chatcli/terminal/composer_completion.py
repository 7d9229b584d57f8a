"""Completion of slash commands, their arguments, and mentioned files."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from prompt_toolkit.buffer import CompletionState
from prompt_toolkit.completion import CompleteEvent, Completer, Completion

from chatcli.app.threads import in_thread
from chatcli.attachments.attached import open_mention, quoted, shown_size, unquoted
from chatcli.core.errors import ChatcliError
from chatcli.core.typed_paths import typed_path
from chatcli.text.lazy_pattern import lazy_pattern
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Iterator

    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.document import Document

    from chatcli.repl.commands.command import Choice, Command
    from chatcli.repl.repl_session import ReplSession


_LAST_WORD: Final = lazy_pattern(r"""(?:"[^"]*|'[^']*|(?:\\.|[^\s"'\\])*)\Z""")


class CommandCompleter(Completer):
    """Completes the usable commands, then their arguments, each with its meaning, and files after ``@``.

    ``repl`` is set once there is a conversation.
    """

    repl: ReplSession | None = None

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002
        """Yield nothing: arguments may need a request, which only ``get_completions_async`` can make."""
        return ()

    async def get_completions_async(
        self, document: Document, complete_event: CompleteEvent
    ) -> AsyncGenerator[Completion, None]:
        for completion in await self._found(document.text_before_cursor, complete_event):
            yield completion

    async def _found(self, before: str, complete_event: CompleteEvent) -> list[Completion]:
        if self.repl is None:
            return []
        if before.startswith("/") and "\n" not in before:
            return await self._of_command(before, complete_event, self.repl)
        word = open_mention(before)
        return [] if word is None else await _paths(word)

    async def _of_command(
        self, before: str, complete_event: CompleteEvent, repl: ReplSession
    ) -> list[Completion]:
        from chatcli.repl.commands import COMMANDS, named  # noqa: PLC0415 - the prompt needs no command yet

        name, blank, argument = before[1:].partition(" ")
        if not blank:
            commands = [
                _completion(f"/{begun}", each.summary, len(before))
                for each in COMMANDS
                if (begun := _name_beginning(name, each)) and each.applies(repl)
            ]
            return [*commands, *await _template_names(repl, name, before)]
        meant = named(name)
        if meant is None:
            return await _of_template(repl, name, argument)
        if not meant.applies(repl):
            return []
        written = argument.lstrip()
        found = [
            _completion(choice.text, choice.meaning, len(written))
            for choice in await self._choices(meant, repl)
            if written.lower() in choice.text.lower()
        ]
        # The disk is read only on request.
        if meant.takes_paths and complete_event.completion_requested:
            found += await _paths(_last_word(argument))
        return found

    async def _choices(self, command: Command, repl: ReplSession) -> Iterable[Choice]:
        try:
            return await command.choices(repl)
        except ChatcliError:
            # The person asked for nothing yet. The command itself will report the error.
            return ()


async def _template_names(repl: ReplSession, begun: str, before: str) -> list[Completion]:
    from chatcli.repl.commands import named  # noqa: PLC0415 - as above
    from chatcli.repl.commands.template_commands import all_templates, summarized  # noqa: PLC0415

    entries = [
        entry
        for entry in await all_templates(repl)
        if entry.name.startswith(begun) and named(entry.name) is None
    ]
    found = await summarized(repl, entries)
    return [_completion(f"/{choice.text}", choice.meaning, len(before)) for choice in found]


async def _of_template(repl: ReplSession, name: str, argument: str) -> list[Completion]:
    from chatcli.repl.commands.template_commands import all_templates, variables  # noqa: PLC0415 - as above

    if all(entry.name != name for entry in await all_templates(repl)):
        return []
    if (mention := open_mention(argument)) is not None:
        return await _paths(mention)
    begun = argument.rpartition(" ")[2]
    return [
        _completion(choice.text, choice.meaning, len(begun))
        for choice in await variables(repl, name)
        if choice.text.startswith(begun) and f" {choice.text}" not in f" {argument}"
    ]


async def _paths(word: str) -> list[Completion]:
    found = await in_thread(lambda: path_choices(word))
    return [_completion(choice.word, choice.meaning, len(word), shown=choice.shown) for choice in found]


def _last_word(argument: str) -> str:
    return _LAST_WORD.search(argument)[0]  # type: ignore[index]  # it matches nothing at all as well


def _name_beginning(written: str, command: Command) -> str | None:
    """Return the name of the first command with that beginning, else the first alias."""
    return next((each for each in (command.name, *command.aliases) if each.startswith(written)), None)


def _completion(text: str, meaning: str, replaced: int, *, shown: str | None = None) -> Completion:
    display = sanitize_line(text if shown is None else shown)
    return Completion(text, -replaced, display=display, display_meta=sanitize_line(meaning))


class Completing:
    """Inserts the first completion of the text in ``buffer``, and the next ones after that.

    prompt_toolkit ignores a key pressed while it is collecting automatic completions: typing a few letters
    and Tab at once would do nothing.
    """

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self._looking: asyncio.Future[None] | None = None

    @property
    def offers(self) -> bool:
        state = self._buffer.complete_state
        return state is not None and bool(state.completions)

    def forward(self) -> None:
        if self.offers and not self._took_a_folder():
            self._buffer.complete_next()
            return
        if self._looking is not None:
            self._looking.cancel()
        self._looking = asyncio.ensure_future(self._take_first(self._buffer.document))

    def back(self) -> None:
        if self.offers:
            self._buffer.complete_previous()

    def _took_a_folder(self) -> bool:
        """Whether the only completion was inserted and is a folder: its contents come next."""
        state = self._buffer.complete_state
        is_taken = state is not None and state.current_completion is not None and len(state.completions) == 1
        return is_taken and self._buffer.document.char_before_cursor == "/"

    async def _take_first(self, document: Document) -> None:
        buffer = self._buffer
        event = CompleteEvent(completion_requested=True)
        async with aclosing(buffer.completer.get_completions_async(document, event)) as found:
            completions = [completion async for completion in found]
        if not completions or buffer.document != document:
            return
        buffer.complete_state = CompletionState(document, completions)
        buffer.go_to_completion(0)
        if len(completions) == 1 and buffer.document == document:
            buffer.complete_state = None
        buffer.on_completions_changed.fire()


_MOST_LOOKED_AT: Final = 5_000
_MOST_OFFERED: Final = 200
_QUOTES: Final = frozenset("\"'")
_HIDDEN: Final = "."


class PathChoice(NamedTuple):
    """A completed word, its label, and its kind."""

    word: str
    shown: str
    meaning: str


def path_choices(word: str) -> list[PathChoice]:
    """Return the completions of ``word``, quoted or not: files, and folders with a slash at the end.

    Names with that beginning are listed before those that contain it. Hidden ones are listed if the name
    begins with a dot.
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
        # "/" alone is the root, an empty name the working folder.
        where = typed_path(folder or before or ".")
        with os.scandir(where) as entries:
            return list(islice(_printable(entries), _MOST_LOOKED_AT))
    except (OSError, ValueError):
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
    # A folder's quote stays open, for its contents.
    word = word[:-1] if is_folder and word[-1] in _QUOTES else word
    return PathChoice(word, entry.name + end, meaning)
