"""Text of others is scanned before it is sent, and answers for links that carry data out; what is found becomes notices.

Each text is scanned once, whichever requests hold it. A scan only warns: it never changes a text.
"""

from __future__ import annotations

import asyncio
from dataclasses import field, replace
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from chatcli.core.errors import UsageError
from chatcli.core.event_log import NO_LOG, WARNING
from chatcli.core.events import Notice
from chatcli.core.frozen import frozen, mutable
from chatcli.core.messages import OF_OTHERS, TextPart, ToolResultPart
from chatcli.text.documents import read_document
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from chatcli.core.event_log import EventLog
    from chatcli.core.messages import Message, Part, Role

INJECTION: Final = "injection"
OUTGOING_LINK: Final = "outgoing_link"
"""The codes of the notices, and of the error."""

_EXCERPT_COLUMNS: Final = 60
_LONGEST_CUT_WORD: Final = 20
_AT_ONCE_CHARACTERS: Final = 10_000
"""A text of this length is scanned in a thread, so that keys and signals are handled meanwhile."""
_IMPORTED: Final[Mapping[Role, str]] = MappingProxyType(
    {
        "system": "an imported system prompt",
        "user": "an imported question",
        "assistant": "an imported answer",
        "tool": "an imported result of a tool",
    }
)
_LINK_SIGNS: Final = ("://", "](", "//", "www.")


class ScanFinding(Protocol):
    """A place in a text, ``text[start:end]``; ``reason`` is a clause that says why it is suspicious."""

    @property
    def kind(self) -> str: ...

    @property
    def start(self) -> int: ...

    @property
    def end(self) -> int: ...

    @property
    def excerpt(self) -> str: ...

    @property
    def reason(self) -> str: ...


class Scanner(NamedTuple):
    """What finds orders to a model in a text, and links in an answer that repeat given texts."""

    scan: Callable[[str], Sequence[ScanFinding]]
    find_links: Callable[[str, Sequence[str]], Sequence[ScanFinding]]


def _scan(text: str) -> Sequence[ScanFinding]:
    # Imported on first use: most questions hold no text of others.
    from chatcli.safety.injection import scan  # noqa: PLC0415

    return scan(text)


def _find_links(answer: str, texts: Sequence[str]) -> Sequence[ScanFinding]:
    from chatcli.safety.outgoing import outgoing_links  # noqa: PLC0415 - as above

    return outgoing_links(answer, texts)


SCANNER: Final = Scanner(_scan, _find_links)
"""The rules of chatcli itself."""


@frozen
class Suspect:
    """A text named ``name`` that seems to give the model orders: its first finding, and how ``many`` there are.

    ``phrases`` are what was found, ``digest`` is the SHA-256 of the text. ``is_turn``: it is a question or an answer of an
    imported conversation.
    """

    name: str
    line: int
    reason: str
    excerpt: str
    many: int
    phrases: frozenset[str]
    digest: bytes
    is_turn: bool = False

    @property
    def place(self) -> str:
        return f"{self.name}, line {self.line:,}"

    @property
    def more(self) -> str:
        return f" (and {self.many - 1:,} more)" if self.many > 1 else ""

    @property
    def message(self) -> str:
        return f'{self.place}: {self.reason}: "{self.excerpt}"{self.more}'


@mutable
class Screened:
    """What one run has scanned and announced, by digest, and the phrases announced and allowed, by name."""

    scanned: dict[bytes, Suspect | None] = field(default_factory=dict)
    announced: set[bytes] = field(default_factory=set)
    announced_phrases: dict[str, set[str]] = field(default_factory=dict)
    allowed_phrases: dict[str, set[str]] = field(default_factory=dict)
    has_rules: bool = False
    """Whether the rules are loaded, which takes a fifth of a second."""


@frozen
class Screening:
    """Scans what requests hold, and answers, with ``scanner``; ``blocks`` what was found in requests.

    ``screened`` is shared by all conversations of a run. ``log`` takes how much was found, not what.
    """

    scanner: Scanner
    screened: Screened
    blocks: bool
    log: EventLog = field(default=NO_LOG, compare=False)

    async def check(self, messages: Iterable[Message]) -> Sequence[Notice]:
        """Return a notice for each suspicious text that was not announced yet.

        Raise ``UsageError`` instead if such texts are blocked, and this one was not allowed.
        """
        notices: list[str] = []
        turns: list[str] = []
        findings = 0
        for suspect in await self._suspects(messages):
            if self.blocks and not self._is_allowed(suspect):
                self.log.note(
                    WARNING, "findings", code=INJECTION, texts=1, findings=suspect.many, is_blocked=True
                )
                raise UsageError(
                    f"not sent: {suspect.message}",
                    hint="check the text; if it is harmless, send it with injection = warn",
                    code=INJECTION,
                )
            if self._is_new(suspect):
                (turns if suspect.is_turn else notices).append(suspect.message)
                findings += suspect.many
        if findings:
            self.log.note(
                WARNING, "findings", code=INJECTION, texts=len(notices) + len(turns), findings=findings
            )
        if turns:
            # A long conversation may hold many: one line says so, and /context names the turns.
            others = f" (and {len(turns) - 1:,} more such texts)" if len(turns) > 1 else ""
            notices.append(turns[0] + others)
        return [Notice(INJECTION, message) for message in notices]

    async def scan(self, messages: Iterable[Message]) -> None:
        """Scan the texts of ``messages`` ahead, so that ``check`` is quick; nothing is announced."""
        await self._suspects(messages)

    async def blocked(self, messages: Iterable[Message]) -> Sequence[Suspect]:
        """Return the texts for which ``check`` would raise, each once."""
        found = {suspect.digest: suspect for suspect in await self._suspects(messages)}
        return [each for each in found.values() if not self._is_allowed(each)]

    def allow(self, suspects: Iterable[Suspect]) -> None:
        """Let these texts be sent from now on, whole or in parts; the person has seen what was found."""
        for suspect in suspects:
            self.screened.allowed_phrases.setdefault(suspect.name, set()).update(suspect.phrases)
            self._is_new(suspect)

    def is_suspect(self, messages: Iterable[Message]) -> bool:
        """Return whether something was found in a text of ``messages``; nothing is scanned for it."""
        digests = (digest for message in messages for digest in self.digests(message))
        return any(map(self.screened.scanned.get, digests))

    @staticmethod
    def digests(message: Message) -> set[bytes]:
        """Return the digests of the texts in ``message`` that are scanned."""
        return {_digest(text) for part in message.parts for _, text in _scanned_texts(message, part)}

    @staticmethod
    def without(message: Message, digests: Collection[bytes]) -> Message:
        """Return ``message`` without the parts that hold a scanned text of ``digests``."""
        kept = tuple(
            part
            for part in message.parts
            if not any(_digest(text) in digests for _, text in _scanned_texts(message, part))
        )
        return replace(message, parts=kept)

    async def links(self, answer: str, messages: Iterable[Message]) -> Sequence[Notice]:
        """Return a notice if a link in ``answer`` repeats something of ``messages``, which it was given."""
        if not any(sign in answer for sign in _LINK_SIGNS):
            return ()
        texts = [message.text for message in messages]
        length = len(answer) + sum(map(len, texts))
        if length > _AT_ONCE_CHARACTERS:
            findings = await asyncio.to_thread(self.scanner.find_links, answer, texts)
        else:
            findings = self.scanner.find_links(answer, texts)
        if not findings:
            return ()
        more = f" (and {len(findings) - 1:,} more)" if len(findings) > 1 else ""
        first = findings[0]
        self.log.note(WARNING, "findings", code=OUTGOING_LINK, texts=1, findings=len(findings))
        return (
            Notice(OUTGOING_LINK, f'a link in the answer: {first.reason}: "{_shown(first.excerpt)}"{more}'),
        )

    def _is_allowed(self, suspect: Suspect) -> bool:
        allowed = self.screened.allowed_phrases
        names = (suspect.name, *_names_of_whole(suspect.name))
        return any(suspect.phrases <= allowed.get(name, set()) for name in names)

    def _is_new(self, suspect: Suspect) -> bool:
        """Return whether ``suspect`` is to be announced, and remember it."""
        if suspect.digest in self.screened.announced:
            return False
        self.screened.announced.add(suspect.digest)
        known = self.screened.announced_phrases
        # A part of a long text repeats what was announced for the whole.
        is_known = any(suspect.phrases <= known.get(name, set()) for name in _names_of_whole(suspect.name))
        known.setdefault(suspect.name, set()).update(suspect.phrases)
        return not is_known

    async def findings(self, text: str) -> Sequence[ScanFinding]:
        """Return what is found in ``text``, whatever was announced. The first scan of a run loads the rules, in a thread as well."""
        if self.screened.has_rules and len(text) <= _AT_ONCE_CHARACTERS:
            return self.scanner.scan(text)
        try:
            findings = await asyncio.to_thread(self.scanner.scan, text)
        except RuntimeError:  # once the main thread has ended, no executor takes anything
            findings = self.scanner.scan(text)
        self.screened.has_rules = True
        return findings

    async def _suspects(self, messages: Iterable[Message]) -> list[Suspect]:
        suspects = []
        parts = ((message, part) for message in messages for part in message.parts)
        for name, text in (each for message, part in parts for each in _scanned_texts(message, part)):
            digest = _digest(text)
            if digest not in self.screened.scanned:
                findings = await self.findings(text)
                self.screened.scanned[digest] = _suspect(name, text, digest, findings)
            if (suspect := self.screened.scanned[digest]) is not None:
                suspects.append(suspect)
        return suspects


def _suspect(name: str, text: str, digest: bytes, findings: Sequence[ScanFinding]) -> Suspect | None:
    if not findings:
        return None
    first = min(findings, key=lambda finding: finding.start)
    return Suspect(
        sanitize_line(name),
        text.count("\n", 0, first.start) + 1,
        first.reason,
        _shown(first.excerpt),
        len(findings),
        frozenset(text[finding.start : finding.end] for finding in findings),
        digest,
        name in _IMPORTED.values(),
    )


def _scanned_texts(message: Message, part: Part) -> Iterator[tuple[str, str]]:
    """Yield the names and texts of others in ``part`` of ``message``, the turns of imported conversations among them."""
    if isinstance(part, TextPart) and part.origin in OF_OTHERS:
        yield read_document(part.text) or (f"text of a {part.origin}", part.text)
    elif isinstance(part, ToolResultPart):
        yield from (("the result of a tool", each.text) for each in part.parts if isinstance(each, TextPart))
    elif isinstance(part, TextPart) and message.imported is not None:
        yield _IMPORTED[message.role], part.text


def _names_of_whole(name: str) -> Iterator[str]:
    """Yield the names of the texts of which a text labelled ``name`` may be a part; see ``long_input``."""
    whole = name.removeprefix("notes on ").partition(", part ")[0]
    for other in (whole, *whole.split(" to ")):
        if other != name:
            yield other


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def _shown(excerpt: str) -> str:
    from chatcli.text.shortening import shortened  # noqa: PLC0415 - wcwidth is slow to import, and findings are rare

    line = sanitize_line(excerpt)
    shown = shortened(line, _EXCERPT_COLUMNS)
    if shown == line:
        return shown
    # Not within a word, unless it is a long one, or of a script without blanks.
    kept = len(shown) - 1
    words = shown[:kept].rpartition(" ")[0].rstrip()
    is_cut = line[kept : kept + 1].isalnum() and line[kept - 1 : kept].isascii()
    return f"{words}…" if is_cut and kept - len(words) <= _LONGEST_CUT_WORD else shown
