"""Talking line by line, on any terminal: a prompt, a question or a command, an answer."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress
from threading import Thread
from typing import TYPE_CHECKING

from chatcli.cli.ask import wish_of
from chatcli.cli.line_frontend import LineFrontend
from chatcli.cli.setup import settings_reloader
from chatcli.cli.signals import until_signalled
from chatcli.cli.typed_lines import TypedLines
from chatcli.core.exit_codes import ExitCode
from chatcli.render.theme_in_force import ThemeInForce
from chatcli.repl.opening import choose_session, farewell, onboard_first_run, open_repl
from chatcli.repl.recap import recap
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.app.run_context import RunContext
    from chatcli.cli.standard_streams import Terminal
    from chatcli.config.settings import Settings


def line_loop(options: Namespace, settings: Settings, world: RunContext, terminal: Terminal) -> ExitCode:
    """Take what is typed until the person leaves with Ctrl-D or ``exit``.

    Ctrl-C stops what is going on, never the program.
    """
    return _LineLoop(options, settings, world, terminal).run()


class _LineLoop:
    def __init__(self, options: Namespace, settings: Settings, world: RunContext, terminal: Terminal) -> None:
        self._options = options
        self._terminal = terminal
        self._lines = TypedLines(terminal)
        self._frontend = LineFrontend(
            options,
            terminal,
            self._lines,
            settings=lambda: self._repl.settings,
            chat=lambda: self._repl.chat,
            plain=settings.plain,
        )
        self._repl = open_repl(
            self._frontend,
            settings=settings,
            wish=wish_of(options),
            world=world,
            theme=ThemeInForce(lambda: self._repl.settings.theme, None),
            reload_settings=settings_reloader(options, world, terminal),
            verbose=options.verbose,
            encoding_hints=terminal.encoding_hints(options.encoding),
        )

    def run(self) -> ExitCode:
        repl = self._repl
        with asyncio.Runner() as runner, ExitStack() as at_the_end:
            at_the_end.callback(lambda: repl.chat.close())  # noqa: PLW0108 - another conversation may come
            at_the_end.callback(lambda: runner.run(repl.connection.close()))
            at_the_end.callback(lambda: runner.run(repl.between_turns.stop()))
            if self._options.resume and not runner.run(
                choose_session(repl, everywhere=self._options.everywhere)
            ):
                return ExitCode.DONE
            runner.run(self._begin())
            if not repl.is_leaving:
                model = sanitize_line(repl.chat.turns.connected.model_name)
                self._terminal.warn(repl.frontend.words.greeting.format(model))
                recap(repl.chat, repl.frontend, titled=False)
            while not repl.is_leaving and (line := self._read_line()) is not None:
                if line.strip() and (code := self._take(runner, line)):
                    return code
        self._terminal.warn(farewell(repl))
        return ExitCode.DONE

    async def _begin(self) -> None:
        repl = self._repl
        if self._terminal.stdout.is_terminal:
            await onboard_first_run(repl)
            if repl.is_leaving:
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
