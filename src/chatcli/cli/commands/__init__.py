"""The commands: one file each, collected into one table."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from chatcli.core.frozen import frozen

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Mapping

    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.core.errors import ExitCode


class CommandModule(Protocol):
    """The interface of a command's module."""

    def add_arguments(self, parser: Parser) -> None:
        """Declare the options and words of the command."""
        ...

    def run(self, options: Namespace, terminal: Terminal) -> ExitCode: ...


class ActionOfCommand(CommandModule, Protocol):
    """The action of a command, with its own words, options and ``--help``."""

    @property
    def name(self) -> str: ...

    @property
    def help(self) -> str: ...


def actions_of(module: CommandModule) -> Mapping[str, ActionOfCommand]:
    """Return the actions of a command by name; most commands have none."""
    table: Callable[[], Mapping[str, ActionOfCommand]] = getattr(module, "actions", dict)
    return table()


@frozen
class Subcommand:
    """A row of the table. ``help`` is one line; without it the name is only reserved, and an error to use."""

    name: str
    help: str | None = None

    @property
    def is_reserved(self) -> bool:
        return self.help is None

    def module(self) -> CommandModule:
        """Import the command's module; unused commands are never imported."""
        return cast("CommandModule", import_module(f"chatcli.cli.commands.{self.name}"))


COMMANDS: tuple[Subcommand, ...] = (
    Subcommand("alerts", "rules that watch the calls: list, check, test"),
    Subcommand("batch", "ask a model every row of a file, many at once"),
    Subcommand("cache", "the cache of answers: stats, clear, warm"),
    Subcommand(
        "completion", "scripts for bash, zsh, fish, PowerShell: completion, and a key that writes commands"
    ),
    Subcommand("config", "settings and keys: show, profiles, path, login, logout"),
    Subcommand("doctor", "find out what is wrong: settings, folders, network, server"),
    Subcommand("image"),
    Subcommand("kb"),
    Subcommand("local", "the embedded models: models, status, setup, serve, remove"),
    Subcommand("logs", "the log of calls: what went wrong, one request through all its attempts"),
    Subcommand("mcp"),
    Subcommand("models", "list the models of the endpoint"),
    Subcommand("sessions", "the saved conversations: list, show, search, rename, rm, prune, export, import"),
    Subcommand("stats", "how calls went: response times, success, errors, tokens, cost"),
    Subcommand("templates", "prompt templates for -T and /NAME: list, show, new, edit, rm, import, path"),
    Subcommand("trust", "let the .env file of a folder set everything"),
    Subcommand("voice"),
)

COMMANDS_BY_NAME = {command.name: command for command in COMMANDS}


def summary() -> str:
    """Return the lines of ``--help`` about the commands."""
    return "\n".join(f"  {command.name:<12}{command.help}" for command in COMMANDS if command.help)
