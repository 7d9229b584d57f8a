"""What one run of the program shares, and what one call of it asks for."""

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

    from chatcli.config.paths import Paths
    from chatcli.core.events import Notice
    from chatcli.cost.model_table import ModelTable

    Notify: TypeAlias = Callable[[Notice], None]


@dataclass(frozen=True, slots=True)
class RunContext:
    """What the program finds outside itself. ``folder`` is where the person is, ``None`` where that is nowhere.

    ``spending`` is what this run spends, ``pool`` the endpoints it asks: all its conversations share them. ``redactor`` is
    given every key of the run.
    """

    environment: Mapping[str, str]
    paths: Paths
    folder: Path | None = None
    spending: Spending = field(default_factory=Spending, compare=False)
    pool: Pool = field(default_factory=Pool, compare=False)
    redactor: Redactor = field(default_factory=Redactor, compare=False)

    @property
    def table(self) -> ModelTable:
        """What is known of models; nothing is read before it is asked."""
        return _table_in(self.paths.data)


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """What one call asks for, beyond the settings.

    ``session`` is a name or a path, ``resume_last`` the session used last. ``count_exactly`` loads the vocabulary
    even where a rough count would do; ``dry`` opens a conversation that sends and keeps nothing.
    """

    session: str | None = None
    resume_last: bool = False
    embedded: bool = False
    insecure_http: bool = False
    count_exactly: bool = False
    dry: bool = False


@cache
def _table_in(data: Path) -> ModelTable:
    # Not before it is asked: the prompt needs no table.
    from chatcli.cost.model_table import FILE_NAME, ModelTable  # noqa: PLC0415

    return ModelTable(data / FILE_NAME)
