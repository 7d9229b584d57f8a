"""The interface of a conversation to the person (a composer or plain lines), and its wording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from chatcli.text.wording import YES_OR_NO, is_yes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Sequence

    from chatcli.app.compared_models import ComparedModel
    from chatcli.core.errors import ChatcliError
    from chatcli.core.events import Notice
    from chatcli.core.ports import Observer
    from chatcli.render.themes import StyledRow
    from chatcli.repl.pickable_sessions import PickableSessions


class Words(NamedTuple):
    """The program's own wording in a conversation.

    ``greeting`` has a placeholder for the model, ``resume`` for the session, ``draft`` for the text that
    could be sent again. ``prompt`` and ``speaker`` introduce the two sides. ``keys`` is for help.
    """

    prompt: str
    speaker: str
    greeting: str
    resume: str
    farewell: str
    keys: str
    draft: str


USUAL: Final = Words(
    prompt="> ",
    speaker="",
    greeting="{} · Ctrl-C stops an answer, Ctrl-D leaves",
    resume="resume with: chatcli -s {}",
    farewell="bye",
    keys="Enter sends, Ctrl-C stops an answer or a command, Ctrl-D or exit leaves",
    draft="to send it again: {}",
)
PLAIN: Final = Words(
    prompt="You: ",
    speaker="Assistant: ",
    greeting="You are talking to {}. Control C stops an answer, Control D leaves.",
    resume="To go on with it later, run: chatcli -s {}",
    farewell="Goodbye.",
    keys="Enter sends, Control C stops an answer or a command, Control D or exit leaves.",
    draft="To send it again: {}",
)


class Frontend(Protocol):
    """Shows output and asks the person. All text given to it is sanitized."""

    draws: bool
    """Whether answers are drawn, in colours and with reasoning."""

    words: Words

    was_left: bool
    """Whether the last question was declined by ending the input (Ctrl-D)."""

    can_ask: bool = True
    """Whether somebody is there to answer a question of the program."""

    def columns(self) -> int: ...

    def idle_s(self) -> float:
        """Return the seconds since the last key, infinity if typing blocks everything else."""
        ...

    def refresh(self) -> None:
        """Redraw the parts of the conversation's state that are always visible."""
        ...

    def say(self, text: str) -> None:
        """Show text of one or more lines."""
        ...

    def picture(self, rows: Iterable[StyledRow]) -> None:
        """Show ``rows``, which fit and are safe for a terminal already, in the colours there are."""
        ...

    def remark(self, text: str) -> None:
        """Show a line that is not part of the answer."""
        ...

    def notify(self, notice: Notice) -> None:
        """Show a notice that belongs to no turn, at any time."""
        ...

    def complain(self, error: ChatcliError) -> None: ...

    def postpone_drawing(self) -> None:
        """Draw nothing for a moment, if drawing takes time: a request is about to leave."""
        return

    def echo(self, question: str, attached: str = "") -> None:
        """Show a submission and its attachments, unless the terminal has already echoed it."""
        ...

    def loaded(self, line: str) -> None:  # noqa: ARG002 - for frontends that do not echo
        """Show a line of a file that is about to be submitted, where ``echo`` does not show it."""
        return

    def question(self, text: str) -> None:
        """Show an earlier question as it was shown when it was asked."""
        ...

    def answer(self, text: str) -> None:
        """Show an earlier answer as it was shown when it was written."""
        ...

    def pause(self) -> None:
        """Leave a gap after lines that belong together."""
        ...

    def observers(self, *, verbose: bool) -> Sequence[Observer]:
        """Return the observers that show a turn."""
        ...

    def compared(self, models: Sequence[ComparedModel], *, verbose: bool) -> Sequence[Sequence[Observer]]:
        """Return the observers that show the turns of several models, which run at the same time.

        ``verbose`` adds tokens and the ids of calls.
        """
        ...

    async def work(self, work: Awaitable[None], what: str) -> None:
        """Wait for ``work`` while showing ``what``; the person may stop it."""
        ...

    def doing(self, what: str) -> None:
        """Change what is shown for the work in hand."""
        ...

    async def ask(self, label: str, *, secret: bool = False) -> str | None:
        """Return the answer to a question of the program, ``None`` if the person declines."""
        ...

    async def confirm(self, question: str) -> bool | None:
        """Return whether the person says yes, ``None`` for Ctrl-C; no answer means no."""
        answer = await self.ask(f"{question} {YES_OR_NO} ")
        return None if answer is None and not self.was_left else is_yes(answer)

    async def choose_session(
        self, pickable: PickableSessions, *, words: str = "", everywhere: bool = False
    ) -> str | None:
        """Return the name of the session the person chooses, ``None`` for none.

        Results for ``words`` are listed first: those of the person's folder if there are any, or of
        ``everywhere``.
        """
        ...

    async def page_through(self, answer: str) -> None:
        """Show an earlier answer from its beginning, page by page."""
        ...

    def to_terminal(self, sequence: str) -> bool:
        """Send the terminal an invisible sequence; return whether it understands such sequences."""
        ...

    def hold(self, draft: str = "") -> None:
        """Hold the queue until the person releases it, ``draft`` first.

        The work before it failed; the person may write something else first.
        """
        ...

    def draft(self, text: str) -> None:
        """Offer ``text`` for editing as the next submission."""
        ...
