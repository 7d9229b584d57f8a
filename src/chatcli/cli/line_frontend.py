"""The line-by-line frontend for any terminal: requested output on stdout, remarks on stderr."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import ExitStack, closing, suppress
from threading import Thread
from typing import TYPE_CHECKING, Final

from chatcli.attachments.attached import quoted
from chatcli.attachments.encodings import as_typed
from chatcli.cli.alert_lines import tell_alerts
from chatcli.cli.outputs import line_writer, status_output, turn_outputs
from chatcli.cli.questions import hints_of
from chatcli.cli.signals import raising_interrupts, until_signalled
from chatcli.cli.typed_lines import TypedLines
from chatcli.core.errors import ExitCode
from chatcli.render.sentences import with_keys_spoken
from chatcli.render.status import error_lines
from chatcli.render.theme_in_force import ThemeInForce
from chatcli.render.themes import theme
from chatcli.repl.frontend import PLAIN, USUAL, Frontend
from chatcli.repl.opening import choose_session, farewell, onboard_first_run, open_repl
from chatcli.repl.recap import recap
from chatcli.repl.session_numbers import choose_by_number
from chatcli.text.sanitizer import sanitize, sanitize_line

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from chatcli.app.compared_models import ComparedModel
    from chatcli.app.run_context import ChatOptions, RunContext
    from chatcli.chat import Conversation
    from chatcli.cli.standard_streams import Terminal
    from chatcli.config.settings import Settings
    from chatcli.core.errors import ChatcliError
    from chatcli.core.events import Notice
    from chatcli.core.ports import Observer
    from chatcli.render.themes import StyledRow
    from chatcli.repl.pickable_sessions import PickableSessions
    from chatcli.repl.repl_session import ReplSession

_ANY_COLUMNS: Final = 10_000
"""No line breaks in a pipe or for a screen reader."""

_LONGEST_DRAFT: Final = 400
_DOING_EVERY_S: Final = 10.0


class LineFrontend(Frontend):
    """``settings`` and ``chat`` are looked up for each turn, as commands change them."""

    draws = False

    def __init__(
        self,
        options: Namespace,
        terminal: Terminal,
        lines: TypedLines,
        *,
        settings: Callable[[], Settings],
        chat: Callable[[], Conversation],
        plain: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._terminal = terminal
        self._lines = lines
        self._settings = settings
        self._chat = chat
        self._plain = plain
        self._clock = clock
        self.words = PLAIN if plain else USUAL
        self.can_ask = terminal.stdin is not None
        self._turn = ExitStack()
        self.was_left = False
        self._reported_doing_s: float | None = None

    @property
    def prompt(self) -> str:
        settings = self._settings()
        is_chosen = settings.origin("repl_prompt") != "default"
        return settings.repl_prompt if is_chosen else self.words.prompt

    def columns(self) -> int:
        is_drawn = self._terminal.stdout.is_terminal and not self._plain
        return self._terminal.columns() if is_drawn else _ANY_COLUMNS

    def idle_s(self) -> float:
        """Return infinity: reading a line blocks, so everything is loaded when it is needed."""
        return math.inf

    def refresh(self) -> None:
        """Do nothing: no state is shown permanently."""

    def say(self, text: str) -> None:
        safe = sanitize(text)
        self._write(with_keys_spoken(safe) if self._plain else safe)

    def picture(self, rows: Iterable[StyledRow]) -> None:
        self._write(theme("dark", None).painted(rows))

    def remark(self, text: str) -> None:
        status_output(self._options, self._settings(), self._terminal).remark(text)

    def notify(self, notice: Notice) -> None:
        self.remark(notice.message)

    def complain(self, error: ChatcliError) -> None:
        notify = line_writer(self._terminal, plain=self._plain)
        for line in error_lines(error):
            notify(line)

    def echo(self, question: str, attached: str = "") -> None:  # noqa: ARG002 - the terminal has shown it
        if attached:
            self.remark(attached)

    def loaded(self, line: str) -> None:
        if self._terminal.stdout.is_terminal:
            self.question(line)

    def question(self, text: str) -> None:
        self._write(self.prompt + sanitize(text))

    def answer(self, text: str) -> None:
        if self._plain:
            from chatcli.render.spoken_answer import SpokenAnswer  # noqa: PLC0415 - its engine takes a moment

            SpokenAnswer(self._terminal.stdout.write, self.remark, speaker=self.words.speaker).speak(text)
        else:
            self._write(self.words.speaker + sanitize(text))

    def pause(self) -> None:
        self._write("")

    def observers(self, *, verbose: bool) -> Sequence[Observer]:
        outputs = turn_outputs(
            self._options, self._settings(), self._terminal, verbose=verbose, speaker=self.words.speaker
        )
        self._turn.enter_context(closing(outputs.answer))
        # Looked up late: another chat may be open by then.
        return outputs.observers(
            lambda: self._chat().turns.retry_now(),  # noqa: PLW0108
            lambda: self._chat().opened.title,
            keep=self._keep,
        )

    def compared(
        self,
        models: Sequence[ComparedModel],
        *,
        verbose: bool,  # noqa: ARG002 - shown below each other, each answer has its line anyway
    ) -> Sequence[Sequence[Observer]]:
        from chatcli.cli.comparing import ComparedOutputs  # noqa: PLC0415 - most conversations compare nothing

        outputs = ComparedOutputs(self._options, self._settings(), self._terminal, keep=self._keep)
        self._turn.enter_context(closing(outputs))
        return outputs.begin(models)

    def _keep(self, line: bytes) -> None:
        self._lines.keep(line)
        self.remark("that is sent after this answer")

    async def work(self, work: Awaitable[None], what: str) -> None:  # noqa: ARG002 - nothing is shown of a wait
        with self._turn:
            await work

    def doing(self, what: str) -> None:
        """Report progress now and then: a printed line cannot be taken back."""
        now_s = self._clock()
        if self._reported_doing_s is None or now_s - self._reported_doing_s >= _DOING_EVERY_S:
            self._reported_doing_s = now_s
            self.remark(what)

    async def ask(self, label: str, *, secret: bool = False) -> str | None:
        if not self.can_ask:
            self.remark(f"{label}nobody can answer")
            return None
        # Blocking is fine: the work in hand waits for this line, and nothing else runs.
        try:
            with raising_interrupts():
                answer = self._lines.read_secret(label) if secret else self._lines.read(label)
        except KeyboardInterrupt:
            self.pause()
            answer, self.was_left = None, False
        else:
            self.was_left = answer is None
        return answer

    async def choose_session(
        self, pickable: PickableSessions, *, words: str = "", everywhere: bool = False
    ) -> str | None:
        return await choose_by_number(
            self, pickable, words=words, everywhere=everywhere, in_words=self._plain
        )

    async def page_through(self, answer: str) -> None:
        self.answer(answer)

    def to_terminal(self, sequence: str) -> bool:
        terminal = self._terminal
        reads_commands = terminal.takes_commands and not terminal.is_dumb
        takes_it = terminal.stdout.is_terminal and reads_commands and not self._plain
        if takes_it:
            self._terminal.stdout.write(sequence)
        return takes_it

    def hold(self, draft: str = "") -> None:
        """Show ``draft``: lines are read one at a time, so there is no queue."""
        if draft:
            self.draft(draft)

    def draft(self, text: str) -> None:
        if not self._options.quiet:
            line = sanitize_line(text[:_LONGEST_DRAFT])
            more = " …" if len(text) > _LONGEST_DRAFT else ""
            self._terminal.warn(self.words.draft.format(line + more))

    def _write(self, text: str) -> None:
        self._terminal.stdout.write(f"{text}\n")


def line_loop(
    options: Namespace,
    settings: Settings,
    context: RunContext,
    terminal: Terminal,
    *,
    chat_options: ChatOptions,
    reload_settings: Callable[[Mapping[str, object]], Settings],
) -> ExitCode:
    """Read lines until the person leaves with Ctrl-D or ``exit``.

    Ctrl-C stops the current work, never the program. ``reload_settings`` resolves the settings again, with
    changes.
    """
    lines = TypedLines(terminal)
    repl: ReplSession
    frontend = LineFrontend(
        options,
        terminal,
        lines,
        settings=lambda: repl.settings,
        chat=lambda: repl.chat,
        plain=settings.plain,
    )
    repl = open_repl(
        frontend,
        settings=settings,
        options=chat_options,
        context=context,
        theme=ThemeInForce(lambda: repl.settings.theme, None),
        reload_settings=reload_settings,
        verbose=options.verbose,
        encoding_hints=hints_of(terminal, options.encoding),
    )
    return _LineLoop(options, terminal, lines, frontend, repl).run()


class _LineLoop:
    def __init__(
        self,
        options: Namespace,
        terminal: Terminal,
        lines: TypedLines,
        frontend: LineFrontend,
        repl: ReplSession,
    ) -> None:
        self._options = options
        self._terminal = terminal
        self._lines = lines
        self._frontend = frontend
        self._repl = repl

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
            if self._options.load and not self._frontend.can_ask:
                repl.resume_schema()
                return self._run_files(runner)
            if not repl.is_leaving:
                model = sanitize_line(repl.chat.turns.connected.model_name)
                self._terminal.warn(repl.frontend.words.greeting.format(model))
                recap(repl.chat, repl.frontend, titled=False)
                repl.resume_schema()
            if not repl.is_leaving and self._options.load and (code := self._take(runner, self._load_line)):
                return code
            while not repl.is_leaving and (line := self._next_line()) is not None:
                if line.strip() and (code := self._take(runner, line)):
                    return code
        self._terminal.warn(farewell(repl))
        return ExitCode.DONE

    @property
    def _load_line(self) -> str:
        return f"/load {' '.join(quoted(as_typed(name)) for name in self._options.load)}"

    def _run_files(self, runner: asyncio.Runner) -> ExitCode:
        """Run the files of ``--load`` for a script, and return the code of what stopped them."""

        async def run() -> ExitCode:
            await self._repl.take(self._load_line, shown="")
            if self._repl.failure is not None:
                return self._repl.failure.exit_code
            return ExitCode.DONE if self._repl.was_completed or self._repl.is_leaving else ExitCode.USAGE

        return runner.run(until_signalled(run(), on_signal=self._terminal.give_up_on_readers))

    async def _begin(self) -> None:
        repl = self._repl
        if self._terminal.stdout.is_terminal:
            await onboard_first_run(repl)
            if repl.is_leaving:
                return
        if repl.chat.resolved is None:
            repl.chat.turns.connect(await repl.connection.replace(repl.chat, repl.settings))
        Thread(target=repl.chat.turns.load_vocabulary, daemon=True).start()
        repl.report_file_faults()

    def _take(self, runner: asyncio.Runner, line: str) -> ExitCode:
        """Run ``line`` and return the code of a signal that is to end the program."""

        async def take() -> ExitCode:
            await self._repl.take(line)
            return ExitCode.DONE

        code = ExitCode.INTERRUPTED
        # Ctrl-C just before or after the turn, or at a question of it that is no yes or no.
        with suppress(KeyboardInterrupt, asyncio.CancelledError):
            code = runner.run(until_signalled(take(), on_signal=self._terminal.give_up_on_readers))
        self._terminal.give_up_on_readers(False)
        if code is not ExitCode.INTERRUPTED:
            return code
        self._frontend.pause()
        return ExitCode.DONE

    def _next_line(self) -> str | None:
        tell_alerts(self._repl.context, self._terminal, self._options, say=self._frontend.remark)
        return self._read_line()

    def _read_line(self) -> str | None:
        """Return the next line, ``None`` when the person leaves."""
        while True:
            try:
                return self._lines.next(self._frontend.prompt)
            except KeyboardInterrupt:
                self._terminal.stdout.write("\n")
