"""``chatcli templates``: the prompt templates. One file an action, collected into one table."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol, cast

from chatcli.cli.setup import world_of
from chatcli.cli.templating import shelf_of
from chatcli.core.errors import UsageError

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.cli.options import Parser
    from chatcli.cli.terminal import Terminal
    from chatcli.core.exit_codes import ExitCode
    from chatcli.templates.shelf import Shelf


class ActionModule(Protocol):
    """What a file in this folder holds."""

    NAME: str
    """The word that starts it."""
    HELP: str
    """One line for ``chatcli templates --help``, and the first of its own ``--help``."""

    def add_arguments(self, parser: Parser) -> None:
        """Say which options and words the action takes."""
        ...

    def run(self, options: Namespace, shelf: Shelf, terminal: Terminal) -> ExitCode: ...


@dataclass(frozen=True, slots=True)
class Action:
    """An action as ``cli.main`` runs it: a command of its own below ``templates``."""

    module: ActionModule

    @property
    def name(self) -> str:
        return self.module.NAME

    @property
    def help(self) -> str:
        return self.module.HELP

    def add_arguments(self, parser: Parser) -> None:
        self.module.add_arguments(parser)

    def run(self, options: Namespace, terminal: Terminal) -> ExitCode:
        return self.module.run(options, shelf_of(world_of(terminal)), terminal)


_MODULES: Final = ("list_", "show", "new", "edit", "remove", "path")
"""The files of the actions, in the order of ``--help``."""


def actions() -> dict[str, Action]:
    """Return the actions by the word that starts each."""
    modules = (import_module(f"{__name__}.{module}") for module in _MODULES)
    found = [Action(cast("ActionModule", module)) for module in modules]
    return {action.name: action for action in found}


def add_arguments(parser: Parser) -> None:
    table = actions()
    parser.add_argument("action", choices=list(table), help="one of the actions below")
    parser.add_argument(
        "words", nargs="*", metavar="...", help="what it needs: chatcli templates ACTION --help"
    )
    parser.add_argument("--json", action="store_true", help="list: as JSON")
    parser.usage = f"{parser.prog} ACTION [OPTIONS] ..."
    lines = [f"  {action.name:<8}{action.help}" for action in table.values()]
    parser.epilog = "actions:\n" + "\n".join(lines)


def run(options: Namespace, terminal: Terminal) -> ExitCode:  # noqa: ARG001 - every action is run by itself
    raise UsageError("do what with the templates?", hint="chatcli templates --help lists the actions")
