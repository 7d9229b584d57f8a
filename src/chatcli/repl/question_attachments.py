"""The attachments of the next question: files named by ``/file``, and those the question mentions."""

from __future__ import annotations

import asyncio
from math import ceil
from typing import TYPE_CHECKING

from chatcli.app.threads import in_thread
from chatcli.attachments.attached import attach, mentioned
from chatcli.attachments.encodings import NO_HINTS, is_surely_data
from chatcli.attachments.texts import (
    beginning_of_file,
    encoding_choices,
    encoding_chosen,
    encoding_prompt,
    no_encoding_chosen,
    read_file,
)
from chatcli.conversation.counting import likely_tokens
from chatcli.core.errors import UsageError
from chatcli.text.documents import document
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from pathlib import Path

    from chatcli.attachments.attached import Attached
    from chatcli.attachments.encodings import EncodingHints, Text


class Attachments:
    """Files are checked when they are named and read when the question is sent."""

    def __init__(self, hints: EncodingHints = NO_HINTS) -> None:
        self._hints = hints
        self._named: tuple[Attached, ...] = ()
        self._looked_at: tuple[str, list[Attached]] = ("", [])
        self._looked_into: set[Path] = set()
        self._data: set[Path] = set()
        self._densities: dict[Path, float] = {}

    @property
    def named(self) -> Sequence[Attached]:
        return self._named

    async def add(self, name: str) -> Attached:
        """Attach a file. Raise ``UsageError`` if it cannot be read, is not text or is too long."""
        attached = attach(name)
        await in_thread(lambda: self._read(attached, _unheard))
        self._named = (*(other for other in self._named if other.path != attached.path), attached)
        return attached

    def remove(self, name: str) -> Attached:
        """Remove an attached file. Raise ``UsageError`` if it is not attached."""
        found = next(
            (attached for attached in self._named if name in {attached.name, attached.path.name}), None
        )
        if found is None:
            raise UsageError(f"{name} is not attached", hint="/file lists what is")
        self._named = tuple(attached for attached in self._named if attached is not found)
        return found

    def take(self) -> Sequence[Attached]:
        """Return and forget the files of ``/file``: they are part of the question being sent."""
        taken, self._named = self._named, ()
        return taken

    def put_back(self, taken: Iterable[Attached]) -> None:
        self._named = (*taken, *self._named)

    def of(self, question: str) -> list[Attached]:
        """Return the attachments of ``question``, each file once."""
        return [*self._named, *(found for found in mentioned(question) if not self._has(found))]

    def line(self, written: str) -> str:
        """Return the attachments of a draft in a line; each file is checked once."""
        files = self._attached_to(written)
        texts = attached_line([attached for attached in files if attached.path not in self._data])
        names = ", ".join(attached.path.name for attached in files if attached.path in self._data)
        refused = f"not text, cannot be attached: {sanitize_line(names)}" if names else ""
        return " · ".join(filter(None, (refused, texts)))

    def likely_tokens(self, written: str) -> int:
        """Return about how many tokens the attachments of a draft have."""
        files = self._attached_to(written)
        return sum(
            ceil(attached.size_bytes * self._tokens_a_byte(attached.path))
            for attached in files
            if attached.path not in self._data
        )

    def _tokens_a_byte(self, path: Path) -> float:
        """Return the tokens per byte of a file, estimated once from its beginning."""
        if path not in self._densities:
            beginning = beginning_of_file(path)
            tokens = likely_tokens(beginning.decode("utf-8", "ignore"))
            self._densities[path] = tokens / max(1, len(beginning))
        return self._densities[path]

    def _attached_to(self, written: str) -> list[Attached]:
        if written != self._looked_at[0]:
            self._looked_at = written, [] if written.startswith("/") else mentioned(written)
            paths = {attached.path for attached in self._looked_at[1]}
            new = {path for path in paths - self._looked_into if is_surely_data(beginning_of_file(path))}
            self._data, self._looked_into = new | self._data & paths, paths
        return [*self._named, *(found for found in self._looked_at[1] if not self._has(found))]

    async def read(
        self,
        files: Iterable[Attached],
        notify: Callable[[str], None],
        *,
        say: Callable[[str], None],
        ask: Callable[[str], Awaitable[str | None]],
    ) -> list[str]:
        """Return the framed texts of ``files``. Raise ``UsageError`` if one cannot be read or is not text.

        ``notify`` is given notes about guesses and stalled reads. If a text may be in several encodings, the
        person is asked; if they decline, nothing is sent.
        """
        loop = asyncio.get_running_loop()

        def notify_from_thread(message: str) -> None:
            loop.call_soon_threadsafe(notify, message)

        documents = []
        for attached in files:
            text = await in_thread(lambda attached=attached: self._read(attached, notify_from_thread))  # type: ignore[misc]
            if text.readings:
                text = await _chosen(text, say, ask)
            if text.note:
                notify(text.note)
            documents.append(document(attached.name, text.text))
        return documents

    def _read(self, attached: Attached, notify: Callable[[str], None]) -> Text:
        return read_file(attached.name, notify, hints=self._hints)

    def _has(self, found: Attached) -> bool:
        return any(attached.path == found.path for attached in self._named)


def attached_line(files: Sequence[Attached]) -> str:
    """Return the names and lengths of ``files`` in a line, empty for none."""
    return "attached: " + sanitize_line(", ".join(attached.label for attached in files)) if files else ""


async def _chosen(
    text: Text, say: Callable[[str], None], ask: Callable[[str], Awaitable[str | None]]
) -> Text:
    say("\n".join(encoding_choices(text)))
    while (answer := await ask(encoding_prompt(text))) is not None:
        if (chosen := encoding_chosen(text, answer)) is not None:
            return chosen
    raise no_encoding_chosen(text)


def _unheard(_: str) -> None:
    """Drop a note: sending the question will repeat it."""
