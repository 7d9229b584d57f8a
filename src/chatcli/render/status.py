"""Status lines about a turn, for stderr."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import Cancelled, EndpointError, clause
from chatcli.core.events import (
    ContextFitted,
    Notice,
    ReasoningDelta,
    Retrying,
    TextDelta,
    TurnCancelled,
    TurnFailed,
    TurnFinished,
    Waiting,
)
from chatcli.text.lazy_pattern import lazy_pattern
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.times import in_seconds
from chatcli.text.wording import dollars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from chatcli.core.errors import ChatcliError
    from chatcli.core.events import CitedSource, Event, TurnResult, Usage
    from chatcli.core.ports import Observer
    from chatcli.render.themes import Theme

_CUT: Final = {
    "length": "answer cut at the token limit; /continue gets the rest",
    "content_filter": "answer cut by the endpoint's content filter",
    "refusal": "the model refused to go on",
}
_CUT_BEFORE: Final = "cut at the token limit before the answer began: raise max_tokens"


_CONTINUE: Final = lazy_pattern(
    r"→ /continue .*|; /continue gets the rest|; the partial answer is kept \(/continue\)"
)
_AFTER_ANSWER: Final = {
    "refusal",
    "tool_calls",
    "media_not_shown",
    "no_finish_reason",
    "answers_left_out",
    "prompt_cut_by_server",
    "usage_doubted",
    "spending_unwritten",
    "outgoing_link",
}
"""Notices that wait for the end of the turn, as the last lines of the answer may not be printed yet."""
WARNING: Final = "warning: "
_TENTH_S: Final = 0.1
_SHORTEST_TEXT_S: Final = 0.05
"""Text that came in less time came at once, and at no speed."""
_WARNINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "injection": "sent all the same: check whether the answer obeys it",
        "outgoing_link": "open it only if you know where it leads",
    }
)
"""The notices that warn of a text or a link, with what to do; it is said once, behind all of a kind."""


class StatusRenderer:
    """Writes left-out turns, retries, waits for limits, notices, errors, cut answers and the sources of an answer.

    ``has_written`` is whether it has written a line yet. ``verbose`` adds a line with the turn's measurements,
    ``quiet`` leaves only errors, ``theme`` styles everything but errors. ``lists_retries`` is off if a redrawn
    line shows them, ``lists_sources`` if the answer itself lists them. ``reword`` returns the text to write for
    a line, empty for none. The renderer of the answer, which ends its last line first, must precede it.
    """

    def __init__(
        self,
        write_line: Callable[[str], object],
        *,
        theme: Theme | None = None,
        verbose: bool = False,
        quiet: bool = False,
        lists_retries: bool = True,
        lists_sources: bool = True,
        reword: Callable[[str], str] = str,
    ) -> None:
        self._write_line = write_line
        self._theme = theme
        self._verbose = verbose
        self._quiet = quiet
        self._lists_retries = lists_retries
        self._lists_sources = lists_sources
        self._reword = reword
        self._waiting: list[Notice] = []
        self._due_hints: dict[str, None] = {}
        self._is_held = False
        self.has_written = False

    async def __call__(self, event: Event) -> None:
        if isinstance(event, TurnFailed) and event.result.error is not None:
            self._write_error(event.result.error)
        if isinstance(event, Notice) and event.code in _AFTER_ANSWER:
            self._waiting.append(event)
            return
        if isinstance(event, Waiting | Retrying) and (isinstance(event, Waiting) or not self._lists_retries):
            self._say_what_holds(event)
            return
        if not self._quiet:
            self._write_hints(event)
            if isinstance(event, TurnFinished | TurnFailed | TurnCancelled):
                for notice in self._waiting:
                    self._write_hints(notice)
                    self._write_dimmed(_remark(notice))
                self._write_hints(event)
            self._write_dimmed(_remark(event))
            if self._lists_sources and isinstance(event, TurnFinished):
                for line in source_lines(event.result.sources):
                    self._write_dimmed(line)
        if self._verbose and isinstance(event, TurnFinished | TurnFailed | TurnCancelled):
            measures = measurements(event.result)
            # Of a turn that was stopped, often nothing is known but the model.
            self._write_dimmed(None if measures == sanitize_line(event.result.model) else measures)

    def notify(self, notice: Notice) -> None:
        """Write a notice from outside a turn."""
        self.remark(notice.message)

    def remark(self, text: str) -> None:
        """Write a line about anything, unless ``quiet``."""
        if not self._quiet:
            self._write_dimmed(sanitize_line(text))

    def _say_what_holds(self, wait: Waiting | Retrying) -> None:
        """Write once what a request waits for that was not sent, where no redrawn line says so."""
        is_held = isinstance(wait, Waiting) and wait.is_held
        if is_held and not self._is_held and self._lists_retries and not self._quiet:
            self._write_dimmed(f"not sent yet: {sanitize_line(wait.reason)}")
        self._is_held = is_held

    def _write_hints(self, event: Event) -> None:
        """Write what to do about the warnings before ``event``, unless it is one more."""
        code = event.code if isinstance(event, Notice) else ""
        for due in [due for due in self._due_hints if due != code]:
            self._write_dimmed(f"→ {_WARNINGS[due]}")
            del self._due_hints[due]
        if code in _WARNINGS:
            self._due_hints.setdefault(code)

    def _write_dimmed(self, line: str | None) -> None:
        if line is not None:
            role = "finding.warning" if line.startswith(WARNING) else "remark"
            self._write(self._theme.paint(line, role) if self._theme else line)

    def _write_error(self, error: ChatcliError) -> None:
        for line in error_lines(error):
            self._write(line)

    def _write(self, line: str) -> None:
        if line := self._reword(line):
            self.has_written = True
            self._write_line(line)


class StatusOfSeveral:
    """Writes the lines about turns that are drawn together, once all have ended, with the name of each before its lines.

    Failures are not written: they stand in the place of an answer.
    """

    def __init__(
        self,
        names: Sequence[str],
        write_line: Callable[[str], object],
        *,
        quiet: bool,
        reword: Callable[[str], str] = str,
    ) -> None:
        self._write_line = write_line
        self._lines: list[str] = []
        self._running = len(names)
        self._of_turns = [
            StatusRenderer(
                lambda line, name=name: self._lines.append(f"{name}: {line}"),  # type: ignore[misc]
                quiet=quiet,
                lists_retries=False,
                reword=reword,
            )
            for name in names
        ]

    def turn(self, at: int) -> Observer:
        """Return the observer of the turn at this place; the one that draws it precedes it."""
        return partial(self._see, at)

    async def _see(self, at: int, event: Event) -> None:
        if not isinstance(event, TurnFailed | TurnCancelled):
            await self._of_turns[at](event)
        if isinstance(event, TurnFinished | TurnFailed | TurnCancelled):
            self._running -= 1
        if not self._running:
            for line in self._lines:
                self._write_line(line)
            self._lines.clear()


class AnswerGap:
    """An observer that leaves a gap before an answer if ``is_due``, that is, if there are lines above it.

    It must precede the renderer of the answer.
    """

    def __init__(self, leave_gap: Callable[[], object], *, is_due: Callable[[], bool]) -> None:
        self._leave_gap = leave_gap
        self._is_due = is_due
        self._has_begun = False

    async def __call__(self, event: Event) -> None:
        if self._has_begun or not isinstance(event, TextDelta | ReasoningDelta):
            return
        self._has_begun = True
        if self._is_due():
            self._leave_gap()


def for_the_shell(line: str, *, is_kept: bool) -> str:
    """Reword ``line`` for a one-shot run, empty if it only offers what the shell cannot do.

    ``/continue`` is a command of a conversation, which can be resumed only if the session ``is_kept``.
    """
    line = line.replace("/save NAME saves it elsewhere", "-s PATH saves elsewhere")
    return line.replace("/continue", "chatcli -c, then /continue") if is_kept else _CONTINUE.sub("", line)


def for_several(line: str) -> str:
    """Reword ``line`` for one of several answers, of which the conversation may go on with another."""
    return line.replace("/continue", "/alt N, then /continue")


def error_lines(error: ChatcliError, *, verbose: bool = False) -> list[str]:
    """Return the error and, on a line of its own, its hint; if ``verbose``, with the id of its call."""
    reference = error_reference(error, verbose=verbose)
    lines = [f"error: {sanitize_line(error.clause if reference else error.message)}{reference}"]
    if error.hint:
        lines.append(f"→ {sanitize_line(error.hint)}")
    return lines


def source_lines(sources: Sequence[CitedSource]) -> list[str]:
    """Return the sources of an answer under a heading, one per line; nothing if there are none."""
    if not sources:
        return []
    return ["sources:", *(sanitize_line(source.line) for source in sources)]


def measurements(result: TurnResult) -> str:
    """Return the known tokens, times, cost and model of a turn on one line, and the ids of its last call."""
    facts = (
        _input(result.usage),
        _output(result.usage),
        _searches(result.usage.searches),
        measured(result),
        _speed(result),
        sanitize_line(result.model),
        _ids(result),
    )
    return " · ".join(each for each in facts if each)


def measured(result: TurnResult) -> str:
    """Return the known times and cost of a turn on one line."""
    facts = (
        None if result.latency_s is None else _took(result.latency_s),
        None if result.ttft_s is None else f"first text {_took(result.ttft_s)}",
        _cost(result.cost_usd),
        "from the cache" if result.cached else None,
        f"{result.attempts:,} attempts" if result.attempts > 1 else None,
    )
    return " · ".join(each for each in facts if each)


def _took(time_s: float) -> str:
    """Return a measured time, that of a model near by in milliseconds: ``0 s`` would say nothing."""
    return f"{time_s * 1000:.0f} ms" if time_s < _TENTH_S else in_seconds(time_s)


def _ids(result: TurnResult) -> str:
    """Return the ids of the last call of a turn, or of the one whose failure ended it."""
    error = result.error
    if not result.call_id and isinstance(error, EndpointError) and error.call_id:
        return call_ids(error.call_id, error.request_id)
    return call_ids(result.call_id, result.request_id)


def call_ids(call_id: str, request_id: str | None) -> str:
    """Return the id of a call in the logs, and the provider's; empty without any."""
    ids = [call_id, sanitize_line(request_id or "")]
    return " = ".join(each for each in ids if each)


def _speed(result: TurnResult) -> str | None:
    """Return how fast the text came once it had begun."""
    latency_s, ttft_s = result.latency_s, result.ttft_s
    tokens = (result.usage.output_tokens or 0) - result.earlier_tokens
    if tokens <= 0 or latency_s is None or ttft_s is None or latency_s - ttft_s < _SHORTEST_TEXT_S:
        return None
    return f"{tokens / (latency_s - ttft_s):,.0f} tokens/s"


def _cost(cost_usd: float | None) -> str | None:
    if not cost_usd:
        return None if cost_usd is None else "free"
    return dollars(cost_usd)


def _cut(result: TurnResult) -> str | None:
    if result.finish_reason == "length" and not result.text:
        return _CUT_BEFORE
    return _CUT.get(result.finish_reason or "")


def _remark(event: Event) -> str | None:
    match event:
        case ContextFitted(dropped_turns=dropped) if dropped > 0:
            turns = "turn" if dropped == 1 else "turns"
            return f"left out {dropped:,} older {turns}: {event.sent_tokens:,} of {event.budget_tokens:,} tokens sent"
        case Retrying():
            wait = in_seconds(event.wait_s)
            return f"{clause(sanitize_line(event.reason))}, retrying in {wait} (attempt {event.attempt})"
        case Notice():
            mark = WARNING if event.code in _WARNINGS else ""
            return mark + sanitize_line(event.message)
        case TurnFinished(result):
            return _cut(result) or _unnamed_call(result)
        case TurnCancelled(result):
            return Cancelled.PARTIAL_KEPT if result.text else Cancelled.NOTHING_YET
        case _:
            return None


def _unnamed_call(result: TurnResult) -> str | None:
    is_call = result.finish_reason in ("tool_calls", "function_call") and not result.tool_calls
    return "the model called a tool without naming it" if is_call else None


def error_reference(error: ChatcliError, *, verbose: bool = False) -> str:
    """Return the request id that a provider's support needs and, if ``verbose``, that of the call; empty if unknown."""
    if not isinstance(error, EndpointError):
        return ""
    ids = [f"call {error.call_id}"] if verbose and error.call_id else []
    ids += [f"request {sanitize_line(error.request_id)}"] if error.request_id else []
    return f" ({', '.join(ids)})" if ids else ""


def _input(usage: Usage) -> str | None:
    parts = ((usage.cached_tokens, "cached"), (usage.cache_write_tokens, "written to its cache"))
    return _tokens(usage.input_tokens, "in", parts, estimated=usage.estimated)


def _output(usage: Usage) -> str | None:
    return _tokens(
        usage.output_tokens, "out", ((usage.reasoning_tokens, "reasoning"),), estimated=usage.estimated
    )


def _searches(number: int | None) -> str | None:
    return f"{number:,} search{'es' if number > 1 else ''}" if number else None


def _tokens(
    count: int | None, direction: str, parts: Iterable[tuple[int | None, str]], *, estimated: bool
) -> str | None:
    if count is None:
        return None
    about = "~" if estimated else ""
    of_which = ", ".join(f"{part:,} {name}" for part, name in parts if part)
    return f"{about}{count:,} {direction}{of_which and f' ({of_which})'}"
