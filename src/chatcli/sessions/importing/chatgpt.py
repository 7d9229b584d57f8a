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
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.messages import Message
from chatcli.sessions.importing.chatgpt_content import read_content
from chatcli.sessions.importing.imported_conversation import ImportedConversation, moment, stable_name
from chatcli.sessions.records import HeaderRecord, MarkRecord, MessageRecord, ReplyMetadata, new_id, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatcli.sessions.importing.chatgpt_content import Content
    from chatcli.sessions.records import Record

SOURCE: Final = "chatgpt"

_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FINISH_REASONS: Final = {"stop": "stop", "max_tokens": "length", "interrupted": "interrupted"}


def is_conversation(value: Any) -> bool:
    """Whether a JSON value looks like a conversation of ChatGPT's."""
    return isinstance(value, dict) and isinstance(value.get("mapping"), dict)


def to_conversation(value: Any, *, app: str) -> ImportedConversation:
    """Return a conversation of the export; raise ``ValueError`` with the reason for what is none."""
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - what is in a file is a value, whatever its type
    mapping = value.get("mapping")
    if not isinstance(mapping, dict):
        raise ValueError("it has no messages")  # noqa: TRY004 - as above
    return _ConversationReader(
        value, {key: node for key, node in mapping.items() if isinstance(node, dict)}, app
    ).read()


class _ConversationReader:
    """Reads one conversation. Record ids are the node ids of the export, so that it is known again."""

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
        # The ids of the messages say which conversation it is where it does not.
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
            yield MessageRecord(node_id, parent, times[node_id], Message(content.role, content.parts), reply)

    def _parents_first(self) -> Iterator[str]:
        """Yield every node, siblings in the order of the export."""
        beginnings = [key for key, node in self._nodes.items() if _parent(node) not in self._nodes]
        # What hangs in a circle is reached from no beginning, and comes last.
        waiting = [*reversed(self._nodes), *reversed(beginnings)]
        seen: set[str] = set()
        while waiting:
            node_id = waiting.pop()
            if node_id in seen:
                continue
            seen.add(node_id)
            yield node_id
            children = self._nodes[node_id].get("children")
            if isinstance(children, list):
                waiting += [
                    child for child in reversed(children) if isinstance(child, str) and child in self._nodes
                ]

    def _kept_ancestor(self, node_id: str) -> str | None:
        return self._kept(_parent(self._nodes[node_id]))

    def _kept(self, node_id: str | None) -> str | None:
        """Return ``node_id`` or the nearest node above it that is kept."""
        seen: set[str] = set()
        while node_id in self._nodes and node_id not in seen:
            if node_id in self._contents:
                return node_id
            seen.add(node_id)
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
    parent = node.get("parent")
    return parent if isinstance(parent, str) else None


def _reply(message: dict[str, Any]) -> ReplyMetadata:
    metadata = message.get("metadata")
    fields: dict[str, Any] = metadata if isinstance(metadata, dict) else {}
    model, details = fields.get("model_slug"), fields.get("finish_details")
    ending = details.get("type") if isinstance(details, dict) else None
    return ReplyMetadata(
        model if isinstance(model, str) else None,
        finish_reason=_FINISH_REASONS.get(ending) if isinstance(ending, str) else None,
    )
