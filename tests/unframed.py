"""What a request says without the frames around text of others, for tests that are about something else."""

from __future__ import annotations

import re

from chatcli.text.frames import INSTRUCTION

_FRAME = re.compile(r"<data (\d{18})>\n(.*?)\n</data \1>", re.DOTALL)


def unframed(text: str) -> str:
    """Return ``text`` without delimiters and the instruction about them."""
    return _FRAME.sub(r"\2", text).replace(INSTRUCTION, "").strip()


def unframed_messages(messages: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return roles and texts without frames, and without a system message that only speaks of them."""
    bare = [(role, unframed(text)) for role, text in messages]
    return [(role, text) for role, text in bare if role != "system" or text]
