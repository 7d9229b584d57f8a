"""``chatcli sessions``: the saved conversations."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING, Final

from chatcli.cli.actions import Family
from chatcli.cli.commands.sessions.changing import PRUNE, REMOVE, RENAME
from chatcli.cli.commands.sessions.export import EXPORT
from chatcli.cli.commands.sessions.import_ import IMPORT
from chatcli.cli.commands.sessions.listing import LIST, SEARCH, SHOW
from chatcli.cli.setup import run_context
from chatcli.sessions.library import Library

if TYPE_CHECKING:
    from chatcli.cli.standard_streams import Terminal


def _library(terminal: Terminal) -> AbstractContextManager[Library]:
    return closing(Library.of(run_context(terminal).paths.data))


_FAMILY: Final = Family(
    "sessions", (LIST, SHOW, SEARCH, RENAME, REMOVE, PRUNE, EXPORT, IMPORT), "list, show, search", _library
)
actions = _FAMILY.actions
add_arguments = _FAMILY.add_arguments
run = _FAMILY.run
