"""A command that is a family of actions: one file an action, collected into one table."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast

from chatcli.core.errors import UsageError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.core.exit_codes import ExitCode

_Subject = TypeVar("_Subject")
_Subject_contra = TypeVar("_Subject_contra", contravariant=True)


class ActionModule(Protocol[_Subject_contra]):
    """What a file of a family holds; its actions all work on the same thing."""

    NAME: str
    """The word that starts it."""
    HELP: str
    """One line for the command's ``--help``, and the first of its own."""

    def add_arguments(self, parser: Parser) -> None:
        """Say which options and words the action takes; ``parser.epilog`` may show examples."""
        ...

    def run(self, options: Namespace, subject: _Subject_contra, terminal: Terminal, /) -> ExitCode: ...


@dataclass(frozen=True, slots=True)
class Action(Generic[_Subject]):
    """An action as ``cli.main`` runs it: a command of its own. ``opened`` opens what it works on."""

    module: ActionModule[_Subject]
    opened: Callable[[Terminal], AbstractContextManager[_Subject]]

    @property
    def name(self) -> str:
        return self.module.NAME

    @property
    def help(self) -> str:
        return self.module.HELP

    def add_arguments(self, parser: Parser) -> None:
        self.module.add_arguments(parser)

    def run(self, options: Namespace, terminal: Terminal) -> ExitCode:
        with self.opened(terminal) as subject:
            return self.module.run(options, subject, terminal)


@dataclass(frozen=True, slots=True)
class Family(Generic[_Subject]):
    """The actions of ``chatcli COMMAND``.

    ``package`` holds their files, ``modules``, in the order of ``--help``; ``as_json`` names those that know ``--json``.
    """

    command: str
    package: str
    modules: tuple[str, ...]
    as_json: str
    opened: Callable[[Terminal], AbstractContextManager[_Subject]]

    def actions(self) -> dict[str, Action[_Subject]]:
        """Return the actions by the word that starts each."""
        modules = (import_module(f"{self.package}.{module}") for module in self.modules)
        found = [Action(cast("ActionModule[_Subject]", module), self.opened) for module in modules]
        return {action.name: action for action in found}

    def add_arguments(self, parser: Parser) -> None:
        table = self.actions()
        parser.add_argument("action", choices=list(table), help="one of the actions below")
        parser.add_argument(
            "words", nargs="*", metavar="...", help=f"what it needs: chatcli {self.command} ACTION --help"
        )
        parser.add_argument("--json", action="store_true", help=f"{self.as_json}: as JSON")
        parser.usage = f"{parser.prog} ACTION [OPTIONS] ..."
        lines = [f"  {action.name:<8}{action.help}" for action in table.values()]
        parser.epilog = "actions:\n" + "\n".join(lines)

    def run(self, options: Namespace, terminal: Terminal) -> ExitCode:  # noqa: ARG002 - every action is run by itself
        raise UsageError(
            f"what should be done with {self.command}?",
            hint=f"chatcli {self.command} --help lists the actions",
        )
