"""Counting tokens: exactly, once a message, and never before somebody needs it."""

from __future__ import annotations

from math import ceil
from threading import Lock
from typing import TYPE_CHECKING

from chatcli.conversation.vocabulary import load_encoding
from chatcli.core.messages import ReasoningPart, ToolCallPart

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiktoken import Encoding

    from chatcli.conversation.vocabulary import Vocabulary
    from chatcli.core.messages import Message
    from chatcli.core.ports import TokenCounter

# OpenAI's chat format spends three tokens around each message and one on its role, and three more to open the
# reply: https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
TOKENS_AROUND_MESSAGE = 4
TOKENS_TO_OPEN_REPLY = 3

# A million blanks in one go overflow the stack of tiktoken's regular expressions, which aborts the program.
_CHARACTERS_AT_ONCE = 500_000
_MEASURED_AT_ONCE = 64_000

BYTES_A_TOKEN = 4
"""A rule of thumb for text of any language, used only where a number is shown as an estimate."""


def utf_8_length(text: str) -> int:
    """Return how many bytes ``text`` is in UTF-8, without a copy of all of it."""
    if text.isascii():
        return len(text)
    parts = (text[at : at + _MEASURED_AT_ONCE] for at in range(0, len(text), _MEASURED_AT_ONCE))
    return sum(len(part.encode("utf-8", "surrogatepass")) for part in parts)


class TiktokenCounter:
    """A ``TokenCounter`` over a packaged vocabulary, loaded on first use or ahead of it by ``load``."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._encoding: Encoding | None = None
        self._loading = Lock()

    @property
    def loaded(self) -> bool:
        return self._encoding is not None

    def load(self) -> Encoding:
        """Load the vocabulary; safe to call from a thread while another waits for it."""
        with self._loading:
            if self._encoding is None:
                self._encoding = load_encoding(self.vocabulary)
            return self._encoding

    def count(self, text: str) -> int:
        encode = (self._encoding or self.load()).encode_ordinary
        pieces = (text[at : at + _CHARACTERS_AT_ONCE] for at in range(0, len(text), _CHARACTERS_AT_ONCE))
        return sum(len(encode(piece)) for piece in pieces)


class EstimatingCounter:
    """A ``TokenCounter`` that needs no vocabulary and goes by the rule of thumb."""

    loaded = True

    def count(self, text: str) -> int:
        return -(-utf_8_length(text) // BYTES_A_TOKEN)


class CorrectedCounter:
    """A ``TokenCounter`` that counts by ``share`` more than ``inner``.

    The share is that of one moment: learned while a text is read, another one would make parts too long that were not.
    """

    def __init__(self, inner: TokenCounter, share: float) -> None:
        self._inner = inner
        self._share = share

    @property
    def loaded(self) -> bool:
        return self._inner.loaded

    def count(self, text: str) -> int:
        tokens = self._inner.count(text)
        return tokens + ceil(tokens * self._share)


def no_share() -> float:
    return 0.0


def _sent_text(message: Message) -> str:
    """Return what costs tokens: words, calls of tools, and reasoning that is sent back."""
    beside = [
        part.text if isinstance(part, ReasoningPart) else f"{part.name} {part.arguments}"
        for part in message.parts
        if isinstance(part, ToolCallPart)
        or (isinstance(part, ReasoningPart) and part.provider_data is not None)
    ]
    return "\n\n".join([message.text, *beside]) if beside else message.text


class MessageTokens:
    """How many tokens each message costs in a request, each counted once.

    ``share`` is how much more than by its vocabulary, as a share of that, the endpoint was seen to count.
    """

    def __init__(self, counter: TokenCounter, share: Callable[[], float] = no_share) -> None:
        self._counter = counter
        self._share = share
        self._counted: dict[Message, int] = {}
        self._bounds: dict[Message, int] = {}
        self._estimates: MessageTokens | None = None

    def corrected(self, share: Callable[[], float]) -> MessageTokens:
        """Return what counts by ``share`` more, which is never negative; what was counted is not counted again."""
        corrected = MessageTokens(self._counter, share)
        corrected._counted, corrected._bounds = self._counted, self._bounds
        return corrected

    def by_vocabulary(self, tokens: int) -> int:
        """Return how many ``tokens`` of these counts the vocabulary says there are."""
        return round(tokens / (1 + self._share()))

    @property
    def exact_at_once(self) -> bool:
        """Whether ``__call__`` answers without loading a vocabulary first."""
        return self._counter.loaded

    def __call__(self, message: Message) -> int:
        """Return the tokens of ``message`` with what the chat format spends around it."""
        tokens = self._counted.get(message)
        if tokens is None:
            tokens = self._counter.count(_sent_text(message)) + TOKENS_AROUND_MESSAGE
            self._counted[message] = tokens
        return self._with_share(tokens)

    def upper_bound(self, message: Message) -> int:
        """Return a number of tokens ``message`` surely does not exceed, without a vocabulary.

        Every token stands for at least one byte of UTF-8.
        """
        bound = self._bounds.get(message)
        if bound is None:
            bound = utf_8_length(_sent_text(message)) + TOKENS_AROUND_MESSAGE
            self._bounds[message] = bound
        return self._with_share(bound)

    def estimate_text(self, text: str) -> int:
        """Return the tokens of an answer: counted when that is quick, else a rule of thumb."""
        return (self._counter if self._counter.loaded else EstimatingCounter()).count(text)

    @property
    def estimates(self) -> MessageTokens:
        """What counts by the rule of thumb."""
        if self._estimates is None:
            self._estimates = MessageTokens(EstimatingCounter(), self._share)
        return self._estimates

    def at_once(self) -> MessageTokens:
        """Return what answers without loading a vocabulary: this, or estimates until it is loaded."""
        return self if self._counter.loaded else self.estimates

    def _with_share(self, tokens: int) -> int:
        share = self._share()
        return tokens + ceil(tokens * share) if share else tokens
