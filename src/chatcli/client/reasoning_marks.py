"""The marks of reasoning in the text of an answer: tags, and the headers of gpt-oss's channels."""

from __future__ import annotations

import re
from typing import Final

from chatcli.text.lazy_pattern import lazy_pattern

MARK: Final = "<"
"""The first character of every mark."""
_NAMES: Final = ("think", "thinking", "thought")
OPENING_TAGS: Final = tuple(f"<{name}>" for name in _NAMES)
CLOSING_TAGS: Final = tuple(f"</{name}>" for name in _NAMES)

START: Final = "<|start|>"
ASSISTANT: Final = "<|start|>assistant"
CHANNEL: Final = "<|channel|>"
_CHANNELS: Final = ("analysis", "commentary", "final")
ENDS_OF_MESSAGE: Final = ("<|end|>", "<|return|>", "<|call|>")
HEADER: Final = lazy_pattern(
    r"(?:<\|start\|>assistant(?: to=[\w.-]{1,100})?)?<\|channel\|>(analysis|commentary|final)\b"
    r"[^<\n]{0,200}(?:<\|constrain\|>[^<\n]{0,40})?<\|message\|>"
)
RECIPIENT: Final = lazy_pattern(r"\bto=(?:functions\.)?(?!(?:user|assistant|all)\b)([\w.-]{1,100})")
_RECIPIENT_BEGUN: Final = lazy_pattern(r" (?:t(?:o(?:=[\w.-]{0,100})?)?)?")
_HEADER_BEHIND_CHANNEL: Final = lazy_pattern(r"[^<\n]*(?:<\|constrain\|>[^<\n]*)?(?:<[|a-z]*)?")
LONGEST_HEADER: Final = 400


class Marks:
    """Literal marks with exactly one ``<``, at their beginning. Case is ignored."""

    def __init__(self, *literals: str) -> None:
        self._literals = literals
        self.pattern = lazy_pattern("|".join(map(re.escape, literals)), re.ASCII | re.IGNORECASE)

    def begun_in(self, text: str) -> int:
        """Return where a mark begins that the next chunk may complete, else the length of ``text``."""
        at = text.rfind("<")
        is_begun = at >= 0 and any(literal.startswith(text[at:].lower()) for literal in self._literals)
        return at if is_begun else len(text)


OPENING: Final = Marks(*OPENING_TAGS)
CLOSING: Final = Marks(*CLOSING_TAGS)
HARMONY: Final = Marks(START, CHANNEL, *ENDS_OF_MESSAGE)
HELD: Final = Marks(*CLOSING_TAGS, START, CHANNEL, *ENDS_OF_MESSAGE)
WATCHED: Final = Marks(*OPENING_TAGS, *CLOSING_TAGS, START, CHANNEL, *ENDS_OF_MESSAGE)


def is_begun(start: str) -> bool:
    """Return whether ``start`` may become a tag or a harmony header."""
    return OPENING.begun_in(start) == 0 or CLOSING.begun_in(start) == 0 or is_header_begun(start)


def is_header_begun(start: str) -> bool:
    if ASSISTANT.startswith(start):
        return True
    header = start.removeprefix(ASSISTANT)
    if header != start and (recipient := _RECIPIENT_BEGUN.match(header)):
        header = header[recipient.end() :]
    if CHANNEL.startswith(header):
        return True
    if not header.startswith(CHANNEL) or len(start) >= LONGEST_HEADER:
        return False
    name, _, _ = header.removeprefix(CHANNEL).partition("<")
    channel = re.match("[a-z]*", name)
    assert channel is not None  # noqa: S101 - it matches nothing as well
    rest = header[len(CHANNEL) + channel.end() :]
    if not rest:
        return any(known.startswith(channel[0]) for known in _CHANNELS)
    return channel[0] in _CHANNELS and _HEADER_BEHIND_CHANNEL.fullmatch(rest) is not None
