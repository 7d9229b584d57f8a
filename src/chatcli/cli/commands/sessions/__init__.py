"""``chatcli sessions``: the saved conversations."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING, Final

from chatcli.cli.actions import Family
from chatcli.cli.setup import world_of
from chatcli.sessions.library import Library

if TYPE_CHECKING:
    from chatcli.cli.standard_streams import Terminal


def _library(terminal: Terminal) -> AbstractContextManager[Library]:
    return closing(Library.of(world_of(terminal).paths.data))


_FAMILY: Final = Family(
    "sessions",
    __name__,
    ("list_", "show", "search", "rename", "remove", "prune", "export", "import_"),
    "list, show, search",
    _library,
)
actions = _FAMILY.actions
add_arguments = _FAMILY.add_arguments
run = _FAMILY.run
