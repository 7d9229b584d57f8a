"""The frontend on a terminal: output is printed above the screen's live rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.core.events import ContextFitted, TurnCancelled, TurnFailed, TurnStarted, Waiting
from chatcli.render.printing import as_written
from chatcli.render.status import (
    WARNING,
    AnswerGap,
    StatusOfSeveral,
    StatusRenderer,
    error_lines,
    for_several,
)
from chatcli.render.themes import theme as theme_of
from chatcli.render.word_wrap import wrapped
from chatcli.repl.frontend import USUAL, Frontend
from chatcli.text.lazy_pattern import lazy_pattern
from chatcli.text.sanitizer import sanitize, sanitize_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from chatcli.app.compared_models import ComparedModel
    from chatcli.config.settings import Settings
    from chatcli.core.errors import ChatcliError
    from chatcli.core.events import Event, Notice
    from chatcli.core.ports import Observer
    from chatcli.render.themes import StyledRow, Theme
    from chatcli.repl.pickable_sessions import PickableSessions
    from chatcli.terminal.activity import Activity
    from chatcli.terminal.pager import Pager
    from chatcli.terminal.screen import Screen


_ADDRESS_AT_END: Final = lazy_pattern(r"https?://[!-~]+\Z")
_MARKED: Final = (("error: ", "error"), (WARNING, "finding.warning"))
_WORDS: Final = USUAL._replace(
    keys="""\
Enter sends, or queues while an answer streams; Shift-Enter, Alt-Enter or Ctrl-J adds a line
Tab completes, @FILE attaches a text file, Ctrl-X Ctrl-E opens your editor
Ctrl-R searches what you typed before, the right arrow takes the suggestion
Ctrl-C stops an answer or clears the line, Ctrl-D or exit leaves
/keys lists them all, as they are bound now"""
)


_SENDING_S: Final = 0.03
"""The longest time until a question is shown: drawing it takes as long as sending it, and can be done meanwhile."""


class TerminalFrontend(Frontend):
    """Styled, wrapped between words, and sanitized.

    ``theme`` and ``settings`` are looked up for each answer. ``unicode`` says whether the terminal can show
    more than ASCII, ``takes_commands`` whether it parses operating system commands (OSC), such as the marks
    of questions and answers. ``reword`` removes keys from what the program says, and names its command as it was typed. ``watchers`` returns further observers of a turn.
    """

    draws = True
    words = _WORDS

    def __init__(
        self,
        screen: Screen,
        activity: Activity,
        *,
        theme: Callable[[], Theme],
        reword: Callable[[str], str],
        settings: Callable[[], Settings],
        prompt: str,
        quiet: bool,
        unicode: bool,
        takes_commands: bool,
        pager: Pager,
        watchers: Callable[[], Sequence[Observer]],
    ) -> None:
        self._screen = screen
        self._activity = activity
        self._theme = theme
        self._reword = reword
        self._settings = settings
        self._prompt = prompt
        self._quiet = quiet
        self._unicode = unicode
        self._takes_commands = takes_commands
        self._pager = pager
        self._marks = PromptMarks(wanted=takes_commands)
        self._watchers = watchers
        self._has_remarked = False
        self.was_left = False

    def columns(self) -> int:
        return self._screen.columns()

    def idle_s(self) -> float:
        return self._screen.idle_s()

    def refresh(self) -> None:
        self._screen.application.invalidate()

    def say(self, text: str) -> None:
        self._print(wrapped(sanitize(text), self.columns()))

    def picture(self, rows: Iterable[StyledRow]) -> None:
        self._print(self._theme().painted(rows))

    def remark(self, text: str) -> None:
        if not self._quiet:
            self._has_remarked = True
            shown = wrapped(sanitize_line(self._reword(text)), self.columns())
            self._print(self._painted(shown, "remark"))

    def notify(self, notice: Notice) -> None:
        self.remark(notice.message)
        if not self._screen.is_busy:
            self.pause()

    def complain(self, error: ChatcliError) -> None:
        self._marks.failed()
        for line in error_lines(error):
            self._print_status(line)

    def postpone_drawing(self) -> None:
        self._screen.application.pause_drawing(_SENDING_S)

    def echo(self, question: str, attached: str = "") -> None:
        self._has_remarked = False
        # Not wrapped: a question copied from the terminal must be the text as written.
        indent, theme = " " * len(self._prompt), self._theme()
        words = theme.paint(sanitize(question), "strong").split("\n")
        if attached:
            words.append(theme.paint(attached, "remark"))
        sign = theme.paint(self._prompt, "marker", "strong")
        self._print(self._marks.question(sign, f"\n{indent}".join(words)))

    def question(self, text: str) -> None:
        self.echo(text)

    def answer(self, text: str) -> None:
        from chatcli.render.markdown.stream import rendered  # noqa: PLC0415 - its parser takes a moment to load

        line_breaks = self._settings().line_breaks
        self._screen.draw(rendered(text, self._theme(), self.columns(), line_breaks), ())

    def pause(self) -> None:
        self._has_remarked = False
        self._print(self._marks.end())

    def observers(self, *, verbose: bool) -> Sequence[Observer]:
        status = StatusRenderer(
            self._print_status,
            verbose=verbose,
            quiet=self._quiet,
            lists_retries=False,
        )
        gap = AnswerGap(lambda: self._print(""), is_due=lambda: self._has_remarked)
        return (self._activity, gap, _OnceNeeded(self._live_answer), status, self._marks, *self._watchers())

    def _live_answer(self) -> Observer:
        from chatcli.render.live_answer import LiveAnswer  # noqa: PLC0415 - as above
        from chatcli.render.reasoning import Reasoning  # noqa: PLC0415

        theme, settings = self._theme(), self._settings()
        return LiveAnswer(
            self._screen,
            theme,
            line_breaks=settings.line_breaks,
            reasoning=Reasoning(theme),
            shows_reasoning=settings.show_reasoning,
        )

    def compared(self, models: Sequence[ComparedModel], *, verbose: bool) -> Sequence[Sequence[Observer]]:
        from chatcli.render.side_by_side import SideBySide  # noqa: PLC0415 - as above

        names = [sanitize_line(self._reword(model.name)) for model in models]
        drawn = SideBySide(
            self._screen,
            self._theme(),
            names,
            line_breaks=self._settings().line_breaks,
            verbose=verbose,
            reword=lambda line: self._reword(for_several(line)),
        )
        status = StatusOfSeveral(names, self._print_status, quiet=self._quiet, reword=for_several)
        return [(drawn.turn(at), status.turn(at)) for at in range(len(names))]

    async def work(self, work: Awaitable[None], what: str) -> None:
        if not await self._screen.work(work, what):
            self._marks.stopped()

    def doing(self, what: str) -> None:
        self._activity.turn_to(what)

    async def ask(self, label: str, *, secret: bool = False) -> str | None:
        answer = await self._screen.ask(label, secret=secret)
        self.was_left = self._screen.was_left
        if answer and not secret:
            self.remark(label + answer)
        return answer

    async def choose_session(
        self, pickable: PickableSessions, *, words: str = "", everywhere: bool = False
    ) -> str | None:
        from chatcli.terminal.picker.picking import pick_session  # noqa: PLC0415 - many conversations never need it

        return await pick_session(
            self._screen,
            pickable,
            unicode=self._unicode,
            words=words,
            everywhere=everywhere,
        )

    async def page_through(self, answer: str) -> None:
        from chatcli.render.markdown.stream import rendered  # noqa: PLC0415 - as above

        # A pager supports colours, but neither links nor columns.
        look = self._theme()
        look = theme_of(look.name, look.color_system, links=False)
        rows = rendered(answer, look, self.columns(), self._settings().line_breaks)
        with self._screen.lent():
            await self._pager.show(as_written(rows))

    def to_terminal(self, sequence: str) -> bool:
        if self._takes_commands:
            self._screen.signal(sequence)
        return self._takes_commands

    def hold(self, draft: str = "") -> None:
        self._screen.hold(draft)

    def draft(self, text: str) -> None:
        self._screen.composer.put(text)

    def _print_status(self, line: str) -> None:
        """Print a line about a turn, dimmed unless it is an error or a warning."""
        self._has_remarked = True
        shown = wrapped(self._reword(line), self.columns())
        role = next((role for mark, role in _MARKED if line.startswith(mark)), "remark")
        self._print(self._painted(shown, role))

    def _painted(self, shown: str, role: str) -> str:
        """Return a line that may end in an address, as that of a source does, with the address clickable."""
        theme, address = self._theme(), _ADDRESS_AT_END.search(shown)
        if address is None:
            return theme.paint(shown, role)
        before = theme.paint(shown[: address.start()], role)
        return before + theme.paint_link(address[0], address[0], role)

    def _print(self, text: str) -> None:
        self._screen.print(text + "\n")


# Kitty and Ghostty would erase a prompt when the window is resized, for the shell to redraw it.
_PROMPT: Final = "\x1b]133;A;redraw=0\x1b\\"
_INPUT: Final = "\x1b]133;B\x1b\\"
_OUTPUT: Final = "\x1b]133;C\x1b\\"
_END: Final = "\x1b]133;D;{}\x1b\\"

_DONE, _FAILED, _STOPPED = 0, 1, 130
"""Exit codes as a shell would report them: some terminals colour the mark accordingly."""


class PromptMarks:
    """Marks around questions and answers, which let a terminal jump from turn to turn.

    https://gitlab.freedesktop.org/Per_Bothner/specifications/blob/master/proposals/semantic-prompts.md

    Each exchange is marked like a command and its output in a shell. As an observer it learns how the turn
    ended. Marks take no room; they are put on permanently printed rows, as redrawing would lose them. Unless
    they are ``wanted``, there are none.
    """

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted
        self._is_open = False
        self._outcome = _DONE

    async def __call__(self, event: Event) -> None:
        if isinstance(event, TurnCancelled):
            self.stopped()
        elif isinstance(event, TurnFailed):
            self.failed()

    def failed(self) -> None:
        self._outcome = _FAILED

    def stopped(self) -> None:
        self._outcome = _STOPPED

    def question(self, sign: str, words: str) -> str:
        """Return ``words`` after the prompt's ``sign``, then the mark that begins the answer."""
        if not self._wanted:
            return f"{sign}{words}\n"
        self._is_open, self._outcome = True, _DONE
        return f"{_PROMPT}{sign}{_INPUT}{words}\n{_OUTPUT}"

    def end(self) -> str:
        """Return the mark that ends the exchange, empty if none was begun."""
        if not self._is_open:
            return ""
        self._is_open = False
        return _END.format(self._outcome)


class _OnceNeeded:
    """An observer that is made with the first event it may show: no request waits for what will draw its answer."""

    def __init__(self, make: Callable[[], Observer]) -> None:
        self._make = make
        self._observer: Observer | None = None

    async def __call__(self, event: Event) -> None:
        if self._observer is None:
            if isinstance(event, TurnStarted | ContextFitted | Waiting):
                return
            self._observer = self._make()
        await self._observer(event)
