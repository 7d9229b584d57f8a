"""The results of a batch in a file, as the command and scripts write them: begun, gone on with, and put in order at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.batching.provider_batch import ProviderRun
from chatcli.batching.result_file import ResultFile
from chatcli.batching.results import JsonLines, ResultTable
from chatcli.batching.sent_parts import SentParts
from chatcli.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from chatcli.app.batch_wiring import OpenBatch
    from chatcli.batching.batch_run import BatchProgress
    from chatcli.batching.provider_batch import ResultTaker
    from chatcli.batching.results import ResultFormat
    from chatcli.batching.row_requests import BatchRow

_TABLES: Final = {".csv": ",", ".tsv": "\t"}


class OutputChoice(NamedTuple):
    """Where results go, and what becomes of those that are there: refused, continued or replaced.

    ``by_provider``: the provider's batch API is to answer.
    """

    path: Path
    resumes: bool = False
    retries_failed: bool = False
    replaces: bool = False
    in_order: bool = True
    by_provider: bool = False

    @property
    def delimiter(self) -> str | None:
        """What separates the columns of a table, ``None`` for JSON lines."""
        return _TABLES.get(self.path.suffix.lower())


class BatchOutput:
    """The ``file`` of the results of one run of ``batch``, and what of its rows is ``sent`` to the provider.

    ``columns`` are those of the input, which a table repeats. Errors are kept in the words that ``worded`` makes of the program's.
    ``notify`` gets a line if the file is not where it was.
    """

    def __init__(
        self,
        batch: OpenBatch,
        choice: OutputChoice,
        *,
        columns: Sequence[str] = (),
        worded: Callable[[str], str] = str,
        notify: Callable[[str], object],
    ) -> None:
        self._batch = batch
        self._choice = choice
        self.file = ResultFile(
            choice.path,
            _result_format(batch, choice, columns),
            redact=lambda text: worded(batch.context.redactor.redact(text)),
            notify=notify,
        )
        self._sent: SentParts | None = None

    def open(self) -> None:
        """Open the file. Raise ``UsageError`` if this run may not write it, or would ask again what the provider was sent."""
        choice = self._choice
        self.file.open(
            resumes=choice.resumes or choice.retries_failed,
            replaces=choice.replaces,
            retries_failed=choice.retries_failed,
        )
        endpoint, settings = self._batch.resolved.endpoint, self._batch.settings
        self._sent = SentParts.beside(
            choice.path, endpoint.base_url, settings.api, starts_over=choice.replaces
        )
        if self._sent.parts and not choice.by_provider:
            raise UsageError(
                f"rows of {choice.path} are being answered by the provider",
                hint="--via provider --resume takes the results; --force forgets them and starts over",
            )

    def close(self) -> None:
        self.file.close()

    @property
    def is_at_work(self) -> bool:
        """Whether the provider works on any row."""
        return self._sent is not None and self._sent.is_at_work

    def is_left(self, row: BatchRow) -> bool:
        """Return whether the row has no result. Raise ``UsageError`` if it is another one by now."""
        return not self.file.done.is_done(row.index, row.digest)

    def finish(self) -> None:
        """Write everything to the disk, in the order of the input if that is wanted."""
        self.file.finish(in_order=self._choice.in_order)

    def provider_run(
        self,
        rows: Callable[[], Iterator[BatchRow]],
        progress: BatchProgress,
        taker: ResultTaker | None = None,
    ) -> ProviderRun:
        """Return the run that has the provider's batch API answer ``rows``, once the file is open."""
        assert self._sent is not None  # noqa: S101 - noted with the file
        return ProviderRun(
            self._batch.provider(),
            rows,
            self.file,
            self._sent,
            progress=progress,
            terms=self._batch.provider_terms(),
            retries_failed=self._choice.retries_failed,
            taker=taker,
        )


def _result_format(batch: OpenBatch, choice: OutputChoice, columns: Sequence[str]) -> ResultFormat:
    if choice.delimiter is None:
        return JsonLines()
    asked_for = ["data"] if batch.defaults.response_format is not None else []
    asked_for += ["sources"] if batch.settings.web_search != "off" else []
    return ResultTable(columns, delimiter=choice.delimiter, asked_for=asked_for)
