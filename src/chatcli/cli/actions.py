"""Commands with several actions, each a row of a table: ``chatcli COMMAND ACTION``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from wcwidth import width

from chatcli.core.errors import UsageError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from chatcli.cli.commands import ActionOfCommand
    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.core.errors import ExitCode

_Subject = TypeVar("_Subject")


def _no_arguments(_: Parser) -> None:
    return


@dataclass(frozen=True, slots=True)
class Action(Generic[_Subject]):
    """A row of the table. All actions of a command share one subject.

    ``help`` is one line; ``add_arguments`` declares the options and words of the action. The ``epilog`` of
    its parser may show examples.
    """

    name: str
    help: str
    run: Callable[[Namespace, _Subject, Terminal], ExitCode]
    add_arguments: Callable[[Parser], None] = _no_arguments


@dataclass(frozen=True, slots=True)
class OpenedAction(Generic[_Subject]):
    """An action as ``cli.main`` runs it: a command of its own that opens its subject first."""

    action: Action[_Subject]
    opened: Callable[[Terminal], AbstractContextManager[_Subject]]

    @property
    def name(self) -> str:
        return self.action.name

    @property
    def help(self) -> str:
        return self.action.help

    def add_arguments(self, parser: Parser) -> None:
        self.action.add_arguments(parser)

    def run(self, options: Namespace, terminal: Terminal) -> ExitCode:
        with self.opened(terminal) as subject:
            return self.action.run(options, subject, terminal)


@dataclass(frozen=True, slots=True)
class Family(Generic[_Subject]):
    """The actions of ``chatcli COMMAND`` in ``--help`` order; ``as_json`` names those with ``--json``."""

    command: str
    table: tuple[Action[_Subject], ...]
    as_json: str
    opened: Callable[[Terminal], AbstractContextManager[_Subject]]

    def actions(self) -> dict[str, ActionOfCommand]:
        """Return the actions by name."""
        return {action.name: OpenedAction(action, self.opened) for action in self.table}

    def add_arguments(self, parser: Parser) -> None:
        names = [action.name for action in self.table]
        parser.add_argument("action", choices=names, help="one of the actions below")
        parser.add_argument(
            "words", nargs="*", metavar="...", help=f"what it needs: chatcli {self.command} ACTION --help"
        )
        parser.add_argument("--json", action="store_true", help=f"{self.as_json}: as JSON")
        parser.usage = f"{parser.prog} ACTION [OPTIONS] ..."
        lines = [f"  {action.name:<8}{action.help}" for action in self.table]
        parser.epilog = "actions:\n" + "\n".join(lines)

    def run(self, options: Namespace, terminal: Terminal) -> ExitCode:  # noqa: ARG002 - every action is run by itself
        raise UsageError(
            f"what should be done with {self.command}?",
            hint=f"chatcli {self.command} --help lists the actions",
        )


def add_examples(parser: Parser, *examples: tuple[str, str]) -> None:
    """Append example commands with explanations to ``--help``."""
    columns = max(width(command) for command, _ in examples)
    lines = [f"  {command}{' ' * (columns - width(command))}  {meaning}" for command, meaning in examples]
    parser.epilog = "\n".join(["examples:", *lines])
