"""Messages made of parts: values compared by content, without ids and without I/O."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - found by whoever reads the annotations
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from chatcli.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
Origin: TypeAlias = Literal["person", "model", "document", "tool"]
"""Whose words a text is. A document or a tool is never trusted to give orders."""

OF_OTHERS: Final = frozenset({"document", "tool"})
"""The origins of text of others, which is sent in frames."""


@frozen
class TextPart:
    text: str
    origin: Origin = "person"


@frozen
class RefusalPart:
    """The text of a model's refusal."""

    text: str


@frozen
class ReasoningPart:
    """The reasoning of a model.

    ``provider_data`` is set if the endpoint expects the reasoning back with later requests; without it the
    part is not stored in the session.
    """

    text: str
    provider_data: Mapping[str, Any] | None = field(default=None, hash=False)


@frozen
class ToolCallPart:
    """A model's request to call a tool; ``arguments`` is the JSON text exactly as the model wrote it."""

    id: str
    name: str
    arguments: str
    provider_data: Mapping[str, Any] | None = field(default=None, hash=False)


@frozen
class ToolResultPart:
    """The result of tool call ``id``."""

    id: str
    parts: tuple[TextPart | ImagePart | AudioPart | FilePart, ...]


@frozen
class _KeptPart:
    """An attachment stored beside the session under the SHA-256 of its bytes (lower-case hex)."""

    sha256: str
    media_type: str
    name: str

    @property
    def label(self) -> str:
        """The label of the attachment in exports."""
        return f"{self.name} ({self.media_type})"


@frozen
class ImagePart(_KeptPart):
    """A picture."""


@frozen
class AudioPart(_KeptPart):
    """A sound."""


@frozen
class FilePart(_KeptPart):
    """Any other attachment."""


Attachment: TypeAlias = ImagePart | AudioPart | FilePart
Part: TypeAlias = TextPart | RefusalPart | ReasoningPart | ToolCallPart | ToolResultPart | Attachment


@frozen
class Message:
    """One message of a conversation.

    ``provider_data`` are JSON values that a provider expects back with the message; only its dialect reads
    them. ``imported`` is the program a message of an imported conversation came from: its turns are sent as turns, but
    nobody knows who wrote them.
    """

    role: Role
    parts: tuple[Part, ...]
    provider_data: Mapping[str, Any] | None = field(default=None, hash=False)
    imported: str | None = field(default=None, compare=False)
    text: str = field(init=False, repr=False, compare=False)
    """The words of all text parts, of a refusal and of what tools returned, parts apart by a blank line."""
    holds_text_of_others: bool = field(init=False, repr=False, compare=False)

    def __getattr__(self, name: str) -> str | bool:
        """Build an attribute on first access; Python calls this only while it is missing."""
        value: str | bool
        if name == "text":
            value = "\n\n".join(part.text for part in self.texts)
        elif name == "holds_text_of_others":
            value = any(part.origin in OF_OTHERS for part in self.texts)
        else:
            raise AttributeError(name)
        object.__setattr__(self, name, value)
        return value

    @property
    def texts(self) -> Iterator[TextPart]:
        """The texts of which ``text`` consists, each with its origin."""
        return _texts(self.parts)

    @property
    def refusal(self) -> str | None:
        """The text of the model's refusal; ``None`` if it did not refuse."""
        return next((part.text for part in self.parts if isinstance(part, RefusalPart)), None)

    @property
    def answer(self) -> str:
        """The text of a model's message without its refusal."""
        return "\n\n".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def person_text(self) -> str:
        """The text the person typed or, if they only attached documents, the text of those."""
        own = [part.text for part in self.parts if isinstance(part, TextPart) and part.origin == "person"]
        return "\n\n".join(own) if own else self.text

    @property
    def documents(self) -> tuple[TextPart, ...]:
        """The texts of the attached documents."""
        return tuple(part for part in self.parts if isinstance(part, TextPart) and part.origin == "document")

    @property
    def tool_calls(self) -> tuple[ToolCallPart, ...]:
        return tuple(part for part in self.parts if isinstance(part, ToolCallPart))

    @property
    def sent_text(self) -> str:
        """The text that costs tokens: words, tool calls, and reasoning that is sent back."""
        beside = [
            part.text if isinstance(part, ReasoningPart) else f"{part.name} {part.arguments}"
            for part in self.parts
            if isinstance(part, ToolCallPart)
            or (isinstance(part, ReasoningPart) and part.provider_data is not None)
        ]
        return "\n\n".join([self.text, *beside]) if beside else self.text

    @property
    def holds_only_text(self) -> bool:
        """Whether the message is only text and carries nothing specific to it."""
        return self.provider_data is None and all(
            isinstance(part, (TextPart, RefusalPart))
            or (isinstance(part, ReasoningPart) and part.provider_data is None)
            for part in self.parts
        )

    @property
    def kept(self) -> Message:
        """The message as a session stores it: without reasoning that no endpoint expects back."""
        parts = tuple(
            part
            for part in self.parts
            if not (isinstance(part, ReasoningPart) and part.provider_data is None)
        )
        return self if len(parts) == len(self.parts) else replace(self, parts=parts)

    def with_answer(self, text: str) -> Message:
        """Return a model's message with its answer replaced by ``text``."""
        others: list[Part] = [part for part in self.parts if not isinstance(part, TextPart)]
        if text or not others:
            behind_reasoning = sum(isinstance(part, ReasoningPart) for part in others)
            others.insert(behind_reasoning, TextPart(text, "model"))
        return replace(self, parts=tuple(others))


EMPTY_REPLY: Final = Message("assistant", ())


def _texts(parts: Iterable[Part]) -> Iterator[TextPart]:
    for part in parts:
        if isinstance(part, TextPart):
            yield part
        elif isinstance(part, RefusalPart):
            yield TextPart(part.text, "model")
        elif isinstance(part, ToolResultPart):
            yield from (TextPart(each.text, "tool") for each in part.parts if isinstance(each, TextPart))


def system(text: str) -> Message:
    return Message("system", (TextPart(text),))


def question(text: str, *documents: str) -> Message:
    """Return the person's message: their own text first, then each attached document."""
    own = (TextPart(text),) if text else ()
    return Message("user", own + tuple(TextPart(document, "document") for document in documents))


def answer(text: str, refusal: str | None = None) -> Message:
    """Return a model's message: its answer and the refusal in place of it or of its remainder."""
    own = () if refusal is not None and not text else (TextPart(text, "model"),)
    return Message("assistant", own if refusal is None else (*own, RefusalPart(refusal)))
