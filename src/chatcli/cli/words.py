"""What the program itself says while a conversation is held line by line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Words:
    """``greeting`` has room for the model, ``resume`` for the session; ``prompt`` and ``speaker`` say who speaks."""

    prompt: str
    speaker: str
    greeting: str
    resume: str
    farewell: str


USUAL: Final = Words(
    prompt="> ",
    speaker="",
    greeting="{} · Ctrl-C stops an answer, Ctrl-D leaves",
    resume="resume with: chatcli -s {}",
    farewell="bye",
)
PLAIN: Final = Words(
    prompt="You: ",
    speaker="Assistant: ",
    greeting="You are talking to {}. Control C stops an answer, Control D leaves.",
    resume="To go on with it later, run: chatcli -s {}",
    farewell="Goodbye.",
)
