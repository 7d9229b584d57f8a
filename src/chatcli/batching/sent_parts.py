"""What a batch has sent to its provider and not taken back, in ``OUT.batch.json`` beside the results.

It is written after every step, so that a run may be killed at any time: nothing is sent twice, and no result that was paid for is lost.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from chatcli.batching.result_file import SAME_INPUT
from chatcli.core.errors import LocalIOError, UsageError
from chatcli.storage.private_files import replace

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from chatcli.batching.row_requests import BatchRow

_SUFFIX: Final = ".batch.json"
_DIGEST_BYTES: Final = 16


@dataclass(slots=True)
class SentPart:
    """The rows from ``first`` to ``last``, sent as the provider's batch ``id`` of an ``input_file``.

    The ``id`` is empty as long as it is not known whether the provider has begun the batch. ``runs`` are the first and last rows
    of what was sent without a gap, and ``digest`` stands for the content of these rows; earlier versions noted neither.
    """

    id: str
    first: int
    last: int
    input_file: str = ""
    runs: list[list[int]] = field(default_factory=list)
    digest: str = ""

    @property
    def words(self) -> str:
        return f"row {self.first:,}" if self.first == self.last else f"rows {self.first:,} to {self.last:,}"

    def holds(self, index: int) -> bool:
        if not self.runs or not self.first <= index <= self.last:
            return self.first <= index <= self.last
        at = bisect_right(self.runs, index, key=itemgetter(0))
        return at > 0 and index <= self.runs[at - 1][1]


def _stored_part(stored: Any) -> SentPart:
    """Raise ``TypeError``, ``ValueError`` or ``KeyError`` if it is none."""
    part = SentPart(**stored)
    if [type(value) for value in asdict(part).values()] != [str, int, int, str, list, str]:
        raise TypeError(stored)
    for first, last in part.runs:
        if not type(first) is type(last) is int:
            raise TypeError(stored)
    return part


def _beside(output: Path) -> Path:
    return output.with_name(output.name + _SUFFIX)


class PartDigest:
    """Stands for the content of the rows that were added, in their order."""

    def __init__(self) -> None:
        self._hash = blake2b(digest_size=_DIGEST_BYTES)

    def add(self, row: BatchRow) -> None:
        self._hash.update(row.digest.to_bytes(8))

    @property
    def text(self) -> str:
        return self._hash.hexdigest()


class GatheredPart:
    """The ``lines`` of rows that are to be sent together."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.size_bytes = 0
        self._runs: list[list[int]] = []
        self._digest = PartDigest()

    def add(self, row: BatchRow, line: bytes) -> None:
        if self._runs and self._runs[-1][1] == row.index - 1:
            self._runs[-1][1] = row.index
        else:
            self._runs.append([row.index, row.index])
        self._digest.add(row)
        self.lines.append(line)
        self.size_bytes += len(line)

    def sent_as(self, input_file: str) -> SentPart:
        return SentPart("", self._runs[0][0], self._runs[-1][1], input_file, self._runs, self._digest.text)


@dataclass(slots=True)
class SentParts:
    """What was sent to the ``api`` of the ``endpoint``, in the file ``path``. No two ``parts`` hold the same row."""

    path: Path
    endpoint: str
    api: str = "chat"
    parts: list[SentPart] = field(default_factory=list)

    @classmethod
    def beside(
        cls, output: Path, endpoint: str, api: str = "chat", *, starts_over: bool = False
    ) -> SentParts:
        """Return what an earlier run sent, or forget it if this one ``starts_over``.

        Raise ``LocalIOError`` if its file cannot be read, or is about another endpoint or API.
        """
        sent = cls(_beside(output), endpoint, api)
        if starts_over:
            sent.delete()
        try:
            stored = json.loads(sent.path.read_bytes())
            sent.parts = [_stored_part(part) for part in stored["parts"]]
        except FileNotFoundError:
            return sent
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise LocalIOError(
                f"cannot read {sent.path}", hint="delete it to send everything again"
            ) from error
        if sent.parts and stored.get("api", api) != api:
            raise LocalIOError(
                f"{sent.path} is about batches of another API",
                hint=f"--api {stored['api']} takes their results",
            )
        if sent.parts and stored.get("endpoint") != endpoint:
            raise LocalIOError(
                f"{sent.path} is about batches at {stored.get('endpoint')}",
                hint="name the same endpoint, or delete the file to send everything again",
            )
        return sent

    def follow(self, output: Path) -> None:
        """Go where the results are, if that is another file by now."""
        if (path := _beside(output)) != self.path:
            left, self.path = self.path, path
            self.save()
            with suppress(OSError):
                left.unlink()

    def save(self) -> None:
        stored = {
            "endpoint": self.endpoint,
            "api": self.api,
            "parts": [asdict(part) for part in self.parts],
        }
        try:
            replace(self.path, json.dumps(stored).encode() + b"\n", durably=True)
        except OSError as error:
            raise LocalIOError(
                f"cannot write {self.path}: {error.strerror or error}", hint="check the disk and the folder"
            ) from error

    def check(self, rows: Iterable[BatchRow]) -> None:
        """Raise ``UsageError`` if one of the ``rows`` that were sent is missing by now, or another one."""
        digests = [(part, PartDigest()) for part in self.parts if part.digest]
        if not digests:
            return
        for row in rows:
            for part, digest in digests:
                if part.holds(row.index):
                    digest.add(row)
        for part, digest in digests:
            if digest.text != part.digest:
                raise UsageError(
                    f"the provider works on other rows: {part.words} changed, or what is asked did",
                    hint=f"{SAME_INPUT}; --force forgets them and starts over",
                    code="other_input",
                )

    @property
    def is_at_work(self) -> bool:
        """Whether the provider works on any of it."""
        return any(part.id for part in self.parts)

    def holds(self, index: int) -> bool:
        """Return whether the row was sent, and its result is not back."""
        return any(part.holds(index) for part in self.parts)

    def delete(self) -> None:
        with suppress(OSError):
            self.path.unlink()
