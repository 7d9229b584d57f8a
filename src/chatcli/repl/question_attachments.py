"""The attachments of the next question: files and web pages named by ``/file``, and those the question mentions.

Only what the person wrote at the prompt is looked at: nothing that a model, a file or a session says is read.
"""

from __future__ import annotations

import asyncio
from math import ceil
from typing import TYPE_CHECKING, Final

from chatcli.app.threads import in_thread
from chatcli.attachments.attached import Attached, AttachedPage, attach, is_web_address, mentioned
from chatcli.attachments.encodings import NO_HINTS
from chatcli.attachments.file_kinds import is_surely_data
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
    from typing import TypeAlias

    from chatcli.attachments.attached import Attachment
    from chatcli.attachments.encodings import EncodingHints, Text
    from chatcli.attachments.web_texts import WebText
    from chatcli.core.messages import Message

    ReadPage: TypeAlias = Callable[[str, EncodingHints], Awaitable[WebText]]

_ESTIMATED_BYTES: Final = 4_096
_READ_AHEAD_BYTES: Final = 2_000_000


class Attachments:
    """Files are checked when they are named and read when the question is sent.

    Pages named by ``/file`` are fetched at once by ``read_page``, mentioned ones when the question is sent.
    """

    def __init__(self, read_page: ReadPage, hints: EncodingHints = NO_HINTS) -> None:
        self._read_page = read_page
        self._hints = hints
        self._named: tuple[Attachment, ...] = ()
        self._looked_at: tuple[str, list[Attachment]] = ("", [])
        self._looked_into: set[Path] = set()
        self._data: set[Path] = set()
        self._densities: dict[str, float] = {}
        self._untyped: set[str] = set()

    @property
    def named(self) -> Sequence[Attachment]:
        return self._named

    async def add(self, name: str) -> Attachment:
        """Attach a file or a web page. Raise a ``ChatcliError`` if it cannot be read, is not text or is too long."""
        attached: Attachment
        if is_web_address(name):
            attached = AttachedPage(name, (await self._read_page(name, self._hints)).text)
        else:
            attached = file = attach(name)
            await in_thread(lambda: self._read(file, _unheard))
        self._named = (*(other for other in self._named if other.key != attached.key), attached)
        return attached

    def remove(self, name: str) -> Attachment:
        """Remove an attachment. Raise ``UsageError`` if it is not attached."""
        found = next((attached for attached in self._named if name in _names_of(attached)), None)
        if found is None:
            raise UsageError(f"{name} is not attached", hint="/file lists what is")
        self._named = tuple(attached for attached in self._named if attached is not found)
        return found

    def take(self) -> Sequence[Attachment]:
        """Return and forget the attachments of ``/file``: they are part of the question being sent."""
        taken, self._named = self._named, ()
        return taken

    def put_back(self, taken: Iterable[Attachment]) -> None:
        self._named = (*taken, *self._named)

    def of(self, question: str) -> list[Attachment]:
        """Return the attachments of ``question``, each once."""
        return [*self._named, *(found for found in self._mentioned(question) if not self._has(found))]

    def offer(self, stored: Message) -> str:
        """Return the text of a stored question for editing.

        If it is of others (imported, or an attached text alone), what it mentions stays words in this run: the person
        has not typed it.
        """
        text = stored.person_text
        if stored.imported is not None or all(part.origin != "person" for part in stored.texts):
            self._untyped |= {found.key for found in mentioned(text)}
            self._looked_at = ("", [])
        return text

    def untyped(self, question: str) -> list[str]:
        """Return the names of what ``question`` mentions in words that were not typed; it is not attached."""
        found = (each for each in mentioned(question) if each.key in self._untyped)
        return [each.name for each in found if not self._has(each)]

    def _mentioned(self, question: str) -> list[Attachment]:
        return [found for found in mentioned(question) if found.key not in self._untyped]

    def line(self, written: str) -> str:
        """Return the attachments of a draft in a line; each file is checked once."""
        attached_to = self._attached_to(written)
        texts = attached_line([attached for attached in attached_to if not self._is_data(attached)])
        data = [
            attached for attached in attached_to if isinstance(attached, Attached) and self._is_data(attached)
        ]
        names = ", ".join(attached.path.name for attached in data)
        refused = f"not text, cannot be attached: {sanitize_line(names)}" if names else ""
        return " · ".join(filter(None, (refused, texts)))

    def likely_tokens(self, written: str) -> int:
        """Return about how many tokens the attachments of a draft have."""
        return sum(map(self._tokens_of, self._attached_to(written)))

    def _tokens_of(self, attached: Attachment) -> int:
        return 0 if self._is_data(attached) else ceil(attached.size_bytes * self._tokens_a_byte(attached))

    def _is_data(self, attached: Attachment) -> bool:
        return isinstance(attached, Attached) and attached.path in self._data

    def _tokens_a_byte(self, attached: Attachment) -> float:
        """Return the tokens per byte of an attachment, estimated once from its beginning."""
        if attached.key not in self._densities:
            beginning = _beginning_of(attached)
            tokens = likely_tokens(beginning.decode("utf-8", "ignore"))
            self._densities[attached.key] = tokens / max(1, len(beginning))
        return self._densities[attached.key]

    def _attached_to(self, written: str) -> list[Attachment]:
        if written != self._looked_at[0]:
            self._looked_at = written, [] if written.startswith("/") else self._mentioned(written)
            paths = {attached.path for attached in self._looked_at[1] if isinstance(attached, Attached)}
            new = {path for path in paths - self._looked_into if is_surely_data(beginning_of_file(path))}
            self._data, self._looked_into = new | self._data & paths, paths
        return [*self._named, *(found for found in self._looked_at[1] if not self._has(found))]

    async def read(
        self,
        attachments: Iterable[Attachment],
        notify: Callable[[str], None],
        *,
        say: Callable[[str], None],
        ask: Callable[[str], Awaitable[str | None]],
    ) -> list[str]:
        """Return the framed texts of ``attachments``. Raise a ``ChatcliError`` if one cannot be read or is not text.

        ``notify`` is given notes about guesses and stalled reads. If a text may be in several encodings, the
        person is asked; if they decline, nothing is sent.
        """
        loop = asyncio.get_running_loop()

        def notify_from_thread(message: str) -> None:
            loop.call_soon_threadsafe(notify, message)

        documents = []
        for attached in attachments:
            if isinstance(attached, AttachedPage):
                documents.append(document(attached.name, await self._page_text(attached, notify)))
                continue
            text = await in_thread(lambda attached=attached: self._read(attached, notify_from_thread))  # type: ignore[misc]
            if text.readings:
                text = await _chosen(text, say, ask)
            if text.note:
                notify(text.note)
            documents.append(document(attached.name, text.text))
        return documents

    async def read_ahead(self, written: str) -> list[str] | None:
        """Return what ``read`` will return for a draft, ``None`` if that is not known before it is sent.

        Nothing is asked or fetched, no pipe is emptied, and nothing large is read.
        """
        documents = []
        for attached in self._attached_to(written):
            if isinstance(attached, AttachedPage):
                text = attached.text
            elif attached.size_bytes > _READ_AHEAD_BYTES or not attached.path.is_file():
                text = None
            else:
                found = await in_thread(lambda file=attached: self._read(file, _unheard))  # type: ignore[misc]
                text = None if found.readings else found.text
            if text is None:
                return None
            documents.append(document(attached.name, text))
        return documents

    async def _page_text(self, page: AttachedPage, notify: Callable[[str], None]) -> str:
        if page.text is not None:
            return page.text
        fetched = await self._read_page(page.name, self._hints)
        notify(f"read: {sanitize_line(AttachedPage(page.name, fetched.text).label)}")
        if fetched.note:
            notify(fetched.note)
        return fetched.text

    def _read(self, attached: Attached, notify: Callable[[str], None]) -> Text:
        return read_file(attached.name, notify, hints=self._hints)

    def _has(self, found: Attachment) -> bool:
        return any(attached.key == found.key for attached in self._named)


def attached_line(attachments: Sequence[Attachment]) -> str:
    """Return the names and lengths of ``attachments`` in a line, empty for none."""
    if not attachments:
        return ""
    return "attached: " + sanitize_line(", ".join(attached.label for attached in attachments))


def _names_of(attached: Attachment) -> set[str]:
    return {attached.name, attached.path.name} if isinstance(attached, Attached) else {attached.name}


def _beginning_of(attached: Attachment) -> bytes:
    if isinstance(attached, AttachedPage):
        return (attached.text or "")[:_ESTIMATED_BYTES].encode("utf-8", "replace")
    return beginning_of_file(attached.path)


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
