"""Readers of long texts that answer by a function of their prompt."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from chatcli.conversation.context import Window
from chatcli.conversation.counting import TOKENS_TO_OPEN_REPLY, MessageTokens
from chatcli.conversation.history import History
from chatcli.conversation.long_input.how import LongInput
from chatcli.conversation.long_input.long_question import LongQuestion
from chatcli.conversation.long_input.turn import ReadingModel, long_turn
from chatcli.core.events import Completion, TextDelta, TurnFinished, TurnResult, TurnStarted
from chatcli.core.request import Parameters


class AnsweringModel:
    """A ``ChatModel`` that answers with ``answer(prompt)``, or raises it, and counts concurrent requests.

    ``raised_after`` is raised after the answer.
    """

    def __init__(self, answer, *, raised_after=None):
        self._raised_after = raised_after
        self.prompts = []
        self.requests = []
        self.at_once = self.most_at_once = 0
        self._answer = answer

    async def stream(self, request):
        prompt = "\n".join(message.text for message in request.messages)
        self.requests.append(request)
        self.prompts.append(prompt)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0)
            answer = self._answer(prompt)
            if isinstance(answer, Exception):
                raise answer
            yield TextDelta(answer)
            yield Completion("stop")
            if self._raised_after is not None:
                raise self._raised_after
        finally:
            self.at_once -= 1


class Reading:
    """A turn that reads a long question; ``last`` is the question sent in the end."""

    def __init__(self, question, counter, *, window_tokens, history=None):
        self.tokens = MessageTokens(counter)
        self.window = Window.of(window_tokens, None)
        self.last = None
        self.notices = ()
        self._question = LongQuestion(
            question, history=history or History(), window=self.window, tokens=self.tokens, counter=counter
        )

    def plan(self, strategy):
        return self._question.plan(strategy)

    async def read(self, strategy, model, how=None):
        """Return the events of the whole turn."""
        reading_model = ReadingModel(model, "small", Parameters())
        turn = long_turn(
            self._question,
            strategy,
            reading_model,
            how or LongInput(),
            session=None,
            send=self._send,
            check=self._check,
        )
        async with aclosing(turn) as events:
            return [event async for event in events]

    async def _check(self):
        return self.notices

    async def _send(self, last, spending):
        self.last = last
        yield TurnStarted("small")
        yield TextDelta("done")
        yield TurnFinished(TurnResult("done", "small", "stop"))

    def sent_tokens(self, messages):
        return sum(map(self.tokens, messages)) + TOKENS_TO_OPEN_REPLY
