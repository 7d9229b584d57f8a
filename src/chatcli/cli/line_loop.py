"""Talking line by line, on any terminal: a prompt, a question or a command, an answer."""

from __future__ import annotations

import asyncio
import math
from contextlib import ExitStack, suppress
from dataclasses import replace
from threading import Thread
from typing import TYPE_CHECKING, Final

from chatcli.app.wiring import open_session
from chatcli.attachments.path_words import shell_word
from chatcli.cli.ask import wish_of
from chatcli.cli.line_surface import LineSurface
from chatcli.cli.outputs import line_writer, status_output
from chatcli.cli.setup import resettling
from chatcli.cli.signals import until_signalled
from chatcli.cli.typed_lines import TypedLines
from chatcli.cli.words import PLAIN, USUAL
from chatcli.core.exit_codes import ExitCode
from chatcli.render.theme_in_force import ThemeInForce
from chatcli.repl.commands import run_command
from chatcli.repl.model_connection import Connection
from chatcli.repl.pickable_sessions import pickable_sessions
from chatcli.repl.question_attachments import Attachments
from chatcli.repl.talk import Talk
from chatcli.repl.way_in import NO_MODEL_YET, choose_way_in, has_way_in
from chatcli.text.terminal import sanitize_line

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.app.run_context import RunContext
    from chatcli.cli.terminal import Terminal
    from chatcli.config.settings import Settings

_PATIENCE_S: Final = 60.0


def line_loop(options: Namespace, settings: Settings, world: RunContext, terminal: Terminal) -> ExitCode:
    """Take what is typed until the person leaves with Ctrl-D or ``exit``.

    Ctrl-C stops what is going on, never the program.
    """
    return _LineLoop(options, settings, world, terminal).run()


class _LineLoop:
    def __init__(self, options: Namespace, settings: Settings, world: RunContext, terminal: Terminal) -> None:
        self._options = options
        self._terminal = terminal
        self._words = PLAIN if settings.plain else USUAL
        self._say = line_writer(terminal, plain=settings.plain)
        self._lines = TypedLines(terminal)
        self._surface = LineSurface(
            options,
            terminal,
            self._lines,
            settings=lambda: self._talk.settings,
            chat=lambda: self._talk.chat,
            plain=settings.plain,
        )
        wish = wish_of(options)
        tell = status_output(options, settings, terminal).tell
        self._talk = Talk(
            self._surface,
            open_session(settings, wish, world),
            settings=settings,
            wish=wish,
            world=world,
            # Reading a line holds the loop up: whatever has to be loaded is loaded when it is needed.
            connection=Connection(
                wish,
                world,
                tell,
                idle_s=lambda: math.inf,
                draws=False,
                approve=lambda told: self._talk.approves(told),  # noqa: PLW0108 - made here
            ),
            theme=ThemeInForce(lambda: self._talk.settings.theme, None),
            run_command=run_command,
            resettle=resettling(options, world, terminal),
            verbose=options.verbose,
            attachments=Attachments(terminal.encoding_hints(options.encoding)),
            # Nor is anything done between two lines: what a summary takes is waited for with the next question.
            patience_s=_PATIENCE_S,
        )

    def run(self) -> ExitCode:
        talk = self._talk
        with asyncio.Runner() as runner, ExitStack() as at_the_end:
            at_the_end.callback(lambda: talk.chat.close())  # noqa: PLW0108 - another conversation may come
            at_the_end.callback(lambda: runner.run(talk.connection.close()))
            at_the_end.callback(lambda: runner.run(talk.between_turns.stop()))
            if self._options.resume and not runner.run(self._choose_session()):
                return ExitCode.DONE
            runner.run(self._begin())
            if not talk.is_leaving:
                self._terminal.warn(
                    self._words.greeting.format(sanitize_line(talk.chat.turns.connected.model_name))
                )
                self._show_last_exchange()
            while not talk.is_leaving and (line := self._read_line()) is not None:
                if line.strip() and (code := self._take(runner, line)):
                    return code
        self._terminal.warn(self._farewell())
        return ExitCode.DONE

    async def _choose_session(self) -> bool:
        """Let the person choose the session that is gone on with; return whether they did."""
        talk = self._talk
        with pickable_sessions(talk.world, talk.chat) as pickable:
            chosen = await self._surface.choose_session(pickable, everywhere=self._options.everywhere)
        if chosen is None:
            return False
        wish = replace(talk.wish, session=chosen)
        fresh, talk.chat = talk.chat, open_session(talk.settings, wish, talk.world)
        fresh.close()
        return True

    async def _begin(self) -> None:
        talk = self._talk
        is_seen = self._terminal.stdout.is_terminal
        if is_seen and not has_way_in(talk.settings, talk.wish, talk.world):
            self._surface.say(NO_MODEL_YET)
            if not await choose_way_in(talk) and (talk.is_leaving or self._surface.was_left):
                talk.is_leaving = True
                return
        if talk.chat.target is None:
            talk.chat.connect(await talk.connection.replace(talk.chat, talk.settings))
        Thread(target=talk.chat.turns.load_vocabulary, daemon=True).start()
        talk.tell_what_became_of_the_file()

    def _take(self, runner: asyncio.Runner, line: str) -> ExitCode:
        """Do what ``line`` says, and return the code of a signal that is to end more than that."""

        async def take() -> ExitCode:
            await self._talk.take(line)
            return ExitCode.DONE

        code = ExitCode.INTERRUPTED
        # Ctrl-C in the moment before the turn or after it.
        with suppress(KeyboardInterrupt):
            code = runner.run(until_signalled(take(), hurry=self._terminal.hurry))
        self._terminal.hurry(False)
        if code is not ExitCode.INTERRUPTED:
            return code
        self._surface.pause()
        return ExitCode.DONE

    def _read_line(self) -> str | None:
        """Return the next line, ``None`` when the person leaves."""
        while True:
            try:
                return self._lines.next(self._surface.prompt)
            except KeyboardInterrupt:
                self._terminal.stdout.write("\n")

    def _show_last_exchange(self) -> None:
        session = self._talk.chat.session
        path = [record.message for record in session.path() if record.message.role != "system"]
        if not path:
            return
        earlier = sum(message.role == "user" for message in path[:-2])
        if earlier:
            self._say(f"… {earlier} earlier turn{'' if earlier == 1 else 's'}")
        for message in path[-2:]:
            show = self._surface.question if message.role == "user" else self._surface.answer
            show(message.text)

    def _farewell(self) -> str:
        chat = self._talk.chat
        is_kept = chat.opened.file is not None and chat.opened.file.path.exists()
        return (
            self._words.resume.format(sanitize_line(shell_word(chat.opened.name or "")))
            if is_kept
            else self._words.farewell
        )
