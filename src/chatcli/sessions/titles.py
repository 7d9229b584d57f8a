"""What a conversation is called in a list, and the line below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from chatcli.core.messages import Message
    from chatcli.sessions.session import Session

TITLE_CHARACTERS: Final = 60
PREVIEW_CHARACTERS: Final = 200


def title_of(session: Session) -> str:
    """Return the title on one line: the one the person gave, else their first words, else nothing."""
    if session.title is not None:
        return one_line(session.title, TITLE_CHARACTERS)
    first = next((record for record in session.path() if record.role == "user"), None)
    return "" if first is None else beginning_of(first.message, TITLE_CHARACTERS)


def preview_of(session: Session) -> str:
    """Return the beginning of the last question or answer on one line, nothing where nothing was said."""
    said = (record.message for record in reversed(session.path()) if record.role != "system")
    last = next((message for message in said if message.text), None)
    return "" if last is None else beginning_of(last, PREVIEW_CHARACTERS)


def beginning_of(message: Message, longest: int) -> str:
    """Return the first words of a message on one line of at most ``longest`` characters; attached texts come last."""
    return one_line(message.person_text, longest)


def one_line(text: str, longest: int) -> str:
    """Return ``text`` on one line, cut where it is longer than so many characters."""
    # A line is short; a pasted book is not split to find its first words.
    line = " ".join(text[: longest * 10].split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"
