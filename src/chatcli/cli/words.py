"""What the program itself says while a conversation is held line by line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Words:
    """``greeting`` has room for the model, ``resume`` for the session; ``prompt`` and ``speaker`` say who speaks.

    ``keys`` is for help; ``draft`` has room for what could be sent again.
    """

    prompt: str
    speaker: str
    greeting: str
    resume: str
    farewell: str
    keys: str
    draft: str


USUAL: Final = Words(
    prompt="> ",
    speaker="",
    greeting="{} · Ctrl-C stops an answer, Ctrl-D leaves",
    resume="resume with: chatcli -s {}",
    farewell="bye",
    keys="Enter sends, Ctrl-C stops an answer or a command, Ctrl-D or exit leaves",
    draft="to send it again: {}",
)
PLAIN: Final = Words(
    prompt="You: ",
    speaker="Assistant: ",
    greeting="You are talking to {}. Control C stops an answer, Control D leaves.",
    resume="To go on with it later, run: chatcli -s {}",
    farewell="Goodbye.",
    keys="Enter sends, Control C stops an answer or a command, Control D or exit leaves.",
    draft="To send it again: {}",
)
