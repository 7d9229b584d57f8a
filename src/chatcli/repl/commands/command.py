"""A slash command as a row of the table, and what several commands share."""

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
    """What an argument can be, and what that means."""

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
    """``argument`` is how help writes it, ``choices`` what completion offers for it; ``aliases`` are other names.

    ``takes_paths``: completion offers files as well, for each of its words, when Tab asks for them.
    ``applies`` says whether it can do anything now, ``when`` what is missing where it cannot.
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


def something_was_asked(repl: ReplSession) -> bool:
    return any(record.role == "user" for record in repl.chat.session.context())


NOTHING_ASKED = "nothing has been asked yet"


def answers_are_drawn(repl: ReplSession) -> bool:
    return repl.frontend.draws


def say_rows(repl: ReplSession, rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> None:
    """Show rows as a table, its columns ``right`` aligned to the right; as sentences where output is plain."""
    repl.frontend.say(
        sentences(rows) if repl.settings.plain else table(rows, repl.frontend.columns(), right=right)
    )


def whole_number(argument: str, *, otherwise: int | None = None) -> int:
    """Return the number that is said, or ``otherwise`` where nothing is."""
    if not argument and otherwise is not None:
        return otherwise
    if not argument.isdecimal():
        raise UsageError(f"{argument} is not a number", hint="give a whole number, like 2")
    return int(argument)
