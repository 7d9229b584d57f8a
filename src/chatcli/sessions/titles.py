"""What a conversation is called in a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.core.messages import TextPart

if TYPE_CHECKING:
    from chatcli.core.messages import Message
    from chatcli.sessions.session import Session

TITLE_CHARACTERS: Final = 60


def title_of(session: Session) -> str:
    """Return the title on one line: the one the person gave, else their first words, else nothing."""
    if session.title is not None:
        return _one_line(session.title)
    questions = session.questions
    return _one_line(_own_words(questions[0].message)) if questions else ""


def _own_words(message: Message) -> str:
    texts = [part for part in message.parts if isinstance(part, TextPart)]
    own = [part.text for part in texts if part.origin == "person"]
    return "\n".join(own or [part.text for part in texts])


def _one_line(text: str) -> str:
    # Titles are short; a pasted book is not split to find its first words.
    line = " ".join(text[: TITLE_CHARACTERS * 10].split())
    return line if len(line) <= TITLE_CHARACTERS else line[: TITLE_CHARACTERS - 1].rstrip() + "…"
