"""Starting the REPL: the prompt first, then the conversation, everything else while the person reads or types."""

from __future__ import annotations

import asyncio
import gc
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from prompt_toolkit.keys import Keys

from chatcli.app.run_context import expected_model
from chatcli.config.key_bindings import KeyTable
from chatcli.core.errors import ExitCode
from chatcli.render.theme_in_force import ThemeInForce
from chatcli.repl.editor import Editor
from chatcli.terminal.activity import Activity
from chatcli.terminal.composer_completion import CommandCompleter
from chatcli.terminal.input_history import HistorySuggestions, input_history
from chatcli.terminal.keyboard import BackgroundQuestion, keyboard
from chatcli.terminal.live_application import terminal_output
from chatcli.terminal.screen import Screen
from chatcli.terminal.screen_rows import screen_style
from chatcli.terminal.toolbar import Toolbar

if TYPE_CHECKING:
    from chatcli.app.run_context import RunContext
    from chatcli.config.settings import Settings
    from chatcli.render.themes import StyledRow
    from chatcli.terminal.conversing import Conversing
    from chatcli.terminal.terminal_info import Start

HISTORY_FILE = "input-history.jsonl"

_OBJECTS_BETWEEN_COLLECTIONS: Final = 10_000
"""A collection takes less than a frame does, and frees those before: prompt_toolkit leaves 70 kB in cycles with each."""

_BEHIND_THE_PROMPT: Final = (
    "chatcli.cost.ledger",
    "chatcli.chat",
    "chatcli.app.resolver",
    "chatcli.repl.opening",
    "chatcli.terminal.terminal_frontend",
    "chatcli.terminal.conversing",
)
"""What a conversation is made of, in steps that delay a key by less than a frame."""


class Repl:
    """One run of the REPL.

    The prompt is drawn without the conversation, which is opened behind it. One that is resumed is opened before,
    because it may be missing or damaged, which is said without drawing anything. Raise a ``ChatcliError`` then.
    """

    def __init__(self, start: Start) -> None:
        self._start = start
        self._conversing: Conversing | None = None
        self._remarks: list[str] = []
        terminal = start.terminal
        self._completer = CommandCompleter()
        self._theme = ThemeInForce(
            lambda: self._settings.theme,
            terminal.color_system,
            links=terminal.takes_commands,
            ask=self._ask_background,
        )
        if terminal.background is not None:
            self._theme.learn(terminal.background, "COLORFGBG reports the background")
        self._background = BackgroundQuestion(
            lambda background: self._theme.learn(background, "the terminal reports its background")
        )
        self._toolbar = Toolbar(unicode=terminal.shows_unicode)
        self._activity = Activity(unicode=terminal.shows_unicode, slow=terminal.is_remote)
        self._screen = self._screen_of(start.settings, start.context)
        start.context.key_commands.lent = self._screen.lent
        if start.options.session is not None or start.options.resume_last:
            self._open()

    @property
    def _settings(self) -> Settings:
        """The settings in force."""
        return self._start.settings if self._conversing is None else self._conversing.settings

    def _screen_of(self, settings: Settings, context: RunContext) -> Screen:
        terminal = self._start.terminal
        return Screen(
            input=keyboard(terminal.stdin, self._background.replies),
            output=terminal_output(terminal.stdout, term=terminal.term),
            prompt=settings.repl_prompt,
            history=input_history(context.paths.data / HISTORY_FILE if settings.save else None, self._remark),
            suggestions=HistorySuggestions(
                lambda: () if self._conversing is None else self._conversing.proposals
            ),
            completer=self._completer,
            activity=self._activity,
            toolbar=self._toolbar_line,
            is_too_long=lambda: self._conversing is not None and self._conversing.is_too_long,
            style=lambda: screen_style(self._theme()),
            title=self._title if terminal.takes_commands else lambda: None,
            retry_now=lambda: self._conversing is not None and self._conversing.retry_now(),
            give_up=lambda: self._conversing is not None and self._conversing.stop_editing(),
            color_system=terminal.color_system,
            keys=KeyTable(settings.keys),
            editing_mode=lambda: self._settings.editing_mode,
            attached=lambda written: "" if self._conversing is None else self._conversing.attached(written),
            is_private=lambda written: bool(context.redactor.keys_in(written)),
            editor=Editor(context.environment),
            unicode=terminal.shows_unicode,
        )

    async def run(self) -> ExitCode:
        """Hold the conversation until the person leaves."""
        # The default handler would write errors of background tasks across the screen.
        asyncio.get_running_loop().set_exception_handler(self._report_bug)
        try:
            async with self._screen.running():
                asking = asyncio.ensure_future(self._theme.settle())
                await self._open_behind_the_prompt()
                # What exists now stays, and need not be searched for garbage.
                gc.freeze()
                gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
                if self._conversing is not None:
                    await self._conversing.hold()
                # A pending reply would reach the shell as typed keys.
                await asking
        finally:
            if self._conversing is not None:
                self._conversing.close()
        return ExitCode.DONE

    def interrupt(self) -> None:
        """Handle Ctrl-C. While a key command has the terminal, it gets it too, and the screen reads no keys."""
        self._start.context.key_commands.interrupt()
        self._screen.application.press(Keys.SIGINT)

    def abandon(self) -> None:
        """Restore the terminal; the program ends without further output."""
        self._screen.abandon()

    @property
    def farewell(self) -> str | None:
        """The farewell printed once the shell has its terminal back; empty without a conversation."""
        return None if self._conversing is None else self._conversing.farewell

    async def _open_behind_the_prompt(self) -> None:
        # The application draws its first frame in its first step, and reads keys between these.
        await asyncio.sleep(0)
        if self._conversing is None:
            for name in _BEHIND_THE_PROMPT:
                import_module(name)
                await asyncio.sleep(0)
            self._open()

    def _open(self) -> None:
        from chatcli.terminal.conversing import Conversing  # noqa: PLC0415 - behind the prompt

        self._conversing = Conversing(
            self._start,
            self._screen,
            activity=self._activity,
            theme=self._theme,
            toolbar=self._toolbar,
            completer=self._completer,
        )
        for remark in self._remarks:
            self._conversing.frontend.remark(remark)

    def _toolbar_line(self, columns: int) -> StyledRow:
        start = self._start
        if self._conversing is not None:
            return self._conversing.toolbar_line(columns)
        expected = expected_model(start.settings, start.options) or ""
        return self._toolbar.first_line(expected, columns, is_saved=start.settings.save)

    def _title(self) -> str | None:
        if not self._settings.window_title:
            return None
        title = "" if self._conversing is None else self._conversing.shown_title()
        return f"chatcli: {title}" if title else "chatcli"

    async def _ask_background(self) -> None:
        terminal = self._start.terminal
        if terminal.answers_queries and terminal.color_system is not None:
            self._background.ask(self._screen.application)
            await self._background.settled()

    def _report_bug(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self._remark(f"a bug, please report it: {context['message']} {error!r}")

    def _remark(self, message: str) -> None:
        if self._conversing is None:
            self._remarks.append(message)
        else:
            self._conversing.frontend.remark(message)
