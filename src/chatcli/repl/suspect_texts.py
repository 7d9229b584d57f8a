"""Asking the person about attached texts that are not sent, since they seem to give the model orders."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from chatcli.text.wording import counted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from chatcli.chat import Conversation
    from chatcli.core.messages import Message
    from chatcli.safety.screening import Screening, Suspect

_LABEL: Final = "Send it? [s = send, l = leave it out, Enter = cancel] "
_SEND: Final = frozenset({"s", "send"})
_LEAVE_OUT: Final = frozenset({"l", "leave", "leave it out", "leave out"})


async def settle_suspects(
    chat: Conversation,
    message: Message,
    *,
    say: Callable[[str], object],
    ask: Callable[[str], Awaitable[str | None]],
) -> Message | None:
    """Return the question to send, without the texts the person leaves out; ``None`` to cancel.

    Texts of earlier turns that are left out are dropped with their turn. Nothing is asked unless the setting
    ``injection`` blocks such texts.
    """
    screen, suspects = chat.turns.connected.screen, await chat.turns.blocked(message)
    if screen is None or not suspects:
        return message
    say(f"{counted(len(suspects), 'attached text')} may try to give the model orders:")
    for suspect in suspects:
        say(f"  {suspect.message}")
    while (given := await ask(_LABEL)) is not None and given.strip():
        if given.strip().lower() in _SEND:
            screen.allow(suspects)
            return message
        if given.strip().lower() in _LEAVE_OUT:
            return _without(chat, message, screen, suspects)
    return None


def _without(
    chat: Conversation, message: Message, screen: Screening, suspects: Sequence[Suspect]
) -> Message | None:
    digests = {suspect.digest for suspect in suspects}
    known = {record.id for record in chat.session.context()} - set(chat.session.dropped)
    for number, record in enumerate(chat.session.questions, start=1):
        if record.id in known and any(screen.digests(part) & digests for part in record.message.parts):
            chat.memory.drop(number)
    kept = tuple(part for part in message.parts if not screen.digests(part) & digests)
    return replace(message, parts=kept) if kept else None
