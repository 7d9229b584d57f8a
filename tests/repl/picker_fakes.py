"""Sessions to choose from, in memory."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from chatcli.core.errors import LocalIOError
from chatcli.repl.pickable_sessions import PickableSessions
from chatcli.sessions.library import SearchHit
from chatcli.sessions.store import SessionFile, SessionSummary

NOW = datetime(2026, 11, 26, 15, 0, tzinfo=UTC)
HERE = "/work"


def summary(name, title="", *, folder=HERE, turns=1, hours=0, preview=""):
    return SessionSummary(
        name, Path(f"/data/{name}.jsonl"), title, turns, NOW - timedelta(hours=hours), folder, preview
    )


class FakeLibrary:
    """A ``Library``. ``unread`` is found by the next refresh, which blocks until ``may_go_on``."""

    def __init__(self, *summaries, unread=()):
        self.kept = list(summaries)
        self.unread = list(unread)
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.searched = []
        self.is_failing = False

    def refresh(self, progress=None):
        if progress is not None and self.unread:
            progress(1, len(self.unread))
        self.may_go_on.wait(20)
        self.kept = [*self.unread, *self.kept]
        self.unread = []

    def sessions(self, *, folder=None):
        return [each for each in self.kept if folder is None or each.folder == folder]

    def search(self, words, *, folder=None, limit=50):
        self.searched.append(words)
        found = []
        for each in self.sessions(folder=folder):
            text = f"{each.title} {each.preview}"
            if (at := text.casefold().find(words.strip().casefold())) >= 0:
                found.append(SearchHit(each, text, (at, at + len(words.strip()))))
        return found[:limit]

    def count(self, words="", *, folder=None):
        return len(self.search(words, folder=folder, limit=10**9))

    def rename(self, name, title):
        self._fail()
        self.kept = [replace(each, title=title) if each.name == name else each for each in self.kept]

    def remove(self, name):
        self._fail()
        (gone,) = (each for each in self.kept if each.name == name)
        self.kept.remove(gone)
        return SessionFile(name, gone.path)

    def close(self):
        pass

    def _fail(self):
        if self.is_failing:
            raise LocalIOError("the disk is full", hint="make room")


class HeldChat:
    """The part of a ``Conversation`` that ``PickableSessions`` uses."""

    def __init__(self, name=None):
        self.file = SessionFile(name, Path(f"/data/{name}.jsonl")) if name else None
        self.titles = []
        self.opened = self

    def set_title(self, title):
        self.titles.append(title)


def pickable(library, *, folder=HERE, current=None):
    return PickableSessions(library, folder=folder, chat=HeldChat(current))
