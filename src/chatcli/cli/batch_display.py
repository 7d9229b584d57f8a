"""The progress of a batch on stderr: drawn by rich where it can be redrawn, else a line now and then."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from chatcli.cli.progress_bar import can_be_redrawn, console_on_stderr
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.times import in_hours, in_minutes
from chatcli.text.wording import dollars, more_than

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import RenderableType
    from rich.live import Live

    from chatcli.batching.batch_run import BatchProgress
    from chatcli.cli.standard_streams import Terminal

_FRAME_S: Final = 0.1
_LINE_EVERY_S: Final = 10.0
_RATE_OVER_S: Final = 30.0
_WIDEST_BAR: Final = 40
_MILLION, _THOUSAND = 1_000_000, 1_000


class BatchDisplay:
    """Shows ``progress`` until it is left, and prints lines above it. A ``quiet`` one shows nothing."""

    def __init__(
        self,
        terminal: Terminal,
        progress: BatchProgress,
        *,
        plain: bool,
        quiet: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._terminal = terminal
        self._progress = progress
        self._quiet = quiet
        self._is_drawn = not (plain or quiet) and can_be_redrawn(terminal)
        self._live: Live | None = None
        self._clock = clock
        self._began_s = clock()
        self._samples: deque[tuple[float, int]] = deque()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the progress in a task of its own meanwhile."""
        self._began_s = self._clock()
        showing = asyncio.ensure_future(self._draw() if self._is_drawn else self._report())
        try:
            if self._is_drawn:
                from rich.live import Live  # noqa: PLC0415 - as in ``console_on_stderr``

                with Live(
                    console=console_on_stderr(self._terminal),
                    auto_refresh=False,
                    transient=True,
                    redirect_stdout=False,
                    redirect_stderr=False,
                ) as self._live:
                    yield
            else:
                yield
        finally:
            self._live = None
            showing.cancel()

    def say(self, text: str, *, always: bool = False) -> None:
        """Print a line above the display; a quiet one only prints it if it is to be printed ``always``."""
        if self._quiet and not always:
            return
        if self._live is None:
            self._terminal.warn(text)
            return
        from rich.text import Text  # noqa: PLC0415 - as above

        self._live.console.print(Text(self._terminal.redactor.redact(sanitize_line(text))))

    def summary(self) -> str:
        """Return the result of the run in one line."""
        progress, elapsed_s = self._progress, self._clock() - self._began_s
        facts = [_rows(progress)]
        if progress.failed:
            facts.append(f"{progress.failed:,} failed")
        if progress.cut_off:
            facts.append(f"{progress.cut_off:,} cut off at a length limit")
        facts += [*_consumption(progress), f"in {in_minutes(elapsed_s)}"]
        return " · ".join(facts)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(_LINE_EVERY_S)
            self._take_notices()
            if not self._quiet:
                self._terminal.warn(" · ".join(self._figures()))

    async def _draw(self) -> None:
        while True:
            self._take_notices()
            if self._live is not None:
                with suppress(OSError):
                    self._live.update(self._picture(), refresh=True)
            await asyncio.sleep(_FRAME_S)

    def take_notices(self) -> None:
        """Print the notices of the run that were not printed yet."""
        self._take_notices()

    def _take_notices(self) -> None:
        notices = self._progress.notices
        while notices:
            self.say(sanitize_line(notices.pop(0).message))

    def _figures(self) -> list[str]:
        progress = self._progress
        rate = self._rate_per_s()
        facts = [_rows(progress)]
        if progress.failed:
            facts.append(f"{progress.failed:,} failed")
        if progress.phase:
            facts.append(progress.phase)
        elif progress.in_flight or progress.limit:
            facts.append(f"{progress.in_flight - progress.held:,} of {progress.limit:,} in flight")
        if progress.held:
            facts += [f"{progress.held:,} not sent yet", sanitize_line(progress.held_by)]
        if progress.retrying:
            facts.append(f"{progress.retrying:,} waiting to retry")
        facts += _consumption(progress)
        if rate:
            facts.append(f"{rate:,.1f} rows/s" if rate >= 1 else f"{rate * 60:,.1f} rows/min")
        if rate and progress.total is not None and progress.done:
            left = progress.total - progress.earlier - progress.done
            facts.append(f"{in_hours(left / rate)} left")
        return facts

    def _rate_per_s(self) -> float:
        now_s, done = self._clock(), self._progress.done
        self._samples.append((now_s, done))
        while now_s - self._samples[0][0] > _RATE_OVER_S and len(self._samples) > 1:
            self._samples.popleft()
        since_s, before = self._samples[0]
        passed_s = now_s - since_s
        return (done - before) / passed_s if passed_s else 0.0

    def _picture(self) -> RenderableType:
        from rich.progress_bar import ProgressBar  # noqa: PLC0415 - as above
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        progress, columns = self._progress, self._terminal.stderr_columns()
        lines: list[str] = []
        for fact in self._figures():
            if lines and len(lines[-1]) + len(fact) + 3 < columns:
                lines[-1] += f" · {fact}"
            else:
                lines.append(fact)
        picture = Table.grid()
        if progress.total is not None:
            completed, width = progress.earlier + progress.done, min(_WIDEST_BAR, columns - 1)
            picture.add_row(ProgressBar(total=max(1, progress.total), completed=completed, width=width))
        for line in lines:
            picture.add_row(Text(line, no_wrap=True, overflow="ellipsis"))
        return picture


def _rows(progress: BatchProgress) -> str:
    done = progress.earlier + progress.done
    return f"{done:,} rows" if progress.total is None else f"{done:,} of {progress.total:,} rows"


def _consumption(progress: BatchProgress) -> list[str]:
    facts = []
    if tokens := progress.input_tokens + progress.output_tokens:
        facts.append(f"{_short(tokens)} tokens")
    if progress.cost_usd:
        facts.append((more_than if progress.has_unknown_price else dollars)(progress.cost_usd))
    return facts


def _short(count: int) -> str:
    if count >= _MILLION:
        return f"{count / _MILLION:.1f}M"
    return f"{count / _THOUSAND:.0f}k" if count >= 10 * _THOUSAND else f"{count:,}"
