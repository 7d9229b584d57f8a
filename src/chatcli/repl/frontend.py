"""What a conversation is held on, a terminal with a composer or plain lines, and in what words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from chatcli.text.typed_answers import YES_OR_NO, is_yes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Sequence

    from chatcli.core.errors import ChatcliError
    from chatcli.core.events import Notice
    from chatcli.core.ports import Observer
    from chatcli.render.themes import StyledRow
    from chatcli.repl.pickable_sessions import PickableSessions


class Words(NamedTuple):
    """What the program itself says while a conversation is held.

    ``greeting`` has room for the model, ``resume`` for the session; ``prompt`` and ``speaker`` say who speaks.
    ``keys`` is for help; ``draft`` has room for what could be sent again.
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
    """Shows what is said and asks what must be known. Everything it is given it makes safe for a terminal."""

    draws: bool
    """Whether answers are drawn: in colours, and with what the model thinks beside them."""

    words: Words

    was_left: bool
    """Whether the last question was turned down by ending the input (Ctrl-D)."""

    def columns(self) -> int: ...

    def idle_s(self) -> float:
        """Return for how long no key has come; it never ends where nothing can be done while the person types."""
        ...

    def refresh(self) -> None:
        """Show anew what is always to be seen of the conversation."""
        ...

    def say(self, text: str) -> None:
        """Show text of one or more lines."""
        ...

    def picture(self, rows: Iterable[StyledRow]) -> None:
        """Show ``rows``, which fit and are safe for a terminal already, in the colours there are."""
        ...

    def remark(self, text: str) -> None:
        """Show a line about something that is not the answer."""
        ...

    def tell(self, notice: Notice) -> None:
        """Show what is not about a turn, whenever that is."""
        ...

    def complain(self, error: ChatcliError) -> None: ...

    def echo(self, question: str, attached: str = "") -> None:
        """Show what the person said, where the terminal has not done so itself, and what goes with it."""
        ...

    def question(self, text: str) -> None:
        """Show a question from before, as it was shown when it was asked."""
        ...

    def answer(self, text: str) -> None:
        """Show an answer of the model from before, as it was shown when it came."""
        ...

    def pause(self) -> None:
        """Leave a gap: what belonged together is complete."""
        ...

    def observers(self, *, verbose: bool) -> Sequence[Observer]:
        """Return what shows a turn."""
        ...

    async def work(self, work: Awaitable[None], what: str) -> None:
        """Wait for ``work``, saying ``what`` takes the time; the person may stop it."""
        ...

    def doing(self, what: str) -> None:
        """Say what the work in hand is at now."""
        ...

    async def ask(self, label: str, *, secret: bool = False) -> str | None:
        """Return the answer to a question of the program, ``None`` when the person turns it down."""
        ...

    async def confirm(self, question: str) -> bool:
        """Return whether the person says yes; no answer is none."""
        return is_yes(await self.ask(f"{question} {YES_OR_NO} "))

    async def choose_session(
        self, pickable: PickableSessions, *, words: str = "", everywhere: bool = False
    ) -> str | None:
        """Return the name of the session the person chooses, ``None`` when they choose none.

        Those found for ``words`` come first: of the person's folder where it has any, or of ``everywhere``.
        """
        ...

    async def page_through(self, answer: str) -> None:
        """Let the person read an answer from before from its beginning."""
        ...

    def to_terminal(self, sequence: str) -> bool:
        """Send the terminal what it does not show; return whether it is one that reads such things."""
        ...

    def hold(self) -> None:
        """Let what is queued wait for the person: what it was to follow has gone wrong."""
        ...

    def set_aside(self, text: str) -> None:
        """Keep ``text`` for the person to send later; what they write first may be something else."""
        ...

    def draft(self, text: str) -> None:
        """Offer ``text`` for editing as what the person says next."""
        ...
