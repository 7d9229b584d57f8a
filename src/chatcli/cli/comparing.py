"""One question to several models (``--compare``), and its answers beside or below each other."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from chatcli.app.compared_models import ComparedModel, ModelsToCompare, names_in
from chatcli.app.wiring import open_session
from chatcli.chat.comparison import Comparison
from chatcli.cli.background_query import answer_theme
from chatcli.cli.one_shot import exit_code, get_ready, is_unsaved
from chatcli.cli.outputs import (
    AnswerOutput,
    beside,
    default_format,
    destination_of,
    line_writer,
    redraws,
    renderer_of,
    status_output,
    waiting_output,
)
from chatcli.cli.setup import chat_options, settings_of
from chatcli.cli.signals import raising_interrupts, until_signalled
from chatcli.cli.typed_lines import agrees
from chatcli.config.config_file import read_profiles
from chatcli.conversation.play import play_together
from chatcli.core.errors import ChatcliError, ExitCode, LocalIOError, UsageError
from chatcli.core.events import TurnFailed, TurnResult
from chatcli.render.answers_in_order import AnswersInOrder, Headed
from chatcli.render.status import StatusOfSeveral, error_lines, for_several, for_the_shell
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from chatcli.app.run_context import RunContext
    from chatcli.cli.standard_streams import Terminal
    from chatcli.config.settings import Settings, TemplateSettings
    from chatcli.core.events import Event, Notice, TurnEnd
    from chatcli.core.messages import Message
    from chatcli.core.ports import Observer

_OF_ONE_ANSWER: Final = ("extract", "dry_run")


def compare(
    question: Message,
    options: Namespace,
    settings: Settings,
    context: RunContext,
    terminal: Terminal,
    *,
    template: TemplateSettings | None,
) -> ExitCode:
    """Ask ``question`` of each model of ``--compare`` and show the answers as the options require."""
    for name in _OF_ONE_ANSWER:
        if getattr(options, name):
            raise UsageError(
                f"--compare and --{name.replace('_', '-')} cannot be combined", hint="use -m with one model"
            )
    run = _ComparisonRun(options, settings, context, terminal, template=template)
    return asyncio.run(until_signalled(run.run(question), on_signal=terminal.give_up_on_readers))


class _ComparisonRun:
    def __init__(
        self,
        options: Namespace,
        settings: Settings,
        context: RunContext,
        terminal: Terminal,
        *,
        template: TemplateSettings | None,
    ) -> None:
        self._names = names_in(options.compare)
        self._options = options
        self._settings = settings
        self._context = context
        self._terminal = terminal
        self._template = template
        self._shown = ComparedOutputs(options, settings, terminal)

    async def run(self, question: Message) -> ExitCode:
        shown, options, settings, context = self._shown, self._options, self._settings, self._context
        own = chat_options(options)
        models = ModelsToCompare(
            self._settings_with,
            own,
            context,
            profiles=read_profiles(context.paths),
            notify=shown.notify,
            approve=self._approves if self._terminal.is_attended else None,
        )
        is_lost = False
        ends: list[TurnEnd] = []
        with closing(shown):
            try:
                async with AsyncExitStack() as stack:
                    chat = stack.enter_context(closing(open_session(settings, own, context)))
                    found: list[ComparedModel] = []
                    if options.model is not None or len(self._names) == 1:
                        found.append(await models.in_use(settings, chat, stack))
                    found += await models.named(self._names, chat, stack)
                    resolved = [model.resolved for model in found if model.resolved is not None]
                    if resolved:
                        chat.turns.connect(resolved[0])
                    if own.count_exactly:
                        chat.turns.load_vocabulary()
                    while chat.opened.notices:
                        shown.notify(chat.opened.notices.pop(0))
                    if resolved and "context" in settings.asked_for:
                        await get_ready(chat, question, shown.notify)
                    observers = shown.begin(found)
                    comparison = Comparison(chat, question)
                    try:
                        turns = [shown.displayed(model.asked_in(comparison)) for model in found]
                        ends = await play_together(list(zip(turns, observers, strict=True)))
                    finally:
                        comparison.settle(ends)
                    is_lost = is_unsaved(chat, options, settings)
            except ChatcliError as error:
                return await shown.fail(error)
        chosen = settings.origin("max_tokens") != "default"
        codes = [exit_code(end, length_was_chosen=chosen) for end in ends]
        first_failure = next((code for code in codes if code), ExitCode.DONE)
        return shown.exit_code() or first_failure or (ExitCode.LOCAL_IO if is_lost else ExitCode.DONE)

    def _settings_with(self, changes: Mapping[str, object]) -> Settings:
        # The system prompt is read once: standard input cannot be read again. Warnings were shown already.
        options = Namespace(**{**vars(self._options), "system": None, "quiet": True})
        given = self._settings.system if "system" in self._settings.asked_for else None
        found = settings_of(
            options,
            self._context,
            self._terminal,
            template=self._template,
            changes={**changes, "system": given},
            mentions_untrusted=False,
        )
        # Where there is no place to keep anything, there is none for any of them.
        return replace(found, save=self._settings.save)

    async def _approves(self, message: str) -> bool:
        # Blocking is fine: it is the person all turns wait for.
        self._shown.pause()
        with raising_interrupts():
            return agrees(message, self._terminal)


class ComparedOutputs:
    """The outputs of turns that run at the same time. The caller must ``close`` them.

    ``keep`` is given what the person types meanwhile, see ``Outputs.observers``; ``None`` for a single question.
    """

    def __init__(
        self,
        options: Namespace,
        settings: Settings,
        terminal: Terminal,
        *,
        keep: Callable[[bytes], object] | None = None,
    ) -> None:
        self._options = options
        self._keep = keep
        self._settings = settings
        self._terminal = terminal
        self._form = options.output or default_format(options, settings, terminal)
        self._destination = destination_of(options, terminal)
        self._answers: list[AnswerOutput] = []
        self._complaints: set[str] = set()
        self._notices: list[Notice] = []
        self._status = status_output(options, settings, terminal, is_one_shot=self._keep is None)
        self.pause: Callable[[], object] = lambda: None
        """Removes what is redrawn, for a question to the person."""

    def notify(self, notice: Notice) -> None:
        """Write a notice from outside the turns, and keep it for the JSON formats."""
        self._status.notify(notice)
        self._notices.append(notice)

    def begin(self, models: Sequence[ComparedModel]) -> list[Sequence[Observer]]:
        """Return the observers of each turn."""
        names = [sanitize_line(model.name) for model in models]
        write, redact = self._destination.file.write, self._terminal.redactor.redact
        if self._form == "json":
            from chatcli.render.json_output import ComparedJson  # noqa: PLC0415 - as where one answer is shown

            compared = ComparedJson(len(models), write, redact, self._notices)
            return [self._around(compared.turn(at), name) for at, name in enumerate(names)]
        if self._form == "jsonl":
            from chatcli.render.json_output import JsonLinesRenderer  # noqa: PLC0415 - as above

            return [
                self._around(
                    JsonLinesRenderer(
                        write, redact, list(self._notices), beside={"n": at + 1, "model": model.model_name}
                    ),
                    model.name,
                )
                for at, model in enumerate(models)
            ]
        if self._form == "markdown" and not self._options.out and redraws(self._settings, self._terminal):
            return self._side_by_side(names)
        in_order = AnswersInOrder(len(models), lambda at: self._headed(at, models[at]))
        return [(in_order.turn(at),) for at in range(len(models))]

    def _side_by_side(self, names: Sequence[str]) -> list[Sequence[Observer]]:
        from chatcli.cli.live_screen import LiveScreen  # noqa: PLC0415 - only for a terminal
        from chatcli.render.side_by_side import SideBySide  # noqa: PLC0415

        screen = LiveScreen(self._terminal)
        screen.attach()
        self._destination.at_close.callback(screen.detach)
        theme = answer_theme(
            self._settings, self._terminal, self._terminal.stdout_colors, self._destination.keyboard.callback
        )
        drawn = SideBySide(
            screen,
            theme,
            names,
            line_breaks=self._settings.line_breaks,
            verbose=self._options.verbose,
            reword=lambda line: self._terminal.redactor.redact(self._reworded(line)),
        )
        self.pause = drawn.clear
        say = line_writer(self._terminal, plain=False, styled=True)
        status = StatusOfSeveral(names, say, quiet=self._options.quiet, reword=self._reworded)
        return [(self._answer(drawn.turn(at)), status.turn(at)) for at in range(len(names))]

    def _reworded(self, line: str) -> str:
        is_one_shot = self._keep is None
        return for_several(for_the_shell(line, is_kept=self._settings.save) if is_one_shot else line)

    def _answer(self, render: Observer) -> AnswerOutput:
        answer = AnswerOutput(render, self._destination, complain=self._complain, before_text=lambda: None)
        self._answers.append(answer)
        return answer

    def displayed(self, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
        """Return the events of a turn as they are shown; see ``Outputs.displayed``."""
        if self._options.response_format is None or self._form in ("json", "jsonl"):
            return events
        from chatcli.render.structured_answer import held, laid_out  # noqa: PLC0415 - most answers are not structured

        return laid_out(events) if self._form == "markdown" else held(events)

    async def fail(self, error: ChatcliError) -> ExitCode:
        """Report an error from before the turns."""
        end = TurnFailed(TurnResult("", self._settings.model or "", error=error))
        if self._form in ("json", "jsonl"):
            ((render, *_),) = self.begin([ComparedModel(self._settings.model or "", None, error)])
            await render(end)
        # Not as a line about that model, which may not be the one it is about.
        await self._status(end)
        return self.exit_code() or error.exit_code

    def exit_code(self) -> ExitCode:
        """Return the outputs' own exit code: one may have failed."""
        return next((code for answer in self._answers if (code := answer.exit_code())), ExitCode.DONE)

    def close(self) -> None:
        try:
            self._destination.at_close.close()
        except LocalIOError:
            if not self.exit_code():
                raise

    def _headed(self, at: int, model: ComparedModel) -> Sequence[Observer]:
        """Return the observers of an answer that is shown below others, under the name of its model."""
        render = renderer_of(
            self._options, self._settings, self._terminal, self._destination, "", notices=self._notices
        )
        name = sanitize_line(model.name)
        begin_line = partial(self._destination.file.write, "\n") if at else (lambda: None)
        headed = Headed(_InPlace(render, self._say_in_place), f"# {name}\n\n", begin_line)
        retry_now = (lambda: False) if model.resolved is None else model.resolved.retry_now
        around = self._options, self._settings, self._terminal
        # Where answers and lines are read together, each line stands below its answer.
        about = "" if self._terminal.stdout.is_terminal else name
        return (*waiting_output(*around, retry_now, keep=self._keep), *self._around(headed, about))

    def _around(self, render: Observer, about: str) -> Sequence[Observer]:
        """Return the observers of one turn: its answer and the lines about it."""
        options, settings, terminal = self._options, self._settings, self._terminal
        is_for_programs = self._form in ("json", "jsonl")
        status = status_output(
            options,
            settings,
            terminal,
            verbose=options.verbose or not (options.quiet or is_for_programs),
            about=f"{about}: " if about else "",
            reword=self._reworded,
        )
        return (self._answer(render), status, *beside(options, settings, terminal))

    def _complain(self, error: LocalIOError) -> None:
        say = line_writer(self._terminal, plain=self._settings.plain)
        for line in error_lines(error):
            if line not in self._complaints:
                self._complaints.add(line)
                say(line)

    def _say_in_place(self, message: str) -> None:
        """Write where an answer is missing why, unless standard error says it in the same place."""
        if not self._terminal.stdout.is_terminal or self._options.out:
            self._destination.file.write(f"({sanitize_line(self._terminal.redactor.redact(message))})\n")


class _InPlace:
    """An observer of a turn that has a failure without any answer said in its place."""

    def __init__(self, render: Observer, say: Callable[[str], None]) -> None:
        self._render = render
        self._say = say

    async def __call__(self, event: Event) -> None:
        await self._render(event)
        if isinstance(event, TurnFailed) and not event.result.text and event.result.error is not None:
            self._say(f"no answer: {event.result.error.message}")
