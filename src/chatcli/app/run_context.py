"""State shared by one run of the program, and the options of one call."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from chatcli.client.pool import Pool
from chatcli.cost.budget import Spending
from chatcli.text.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import TypeAlias

    from chatcli.client.address_guard import Resolve
    from chatcli.config.paths import Paths
    from chatcli.core.events import Notice
    from chatcli.cost.model_table import ModelTable

    Notify: TypeAlias = Callable[[Notice], None]


@dataclass(frozen=True, slots=True)
class RunContext:
    """The environment of a run. ``folder`` is the working directory, ``None`` if there is none.

    ``spending`` is what this run has spent and ``pool`` its endpoints; all its conversations share them.
    ``redactor`` knows every key of the run. ``resolve`` finds the addresses of web pages, ``None`` asks the system.
    """

    environment: Mapping[str, str]
    paths: Paths
    folder: Path | None = None
    spending: Spending = field(default_factory=Spending, compare=False)
    pool: Pool = field(default_factory=Pool, compare=False)
    redactor: Redactor = field(default_factory=Redactor, compare=False)
    resolve: Resolve | None = field(default=None, compare=False)

    @property
    def table(self) -> ModelTable:
        """The model table; read on first use."""
        return _table_in(self.paths.data)


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """Options of one call beyond the settings.

    ``session`` is a name or a path, ``resume_last`` selects the session used last. ``count_exactly`` loads
    the vocabulary even where a rough count would do; ``dry`` opens a conversation that sends and stores
    nothing. ``becomes_last`` makes it the session used last once it is asked.
    """

    session: str | None = None
    resume_last: bool = False
    embedded: bool = False
    insecure_http: bool = False
    count_exactly: bool = False
    dry: bool = False
    becomes_last: bool = True


@cache
def _table_in(data: Path) -> ModelTable:
    # Imported on first use: the prompt needs no table.
    from chatcli.cost.model_table import FILE_NAME, ModelTable  # noqa: PLC0415

    return ModelTable(data / FILE_NAME)
