"""Asking ahead: after an answer, likely follow-up questions are proposed, and the first of them answered into the cache."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from chatcli.app.answer_caching import cache_in_use
from chatcli.app.run_context import PREFETCH_USD
from chatcli.chat.follow_ups import FollowUps
from chatcli.core.errors import BudgetReached, ChatcliError
from chatcli.core.events import Notice
from chatcli.cost.budget import PREFETCH
from chatcli.cost.price import limit_of
from chatcli.cost.request_options import TYPICAL_ANSWER_TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chatcli.app.run_context import RunContext
    from chatcli.chat import Conversation
    from chatcli.chat.resolved_model import ResolvedModel
    from chatcli.config.settings import Settings
    from chatcli.core.ports import ChatModel
    from chatcli.repl.frontend import Frontend

_FEWEST_PROPOSED: Final = 3
_MOST_FAILURES: Final = 3
"""After so many failures in a row, nothing more is asked ahead in this run."""

_KEPT_FREE: Final = 0.5
"""The share of a rate limit that is left to the person's own questions."""


class AskingAhead:
    """Proposes follow-up questions after an answer, and has the first of them answered; the person is asked nothing.

    ``is_question`` says whether a text would be asked, and not obeyed. Every request goes behind those of the person,
    stops when the person sends something, and is paid for from a budget of its own. A failure only counts. What is
    proposed is the model's text: it becomes a question only if the person takes it and sends it.
    """

    def __init__(
        self,
        *,
        chat: Callable[[], Conversation],
        settings: Callable[[], Settings],
        context: RunContext,
        frontend: Frontend,
        is_question: Callable[[str], bool],
    ) -> None:
        self._chat = chat
        self._settings = settings
        self._context = context
        self._frontend = frontend
        self._is_question = is_question
        self._task: asyncio.Task[None] | None = None
        self._state: tuple[object, ...] = ()
        self._proposals: tuple[str, ...] = ()
        self._answered: set[str] = set()
        self._was_expected: bool | None = None
        self._failures = 0
        self._model: tuple[ResolvedModel, ChatModel] | None = None
        self.status = ""
        """What is being done, in a few words, empty for nothing."""
        self.reason = ""
        """Why nothing was proposed last time, empty if it was."""

    @property
    def proposals(self) -> tuple[str, ...]:
        """The questions proposed for the conversation as it is, the likeliest first."""
        return self._proposals if self._state == self._current else ()

    def is_answered(self, proposal: str) -> bool:
        return proposal in self._answered

    def begin(self) -> None:
        """Propose questions after an answer; once for each state of the conversation."""
        if (reason := self._obstacle()) is not None:
            self.reason = reason
            if self._context.shared.spending.is_first_report(reason):
                self._frontend.notify(Notice("prefetch_off", reason))
            return
        if self._state != self._current:
            self._forget()
            self._state = self._current
        if self._failures < _MOST_FAILURES and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run(self._settings().prefetch))

    def take(self, question: str) -> None:
        """Stop everything: the person has sent ``question``."""
        self._was_expected = question in self._answered if self._answered else None
        self._cancel()
        self._forget()

    def note_answer(self, *, is_cached: bool) -> None:
        """Count whether the question taken last was answered ahead."""
        if self._was_expected is not None:
            self._count({"ahead_hits" if self._was_expected and is_cached else "ahead_misses": 1})
        self.forget_question()

    def forget_question(self) -> None:
        """Forget the question taken last, which may not have been asked."""
        self._was_expected = None

    def check(self) -> None:
        """Stop if the conversation is no longer as it was."""
        if self._state != self._current:
            self._cancel()

    async def stop(self) -> None:
        """Stop asking; what was proposed stays."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _forget(self) -> None:
        self._state, self._proposals, self._answered, self.status = (), (), set(), ""

    @property
    def _current(self) -> tuple[object, ...]:
        chat = self._chat()
        return chat, chat.resolved, chat.session.head, chat.opened.changes, chat.opened.editing

    def _obstacle(self) -> str | None:
        """Return why nothing is asked ahead, ``None`` if it is."""
        settings = self._settings()
        if self._frontend.idle_s() == math.inf:
            return "prefetch does nothing here: it works only where you can type while it does"
        if settings.cache == "off":
            return 'prefetch needs the cache of answers, which is off; set cache = "memory" or "sqlite"'
        if settings.web_search != "off":
            return "web search is on, and its answers are not cached, so prefetch does nothing"
        if not settings.save:
            return "this conversation is not saved, so nothing is cached, and prefetch does nothing"
        return self._obstacle_at(self._chat().resolved)

    @staticmethod
    def _obstacle_at(resolved: ResolvedModel | None) -> str | None:
        if resolved is None or resolved.open_ahead is None:
            return "no model is ready yet"
        if resolved.endpoint.embedded:
            return "prefetch does nothing with the built-in model, which would keep the machine busy"
        if resolved.about_usd(1, 1) is None:
            price = f'set [prices."{resolved.model_name}"] in config.toml'
            return f"the price of {resolved.model_name} is unknown, so prefetch does nothing; {price}"
        return None

    async def _run(self, count: int) -> None:
        resolved, spending = self._chat().turns.connected, self._context.shared.spending
        follow_ups = FollowUps(self._chat(), self._model_of(resolved))
        spent_usd = spending.ahead_usd
        try:
            if not self._proposals:
                self._show("looking ahead")
                await self._propose(follow_ups, max(count, _FEWEST_PROPOSED), resolved)
            await self._answer(follow_ups, self._proposals[:count], resolved)
        except BudgetReached as error:
            self.reason = error.message
        except (ChatcliError, OSError) as error:
            self._failures += 1
            self.reason = str(error)
            follow_ups.counted["ahead_failed"] += 1
        finally:
            self._count({**follow_ups.counted, "ahead_cost_usd": float(spending.ahead_usd - spent_usd)})
            self._show("")

    async def _propose(self, follow_ups: FollowUps, number: int, resolved: ResolvedModel) -> None:
        if not self._has_room(resolved):
            return
        proposals = await follow_ups.propose(number, lambda text: self._is_acceptable(text, resolved))
        self._proposals, self._failures, self.reason = proposals, 0, ""

    async def _answer(
        self, follow_ups: FollowUps, questions: tuple[str, ...], resolved: ResolvedModel
    ) -> None:
        for number, question in enumerate(questions, start=1):
            if question in self._answered:
                continue
            if not self._has_room(resolved):
                return
            self._show(f"answering ahead {number} of {len(questions)}")
            if await follow_ups.answer(question, self._affords):
                self._answered.add(question)

    def _has_room(self, resolved: ResolvedModel) -> bool:
        """Return whether the rate limits leave enough to the person."""
        usage = self._chat().manager.context_usage()
        tokens = usage.system_tokens + usage.turns_tokens + TYPICAL_ANSWER_TOKENS
        early, model = resolved.early, resolved.model_name
        is_only_one = self._settings().requests_per_minute == 1
        has_room = not is_only_one and (early is None or early.spare_share(model, tokens) >= _KEPT_FREE)
        if not has_room:
            self.reason = "the rate limit leaves no room"
        return has_room

    def _affords(self, usd: float) -> bool:
        limit_usd = Decimal(str(self._settings().budget.get(PREFETCH, PREFETCH_USD)))
        is_left = Decimal(str(usd)) <= limit_usd - self._context.shared.spending.ahead_usd
        if not is_left:
            self.reason = f"the prefetch budget of {limit_of(limit_usd)} leaves no room"
        return is_left

    async def _is_acceptable(self, text: str, resolved: ResolvedModel) -> bool:
        """Return whether a proposal may be shown: a question, without a key in it and without orders to a model."""
        if not self._is_question(text) or self._context.redactor.keys_in(text):
            return False
        return resolved.screen is None or not await resolved.screen.findings(text)

    def _model_of(self, resolved: ResolvedModel) -> ChatModel:
        if self._model is None or self._model[0] is not resolved:
            assert resolved.open_ahead is not None  # noqa: S101 - see _obstacle
            self._model = resolved, resolved.open_ahead()
        return self._model[1]

    def _show(self, status: str) -> None:
        self.status = status
        self._frontend.refresh()

    def _count(self, amounts: Mapping[str, float]) -> None:
        counted = {name: amount for name, amount in amounts.items() if amount}
        if counted and self._settings().cache != "off":
            cache_in_use(self._settings(), self._context).count(counted)
