"""What was said in a conversation, for those who look for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.sessions.records import MessageRecord, PartialRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chatcli.sessions.records import Record


def utterances(records: Iterable[Record]) -> Iterator[str]:
    """Yield the text of every question and answer of all branches, and last those of interrupted answers.

    System messages are left out: nobody looks for the prompt that all their conversations begin with.
    """
    whole: set[str] = set()
    parts: dict[str, list[str]] = {}
    for record in records:
        if isinstance(record, MessageRecord):
            whole.add(record.id)
            if record.role != "system":
                yield record.message.text
        elif isinstance(record, PartialRecord):
            if record.begins_again:
                parts.pop(record.id, None)
            parts.setdefault(record.id, []).append(record.text)
    for reply, texts in parts.items():
        if reply not in whole:
            yield "".join(texts)
