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
from chatcli.cli.line_frontend import LineFrontend
from chatcli.cli.outputs import line_writer, status_output
from chatcli.cli.setup import settings_reloader
from chatcli.cli.signals import until_signalled
from chatcli.cli.typed_lines import TypedLines
from chatcli.cli.words import PLAIN, USUAL
from chatcli.core.exit_codes import ExitCode
from chatcli.render.theme_in_force import ThemeInForce
from chatcli.repl.commands import run_command
from chatcli.repl.model_connection import Connection
from chatcli.repl.onboarding import NO_MODEL_YET, is_model_set_up, onboard
from chatcli.repl.pickable_sessions import pickable_sessions
from chatcli.repl.question_attachments import Attachments
from chatcli.repl.repl_session import ReplSession
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
        self._frontend = LineFrontend(
            options,
            terminal,
            self._lines,
            settings=lambda: self._repl.settings,
            chat=lambda: self._repl.chat,
            plain=settings.plain,
        )
        wish = wish_of(options)
        tell = status_output(options, settings, terminal).tell
        self._repl = ReplSession(
            self._frontend,
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
                approve=lambda told: self._repl.approves(told),  # noqa: PLW0108 - made here
            ),
            theme=ThemeInForce(lambda: self._repl.settings.theme, None),
            run_command=run_command,
            reload_settings=settings_reloader(options, world, terminal),
            verbose=options.verbose,
            attachments=Attachments(terminal.encoding_hints(options.encoding)),
            # Nor is anything done between two lines: what a summary takes is waited for with the next question.
            patience_s=_PATIENCE_S,
        )

    def run(self) -> ExitCode:
        repl = self._repl
        with asyncio.Runner() as runner, ExitStack() as at_the_end:
            at_the_end.callback(lambda: repl.chat.close())  # noqa: PLW0108 - another conversation may come
            at_the_end.callback(lambda: runner.run(repl.connection.close()))
            at_the_end.callback(lambda: runner.run(repl.between_turns.stop()))
            if self._options.resume and not runner.run(self._choose_session()):
                return ExitCode.DONE
            runner.run(self._begin())
            if not repl.is_leaving:
                self._terminal.warn(
                    self._words.greeting.format(sanitize_line(repl.chat.turns.connected.model_name))
                )
                self._show_last_exchange()
            while not repl.is_leaving and (line := self._read_line()) is not None:
                if line.strip() and (code := self._take(runner, line)):
                    return code
        self._terminal.warn(self._farewell())
        return ExitCode.DONE

    async def _choose_session(self) -> bool:
        """Let the person choose the session that is gone on with; return whether they did."""
        repl = self._repl
        with pickable_sessions(repl.world, repl.chat) as pickable:
            chosen = await self._frontend.choose_session(pickable, everywhere=self._options.everywhere)
        if chosen is None:
            return False
        wish = replace(repl.wish, session=chosen)
        fresh, repl.chat = repl.chat, open_session(repl.settings, wish, repl.world)
        fresh.close()
        return True

    async def _begin(self) -> None:
        repl = self._repl
        is_seen = self._terminal.stdout.is_terminal
        if is_seen and not is_model_set_up(repl.settings, repl.wish, repl.world):
            self._frontend.say(NO_MODEL_YET)
            if not await onboard(repl) and (repl.is_leaving or self._frontend.was_left):
                repl.is_leaving = True
                return
        if repl.chat.target is None:
            repl.chat.connect(await repl.connection.replace(repl.chat, repl.settings))
        Thread(target=repl.chat.turns.load_vocabulary, daemon=True).start()
        repl.tell_what_became_of_the_file()

    def _take(self, runner: asyncio.Runner, line: str) -> ExitCode:
        """Do what ``line`` says, and return the code of a signal that is to end more than that."""

        async def take() -> ExitCode:
            await self._repl.take(line)
            return ExitCode.DONE

        code = ExitCode.INTERRUPTED
        # Ctrl-C in the moment before the turn or after it.
        with suppress(KeyboardInterrupt):
            code = runner.run(until_signalled(take(), hurry=self._terminal.hurry))
        self._terminal.hurry(False)
        if code is not ExitCode.INTERRUPTED:
            return code
        self._frontend.pause()
        return ExitCode.DONE

    def _read_line(self) -> str | None:
        """Return the next line, ``None`` when the person leaves."""
        while True:
            try:
                return self._lines.next(self._frontend.prompt)
            except KeyboardInterrupt:
                self._terminal.stdout.write("\n")

    def _show_last_exchange(self) -> None:
        session = self._repl.chat.session
        path = [record.message for record in session.path() if record.message.role != "system"]
        if not path:
            return
        earlier = sum(message.role == "user" for message in path[:-2])
        if earlier:
            self._say(f"… {earlier} earlier turn{'' if earlier == 1 else 's'}")
        for message in path[-2:]:
            show = self._frontend.question if message.role == "user" else self._frontend.answer
            show(message.text)

    def _farewell(self) -> str:
        chat = self._repl.chat
        is_kept = chat.opened.file is not None and chat.opened.file.path.exists()
        return (
            self._words.resume.format(sanitize_line(shell_word(chat.opened.name or "")))
            if is_kept
            else self._words.farewell
        )
