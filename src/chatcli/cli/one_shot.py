"""One question and its answer, or the request that would be sent."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from chatcli.app.wiring import body_to_send, open_chat
from chatcli.chat.context_report import stretches
from chatcli.cli.outputs import turn_outputs
from chatcli.cli.setup import NO_PLACE, chat_options
from chatcli.cli.signals import raising_interrupts
from chatcli.cli.typed_lines import agrees, answered
from chatcli.conversation.play import play
from chatcli.core.errors import ChatcliError, ExitCode
from chatcli.core.events import Notice, TurnFailed, TurnFinished, TurnResult
from chatcli.cost.request_options import longest_answer_tokens
from chatcli.text.key_shapes import names_key

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from chatcli.app.run_context import Notify, RunContext
    from chatcli.chat import Conversation
    from chatcli.chat.context_report import ContextReport
    from chatcli.chat.turns import Examined
    from chatcli.cli.outputs import Outputs
    from chatcli.cli.standard_streams import Terminal
    from chatcli.config.settings import Settings
    from chatcli.conversation.long_input.long_question import LongQuestion
    from chatcli.core.events import TurnEnd
    from chatcli.core.messages import Message


async def ask(
    question: Message, options: Namespace, settings: Settings, context: RunContext, terminal: Terminal
) -> ExitCode:
    """Ask ``question`` and show the answer as the options require."""
    return await _OneShot(options, settings, context, terminal).run(question)


async def fail(
    error: ChatcliError, options: Namespace, settings: Settings, context: RunContext, terminal: Terminal
) -> ExitCode:
    """Report an error that came before there was a question, as the options require."""
    return await _OneShot(options, settings, context, terminal).fail(error)


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
                    chat_options(self._options),
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
                        await get_ready(chat, question, shown.notify)
                    asked = await self._examined(chat, question) if self._terminal.is_attended else question
                    if asked is None:
                        return ExitCode.INTERRUPTED
                    observers = shown.observers(chat.turns.retry_now, lambda: chat.opened.title)
                    turn = chat.turns.send(asked)
                    end = await play(
                        turn if self._options.response_format is None else shown.displayed(turn), *observers
                    )
                    chat.branches.take_back_unsent(end)
                    is_lost = is_unsaved(chat, self._options, self._settings)
            except ChatcliError as error:
                end = await self._failed(shown, error)
            chosen = self._settings.origin("max_tokens") != "default"
            code = answer.exit_code() or exit_code(end, length_was_chosen=chosen)
            # Saving by default may fail quietly; a session named on the command line may not.
            return code or (ExitCode.LOCAL_IO if is_lost else ExitCode.DONE)

    async def fail(self, error: ChatcliError) -> ExitCode:
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


def is_unsaved(chat: Conversation, options: Namespace, settings: Settings) -> bool:
    """Whether a session named on the command line was not saved, though it was to be."""
    must_be_saved = bool(options.session or options.resume_last)
    is_to_be_kept = settings.save or settings.origin("save") == NO_PLACE
    return must_be_saved and is_to_be_kept and chat.opened.name is None


async def get_ready(chat: Conversation, question: Message, notify: Notify) -> None:
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
            Notice(
                "summary_failed", f"older turns could not be summarized and are left out: {error.traceable}"
            )
        )


def _dry_run(chat: Conversation, settings: Settings, question: Message, context: RunContext) -> str:
    """Return the request that would be sent, as JSON."""
    if (long := chat.turns.long(question)) is not None:
        return _long_dry_run(chat, long, context)
    request, plan = chat.manager.prepare(question)
    body = body_to_send(request, chat.turns.connected.endpoint, settings, context, is_turn=True)
    resolved, longest = chat.resolved, longest_answer_tokens(request.parameters)
    report = chat.turns.report(question=question)
    schema_tokens = report.tokens_of("schema")
    sent_tokens = plan.sent_tokens + schema_tokens
    shown = {
        "endpoint": context.redactor.redact(chat.turns.connected.endpoint.base_url),
        # Some gateways take a key in the body.
        "request": {name: "…" if names_key(name) else value for name, value in body.items()},
        "sent_tokens": sent_tokens,
        "budget_tokens": plan.budget_tokens + schema_tokens,
        "dropped_turns": plan.dropped_turns,
        "cost_usd": resolved and resolved.request_usd(sent_tokens),
        "cost_with_answer_usd": resolved and longest and resolved.request_usd(sent_tokens, longest),
        **context_data(report),
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
