"""A session as people read it: who said what, when, and what was attached."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from chatcli.core.documents import read_document
from chatcli.core.messages import ReasoningPart, RefusalPart, TextPart, ToolCallPart, ToolResultPart
from chatcli.sessions.session import INTERRUPTED
from chatcli.sessions.titles import title_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatcli.core.messages import Part, Role
    from chatcli.sessions.records import MessageRecord
    from chatcli.sessions.session import Session

    PieceKind: TypeAlias = Literal["words", "markdown", "document", "tool", "attachment", "sources"]

_SPEAKERS: Final[dict[Role, str]] = {
    "system": "System",
    "user": "You",
    "assistant": "Assistant",
    "tool": "Tool",
}
_UNTITLED: Final = "Conversation"
_TIMESTAMP: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)[\d:.]*Z")
_ENDS: Final = {INTERRUPTED: "interrupted", "length": "cut off at the token limit"}


@dataclass(frozen=True, slots=True)
class TranscriptPart:
    """A part of a turn: ``words`` as they were typed, an answer's ``markdown``, or something else under its ``name``.

    ``sources`` are what an answer cites, one a line. A ``tool`` is what one returned or, with a ``name``, the arguments it was
    called with. An ``attachment`` is what was attached and is no text; it has no ``text`` here.
    """

    kind: PieceKind
    text: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class TranscriptTurn:
    """What one speaker said. ``facts`` are short remarks on it: when, by which model, how it ended."""

    speaker: str
    facts: tuple[str, ...]
    pieces: tuple[TranscriptPart, ...]


@dataclass(frozen=True, slots=True)
class Transcript:
    """``facts`` are pairs of a label and what is true of the whole conversation."""

    title: str
    facts: tuple[tuple[str, str], ...]
    turns: tuple[TranscriptTurn, ...]


def transcript(session: Session, *, whole_tree: bool = False) -> Transcript:
    """Return the conversation as it stands; with ``whole_tree`` all its branches, each turn saying where it belongs.

    The branches come one after the other, each from where it leaves the one before.
    """
    if whole_tree:
        places = list(_depth_first(session))
        turns = [_turn(place.record, *place.facts()) for place in places]
        records = [place.record for place in places]
    else:
        records = list(session.path())
        turns = [_turn(record) for record in records]
    return Transcript(title_of(session) or _UNTITLED, tuple(_facts(records)), tuple(turns))


def _facts(records: list[MessageRecord]) -> Iterator[tuple[str, str]]:
    times = sorted(record.at for record in records if _TIMESTAMP.fullmatch(record.at))
    if times:
        first, last = _moment(times[0]), _moment(times[-1])
        yield "When", first if first == last else f"{first} to {last}"
    models = dict.fromkeys(record.reply.model for record in records if record.reply and record.reply.model)
    if models:
        yield "Model" if len(models) == 1 else "Models", ", ".join(map(str, models))


def _turn(record: MessageRecord, *facts: str) -> TranscriptTurn:
    told = [_moment(record.at)]
    if record.reply and record.reply.model:
        told.append(record.reply.model)
    if record.reply and record.reply.finish_reason in _ENDS:
        told.append(_ENDS[record.reply.finish_reason])
    if record.message.refusal is not None:
        told.append("refused to answer")
    if record.role == "system" and not record.message.parts:
        told.append("system prompt removed")
    return TranscriptTurn(
        _SPEAKERS[record.role],
        (*told, *facts),
        (*(piece for part in record.message.parts for piece in _pieces(part)), *_sources(record)),
    )


def _sources(record: MessageRecord) -> Iterator[TranscriptPart]:
    if record.reply and record.reply.sources:
        yield TranscriptPart("sources", "\n".join(source.line for source in record.reply.sources))


def _moment(at: str) -> str:
    match = _TIMESTAMP.fullmatch(at)
    return f"{match[1]} {match[2]} UTC" if match else at


def _pieces(part: Part) -> Iterator[TranscriptPart]:
    match part:
        case TextPart(text, "document"):
            name, text = read_document(text) or ("", text)
            yield TranscriptPart("document", text, name)
        case TextPart(text, "tool"):
            yield TranscriptPart("tool", text)
        case TextPart(text, origin):
            yield TranscriptPart("markdown" if origin == "model" else "words", text)
        case RefusalPart(text):
            yield TranscriptPart("markdown", text)
        case ToolCallPart():
            yield TranscriptPart("tool", part.arguments, part.name)
        case ToolResultPart():
            for returned in part.parts:
                yield from _pieces(returned)
        case ReasoningPart():
            pass  # it is no part of what was said
        case _:
            yield TranscriptPart("attachment", "", f"{part.name} ({part.media_type})")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a message stands in the tree, and in the list that is made of it.

    ``after`` is the number of the message it follows, 0 at the beginning.
    """

    record: MessageRecord
    number: int
    after: int
    version: int
    versions: int
    is_current: bool

    def facts(self) -> Iterator[str]:
        yield f"message {self.number}"
        if self.after != self.number - 1:
            yield f"follows message {self.after}" if self.after else "at the beginning"
        if self.versions > 1:
            yield f"version {self.version} of {self.versions}"
        if not self.is_current:
            yield "on another branch"


def _depth_first(session: Session) -> Iterator[_Place]:
    records = list(session.messages())
    parents = {record.id: _parent_id(session, record) for record in records}
    children: dict[str | None, list[MessageRecord]] = {}
    versions: dict[str, int] = {}
    for record in records:
        siblings = children.setdefault(parents[record.id], [])
        siblings.append(record)
        versions[record.id] = len(siblings)
    path = {record.id for record in session.path()}
    numbers: dict[str | None, int] = {None: 0}
    # What hangs in a circle of parents is reached from no beginning, and comes last.
    waiting = [*reversed(records), *reversed(children.get(None, []))]
    while waiting:
        record = waiting.pop()
        if record.id in numbers:
            continue
        number = numbers[record.id] = len(numbers)
        yield _Place(
            record,
            number,
            numbers.get(parents[record.id], 0),
            versions[record.id],
            len(children[parents[record.id]]),
            record.id in path,
        )
        waiting += reversed(children.get(record.id, []))


def _parent_id(session: Session, record: MessageRecord) -> str | None:
    line = session.line_to(record.id)
    next(line, None)
    parent = next(line, None)
    return None if parent is None else parent.id
