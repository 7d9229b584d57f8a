"""Export of sessions: a transcript for people, lossless JSON for programs.

``render/html_export`` makes HTML of the same transcript. The JSON::

    {"type": "chatcli_session", "version": 1, "name", "title", "records": [...]}

``records`` are the lines of the session file, in order, as objects (defined in ``sessions/records.py``), with all ids,
times, branches, marks and the fields of newer versions. ``name`` is the name of the session, ``title`` its title in
lists, which an import ignores. Several sessions are a list of such objects. Keys may be added; readers ignore unknown
ones.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from chatcli.core.messages import ReasoningPart, RefusalPart, TextPart, ToolCallPart, ToolResultPart
from chatcli.sessions.records import FORMAT, HeaderRecord, UnreadableRecord, decode
from chatcli.sessions.session import INTERRUPTED
from chatcli.sessions.titles import title_of
from chatcli.text.documents import read_document
from chatcli.text.sanitizer import sanitize, sanitize_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from chatcli.core.messages import Part, Role
    from chatcli.sessions.records import MessageRecord, Record
    from chatcli.sessions.session import Session

    TranscriptPartKind: TypeAlias = Literal["words", "markdown", "document", "tool", "attachment", "sources"]

DOCUMENT_TYPE: Final = "chatcli_session"
VERSION: Final = 1


def to_document(session: Session, name: str, redact: Callable[[str], str] = str) -> dict[str, Any]:
    """Return ``session`` as a JSON object. ``redact`` removes keys from all but the records."""
    return {
        "type": DOCUMENT_TYPE,
        "version": VERSION,
        "name": redact(name),
        "title": redact(title_of(session)),
        # An unreadable line cannot be represented in JSON.
        "records": [
            _fields(record) for record in session.records if not isinstance(record, UnreadableRecord)
        ],
    }


def to_json(documents: Iterable[dict[str, Any]], *, as_list: bool) -> Iterator[str]:
    """Yield documents as ASCII text, one record a line, in chunks: a whole library may not fit into memory.

    Without ``as_list``, there is one document only.
    """
    if as_list:
        yield "["
    for number, document in enumerate(documents):
        yield ",\n" if number else "\n" if as_list else ""
        yield from _indented(document)
    yield "\n]\n" if as_list else "\n"


def is_document(value: Any) -> bool:
    """Return whether a JSON value is marked as a session."""
    return isinstance(value, dict) and value.get("type") == DOCUMENT_TYPE


def records_of(document: dict[str, Any]) -> list[Record]:
    """Return the records of a document, a header first.

    Raise ``ValueError`` with the reason for a document without records or from a newer version.
    """
    version, records = document.get("version"), document.get("records")
    if type(version) is not int or not isinstance(records, list):
        raise ValueError("it has no version or no records")
    if version > VERSION:
        raise ValueError(f"it was made by a newer chatcli (version {version}, this one reads {VERSION})")
    found = [_record(fields) for fields in records]
    if not found or not isinstance(found[0], HeaderRecord):
        raise ValueError("it does not begin with a header")
    if found[0].format > FORMAT:
        raise ValueError("it was made by a newer chatcli, in a session format that this one does not read")
    return found


def _fields(record: Record) -> dict[str, Any]:
    # The line also has the fields this version does not know.
    fields: dict[str, Any] = record.fields() if record.line is None else json.loads(record.line)
    return fields


def _record(fields: Any) -> Record:
    line = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    # As in a session file, a lone surrogate stays an escape, since UTF-8 cannot encode it.
    record = decode(line.encode("utf-8", "backslashreplace"))
    if isinstance(record, UnreadableRecord):
        raise ValueError("one of its records is not a JSON object")  # noqa: TRY004 - what is in a file is a value
    return record


def _indented(document: dict[str, Any]) -> Iterator[str]:
    head = [f'  "{key}": {json.dumps(value)}' for key, value in document.items() if key != "records"]
    yield "{\n" + ",\n".join([*head, '  "records": [\n'])
    yield ",\n".join(f"    {json.dumps(record)}" for record in document["records"])
    yield "\n  ]\n}"


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
    """A part of a turn: typed ``words``, the ``markdown`` of an answer, or another kind under its ``name``.

    ``sources`` lists the sources of an answer, one a line. A ``tool`` part is a result or, with a ``name``,
    the arguments of a call. An ``attachment`` is not text; it has no ``text`` here.
    """

    kind: TranscriptPartKind
    text: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class TranscriptTurn:
    """A message with its speaker. ``facts`` are short remarks: the time, the model, how it ended."""

    speaker: str
    facts: tuple[str, ...]
    parts: tuple[TranscriptPart, ...]


@dataclass(frozen=True, slots=True)
class Transcript:
    """A conversation for people. ``facts`` are pairs of a label and a value for the whole conversation."""

    title: str
    facts: tuple[tuple[str, str], ...]
    turns: tuple[TranscriptTurn, ...]


def transcript(
    session: Session, *, whole_tree: bool = False, redact: Callable[[str], str] = str
) -> Transcript:
    """Return the current path as a transcript. ``redact`` removes keys from title and facts, not from messages.

    With ``whole_tree``, return all branches, each turn with its place in the tree. Branches follow one
    another, each from the point where it leaves the one before.
    """
    if whole_tree:
        places = list(_depth_first(session))
        turns = [_turn(place.record, redact, *place.facts()) for place in places]
        records = [place.record for place in places]
    else:
        records = list(session.path())
        turns = [_turn(record, redact) for record in records]
    facts = tuple((label, redact(value)) for label, value in _facts(records))
    return Transcript(redact(title_of(session)) or _UNTITLED, facts, tuple(turns))


def _facts(records: list[MessageRecord]) -> Iterator[tuple[str, str]]:
    times = sorted(record.at for record in records if _TIMESTAMP.fullmatch(record.at))
    if times:
        first, last = _moment(times[0]), _moment(times[-1])
        yield "When", first if first == last else f"{first} to {last}"
    models = dict.fromkeys(record.reply.shown_model for record in records if record.reply)
    if names := [name for name in models if name]:
        yield "Model" if len(names) == 1 else "Models", ", ".join(names)


def _turn(record: MessageRecord, redact: Callable[[str], str], *facts: str) -> TranscriptTurn:
    remarks = [_moment(record.at)]
    if record.reply and (model := record.reply.shown_model):
        remarks.append(redact(model))
    if record.reply and record.reply.finish_reason in _ENDS:
        remarks.append(_ENDS[record.reply.finish_reason])
    if record.message.refusal is not None:
        remarks.append("refused to answer")
    if record.role == "system" and not record.message.parts:
        remarks.append("system prompt removed")
    return TranscriptTurn(
        _SPEAKERS[record.role],
        (*remarks, *facts),
        (*(shown for part in record.message.parts for shown in _transcript_parts(part)), *_sources(record)),
    )


def _sources(record: MessageRecord) -> Iterator[TranscriptPart]:
    if record.reply and record.reply.sources:
        yield TranscriptPart("sources", "\n".join(source.line for source in record.reply.sources))


def _moment(at: str) -> str:
    match = _TIMESTAMP.fullmatch(at)
    return f"{match[1]} {match[2]} UTC" if match else at


def _transcript_parts(part: Part) -> Iterator[TranscriptPart]:
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
                yield from _transcript_parts(returned)
        case ReasoningPart():
            pass  # not part of the conversation
        case _:
            yield TranscriptPart("attachment", "", part.label)


@dataclass(frozen=True, slots=True)
class _Place:
    """The place of a message in the tree and in the list made of it.

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
    # Messages in a cycle of parents are unreachable from any beginning, and come last.
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


_MARKS: Final = re.compile(r"([\\`*_\[\]<>#&~$|])")
_BACKTICKS: Final = re.compile(r"`+")
_SHORTEST_FENCE: Final = 3


def to_markdown(transcript: Transcript, *, ended: Callable[[str], str]) -> str:
    """Return ``transcript`` as a Markdown document.

    A turn is a rule and a second-level heading, followed by the unchanged text: headings in an answer keep
    their level, so that it can be copied. An open construct, such as the fence of an interrupted answer,
    would swallow all following turns: ``ended`` returns a text with such constructs closed.
    """
    return "\n\n".join(_blocks(transcript, ended)) + "\n"


def _blocks(transcript: Transcript, ended: Callable[[str], str]) -> Iterator[str]:
    yield f"# {_plain(transcript.title)}"
    if transcript.facts:
        yield "\n".join(f"- {label}: {_plain(value)}" for label, value in transcript.facts)
    for turn in transcript.turns:
        yield from _turn_blocks(turn, ended)


def _turn_blocks(turn: TranscriptTurn, ended: Callable[[str], str]) -> Iterator[str]:
    yield "---"
    yield f"## {turn.speaker}"
    yield f"*{_plain(' · '.join(turn.facts))}*"
    for part in turn.parts:
        yield from _part_blocks(part, ended)


def _part_blocks(part: TranscriptPart, ended: Callable[[str], str]) -> Iterator[str]:
    text = sanitize(part.text)
    match part.kind:
        case "words" | "markdown":
            yield ended(text.rstrip("\n"))
        case "document":
            yield f"**Attached: {_plain(part.name)}**" if part.name else "**Attached:**"
            yield _fenced(text)
        case "tool":
            yield f"**Called {_plain(part.name)}:**" if part.name else "**From a tool:**"
            yield _fenced(text)
        case "sources":
            # Fenced, so that addresses stay literal.
            yield "**Sources:**"
            yield _fenced(text)
        case "attachment":
            yield f"**Attached, not in this file: {_plain(part.name)}**"


def _plain(text: str) -> str:
    """Return ``text`` on one line, with Markdown's special characters escaped."""
    return _MARKS.sub(r"\\\1", sanitize_line(text)).strip()


def _fenced(text: str) -> str:
    longest = max(map(len, _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(_SHORTEST_FENCE, longest + 1)
    return f"{fence}\n{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{fence}"
