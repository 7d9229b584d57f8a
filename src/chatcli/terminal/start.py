"""Starting the REPL: the prompt first, everything else while the person reads or types."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TextIO

from prompt_toolkit.keys import Keys

from chatcli.app.resolver import expected_model, is_model_set_up
from chatcli.app.threads import in_thread
from chatcli.attachments.encodings import NO_HINTS, EncodingHints
from chatcli.config.key_bindings import KeyTable
from chatcli.core.errors import ExitCode
from chatcli.core.frozen import frozen
from chatcli.core.version import __version__
from chatcli.render.notification import BELL, Notifier, notification
from chatcli.render.theme_in_force import ThemeInForce
from chatcli.repl.draft_preparation import Draft, DraftPreparation
from chatcli.repl.editor import Editor
from chatcli.repl.opening import choose_session, farewell, onboard_first_run, open_repl
from chatcli.repl.recap import recap
from chatcli.terminal.activity import Activity
from chatcli.terminal.completion import CommandCompleter
from chatcli.terminal.input_history import HistorySuggestions, input_history
from chatcli.terminal.keyboard import BackgroundQuestion, keyboard
from chatcli.terminal.live_application import terminal_output
from chatcli.terminal.pager import Pager
from chatcli.terminal.screen import Screen
from chatcli.terminal.screen_rows import screen_style
from chatcli.terminal.terminal_frontend import TerminalFrontend
from chatcli.terminal.toolbar import Toolbar, is_too_long
from chatcli.text.sanitizer import takes_commands

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from chatcli.app.run_context import ChatOptions, RunContext
    from chatcli.config.settings import Settings
    from chatcli.core.ports import Observer
    from chatcli.render.themes import Background, ColorSystem, StyledRow

HISTORY_FILE = "input-history.jsonl"


@frozen
class TerminalInfo:
    """The properties of the REPL's terminal; ``term`` is its type, ``color_system`` its colours.

    ``background`` is the background if already known; ``answers_queries`` says whether it can be queried.
    ``is_remote`` means the other end of an SSH connection. ``encoding_hints`` help decode files that are not
    UTF-8.
    """

    stdin: TextIO
    stdout: TextIO
    term: str | None
    color_system: ColorSystem | None
    background: Background | None
    answers_queries: bool
    is_remote: bool = False
    encoding_hints: EncodingHints = NO_HINTS

    @property
    def shows_unicode(self) -> bool:
        return (self.stdout.encoding or "").lower().startswith("utf")

    @property
    def takes_commands(self) -> bool:
        """Whether it parses operating system commands (OSC), if only to ignore them."""
        return takes_commands(self.term or "")


class Repl:
    """One run of the REPL. ``reload_settings`` resolves the settings again, with overriding changes.

    ``choosing``: the person chooses a session first, from those of their folder or of ``everywhere``.
    """

    def __init__(
        self,
        settings: Settings,
        options: ChatOptions,
        context: RunContext,
        terminal_info: TerminalInfo,
        *,
        reload_settings: Callable[[Mapping[str, object]], Settings],
        verbose: bool,
        quiet: bool,
        choosing: bool = False,
        everywhere: bool = False,
    ) -> None:
        self._settings = settings
        self._context = context
        self._is_choosing = choosing
        self._everywhere = everywhere
        self._terminal_info = terminal_info
        self._completer = CommandCompleter()
        self._theme = ThemeInForce(
            lambda: self._repl.settings.theme,
            terminal_info.color_system,
            links=terminal_info.takes_commands,
            ask=self._ask_background,
        )
        if terminal_info.background is not None:
            self._theme.learn(terminal_info.background, "COLORFGBG reports the background")
        self._background = BackgroundQuestion(
            lambda background: self._theme.learn(background, "the terminal reports its background")
        )
        self._toolbar = Toolbar(unicode=terminal_info.shows_unicode)
        activity = Activity(unicode=terminal_info.shows_unicode, slow=terminal_info.is_remote)
        self._screen = self._screen_of(settings, activity)
        context.key_commands.lent = self._screen.lent
        context.pool.on_waiting = self._screen.application.draw_paused
        self._frontend = TerminalFrontend(
            self._screen,
            activity,
            theme=self._theme,
            redact=context.redactor.redact,
            settings=lambda: self._repl.settings,
            prompt=settings.repl_prompt,
            quiet=quiet,
            unicode=terminal_info.shows_unicode,
            takes_commands=terminal_info.takes_commands,
            pager=Pager(context.environment),
            watchers=self._watchers,
        )
        self._repl = open_repl(
            self._frontend,
            settings=settings,
            options=options,
            context=context,
            theme=self._theme,
            reload_settings=reload_settings,
            verbose=verbose,
            encoding_hints=terminal_info.encoding_hints,
        )
        composer = self._screen.composer
        self._preparation = DraftPreparation(
            self._repl,
            Draft(lambda: composer.is_question, lambda: composer.submission),
            is_busy=lambda: self._screen.is_busy,
        )
        composer.buffer.on_text_changed += lambda _: self._preparation.changed()

    def _screen_of(self, settings: Settings, activity: Activity) -> Screen:
        terminal_info = self._terminal_info
        return Screen(
            input=keyboard(terminal_info.stdin, self._background.replies),
            output=terminal_output(terminal_info.stdout, term=terminal_info.term),
            prompt=settings.repl_prompt,
            history=input_history(
                self._context.paths.data / HISTORY_FILE if settings.save else None, self._warn
            ),
            suggestions=HistorySuggestions(),
            completer=self._completer,
            activity=activity,
            toolbar=self._toolbar_line,
            is_too_long=lambda: is_too_long(self._repl.chat, self._draft_tokens()),
            style=lambda: screen_style(self._theme()),
            title=self._title if terminal_info.takes_commands else lambda: None,
            retry_now=lambda: self._repl.chat.turns.retry_now(),  # noqa: PLW0108 - another conversation may come
            give_up=lambda: self._repl.chat.branches.stop_editing(),  # noqa: PLW0108 - as above
            color_system=terminal_info.color_system,
            keys=KeyTable(settings.keys),
            editing_mode=lambda: self._repl.settings.editing_mode,
            attached=lambda written: self._repl.attachments.line(written),  # noqa: PLW0108 - made later
            is_private=lambda written: bool(self._context.redactor.keys_in(written)),
            editor=Editor(self._context.environment),
            unicode=terminal_info.shows_unicode,
        )

    async def run(self) -> ExitCode:
        """Hold the conversation until the person leaves."""
        # The default handler would write errors of background tasks across the screen.
        asyncio.get_running_loop().set_exception_handler(self._report_bug)
        try:
            async with self._screen.running():
                asking = asyncio.ensure_future(self._theme.settle())
                if self._is_choosing:
                    # Started as work, so that closing the terminal ends it.
                    await self._screen.work(self._choose_session(), "choosing")
                if not self._is_choosing:
                    await self._greet()
                    await self._repl.run(self._screen.line)
                await self._preparation.stop()
                await self._repl.connection.close()
                # A pending reply would reach the shell as typed keys.
                await asking
        finally:
            self._repl.chat.close()
        return ExitCode.DONE

    def interrupt(self) -> None:
        """Handle Ctrl-C. While a key command has the terminal, it gets it too, and the screen reads no keys."""
        self._context.key_commands.interrupt()
        self._screen.application.press(Keys.SIGINT)

    def abandon(self) -> None:
        """Restore the terminal; the program ends without further output."""
        self._screen.abandon()

    @property
    def farewell(self) -> str | None:
        """The farewell printed once the shell has its terminal back; empty without a conversation."""
        return None if self._is_choosing else farewell(self._repl)

    def _toolbar_line(self, columns: int) -> StyledRow:
        repl = self._repl
        expected = expected_model(repl.chat.session, repl.settings, repl.options) or ""
        return self._toolbar.line(
            repl.chat,
            expected,
            columns,
            draft_tokens=self._draft_tokens(),
            is_cached=repl.has_cached_answer,
        )

    def _draft_tokens(self) -> int:
        composer = self._screen.composer
        if composer.is_command:
            return 0
        return composer.likely_tokens + self._repl.attachments.likely_tokens(composer.shown)

    def _title(self) -> str | None:
        if not self._repl.settings.window_title:
            return None
        title = self._shown_title()
        return f"chatcli: {title}" if title else "chatcli"

    def _shown_title(self) -> str:
        """Return the conversation's title without keys: other programs show it as well."""
        return self._context.redactor.redact(self._repl.chat.opened.title or "")

    def _watchers(self) -> Sequence[Observer]:
        settings = self._repl.settings
        if settings.notify == "off":
            return ()
        return (Notifier(self._notify, after_s=settings.notify_after_s, about=self._shown_title),)

    def _notify(self, text: str) -> None:
        on_desktop = self._repl.settings.notify == "desktop"
        self._screen.signal(notification(text, self._context.environment) if on_desktop else BELL)

    async def _choose_session(self) -> None:
        if await choose_session(self._repl, everywhere=self._everywhere):
            self._is_choosing = False

    async def _greet(self) -> None:
        repl = self._repl
        self._completer.repl = repl
        self._frontend.remark(f"chatcli {__version__} · /help lists the commands, Ctrl-D leaves")
        self._frontend.pause()
        if len(repl.chat.session.questions):
            await in_thread(_load_markdown)
            await self._theme.settle()
            recap(repl.chat, self._frontend)
            self._frontend.pause()
        repl.report_file_faults()
        if not is_model_set_up(self._settings, repl.options, self._context):
            await self._screen.work(self._first_run(), "checking the key")
        if repl.chat.resolved is None:
            repl.connection.begin(repl.chat, repl.settings)

    async def _ask_background(self) -> None:
        if self._terminal_info.answers_queries and self._terminal_info.color_system is not None:
            self._background.ask(self._screen.application)
            await self._background.settled()

    async def _first_run(self) -> None:
        await onboard_first_run(self._repl)
        self._frontend.pause()

    def _report_bug(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self._frontend.remark(f"a bug, please report it: {context['message']} {error!r}")

    def _warn(self, message: str) -> None:
        self._frontend.remark(message)


def _load_markdown() -> None:
    import chatcli.render.live_answer  # noqa: F401, PLC0415
