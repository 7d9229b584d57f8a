"""What every source comes to: conversations made of a session's own records."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from chatcli.sessions.records import MessageRecord

if TYPE_CHECKING:
    from chatcli.sessions.records import Record

_USUAL_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_HASH_CHARACTERS: Final = 16
_BACKTICKS: Final = re.compile(r"`+")
_SHORTEST_FENCE: Final = 3


@dataclass(slots=True)
class ImportedConversation:
    """A conversation that was read.

    ``name`` is what its session will be called, the same whenever it is read; ``records`` begin with a header, whose
    id tells it from every other conversation. ``left_out`` counts what a session cannot keep, by what it is, in the
    plural.
    """

    name: str
    records: list[Record]
    last_at: datetime
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def message_ids(self) -> list[str]:
        return [record.id for record in self.records if isinstance(record, MessageRecord)]


@dataclass(frozen=True, slots=True)
class Damaged:
    """An entry that is no conversation; ``reason`` is a clause: "it has no messages"."""

    where: str
    reason: str


Item: TypeAlias = ImportedConversation | Damaged


@dataclass(slots=True)
class Progress:
    """How far the reading is, in bytes or in conversations; ``total`` is 0 until it is known."""

    done: int = 0
    total: int = 0


def stable_name(source: str, source_id: str) -> str:
    """Return what the session of a conversation is called: its id in the source, or a hash of an unusual one."""
    if _USUAL_ID.fullmatch(source_id):
        return f"{source}-{source_id}"
    digest = hashlib.sha256(source_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{source}-{digest[:_HASH_CHARACTERS]}"


def moment(seconds: Any) -> datetime | None:
    """Return a time given in seconds since 1970, ``None`` for what is none."""
    if type(seconds) not in {int, float}:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def fenced(code: str, language: str = "") -> str:
    """Return ``code`` as a block of Markdown."""
    longest = max(map(len, _BACKTICKS.findall(code)), default=0)
    fence = "`" * max(_SHORTEST_FENCE, longest + 1)
    return f"{fence}{language}\n{code}\n{fence}"
