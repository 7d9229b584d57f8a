"""What is said: messages made of parts, compared by content, with no ids and no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Role: TypeAlias = Literal["system", "user", "assistant"]
Origin: TypeAlias = Literal["person", "model", "document", "tool"]
"""Whose words a text is. A document or a tool is never trusted to give orders."""


@dataclass(frozen=True, slots=True)
class TextPart:
    text: str
    origin: Origin = "person"


@dataclass(frozen=True, slots=True)
class RefusalPart:
    """What a model said instead of an answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """A picture, kept beside the session under the SHA-256 of its bytes (lower-case hex)."""

    sha256: str
    media_type: str
    name: str


@dataclass(frozen=True, slots=True)
class AudioPart:
    """A sound, kept beside the session under the SHA-256 of its bytes (lower-case hex)."""

    sha256: str
    media_type: str
    name: str


@dataclass(frozen=True, slots=True)
class FilePart:
    """Any other attachment, kept beside the session under the SHA-256 of its bytes (lower-case hex)."""

    sha256: str
    media_type: str
    name: str


Part: TypeAlias = TextPart | RefusalPart | ImagePart | AudioPart | FilePart


@dataclass(frozen=True, slots=True)
class Message:
    """One utterance.

    ``provider_data`` keeps what a provider wants echoed back with the message, as JSON values; no other room
    looks inside.
    """

    role: Role
    parts: tuple[Part, ...]
    provider_data: Mapping[str, Any] | None = field(default=None, hash=False)

    @property
    def text(self) -> str:
        """The words of all text parts and of a refusal, parts apart by a blank line."""
        return "\n\n".join(part.text for part in self.parts if isinstance(part, (TextPart, RefusalPart)))

    @property
    def refusal(self) -> str | None:
        """What the model said instead of an answer; ``None`` for one that did not refuse."""
        return next((part.text for part in self.parts if isinstance(part, RefusalPart)), None)

    @property
    def answer(self) -> str:
        """The words of a model's message without those of a refusal."""
        return "\n\n".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def own_words(self) -> str:
        """What the person said themselves or, where they only handed something over, that."""
        own = [part.text for part in self.parts if isinstance(part, TextPart) and part.origin == "person"]
        return "\n\n".join(own) if own else self.text

    @property
    def documents(self) -> tuple[TextPart, ...]:
        """The texts the person handed over."""
        return tuple(part for part in self.parts if isinstance(part, TextPart) and part.origin == "document")

    @property
    def holds_only_text(self) -> bool:
        """Whether it is nothing but words, with nothing that belongs to this message alone."""
        return self.provider_data is None and all(
            isinstance(part, (TextPart, RefusalPart)) for part in self.parts
        )


def system(text: str) -> Message:
    return Message("system", (TextPart(text),))


def question(text: str, *documents: str) -> Message:
    """Return the person's message: their own words first, then each attached document."""
    own = (TextPart(text),) if text else ()
    return Message("user", own + tuple(TextPart(document, "document") for document in documents))


def answer(text: str, refusal: str | None = None) -> Message:
    """Return a model's message: its answer, and what it said instead of one or of the rest of it."""
    own = () if refusal is not None and not text else (TextPart(text, "model"),)
    return Message("assistant", own if refusal is None else (*own, RefusalPart(refusal)))
