"""Later requests with a question that was too long: the person's words and a mark for the text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.conversation.counting import BYTES_A_TOKEN, utf_8_length
from chatcli.core.messages import TextPart

if TYPE_CHECKING:
    from chatcli.core.messages import Message


def recalled(message: Message, longest_tokens: int) -> Message:
    """Return ``message``, shortened if it is a question of more than ``longest_tokens``.

    Otherwise the turn would be left out as a whole, although the next question is likely to be about its
    answer. Tokens are estimated: every turn of a long conversation passes here, and none is counted for it.
    """
    if message.role != "user":
        return message
    texts = [part.text for part in message.parts if isinstance(part, TextPart)]
    if sum(map(len, texts)) <= longest_tokens:
        return message
    tokens = sum(map(utf_8_length, texts)) // BYTES_A_TOKEN
    if tokens <= longest_tokens:
        return message
    # Imported on first use: this module is loaded with every start.
    from chatcli.conversation.long_input import prompts  # noqa: PLC0415
    from chatcli.conversation.long_input.dividing import divide  # noqa: PLC0415

    divided = divide(message)
    text = divided.text
    name = text.named(0, len(text.text))
    return divided.about(name, prompts.left_out(len(text.text), tokens))
