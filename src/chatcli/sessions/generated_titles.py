"""A title the model is asked for: what it is shown of a conversation, and what is taken of its answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from chatcli.sessions.titles import TITLE_CHARACTERS, one_line

if TYPE_CHECKING:
    from chatcli.sessions.records import MessageRecord
    from chatcli.sessions.session import Session

SYSTEM_PROMPT: Final = (
    "You give conversations their titles. A title has at most six words, says what the conversation is about, and is "
    "in the language the person writes in. Reply with the title alone: no quotes, no Markdown, no full stop."
)

SHOWN_CHARACTERS: Final = 2_000
"""How much of a conversation is shown: its subject stands at its beginning."""

ENOUGH_CHARACTERS: Final = 200
"""Whoever has written so much without the end of a line is not writing a title."""

_SPEAKERS: Final = {"user": "Person", "assistant": "Assistant"}
# Some models think aloud before they answer, some never close what they opened.
_THOUGHTS: Final = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_ANNOUNCED: Final = re.compile(
    r"(?:title|titel|titre|título|标题|標題|タイトル|제목)\s*[:：]\s*", re.IGNORECASE
)
_AROUND: Final = " \t\"'`*_#>«»“”‘’「」『』《》【】"
_AT_THE_END: Final = ".。．"


def question_for_title(session: Session) -> str:
    """Return what to ask about a conversation; its first exchanges stand in it, as far as there is room."""
    shown: list[str] = []
    # What an endpoint refused to read it will refuse here as well.
    refused = session.refused
    left = SHOWN_CHARACTERS
    for record in session.path():
        if record.role not in _SPEAKERS or record.id in refused or left <= 0:
            continue
        # A long question leaves half of the room to what was answered.
        text = _own_words(record)[: left if shown else SHOWN_CHARACTERS // 2].strip()
        left -= len(text)
        shown.append(f"{_SPEAKERS[record.role]}: {text}")
    conversation = "\n\n".join(shown)
    return f"<conversation>\n{conversation}\n</conversation>\n\nIts title, in at most six words:"


def title_in(answer: str) -> str:
    """Return the title on one line, without what models put around it; empty where there is none."""
    lines = (_bare(line) for line in _THOUGHTS.sub("", answer).splitlines())
    return one_line(next((line for line in lines if line), ""), TITLE_CHARACTERS)


def is_enough(answer: str) -> bool:
    """Whether an answer that is still coming holds all of the title that can be expected."""
    said = _THOUGHTS.sub("", answer).lstrip()
    return len(said) > ENOUGH_CHARACTERS or ("\n" in said and bool(title_in(said.rpartition("\n")[0])))


def _own_words(record: MessageRecord) -> str:
    return " ".join(record.message.text[: SHOWN_CHARACTERS * 2].split())


def _bare(line: str) -> str:
    bare = line.strip(_AROUND)
    bare = _ANNOUNCED.sub("", bare, count=1) if _ANNOUNCED.match(bare) else bare
    # A full stop may stand inside the quotes, or behind them.
    return bare.strip(_AROUND).rstrip(_AT_THE_END).strip(_AROUND)
