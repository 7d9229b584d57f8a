"""The conversation behind the prompt: made once the prompt is drawn, and held until the person leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.app.run_alerts import ALERTS_FILE
from chatcli.app.run_context import expected_model, is_model_set_up
from chatcli.app.threads import in_thread
from chatcli.attachments.attached import quoted
from chatcli.core.version import __version__
from chatcli.render.notification import BELL, Notifier, notification
from chatcli.repl.draft_preparation import Draft, DraftPreparation
from chatcli.repl.opening import choose_session, farewell, onboard_first_run, open_repl
from chatcli.repl.recap import recap
from chatcli.terminal.pager import Pager
from chatcli.terminal.terminal_frontend import TerminalFrontend
from chatcli.terminal.toolbar import is_too_long
from chatcli.text.own_command import with_own_command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatcli.config.settings import Settings
    from chatcli.core.ports import Observer
    from chatcli.render.theme_in_force import ThemeInForce
    from chatcli.render.themes import StyledRow
    from chatcli.repl.queue import Submission
    from chatcli.terminal.activity import Activity
    from chatcli.terminal.composer_completion import CommandCompleter
    from chatcli.terminal.screen import Screen
    from chatcli.terminal.terminal_info import Start
    from chatcli.terminal.toolbar import Toolbar


class Conversing:
    """One conversation on ``screen``. Raise a ``ChatcliError`` if its session cannot be opened."""

    def __init__(
        self,
        start: Start,
        screen: Screen,
        *,
        activity: Activity,
        theme: ThemeInForce,
        toolbar: Toolbar,
        completer: CommandCompleter,
    ) -> None:
        terminal, context = start.terminal, start.context
        self._start = start
        self._is_choosing = start.choosing
        self._screen, self._theme = screen, theme
        self._toolbar, self._completer = toolbar, completer
        context.shared.pool.on_waiting = self._screen.application.draw_paused
        self._alerts = context.shared.alerts
        self.frontend = TerminalFrontend(
            self._screen,
            activity,
            theme=theme,
            reword=lambda text: with_own_command(context.redactor.redact(text), context.environment),
            settings=lambda: self.settings,
            prompt=start.settings.repl_prompt,
            quiet=start.quiet,
            unicode=terminal.shows_unicode,
            takes_commands=terminal.takes_commands,
            pager=Pager(context.environment),
            watchers=self._watchers,
        )
        self._repl = open_repl(
            self.frontend,
            settings=start.settings,
            options=start.options,
            context=context,
            theme=theme,
            reload_settings=start.reload_settings,
            verbose=start.verbose,
            encoding_hints=terminal.encoding_hints(),
        )
        composer = self._screen.composer
        self._preparation = DraftPreparation(
            self._repl,
            Draft(lambda: composer.is_question, lambda: composer.submission),
            is_busy=lambda: self._screen.is_busy,
        )
        composer.buffer.on_text_changed += lambda _: self._preparation.changed()

    @property
    def settings(self) -> Settings:
        return self._repl.settings

    async def hold(self) -> None:
        """Hold the conversation until the person leaves."""
        if self._is_choosing:
            # Started as work, so that closing the terminal ends it.
            await self._screen.work(self._choose_session(), "choosing")
        if not self._is_choosing:
            await self._greet()
            self._watch_alerts()
            if self._start.loaded:
                await self._repl.take(f"/load {' '.join(map(quoted, self._start.loaded))}")
            await self._repl.run(self._next)
        await self._preparation.stop()
        await self._repl.connection.close()

    def close(self) -> None:
        self._repl.chat.close()

    async def _next(self) -> Submission | None:
        self._tell_alerts()
        return await self._screen.line()

    def _watch_alerts(self) -> None:
        self._alerts.listen(self._tell_alerts)
        context, settings = self._start.context, self.settings
        if settings.telemetry and settings.save and (context.paths.data / ALERTS_FILE).exists():
            from chatcli.app.alerting import recall_alerts  # noqa: PLC0415 - most have had no alert yet

            recall_alerts(settings, context)

    def _tell_alerts(self) -> None:
        """Tell what has changed, unless an answer is being written: then after it."""
        self.frontend.refresh()
        if self._screen.is_busy:
            return
        changes, start = self._alerts.take(), self._start
        if not changes or start.quiet:
            return
        from chatcli.app.alerting import sequence_of  # noqa: PLC0415 - most conversations cross nothing
        from chatcli.telemetry.alerts import message  # noqa: PLC0415 - as above

        for change in changes:
            if change.rule.is_shown:
                self.frontend.remark(message(change))
            if sequence := sequence_of(change, start.context):
                self._screen.signal(sequence)
        if any(change.rule.is_shown for change in changes):
            self.frontend.pause()

    @property
    def farewell(self) -> str | None:
        """The farewell, ``None`` if no conversation was chosen."""
        return None if self._is_choosing else farewell(self._repl)

    @property
    def is_too_long(self) -> bool:
        """Whether the draft is too long to send."""
        return is_too_long(self._repl.chat, self._draft_tokens())

    def retry_now(self) -> bool:
        """End the wait before another attempt; return whether there was one."""
        return self._repl.chat.turns.retry_now()

    def stop_editing(self) -> bool:
        """Stop editing an earlier question; return whether one was edited."""
        return self._repl.chat.branches.stop_editing()

    def attached(self, written: str) -> str:
        """Return what a draft attaches, as one line."""
        return self._repl.attachments.line(written)

    @property
    def proposals(self) -> Sequence[str]:
        """The questions that the person may ask next."""
        return self._repl.between_turns.proposals

    def toolbar_line(self, columns: int) -> StyledRow:
        repl = self._repl
        return self._toolbar.line(
            repl.chat,
            expected_model(repl.settings, repl.options, repl.chat.session) or "",
            columns,
            draft_tokens=self._draft_tokens(),
            is_cached=repl.has_cached_answer,
            ahead=repl.between_turns.status,
            alerts=self._alerts.firing,
        )

    def shown_title(self) -> str:
        """Return the conversation's title without keys: other programs show it as well."""
        return self._start.context.redactor.redact(self._repl.chat.opened.title or "")

    def _draft_tokens(self) -> int:
        composer = self._screen.composer
        if composer.is_command:
            return 0
        return composer.likely_tokens + self._repl.attachments.likely_tokens(composer.shown)

    def _watchers(self) -> Sequence[Observer]:
        settings = self.settings
        if settings.notify == "off":
            return ()
        return (Notifier(self._notify, after_s=settings.notify_after_s, about=self.shown_title),)

    def _notify(self, text: str) -> None:
        on_desktop = self.settings.notify == "desktop"
        environment = self._start.context.environment
        self._screen.signal(notification(text, environment) if on_desktop else BELL)

    async def _choose_session(self) -> None:
        if await choose_session(self._repl, everywhere=self._start.everywhere):
            self._is_choosing = False

    async def _greet(self) -> None:
        repl = self._repl
        self._completer.repl = repl
        self.frontend.remark(f"chatcli {__version__} · /help lists the commands, Ctrl-D leaves")
        self.frontend.pause()
        if len(repl.chat.session.questions):
            await in_thread(_load_markdown)
            await self._theme.settle()
            recap(repl.chat, self.frontend)
            repl.resume_schema()
            self.frontend.pause()
        elif repl.options.response_format is not None:
            repl.resume_schema()
            self.frontend.pause()
        repl.report_file_faults()
        if not is_model_set_up(self._start.settings, repl.options, self._start.context):
            await self._screen.work(self._first_run(), "checking the key")
        if repl.chat.resolved is None:
            repl.connection.begin(repl.chat, repl.settings)

    async def _first_run(self) -> None:
        await onboard_first_run(self._repl)
        self.frontend.pause()


def _load_markdown() -> None:
    import chatcli.render.live_answer  # noqa: F401, PLC0415
