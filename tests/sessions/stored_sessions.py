"""A folder of stored sessions, written as conversations write them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from chatcli.core.messages import answer, question
from chatcli.core.messages import system as system_message
from chatcli.sessions.log import SessionLog
from chatcli.sessions.store import SessionStore
from sessions.fake_runtime import RESULT, FakeRuntime

if TYPE_CHECKING:
    from pathlib import Path

    from chatcli.sessions.store import SessionFile


class StoredSessions:
    def __init__(self, data: Path) -> None:
        self.data = data
        self.runtime = FakeRuntime()
        self.store = SessionStore(data, clock=self.runtime.clock, ids=self.runtime.ids)

    @property
    def folder(self) -> Path:
        return self.store.folder

    def add(
        self,
        name: str,
        *said: str,
        used_s: float = 1_000,
        title: str | None = None,
        folder: str | None = None,
        system: str | None = None,
    ) -> SessionFile:
        """Add or extend a session of alternating questions and answers, last used at ``used_s`` since the epoch."""
        file = self.store.resolve(name)
        log = SessionLog(
            file,
            app="test",
            folder=folder,
            session=self.store.load(file),
            clock=self.runtime.clock,
            ids=self.runtime.ids,
        )
        parent = log.session.head
        if system is not None:
            parent = log.message(system_message(system), parent=parent)
        for place, text in enumerate(said):
            if place % 2 == 0:
                parent = log.message(question(text), parent=parent)
            else:
                reply = log.begin_reply(parent=parent)
                reply.finish(answer(text), RESULT)
                parent = reply.id
        if title is not None:
            log.mark("title", title, parent=parent)
        log.close()
        os.utime(file.path, (used_s, used_s))
        return file


def names(summaries) -> list[str]:
    return [summary.name for summary in summaries]
