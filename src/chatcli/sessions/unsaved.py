"""The journal of ``--no-save``: it hands out ids and keeps nothing."""

# ruff: noqa: ARG002 -- the arguments are the port's; nothing is done with them, which is the point

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatcli.sessions.records import new_id

if TYPE_CHECKING:
    from chatcli.core.events import TurnResult
    from chatcli.core.messages import Message
    from chatcli.sessions.records import IdSource


class UnsavedJournal:
    """Stands where a ``SessionLog`` would (``core.ports.Journal``)."""

    def __init__(self, *, ids: IdSource = new_id) -> None:
        self._ids = ids

    @property
    def name(self) -> None:
        return None

    def message(self, message: Message, *, parent: str | None) -> str:
        return self._ids()

    def mark(self, kind: str, value: Any = None, *, parent: str | None) -> str:
        return self._ids()

    def begin_reply(self, *, parent: str | None) -> UnsavedReply:
        return UnsavedReply(self._ids())

    def close(self) -> None:
        return


class UnsavedReply:
    """Takes a reply and forgets it (``core.ports.Reply``)."""

    def __init__(self, reply_id: str) -> None:
        self._id = reply_id

    @property
    def id(self) -> str:
        return self._id

    def extend(self, text: str) -> None:
        return

    def finish(self, message: Message, result: TurnResult) -> None:
        return
