"""Completion of slash commands and their arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prompt_toolkit.completion import CompleteEvent, Completer, Completion

from chatcli.core.errors import ChatcliError
from chatcli.repl.commands import COMMANDS
from chatcli.safety.terminal import sanitize_line

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from prompt_toolkit.document import Document

    from chatcli.repl.commands.command import Choice, Command
    from chatcli.repl.talk import Talk


class CommandCompleter(Completer):
    """Offers the commands that apply now, then what their argument can be, each with what it means.

    ``talk`` is set once there is a conversation.
    """

    talk: Talk | None = None

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002
        """Offer nothing: arguments may have to be asked for, which only ``get_completions_async`` can."""
        return ()

    async def get_completions_async(
        self,
        document: Document,
        complete_event: CompleteEvent,  # noqa: ARG002
    ) -> AsyncGenerator[Completion, None]:
        before = document.text_before_cursor
        if self.talk is None or not before.startswith("/") or "\n" in before:
            return
        name, blank, argument = before[1:].partition(" ")
        if not blank:
            for command in _matching(name, self.talk):
                yield _completion(f"/{command.name}", command.summary, len(before))
            return
        for choice in await self._choices(name):
            if argument.lstrip().lower() in choice.text.lower():
                yield _completion(choice.text, choice.meaning, len(argument.lstrip()))

    async def _choices(self, name: str) -> Iterable[Choice]:
        command = next((command for command in COMMANDS if command.name == name), None)
        if self.talk is None or command is None or not command.applies(self.talk):
            return ()
        try:
            return await command.choices(self.talk)
        except ChatcliError:
            # Nobody asked for anything yet. The command itself will say what is wrong.
            return ()


def _matching(name: str, talk: Talk) -> Iterable[Command]:
    return (command for command in COMMANDS if command.name.startswith(name) and command.applies(talk))


def _completion(text: str, meaning: str, replaced: int) -> Completion:
    return Completion(text, -replaced, display=sanitize_line(text), display_meta=sanitize_line(meaning))
