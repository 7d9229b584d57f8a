"""What stands in a message of ChatGPT's export: one reader for each ``content_type`` that a session can keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.messages import TextPart
from chatcli.sessions.importing.imported_conversation import fenced

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator

    from chatcli.core.messages import Origin, Role

    Reader = Callable[[dict[str, Any]], Iterator[str]]

_ORIGINS: Final[dict[str, Origin]] = {
    "user": "person",
    "system": "person",
    "assistant": "model",
    "tool": "tool",
}
# What a tool answered is part of how the model came to its own answer: no question, and never to be trusted as one.
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
    """What a session keeps of a message."""

    role: Role
    parts: tuple[TextPart, ...]
    is_reply: bool


def read_content(message: Any, left_out: Counter[str]) -> Content | None:
    """Return what can be kept of a message, ``None`` where it is empty, hidden or of a kind no session has.

    ``left_out`` counts what had something in it.
    """
    fields = message if isinstance(message, dict) else {}
    author, content = _object(fields.get("author")), _object(fields.get("content"))
    role, kind = author.get("role"), content.get("content_type")
    if not isinstance(role, str) or role not in _ROLES or not isinstance(kind, str):
        return None
    if kind == _INSTRUCTIONS:
        # Always hidden, and yet what the answers were made by.
        return _content("system", list(_instructions(content)))
    if kind not in _READERS:
        left_out[_LEFT_OUT.get(kind, f"messages of the kind {kind[:_KIND_CHARACTERS]}")] += 1
        return None
    texts = [text for text in _READERS[kind](content) if text.strip()]
    metadata = _object(fields.get("metadata"))
    if texts and metadata.get("is_visually_hidden_from_conversation") is True:
        left_out["hidden messages"] += 1
        return None
    texts = [_without_marks(text, metadata) for text in texts]
    recipient = fields.get("recipient")
    if role == "assistant" and kind == "text" and isinstance(recipient, str) and recipient != "all":
        texts = [fenced(text) for text in texts]  # said to a tool: a search, a program, a document
    return _content(role, texts, list(_attached(content, metadata, left_out)))


def _content(role: str, texts: list[str], attached: list[str] | None = None) -> Content | None:
    parts = [TextPart(text, _ORIGINS[role]) for text in texts]
    parts += [TextPart(text, "document") for text in attached or []]
    return Content(_ROLES[role], tuple(parts), is_reply=role == "assistant") if parts else None


def _without_marks(text: str, metadata: dict[str, Any]) -> str:
    """Put what a reader saw in place of the marks of citations, which are made of private characters."""
    for reference in map(_object, _list(metadata.get("content_references"))):
        mark, shown = reference.get("matched_text"), reference.get("alt")
        if isinstance(mark, str) and mark.startswith(_MARK_START):
            text = text.replace(mark, shown if isinstance(shown, str) else "")
    return text


def _parts(content: dict[str, Any]) -> Iterator[str]:
    yield "\n\n".join(part for part in _list(content.get("parts")) if isinstance(part, str) and part)


def _many_parts(content: dict[str, Any]) -> Iterator[str]:
    for part in _list(content.get("parts")):
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            yield part["text"]  # what was said aloud, written down


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
    """Yield a line for each thing whose bytes are not in the message, so that the talk about it makes sense."""
    for part in _list(content.get("parts")):
        kind = part.get("content_type") if isinstance(part, dict) else None
        if isinstance(kind, str) and kind in _MEDIA:
            left_out[_MEDIA[kind]] += 1
            yield f"[{_MEDIA[kind].removesuffix('s')}: not imported]"
    for attachment in _list(metadata.get("attachments")):
        name, media_type = (_object(attachment).get(key) for key in ("name", "mimeType"))
        # An image is among the parts as well.
        if isinstance(name, str) and not str(media_type).startswith("image/"):
            left_out["files"] += 1
            yield f"[file: {name}, not imported]"


_READERS: Final[dict[str, Reader]] = {
    "text": _parts,
    "multimodal_text": _many_parts,
    "code": _code,
    "execution_output": _output,
}


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
