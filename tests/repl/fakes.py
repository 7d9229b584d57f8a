"""A frontend that records its output, for conversations without a terminal."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from chatcli.core.events import Notice, TextDelta, TurnFailed
from chatcli.render.status import error_lines
from chatcli.render.themes import theme
from chatcli.repl.frontend import USUAL, Frontend
from chatcli.repl.queue import Submission


class KeptFrontend(Frontend):
    """``answers`` are given to questions; a final ``None`` declines all further ones.

    ``chooses`` is the session chosen from those ``offered``.
    """

    def __init__(self, *answers, lines=(), columns=80, draws=True, chooses=None, color_system=None):
        self.draws = draws
        self.words = USUAL._replace(keys="the keys")
        self.chooses = chooses
        self.offered = []
        self.output = []
        self.drafted = ""
        self.aside = ""
        self.holds = 0
        self.sequences = []
        self.asked = []
        self.was_left = False
        self._answers = list(answers)
        self._lines = list(lines)
        self._columns = columns
        self._color_system = color_system

    @property
    def text(self):
        return "\n".join(self.output)

    def columns(self):
        return self._columns

    def say(self, text):
        self.output.append(text)

    remark = answer = doing = say

    def notify(self, notice):
        self.output.append(notice.message)

    def idle_s(self):
        return 9.0

    def refresh(self):
        pass

    def picture(self, rows):
        self.output.append(theme("dark", self._color_system).painted(rows))

    def complain(self, error):
        self.output += error_lines(error)

    def echo(self, question, attached=""):
        self.output += [f"> {question}", *filter(None, [attached])]

    question = echo

    def pause(self):
        pass

    def compared(self, models, *, verbose):
        def observers(name):
            async def observe(event):
                if isinstance(event, TextDelta):
                    self.output.append(f"{name}: {event.text}")
                elif isinstance(event, TurnFailed):
                    self.complain(event.result.error)

            return (observe,)

        return [observers(model.name) for model in models]

    def observers(self, *, verbose):
        async def observe(event):
            if isinstance(event, TextDelta):
                self.output.append(event.text)
            elif isinstance(event, Notice):
                self.notify(event)
            elif isinstance(event, TurnFailed):
                self.complain(event.result.error)

        return (observe,)

    async def work(self, work, what):
        with suppress(asyncio.CancelledError):
            await work

    async def line(self):
        return Submission.plain(self._lines.pop(0)) if self._lines else None

    async def ask(self, label, *, secret=False):
        self.asked.append((label, secret))
        return self._answers.pop(0) if self._answers else None

    async def choose_session(self, pickable, *, words="", everywhere=False):
        listing = pickable.listing(words, is_here=False)
        self.offered = [session.name for session in listing.sessions]
        return self.chooses

    async def page_through(self, answer):
        self.output.append(answer)

    def to_terminal(self, sequence):
        self.sequences.append(sequence)
        return self.draws

    def hold(self, draft=""):
        self.holds += 1
        if draft:
            self.aside = draft

    def draft(self, text):
        self.drafted = text
