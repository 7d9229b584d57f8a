"""Chat: one question and its answer, or a conversation."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from chatcli.app.run_context import INTERACTIVE, SINGLE, ChatOptions
from chatcli.app.wiring import body_to_send, open_chat
from chatcli.chat.context_report import stretches
from chatcli.cli.background_query import answers_queries
from chatcli.cli.options import word_hint
from chatcli.cli.outputs import turn_outputs
from chatcli.cli.questions import chosen_template, compose, hints_of
from chatcli.cli.setup import run_context, settings_of
from chatcli.cli.signals import raising_interrupts, until_signalled
from chatcli.cli.typed_lines import agrees, answered
from chatcli.config.paths import obstacle
from chatcli.conversation.play import play
from chatcli.core.errors import ChatcliError, ConfigurationError, EndpointError, ExitCode, UsageError
from chatcli.core.events import Notice, TurnFailed, TurnFinished, TurnResult
from chatcli.cost.request_options import longest_answer_tokens
from chatcli.render.background import background_from_environment
from chatcli.sessions.folder import SUFFIX
from chatcli.sessions.store import SessionStore
from chatcli.text.key_shapes import names_key
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from chatcli.app.run_context import Notify, RunContext
    from chatcli.attachments.encodings import EncodingHints
    from chatcli.attachments.web_texts import WebText
    from chatcli.chat import Conversation
    from chatcli.chat.context_report import ContextReport
    from chatcli.chat.turns import Examined
    from chatcli.cli.outputs import Outputs
    from chatcli.cli.standard_streams import Terminal
    from chatcli.config.settings import Settings
    from chatcli.conversation.long_input.long_question import LongQuestion
    from chatcli.core.events import TurnEnd
    from chatcli.core.messages import Message

_REPORT_EVERY_S: Final = 10.0
_NO_PLACE: Final = "no folder to keep it in"


def chat(options: Namespace, terminal: Terminal) -> ExitCode:
    """Answer the question given; without one and with a person at the keyboard, start the REPL."""
    context = run_context(terminal)
    _check_which_conversation(options, context, terminal)
    template, set_by_template = None, None
    if options.template is not None or options.variables:
        template, set_by_template = chosen_template(options, context)
    settings = settings_of(options, context, terminal, template=set_by_template)
    read_page = _page_reader(settings, context, options, terminal)
    try:
        question = compose(options, terminal, template, read_page=read_page)
    except ChatcliError as error:
        # What cannot be attached is reported like a model that cannot be reached, as JSON where that is wanted.
        if not isinstance(error, EndpointError) and options.output not in {"json", "jsonl"}:
            raise
        return asyncio.run(_OneShot(options, settings, context, terminal).fail(error))
    settings = _with_a_place_to_keep(settings, options, context, terminal)
    if question is not None and options.resume:
        raise UsageError(
            "--resume opens the chat; it takes no prompt",
            hint="to ask one question in a session, use -s NAME or -c",
        )
    if question is not None:
        if options.only_word and not options.quiet and (hint := word_hint(options.only_word)):
            terminal.warn(hint)
        return _ask(question, options, settings, context, terminal)
    for name in ("dry_run", "extract", "out", "output"):
        if getattr(options, name):
            raise UsageError(f"--{name.replace('_', '-')} needs a prompt", hint='chatcli [OPTIONS] "PROMPT"')
    if settings.plain or options.raw or terminal.is_dumb or not terminal.stdout.is_terminal:
        from chatcli.cli.line_frontend import line_loop  # noqa: PLC0415 - one answer needs no commands

        return line_loop(
            options,
            settings,
            context,
            terminal,
            chat_options=_chat_options(options, priority=INTERACTIVE),
            reload_settings=_settings_reloader(options, context, terminal),
        )
    return _repl(options, settings, context, terminal)


def _page_reader(
    settings: Settings, context: RunContext, options: Namespace, terminal: Terminal
) -> Callable[[str, EncodingHints], WebText]:
    """Return a function that reads a web page, and reports on stderr now and then while it waits."""
    reported_s: list[float] = []

    def doing(what: str) -> None:
        now_s = time.monotonic()
        if not options.quiet and (not reported_s or now_s - reported_s[-1] >= _REPORT_EVERY_S):
            reported_s.append(now_s)
            terminal.warn(sanitize_line(what))

    def read(address: str, hints: EncodingHints) -> WebText:
        from chatcli.app.web_reader import read_page  # noqa: PLC0415 - most questions read no page

        return asyncio.run(read_page(address, settings, context, hints, doing=doing))

    return read


def _check_which_conversation(options: Namespace, context: RunContext, terminal: Terminal) -> None:
    named = {
        "--session": options.session is not None,
        "--continue": options.resume_last,
        "--resume": options.resume,
    }
    given = [option for option, is_given in named.items() if is_given]
    if len(given) > 1:
        raise UsageError(f"{given[0]} and {given[1]} cannot be combined", hint="use one of them")
    if options.everywhere and not options.resume:
        raise UsageError("--all only works with --resume", hint="chatcli --resume --all")
    if not options.resume:
        return
    if not (terminal.stdin_is_terminal and terminal.stdout.is_terminal):
        raise UsageError(
            "--resume needs a terminal",
            hint="use -c for the session used last, or -s NAME; chatcli sessions list shows the names",
        )
    if not _has_session(SessionStore(context.paths.data).folder):
        raise ConfigurationError(
            "there are no sessions yet",
            hint="ask something first; every conversation is saved automatically",
        )


def _has_session(folder: Path) -> bool:
    # One is enough: listing ten thousand sessions would take too long.
    try:
        with os.scandir(folder) as entries:
            return any(entry.name.endswith(SUFFIX) for entry in entries)
    except OSError:
        return False


def _repl(options: Namespace, settings: Settings, context: RunContext, terminal: Terminal) -> ExitCode:
    from chatcli.terminal.start import Repl, TerminalInfo  # noqa: PLC0415 - a pipe needs no prompt_toolkit

    terminal_info = TerminalInfo(
        sys.stdin,
        sys.stdout,
        terminal.environment.get("TERM"),
        terminal.stdout_colors,
        background=background_from_environment(terminal.environment),
        answers_queries=answers_queries(terminal),
        is_remote=terminal.is_remote,
        encoding_hints=hints_of(terminal, options.encoding),
    )
    repl = Repl(
        settings,
        _chat_options(options, priority=INTERACTIVE),
        context,
        terminal_info,
        reload_settings=_settings_reloader(options, context, terminal),
        verbose=options.verbose,
        quiet=options.quiet,
        choosing=options.resume,
        everywhere=options.everywhere,
    )
    code = asyncio.run(until_signalled(repl.run(), interrupt=repl.interrupt, abandon=repl.abandon))
    if repl.farewell is not None:
        terminal.warn(repl.farewell)
    return code


def _settings_reloader(
    options: Namespace, context: RunContext, terminal: Terminal
) -> Callable[[Mapping[str, object]], Settings]:
    """Return a function that resolves the settings again, with changes that override every other source."""

    def reload_settings(changes: Mapping[str, object]) -> Settings:
        settings = settings_of(options, context, terminal, changes=changes, mentions_untrusted=False)
        return settings if obstacle(context.paths.data) is None else _unkept(settings)

    return reload_settings


def _with_a_place_to_keep(
    settings: Settings, options: Namespace, context: RunContext, terminal: Terminal
) -> Settings:
    """Return ``settings`` with saving turned off, and warn once, if there is no place to save."""
    reason = obstacle(context.paths.data) if settings.save and not options.dry_run else None
    if reason is None:
        return settings
    if not options.quiet:
        terminal.warn(sanitize_line(f"this conversation cannot be saved in {context.paths.data}: {reason}"))
        terminal.warn("→ set HOME or CHATCLI_DATA_DIR to a writable folder, or use --no-save")
    return _unkept(settings)


def _is_unkept(settings: Settings) -> bool:
    """Whether saving was wanted but is impossible."""
    return settings.origin("save") == _NO_PLACE


def _unkept(settings: Settings) -> Settings:
    return replace(settings, save=False, origins={**settings.origins, "save": _NO_PLACE})


def _ask(
    question: Message, options: Namespace, settings: Settings, context: RunContext, terminal: Terminal
) -> ExitCode:
    """Ask ``question`` and show the answer as the options require."""
    work = _OneShot(options, settings, context, terminal).run(question)
    return asyncio.run(until_signalled(work, on_signal=terminal.give_up_on_readers))


def _chat_options(options: Namespace, *, priority: int = SINGLE) -> ChatOptions:
    return ChatOptions(
        session=options.session,
        resume_last=options.resume_last,
        embedded=options.local,
        insecure_http=options.insecure_http,
        count_exactly=options.dry_run or options.output == "jsonl",
        dry=options.dry_run,
        priority=priority,
    )


class _OneShot:
    def __init__(
        self, options: Namespace, settings: Settings, context: RunContext, terminal: Terminal
    ) -> None:
        self._options = options
        self._settings = settings
        self._context = context
        self._terminal = terminal
        self._free_keyboard: Callable[[], object] = lambda: None

    async def run(self, question: Message) -> ExitCode:
        shown = turn_outputs(self._options, self._settings, self._terminal, is_one_shot=True)
        answer = shown.answer
        is_lost = False
        with closing(answer):
            self._free_keyboard = answer.free_keyboard
            try:
                async with open_chat(
                    self._settings,
                    _chat_options(self._options),
                    self._context,
                    shown.notify,
                    approve=self._approves if self._terminal.is_attended else None,
                ) as chat:
                    if self._options.dry_run:
                        for notice in await chat.manager.checked((question,)):
                            shown.notify(notice)
                        answer.write(_dry_run(chat, self._settings, question, self._context))
                        return ExitCode.DONE
                    if "context" in self._settings.asked_for:
                        await _get_ready(chat, question, shown.notify)
                    asked = await self._examined(chat, question) if self._terminal.is_attended else question
                    if asked is None:
                        return ExitCode.INTERRUPTED
                    observers = shown.observers(chat.turns.retry_now, lambda: chat.opened.title)
                    end = await play(chat.turns.send(asked), *observers)
                    chat.branches.take_back_unsent(end)
                    must_be_saved = bool(self._options.session or self._options.resume_last)
                    is_to_be_kept = self._settings.save or _is_unkept(self._settings)
                    is_lost = must_be_saved and is_to_be_kept and chat.opened.name is None
            except ChatcliError as error:
                end = await self._failed(shown, error)
            chosen = self._settings.origin("max_tokens") != "default"
            code = answer.exit_code() or exit_code(end, length_was_chosen=chosen)
            # Saving by default may fail quietly; a session named on the command line may not.
            return code or (ExitCode.LOCAL_IO if is_lost else ExitCode.DONE)

    async def fail(self, error: ChatcliError) -> ExitCode:
        """Report an error that came before there was a question."""
        shown = turn_outputs(self._options, self._settings, self._terminal, is_one_shot=True)
        with closing(shown.answer):
            await self._failed(shown, error)
            return shown.answer.exit_code() or error.exit_code

    async def _failed(self, shown: Outputs, error: ChatcliError) -> TurnFailed:
        end = TurnFailed(TurnResult(text="", model=self._settings.model or "", error=error))
        for observe in shown.always:
            await observe(end)
        return end

    async def _examined(self, chat: Conversation, question: Message) -> Message | Examined | None:
        """Let the person choose how to handle a question that does not fit."""
        from chatcli.repl.long_choice import settle_length  # noqa: PLC0415 - a pipe asks nobody

        terminal = self._terminal
        return await settle_length(
            chat, question, self._settings, say=terminal.warn, ask=self._line, columns=terminal.columns()
        )

    async def _line(self, label: str) -> str | None:
        # Blocking is fine: nothing else runs in the loop.
        self._free_keyboard()
        try:
            with raising_interrupts():
                return answered(label, self._terminal)
        except KeyboardInterrupt:
            self._terminal.warn("")
            return None

    async def _approves(self, message: str) -> bool:
        # Blocking is fine: nothing else runs in the loop.
        self._free_keyboard()
        with raising_interrupts():
            return agrees(message, self._terminal)


async def _get_ready(chat: Conversation, question: Message, notify: Notify) -> None:
    """Summarize the turns that would be left out, as a conversation does between two questions.

    A caller that did not choose a context strategy in this call skips the wait.
    """
    if chat.manager.fold(question) is None:
        return
    notify(Notice("summing_up", "summarizing older turns"))
    try:
        await chat.get_ready(question)
    except ChatcliError as error:
        notify(
            Notice("summary_failed", f"older turns could not be summarized and are left out: {error.message}")
        )


def _dry_run(chat: Conversation, settings: Settings, question: Message, context: RunContext) -> str:
    """Return the request that would be sent, as JSON."""
    if (long := chat.turns.long(question)) is not None:
        return _long_dry_run(chat, long, context)
    request, plan = chat.manager.prepare(question)
    body = body_to_send(request, chat.turns.connected.endpoint, settings, context)
    resolved, longest = chat.resolved, longest_answer_tokens(request.parameters)
    shown = {
        "endpoint": context.redactor.redact(chat.turns.connected.endpoint.base_url),
        # Some gateways take a key in the body.
        "request": {name: "…" if names_key(name) else value for name, value in body.items()},
        "sent_tokens": plan.sent_tokens,
        "budget_tokens": plan.budget_tokens,
        "dropped_turns": plan.dropped_turns,
        "cost_usd": resolved and resolved.about_usd(plan.sent_tokens),
        "cost_with_answer_usd": resolved and longest and resolved.about_usd(plan.sent_tokens, longest),
        **context_data(chat.turns.report(question=question)),
    }
    return json.dumps(shown, ensure_ascii=False, indent=2) + "\n"


def _long_dry_run(chat: Conversation, question: LongQuestion, context: RunContext) -> str:
    """Return the limits of reading a long question, as JSON. Raise ``InputTooLong`` if it cannot be read."""
    plan = question.plan(chat.turns.long_questions.strategy)
    shown = {
        "endpoint": context.redactor.redact(chat.turns.connected.endpoint.base_url),
        "long": plan.strategy,
        "text_tokens": plan.text_tokens,
        "parts": [{"start": part.start, "end": part.end, "tokens": part.tokens} for part in plan.parts],
        "requests": plan.requests,
        "sent_tokens": plan.sent_tokens,
        "answer_tokens": plan.answer_tokens,
        "cost_usd": chat.turns.long_questions.cost_of(plan),
    }
    return json.dumps(shown, ensure_ascii=False, indent=2) + "\n"


_INCOMPLETE: Final = {"content_filter", "refusal", "tool_calls", "function_call"}


def exit_code(end: TurnEnd, *, length_was_chosen: bool) -> ExitCode:
    """Return the exit code of a turn; an answer cut off by a limit the person set counts as complete."""
    result = end.result
    if result.error is not None:
        return result.error.exit_code
    is_cut = result.finish_reason in (_INCOMPLETE if length_was_chosen else _INCOMPLETE | {"length"})
    if isinstance(end, TurnFinished) and (is_cut or result.refusal is not None or result.tool_calls):
        return ExitCode.INCOMPLETE
    return ExitCode.DONE


def context_data(report: ContextReport) -> dict[str, Any]:
    """Return the context of a conversation with the keys of ``--dry-run``: strategy, parts in order, gaps.

    A ``turn`` is a number in the conversation, starting at 1; ``turns`` are pairs of the first and last of
    consecutive turns.
    """
    return {
        "context": report.context,
        "parts": [
            {
                "kind": part.kind,
                "tokens": part.tokens,
                "turn": part.turn,
                "cost_usd": part.cost_usd,
                "suspicious": part.is_suspicious,
            }
            for part in report.parts
        ],
        "left_out": [
            {
                "turns": [list(stretch) for stretch in stretches(gap.turns)],
                "reason": gap.reason,
                "tokens": gap.tokens,
            }
            for gap in report.left_out
        ],
    }
