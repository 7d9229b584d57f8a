"""The outputs of a turn: the answer's destination and format, and the lines about it."""

from __future__ import annotations

import asyncio
import time
import traceback
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.cli.background_query import answer_theme
from chatcli.cli.output_file import OutputFile
from chatcli.cli.standard_streams import ClosedPipe
from chatcli.core.errors import ExitCode, LocalIOError, NothingToExtract
from chatcli.core.events import (
    ReasoningDelta,
    TextDelta,
    TextReclassified,
    TurnCancelled,
    TurnFailed,
    TurnFinished,
)
from chatcli.render.sentences import sentence
from chatcli.render.spoken_waiting import SpokenWaiting
from chatcli.render.status import StatusRenderer, error_lines, for_the_shell
from chatcli.render.themes import ANY_BACKGROUND
from chatcli.render.themes import theme as theme_of
from chatcli.text.sanitizer import sanitize
from chatcli.text.text_buffer import TextBuffer

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import AsyncGenerator, Callable, Iterator

    from chatcli.cli.standard_streams import Stream, Terminal
    from chatcli.config.settings import Settings
    from chatcli.core.events import Event, Notice
    from chatcli.core.ports import Observer
    from chatcli.render.waiting_line import WaitingLine


_LOOK_AGAIN_S: Final = 0.05
_LONGEST_PART: Final = 1_000  # in UTF-8 at most what a pipe with room accepts at once


class Destination(NamedTuple):
    """The answer's destination, with callbacks for its end and for releasing the keyboard before that."""

    file: Stream | OutputFile
    at_close: ExitStack
    keyboard: ExitStack


class AnswerOutput:
    """An observer that shows the answer on stdout, or writes it to the file of ``--out``.

    If that fails, ``complain`` is given the error and the turn goes on: a paid answer is saved in the
    session. ``before_text`` is called once, before the first text. The caller must ``close`` it.
    """

    def __init__(
        self,
        render: Observer,
        destination: Destination,
        *,
        complain: Callable[[LocalIOError], None],
        before_text: Callable[[], object],
    ) -> None:
        self._render = render
        self._destination = destination
        self._complain = complain
        self._before_text = before_text
        self._has_begun = False
        self._failed = False

    def close(self) -> None:
        try:
            self._destination.at_close.close()
        except LocalIOError:
            if not self._failed:
                raise

    async def __call__(self, event: Event) -> None:
        if not self._has_begun and isinstance(event, TextDelta | ReasoningDelta):
            self._has_begun = True
            self._before_text()
        try:
            for part in _parts(event):
                if self._failed:
                    return
                # The loop keeps running while nobody reads: deltas are stored, and signals are handled.
                while not self._destination.file.has_room:  # noqa: ASYNC110 - no event tells that a pipe was read
                    await asyncio.sleep(_LOOK_AGAIN_S)
                await self._render(part)
        except LocalIOError as error:
            self._fail(error)

    def write(self, text: str) -> None:
        self._destination.file.write(text)

    def free_keyboard(self) -> None:
        """Release the keyboard for a question to the person."""
        self._destination.keyboard.close()

    def exit_code(self) -> ExitCode:
        """Return the output's own exit code: it may have failed, or found nothing to extract."""
        if self._failed:
            return ExitCode.LOCAL_IO
        return self._render.exit_code if isinstance(self._render, _Extraction) else ExitCode.DONE

    def _fail(self, error: LocalIOError) -> None:
        self._failed = True
        self._complain(error)


def _parts(event: Event) -> Iterator[Event]:
    """Yield a long text in parts that are each written without blocking."""
    if isinstance(event, TextDelta) and len(event.text) > _LONGEST_PART:
        for at in range(0, len(event.text), _LONGEST_PART):
            yield TextDelta(event.text[at : at + _LONGEST_PART])
    else:
        yield event


def line_writer(terminal: Terminal, *, plain: bool, styled: bool = False) -> Callable[[str], None]:
    """Return a function that writes a line beside the answer; ``plain`` makes it a sentence."""
    if plain:
        return lambda line: terminal.warn(sentence(line), whole=True)
    return partial(terminal.warn, styled=styled)


class _Extraction:
    """An observer that waits for the whole answer and shows the code of its first block."""

    def __init__(self, write: Callable[[str], None], say: Callable[[str], None], *, raw: bool) -> None:
        self._write = write
        self._say = say
        self._raw = raw
        self._text = TextBuffer()
        self.exit_code = ExitCode.DONE

    async def __call__(self, event: Event) -> None:
        if isinstance(event, TextDelta):
            self._text.append(event.text)
        elif isinstance(event, TextReclassified):
            self._text.drop_last(len(event.text))
        elif isinstance(event, TurnFinished | TurnFailed | TurnCancelled):
            result = event.result
            self._end(failed=bool(result.error or result.refusal or result.tool_calls))

    def _end(self, *, failed: bool) -> None:
        from chatcli.render.extract import first_code_block  # noqa: PLC0415 - a parser only -x needs

        text = self._text.text
        code = first_code_block(text)
        if code is not None:
            self._write(code if self._raw else sanitize(code))
        elif not failed:
            shown = text if self._raw else sanitize(text)
            self._write(shown if shown.endswith("\n") else f"{shown}\n")
            error = NothingToExtract("no code block found; printed the whole answer")
            self.exit_code = error.exit_code
            for line in error_lines(error):
                self._say(line)


class Outputs(NamedTuple):
    """The outputs of a turn: its answer and the lines about it; ``always`` are further observers."""

    answer: AnswerOutput
    status: StatusRenderer
    always: tuple[Observer, ...]
    options: Namespace
    settings: Settings
    terminal: Terminal
    notices: list[Notice]

    def displayed(self, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
        """Return the events of a turn as they are shown: the JSON of a structured answer whole, or laid out."""
        if self.options.output in ("json", "jsonl"):
            return events
        from chatcli.render.structured_answer import held, laid_out  # noqa: PLC0415 - most answers are not structured

        shown = self.options.output or default_format(self.options, self.settings, self.terminal)
        return laid_out(events) if shown == "markdown" else held(events)

    def notify(self, notice: Notice) -> None:
        """Write a notice from outside a turn, and keep it for the JSON formats."""
        self.status.notify(notice)
        self.notices.append(notice)

    def observers(
        self,
        retry_now: Callable[[], object],
        about: Callable[[], str],
        *,
        keep: Callable[[bytes], object] | None = None,
    ) -> tuple[Observer, ...]:
        """Return the observers of a turn, in the order in which each is given an event.

        ``retry_now`` is called when the person presses Enter while a retry is pending; ``keep`` is given
        anything else they type. ``about`` returns the subject of the answer.
        """
        around = self.options, self.settings, self.terminal
        waiting = waiting_output(*around, retry_now, keep=keep)
        return (*waiting, *self.always, *notification_output(*around, about))


def turn_outputs(
    options: Namespace,
    settings: Settings,
    terminal: Terminal,
    *,
    verbose: bool | None = None,
    is_one_shot: bool = False,
    speaker: str = "",
) -> Outputs:
    """Return the outputs of the options: Markdown on a terminal, else text, and lines on stderr.

    ``verbose`` overrides the option of that name; ``speaker`` is written before a plain answer.
    """
    status = status_output(options, settings, terminal, verbose=verbose, is_one_shot=is_one_shot)
    destination = destination_of(options, terminal)
    say = line_writer(terminal, plain=settings.plain)
    # On a screen a gap separates answer and lines; it means nothing when read aloud.
    shows_gap = terminal.stderr.is_terminal and terminal.stdout.is_terminal and not settings.plain

    def complain(error: LocalIOError) -> None:
        for line in error_lines(error):
            say(line)

    def leave_gap() -> None:
        if shows_gap and status.has_written:
            terminal.warn("")

    notices: list[Notice] = []
    render = renderer_of(options, settings, terminal, destination, speaker, notices=notices)
    # Pushed last, it is called first.
    destination.at_close.callback(destination.keyboard.close)
    answer = AnswerOutput(render, destination, complain=complain, before_text=leave_gap)
    always: tuple[Observer, ...] = (answer, status, *beside(options, settings, terminal))
    return Outputs(answer, status, always, options, settings, terminal, notices)


def destination_of(options: Namespace, terminal: Terminal) -> Destination:
    """Return standard output, or the file of ``--out``."""
    destination = Destination(terminal.stdout, ExitStack(), ExitStack())
    if options.out:
        file = OutputFile(options.out)
        destination = destination._replace(file=file)
        destination.at_close.callback(file.close)
    return destination


def status_output(
    options: Namespace,
    settings: Settings,
    terminal: Terminal,
    *,
    verbose: bool | None = None,
    is_one_shot: bool = False,
    about: str = "",
    reword: Callable[[str], str] = str,
) -> StatusRenderer:
    """Return the renderer that writes lines about turns to stderr, each with ``about`` before it.

    ``reword`` returns the text to write for a line; in a one-shot run it is that of the shell.
    """
    colors = None if settings.plain else terminal.stderr_colors
    write_line = line_writer(terminal, plain=settings.plain, styled=True)
    return StatusRenderer(
        (lambda line: write_line(about + line)) if about else write_line,
        theme=theme_of(ANY_BACKGROUND, colors) if colors else None,
        verbose=options.verbose if verbose is None else verbose,
        quiet=options.quiet,
        lists_retries=not _redraws_waiting(terminal, quiet=options.quiet, plain=settings.plain),
        lists_sources=options.output not in ("json", "jsonl"),
        reword=partial(for_the_shell, is_kept=settings.save) if is_one_shot else reword,
    )


def beside(options: Namespace, settings: Settings, terminal: Terminal) -> Iterator[Observer]:
    """Yield further observers: spoken progress in plain mode, and failures with ``--debug``."""
    if settings.plain and not options.quiet and terminal.stderr.is_terminal:
        keys = "Enter tries at once, " if terminal.stdin_is_terminal else ""
        yield SpokenWaiting(terminal.warn, hint=f"{keys}Control C stops.")
    if options.debug:

        async def show_traceback(event: Event) -> None:
            if isinstance(event, TurnFailed) and event.result.error is not None:
                trace = "".join(traceback.format_exception(event.result.error))
                terminal.warn(sanitize(trace).rstrip(), whole=True)

        yield show_traceback


def waiting_output(
    options: Namespace,
    settings: Settings,
    terminal: Terminal,
    retry_now: Callable[[], object],
    *,
    keep: Callable[[bytes], object] | None = None,
) -> tuple[Observer, ...]:
    """Return the observers of a wait: a line that is redrawn on a terminal, and a listener for Enter."""
    line = _waiting_line(options, settings, terminal)

    def retry_now_below_line() -> None:
        if line is not None:
            line.move_up()
        retry_now()

    lines: tuple[Observer, ...] = (line,) if line else ()
    return (*lines, *_retry_now(terminal, retry_now_below_line, keep))


def notification_output(
    options: Namespace,
    settings: Settings,
    terminal: Terminal,
    about: Callable[[], str],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Observer, ...]:
    """Return the observer that notifies the person at a terminal of a slow answer about ``about``."""
    watched = terminal.stderr.is_terminal and not terminal.is_dumb and not options.quiet
    if not watched or settings.notify == "off":
        return ()
    from chatcli.render.notification import BELL, Notifier, notification  # noqa: PLC0415 - only for a terminal

    on_desktop = settings.notify == "desktop" and not settings.plain

    def write(text: str) -> None:
        # A notification that fails must not affect the answer.
        with suppress(ClosedPipe, LocalIOError):
            terminal.stderr.write(notification(text, terminal.environment) if on_desktop else BELL)

    return (Notifier(write, after_s=settings.notify_after_s, about=about, clock=clock),)


def _waiting_line(options: Namespace, settings: Settings, terminal: Terminal) -> WaitingLine | None:
    if not _redraws_waiting(terminal, quiet=options.quiet, plain=settings.plain):
        return None
    from chatcli.render.waiting_line import RETRY_HINTS, STOP_HINT, WaitingLine  # noqa: PLC0415 - only for a terminal

    hints = RETRY_HINTS if terminal.stdin_is_terminal else (STOP_HINT,)
    look = theme_of(ANY_BACKGROUND, terminal.stderr_colors)
    return WaitingLine(terminal.stderr.write, theme=look, columns=terminal.stderr_columns, hints=hints)


def _redraws_waiting(terminal: Terminal, *, quiet: bool, plain: bool) -> bool:
    """Whether waiting is shown in a line that is redrawn."""
    return not (quiet or plain or terminal.is_dumb) and terminal.stderr.is_terminal


def _retry_now(
    terminal: Terminal, retry_now: Callable[[], object], keep: Callable[[bytes], object] | None
) -> tuple[Observer, ...]:
    if terminal.stdin is None or not terminal.stdin_is_terminal:
        return ()
    from chatcli.cli.typed_lines import RetryNow  # noqa: PLC0415 - only for a terminal

    return (RetryNow(terminal.stdin, retry_now, keep),)


def renderer_of(
    options: Namespace,
    settings: Settings,
    terminal: Terminal,
    destination: Destination,
    speaker: str,
    *,
    notices: list[Notice],
) -> Observer:
    write, say = destination.file.write, line_writer(terminal, plain=settings.plain)
    if options.extract:
        return _Extraction(write, say, raw=options.raw)
    match options.output or default_format(options, settings, terminal):
        case "json":
            from chatcli.render.json_output import JsonRenderer  # noqa: PLC0415

            return JsonRenderer(write, terminal.redactor.redact, notices)
        case "jsonl":
            from chatcli.render.json_output import JsonLinesRenderer  # noqa: PLC0415

            return JsonLinesRenderer(write, terminal.redactor.redact, notices)
        case "markdown" if options.out or not redraws(settings, terminal):
            from chatcli.render.markdown.renderer import MarkdownRenderer  # noqa: PLC0415 - a parser only it needs

            colors = None if options.out or settings.plain else terminal.stdout_colors
            theme = answer_theme(settings, terminal, colors, destination.keyboard.callback)
            return MarkdownRenderer(
                write, theme, width=terminal.columns, line_breaks=settings.line_breaks, say=say
            )
        case "markdown":
            return _live_answer(settings, terminal, destination)
        case _:
            return _text_renderer(options, settings, terminal, write, speaker)


def _text_renderer(
    options: Namespace, settings: Settings, terminal: Terminal, write: Callable[[str], None], speaker: str
) -> Observer:
    """Return the renderer for text: spoken in plain mode, whole lines in a plain pipe, else as it arrives."""
    say = line_writer(terminal, plain=settings.plain)
    is_spoken = settings.plain and terminal.stdout.is_terminal
    if is_spoken and not (options.output or options.out or options.raw):
        from chatcli.render.spoken_answer import SpokenAnswer  # noqa: PLC0415 - only for a voice

        return SpokenAnswer(write, say, speaker=speaker)
    from chatcli.render.plain import PlainRenderer, WholeLines  # noqa: PLC0415

    write_text = WholeLines(write, speaker=speaker) if settings.plain else write
    return PlainRenderer(write_text, sanitize=not options.raw, say=say)


def _live_answer(settings: Settings, terminal: Terminal, destination: Destination) -> Observer:
    """Return the renderer that redraws the end of the answer as it arrives."""
    from chatcli.cli.live_screen import LiveScreen  # noqa: PLC0415 - only for a terminal
    from chatcli.render.live_answer import LiveAnswer  # noqa: PLC0415
    from chatcli.render.reasoning import Reasoning  # noqa: PLC0415

    colors = terminal.stdout_colors
    theme = answer_theme(settings, terminal, colors, destination.keyboard.callback)
    screen = LiveScreen(terminal)
    screen.attach()
    destination.at_close.callback(screen.detach)
    reasoning = Reasoning(theme)
    return LiveAnswer(
        screen,
        theme,
        line_breaks=settings.line_breaks,
        reasoning=reasoning,
        shows_reasoning=settings.show_reasoning,
        shows_activity=True,
    )


def redraws(settings: Settings, terminal: Terminal) -> bool:
    return terminal.stdout.is_terminal and not terminal.is_dumb and not settings.plain


def default_format(options: Namespace, settings: Settings, terminal: Terminal) -> str:
    return "markdown" if redraws(settings, terminal) and not (options.out or options.raw) else "text"
