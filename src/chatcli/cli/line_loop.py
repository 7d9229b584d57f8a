"""Talking line by line, on any terminal: a prompt, a question, an answer."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from chatcli.app import open_chat
from chatcli.cli.ask import wish_of
from chatcli.cli.encodings import decode
from chatcli.cli.outputs import answer_output, line_writer, notification_output, status_output, waiting_output
from chatcli.cli.signals import until_signalled
from chatcli.cli.words import PLAIN, USUAL
from chatcli.conversation.play import play
from chatcli.core import messages
from chatcli.core.errors import UsageError
from chatcli.core.exit_codes import ExitCode
from chatcli.safety.terminal import sanitize, sanitize_line

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.chat import Chat
    from chatcli.cli.terminal import Terminal
    from chatcli.config.settings import Settings
    from chatcli.sessions.session import Session
    from chatcli.target import World

_FAREWELLS = frozenset({"exit", "quit", "/exit", "/quit"})


def line_loop(options: Namespace, settings: Settings, world: World, terminal: Terminal) -> ExitCode:
    """Ask what is typed until the person leaves with Ctrl-D or ``exit``. Ctrl-C stops an answer, never the program."""
    return _LineLoop(options, settings, world, terminal).run()


class _LineLoop:
    def __init__(self, options: Namespace, settings: Settings, world: World, terminal: Terminal) -> None:
        self._options = options
        self._settings = settings
        self._world = world
        self._terminal = terminal
        self._words = PLAIN if settings.plain else USUAL
        chosen = settings.origin("repl_prompt") != "default"
        self._prompt = settings.repl_prompt if chosen else self._words.prompt
        self._say = line_writer(terminal, plain=settings.plain)

    def run(self) -> ExitCode:
        status = status_output(self._options, self._settings, self._terminal)
        wish = replace(wish_of(self._options), talks=True)
        with asyncio.Runner() as runner:
            stack = AsyncExitStack()
            opening = open_chat(self._settings, wish, self._world, status.tell)
            chat = runner.run(stack.enter_async_context(opening))
            try:
                self._terminal.warn(self._words.greeting.format(sanitize_line(chat.model_name)))
                self._show_last_exchange(chat.session)
                while (line := self._read_line()) is not None:
                    if line.strip() and (code := self._turn(runner, chat, line)):
                        return code
            finally:
                runner.run(stack.aclose())
        self._terminal.warn(self._farewell(chat))
        return ExitCode.DONE

    def _turn(self, runner: asyncio.Runner, chat: Chat, line: str) -> ExitCode:
        """Ask, and return the code of a signal that is to end more than the answer."""
        world = self._options, self._settings, self._terminal

        async def turn() -> ExitCode:
            with answer_output(*world, speaker=self._words.speaker) as answer:
                waiting, status = waiting_output(*world, chat.hurry), status_output(*world)
                notifying = notification_output(*world, lambda: chat.title)
                await play(chat.send(messages.question(line)), *waiting, answer, status, *notifying)
            return ExitCode.DONE

        code = ExitCode.INTERRUPTED
        # Ctrl-C in the moment before the turn or after it.
        with suppress(KeyboardInterrupt):
            code = runner.run(until_signalled(turn(), hurry=self._terminal.hurry))
        self._terminal.hurry(False)
        if code not in {ExitCode.DONE, ExitCode.INTERRUPTED}:
            return code
        self._terminal.stdout.write("\n")
        return ExitCode.DONE

    def _read_line(self) -> str | None:
        """Return the next line, ``None`` when the person leaves."""
        terminal = self._terminal
        while True:
            try:
                terminal.stdout.write(self._prompt)
                content = terminal.stdin.readline() if terminal.stdin else b""
            except KeyboardInterrupt:
                terminal.stdout.write("\n")
                continue
            except OSError:  # the terminal is gone
                return None
            line = _decoded(content, terminal)
            if not content:
                terminal.stdout.write("\n")
            return None if not content or line.strip() in _FAREWELLS else line.rstrip("\r\n")

    def _show_last_exchange(self, session: Session) -> None:
        path = [record.message for record in session.path() if record.message.role != "system"]
        if not path:
            return
        earlier = sum(message.role == "user" for message in path[:-2])
        if earlier:
            self._say(f"… {earlier} earlier turn{'' if earlier == 1 else 's'}")
        for message in path[-2:]:
            who = self._prompt if message.role == "user" else self._words.speaker
            self._terminal.stdout.write(f"{who}{sanitize(message.text)}\n")

    def _farewell(self, chat: Chat) -> str:
        name = chat.manager.session_name
        is_kept = name and chat.manager.history.turns
        return self._words.resume.format(sanitize_line(name or "")) if is_kept else self._words.farewell


def _decoded(content: bytes, terminal: Terminal) -> str:
    try:
        return decode(content, "the line", locale_encoding=terminal.locale_encoding).text
    except UsageError:
        return content.decode("utf-8", "replace")
