"""The type of a slash command, and functions several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from chatcli.core.errors import UsageError
from chatcli.render.text_columns import sentences, table

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

    from chatcli.repl.repl_session import ReplSession


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of an argument and its meaning."""

    text: str
    meaning: str = ""


def _always(_: ReplSession) -> bool:
    return True


async def _none(_: ReplSession) -> Iterable[Choice]:
    return ()


if TYPE_CHECKING:
    Run: TypeAlias = Callable[[ReplSession, str], Awaitable[None]]
    Choices: TypeAlias = Callable[[ReplSession], Awaitable[Iterable[Choice]]]


@dataclass(frozen=True, slots=True)
class Command:
    """A slash command. ``argument`` is shown in help, ``choices`` completes it; ``aliases`` are other names.

    ``takes_paths``: Tab also completes files, for each word. ``applies`` says whether it is usable now,
    ``when`` what is missing otherwise.
    """

    name: str
    summary: str
    run: Run
    argument: str = ""
    choices: Choices = _none
    applies: Callable[[ReplSession], bool] = _always
    when: str = ""
    takes_paths: bool = False
    aliases: tuple[str, ...] = ()

    @property
    def usage(self) -> str:
        return f"/{self.name} {self.argument}".rstrip()


def has_question(repl: ReplSession) -> bool:
    return any(record.role == "user" for record in repl.chat.session.context())


NO_QUESTION_YET = "nothing has been asked yet"


def answers_are_drawn(repl: ReplSession) -> bool:
    return repl.frontend.draws


def say_rows(repl: ReplSession, rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> None:
    """Show rows as a table, the columns ``right`` aligned to the right; as sentences in plain mode."""
    repl.frontend.say(
        sentences(rows) if repl.settings.plain else table(rows, repl.frontend.columns(), right=right)
    )


def whole_number(argument: str, *, otherwise: int | None = None) -> int:
    """Return the number given, or ``otherwise`` if there is none."""
    if not argument and otherwise is not None:
        return otherwise
    if not argument.isdecimal():
        raise UsageError(f"{argument} is not a number", hint="give a whole number, like 2")
    return int(argument)
