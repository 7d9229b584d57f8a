"""ChatGPT's data export: ``conversations.json``, the ``.zip`` it comes in, or the parts it is split into.

There is no published description. As seen in exports up to 2026, the file is an array of conversations::

    {"id" | "conversation_id", "title", "create_time", "update_time", "current_node", "mapping": {ID: NODE}}
    NODE     {"id", "parent", "children": [ID], "message": MESSAGE | null}
    MESSAGE  {"author": {"role"}, "create_time", "content": {"content_type", ...}, "recipient",
              "metadata": {"model_slug", "finish_details": {"type"}, "attachments", ...}}

Times are seconds since 1970. ``mapping`` is a tree: an answer that was made again is a sibling of the first, and
``current_node`` is where the conversation stood.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.json_values import as_list, as_object, as_text, optional_text
from chatcli.core.messages import Message, TextPart
from chatcli.sessions.importing.importer import ImportedConversation, fenced, moment, stable_name
from chatcli.sessions.records import HeaderRecord, MarkRecord, MessageRecord, ReplyMetadata, new_id
from chatcli.text.times import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chatcli.core.messages import Origin, Role
    from chatcli.sessions.records import Record

    Reader = Callable[[dict[str, Any]], Iterator[str]]

_ORIGINS: Final[dict[str, Origin]] = {
    "user": "person",
    "system": "person",
    "assistant": "model",
    "tool": "tool",
}
# The result of a tool shaped the model's answer, but it is not a question and must never be trusted as one.
_ROLES: Final[dict[str, Role]] = {
    "user": "user",
    "system": "system",
    "assistant": "assistant",
    "tool": "assistant",
}
_MARK_START: Final = "\ue200"
_KIND_CHARACTERS: Final = 40
_INSTRUCTIONS: Final = "user_editable_context"
_LEFT_OUT: Final = {
    "thoughts": "thoughts",
    "reasoning_recap": "thoughts",
    "model_editable_context": "memories",
    "tether_browsing_display": "pages that were looked at",
    "tether_quote": "pages that were looked at",
    "sonic_webpage": "pages that were looked at",
    "system_error": "errors of tools",
}
_MEDIA: Final = {
    "image_asset_pointer": "images",
    "audio_asset_pointer": "recordings",
    "real_time_user_audio_video_asset_pointer": "recordings",
    "video_container_asset_pointer": "videos",
}


@dataclass(frozen=True, slots=True)
class Content:
    """The parts of a message that a session stores."""

    role: Role
    parts: tuple[TextPart, ...]
    is_reply: bool


def read_content(message: Any, left_out: Counter[str]) -> Content | None:
    """Return the content of a message, ``None`` if it is empty, hidden or of an unsupported kind.

    ``left_out`` counts unsupported content.
    """
    fields = as_object(message)
    author, content = as_object(fields.get("author")), as_object(fields.get("content"))
    role, kind = author.get("role"), content.get("content_type")
    if not isinstance(role, str) or role not in _ROLES or not isinstance(kind, str):
        return None
    if kind == _INSTRUCTIONS:
        # Hidden in ChatGPT, but in force for the answers.
        return _content("system", list(_instructions(content)))
    if kind not in _READERS:
        left_out[_LEFT_OUT.get(kind, f"messages of the kind {kind[:_KIND_CHARACTERS]}")] += 1
        return None
    texts = [text for text in _READERS[kind](content) if text.strip()]
    metadata = as_object(fields.get("metadata"))
    if texts and metadata.get("is_visually_hidden_from_conversation") is True:
        left_out["hidden messages"] += 1
        return None
    texts = [_without_marks(text, metadata) for text in texts]
    recipient = fields.get("recipient")
    if role == "assistant" and kind == "text" and isinstance(recipient, str) and recipient != "all":
        texts = [fenced(text) for text in texts]  # input of a tool: a search, a program, a document
    return _content(role, texts, list(_attached(content, metadata, left_out)))


def _content(role: str, texts: list[str], attached: list[str] | None = None) -> Content | None:
    parts = [TextPart(text, _ORIGINS[role]) for text in texts]
    parts += [TextPart(text, "document") for text in attached or []]
    return Content(_ROLES[role], tuple(parts), is_reply=role == "assistant") if parts else None


def _without_marks(text: str, metadata: dict[str, Any]) -> str:
    """Replace citation marks, which consist of private-use characters, by the text ChatGPT showed."""
    for reference in map(as_object, as_list(metadata.get("content_references"))):
        mark, shown = reference.get("matched_text"), reference.get("alt")
        if isinstance(mark, str) and mark.startswith(_MARK_START):
            text = text.replace(mark, as_text(shown))
    return text


def _parts(content: dict[str, Any]) -> Iterator[str]:
    yield "\n\n".join(part for part in as_list(content.get("parts")) if isinstance(part, str) and part)


def _many_parts(content: dict[str, Any]) -> Iterator[str]:
    for part in as_list(content.get("parts")):
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            yield part["text"]  # the transcription of speech


def _code(content: dict[str, Any]) -> Iterator[str]:
    text, language = content.get("text"), content.get("language")
    if isinstance(text, str) and text.strip():
        yield fenced(
            text,
            language if isinstance(language, str) and language.isalnum() and language != "unknown" else "",
        )


def _output(content: dict[str, Any]) -> Iterator[str]:
    if isinstance(text := content.get("text"), str):
        yield text


def _instructions(content: dict[str, Any]) -> Iterator[str]:
    for key in ("user_profile", "user_instructions"):
        if isinstance(text := content.get(key), str) and text.strip():
            yield text


def _attached(content: dict[str, Any], metadata: dict[str, Any], left_out: Counter[str]) -> Iterator[str]:
    """Yield a line for each attachment whose bytes are not in the export, so that references to it make sense."""
    for part in as_list(content.get("parts")):
        kind = as_object(part).get("content_type")
        if isinstance(kind, str) and kind in _MEDIA:
            left_out[_MEDIA[kind]] += 1
            yield f"[{_MEDIA[kind].removesuffix('s')}: not imported]"
    for attachment in as_list(metadata.get("attachments")):
        name, media_type = (as_object(attachment).get(key) for key in ("name", "mimeType"))
        # An image is also among the parts.
        if isinstance(name, str) and not str(media_type).startswith("image/"):
            left_out["files"] += 1
            yield f"[file: {name}, not imported]"


_READERS: Final[dict[str, Reader]] = {
    "text": _parts,
    "multimodal_text": _many_parts,
    "code": _code,
    "execution_output": _output,
}


SOURCE: Final = "chatgpt"
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FINISH_REASONS: Final = {"stop": "stop", "max_tokens": "length", "interrupted": "interrupted"}


def is_conversation(value: Any) -> bool:
    """Return whether a JSON value looks like a conversation of ChatGPT."""
    return isinstance(value, dict) and isinstance(value.get("mapping"), dict)


def to_conversation(value: Any, *, app: str) -> ImportedConversation:
    """Return a conversation of the export; raise ``ValueError`` with the reason for an invalid one."""
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - what is in a file is a value, whatever its type
    mapping = value.get("mapping")
    if not isinstance(mapping, dict):
        raise ValueError("it has no messages")  # noqa: TRY004 - as above
    return _ConversationReader(
        value, {key: node for key, node in mapping.items() if isinstance(node, dict)}, app
    ).read()


class _ConversationReader:
    """Reads one conversation. Record ids are the node ids of the export, so that a second import recognizes it."""

    def __init__(self, fields: dict[str, Any], nodes: dict[str, dict[str, Any]], app: str) -> None:
        self._fields = fields
        self._nodes = nodes
        self._app = app
        self._left_out: Counter[str] = Counter()
        self._contents: dict[str, Content] = {}

    def read(self) -> ImportedConversation:
        for node_id, node in self._nodes.items():
            if (content := read_content(node.get("message"), self._left_out)) is not None:
                self._contents[node_id] = content
        name = stable_name(SOURCE, self._id())
        began = moment(self._fields.get("create_time"))
        messages = list(self._messages(began or _BEGINNING))
        first = min((record.at for record in messages), default=timestamp(_BEGINNING))
        header = HeaderRecord(name, timestamp(began) if began else first, self._app)
        last = max((record.at for record in messages), default=header.at)
        records: list[Record] = [header, *messages, *self._marks(messages, last)]
        last_at = moment(self._fields.get("update_time")) or datetime.fromisoformat(last)
        return ImportedConversation(name, records, last_at, self._left_out)

    def _id(self) -> str:
        for key in ("conversation_id", "id"):
            if isinstance(own := self._fields.get(key), str) and own:
                return own
        # Message ids identify the conversation if it has no id of its own.
        return hashlib.sha256("\n".join(sorted(self._nodes)).encode("utf-8", "surrogatepass")).hexdigest()

    def _messages(self, began: datetime) -> Iterator[MessageRecord]:
        times: dict[str, str] = {}
        for node_id in self._parents_first():
            content = self._contents.get(node_id)
            if content is None:
                continue
            parent = self._kept_ancestor(node_id)
            message = self._nodes[node_id]["message"]
            at = moment(message.get("create_time"))
            times[node_id] = timestamp(at) if at else times.get(parent or "", timestamp(began))
            reply = _reply(message) if content.is_reply else None
            read = Message(content.role, content.parts, imported=SOURCE)
            yield MessageRecord(node_id, parent, times[node_id], read, reply)

    def _parents_first(self) -> Iterator[str]:
        """Yield every node after its parent, siblings in the order of the export."""
        beginnings = [key for key, node in self._nodes.items() if _parent(node) not in self._nodes]
        # Nodes in a cycle are unreachable from any beginning, and come last.
        waiting = [*reversed(self._nodes), *reversed(beginnings)]
        visited: set[str] = set()
        while waiting:
            node_id = waiting.pop()
            if node_id in visited:
                continue
            visited.add(node_id)
            yield node_id
            children = self._nodes[node_id].get("children")
            if isinstance(children, list):
                waiting += [
                    child for child in reversed(children) if isinstance(child, str) and child in self._nodes
                ]

    def _kept_ancestor(self, node_id: str) -> str | None:
        return self._kept(_parent(self._nodes[node_id]))

    def _kept(self, node_id: str | None) -> str | None:
        """Return ``node_id`` or its nearest imported ancestor."""
        visited: set[str] = set()
        while node_id in self._nodes and node_id not in visited:
            if node_id in self._contents:
                return node_id
            visited.add(node_id)
            node_id = _parent(self._nodes[node_id])
        return None

    def _marks(self, messages: list[MessageRecord], at: str) -> Iterator[MarkRecord]:
        current = self._fields.get("current_node")
        head = self._kept(current) if isinstance(current, str) else None
        end = messages[-1].id if messages else None
        if head is not None and head != end:
            yield MarkRecord(new_id(), end, at, "head", head)
        title = self._fields.get("title")
        if isinstance(title, str) and title.strip():
            yield MarkRecord(new_id(), head or end, at, "title", title)


def _parent(node: dict[str, Any]) -> str | None:
    return optional_text(node.get("parent"))


def _reply(message: dict[str, Any]) -> ReplyMetadata:
    fields = as_object(message.get("metadata"))
    ending = as_object(fields.get("finish_details")).get("type")
    return ReplyMetadata(
        optional_text(fields.get("model_slug")),
        finish_reason=_FINISH_REASONS.get(ending) if isinstance(ending, str) else None,
    )
