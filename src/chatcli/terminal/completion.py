"""Completion of slash commands, their arguments, and files that are mentioned."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from prompt_toolkit.completion import CompleteEvent, Completer, Completion

from chatcli.attachments.attached import open_mention
from chatcli.core.errors import ChatcliError
from chatcli.repl.commands import COMMANDS, named
from chatcli.repl.threads import in_thread
from chatcli.terminal.path_completion import path_choices
from chatcli.text.terminal import sanitize_line

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from prompt_toolkit.document import Document

    from chatcli.repl.commands.command import Choice, Command
    from chatcli.repl.talk import Talk

_LAST_WORD: Final = re.compile(r"""(?:"[^"]*|'[^']*|(?:\\.|[^\s"'\\])*)\Z""")


class CommandCompleter(Completer):
    """Offers the commands that apply now, then what their argument can be, each with what it means; files behind ``@``.

    ``talk`` is set once there is a conversation.
    """

    talk: Talk | None = None

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002
        """Offer nothing: arguments may have to be asked for, which only ``get_completions_async`` can."""
        return ()

    async def get_completions_async(
        self, document: Document, complete_event: CompleteEvent
    ) -> AsyncGenerator[Completion, None]:
        for completion in await self._found(document.text_before_cursor, complete_event):
            yield completion

    async def _found(self, before: str, complete_event: CompleteEvent) -> list[Completion]:
        if self.talk is None:
            return []
        if before.startswith("/") and "\n" not in before:
            return await self._of_command(before, complete_event, self.talk)
        word = open_mention(before)
        return [] if word is None else await _paths(word)

    async def _of_command(self, before: str, complete_event: CompleteEvent, talk: Talk) -> list[Completion]:
        name, blank, argument = before[1:].partition(" ")
        if not blank:
            return [
                _completion(f"/{begun}", each.summary, len(before))
                for each in COMMANDS
                if (begun := _name_beginning(name, each)) and each.applies(talk)
            ]
        meant = named(name)
        if meant is None or not meant.applies(talk):
            return []
        written = argument.lstrip()
        found = [
            _completion(choice.text, choice.meaning, len(written))
            for choice in await self._choices(meant, talk)
            if written.lower() in choice.text.lower()
        ]
        # A disk is only looked at when that is asked for.
        if meant.takes_paths and complete_event.completion_requested:
            found += await _paths(_last_word(argument))
        return found

    async def _choices(self, command: Command, talk: Talk) -> Iterable[Choice]:
        try:
            return await command.choices(talk)
        except ChatcliError:
            # Nobody asked for anything yet. The command itself will say what is wrong.
            return ()


async def _paths(word: str) -> list[Completion]:
    found = await in_thread(lambda: path_choices(word))
    return [_completion(choice.word, choice.meaning, len(word), shown=choice.shown) for choice in found]


def _last_word(argument: str) -> str:
    return _LAST_WORD.search(argument)[0]  # type: ignore[index]  # it matches nothing at all as well


def _name_beginning(written: str, command: Command) -> str | None:
    """Return the name of the command that begins so, else such an alias."""
    return next((each for each in (command.name, *command.aliases) if each.startswith(written)), None)


def _completion(text: str, meaning: str, replaced: int, *, shown: str | None = None) -> Completion:
    display = sanitize_line(text if shown is None else shown)
    return Completion(text, -replaced, display=display, display_meta=sanitize_line(meaning))
