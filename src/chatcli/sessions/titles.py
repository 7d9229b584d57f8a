"""Titles and previews of conversations in a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from chatcli.core.messages import Message
    from chatcli.sessions.session import Session

TITLE_CHARACTERS: Final = 60
PREVIEW_CHARACTERS: Final = 200


def title_of(session: Session) -> str:
    """Return the title on one line: the person's, else the beginning of the first question, else an empty text."""
    if session.title is not None:
        return one_line(session.title, TITLE_CHARACTERS)
    first = next((record for record in session.path() if record.role == "user"), None)
    return "" if first is None else beginning_of(first.message, TITLE_CHARACTERS)


def preview_of(session: Session) -> str:
    """Return the beginning of the last question or answer on one line, empty without one."""
    messages = (record.message for record in reversed(session.path()) if record.role != "system")
    last = next((message for message in messages if message.text), None)
    return "" if last is None else beginning_of(last, PREVIEW_CHARACTERS)


def beginning_of(message: Message, longest: int) -> str:
    """Return the beginning of a message on one line of at most ``longest`` characters; attached texts come last."""
    return one_line(message.person_text, longest)


def one_line(text: str, longest: int) -> str:
    """Return ``text`` on one line, cut to a number of characters."""
    # The line is short, so a pasted book is not split in full.
    line = " ".join(text[: longest * 10].split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"
