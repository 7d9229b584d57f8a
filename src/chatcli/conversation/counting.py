"""Token counting: exact, once per message, and with lazily loaded vocabularies.

The two vocabularies of OpenAI's models come with the package, so that counting works offline from the first start;
tiktoken would download them on first use. The files in ``vocabularies`` are the ones it would fetch, compressed; their
SHA-256 are those in ``tiktoken_ext/openai_public.py``, from which the split patterns and the special tokens are taken too.
"""

from __future__ import annotations

import hashlib
from binascii import a2b_base64
from functools import cache
from math import ceil
from threading import Lock
from typing import TYPE_CHECKING, Final

from chatcli.core.frozen import frozen
from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiktoken import Encoding

    from chatcli.core.messages import Message
    from chatcli.core.ports import TokenCounter
    from chatcli.core.request import ResponseFormat


# OpenAI's chat format spends three tokens around each message and one on its role, and three more to open the
# reply: https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
TOKENS_AROUND_MESSAGE = 4
TOKENS_TO_OPEN_REPLY = 3
# A million consecutive blanks overflow the stack of tiktoken's regular expressions, which aborts the program.
_CHARACTERS_AT_ONCE = 500_000
_MEASURED_AT_ONCE = 64_000
BYTES_A_TOKEN = 4
"""A rule of thumb for any language, used only for numbers shown as estimates."""


@frozen
class Vocabulary:
    name: str
    sha256: str
    pattern: str
    special_tokens: tuple[tuple[str, int], ...]


O200K_BASE = Vocabulary(
    name="o200k_base",
    sha256="446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    pattern="|".join(  # noqa: FLY002 - one alternative a line
        [
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"\p{N}{1,3}",
            r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
            r"\s*[\r\n]+",
            r"\s+(?!\S)",
            r"\s+",
        ]
    ),
    special_tokens=(("<|endoftext|>", 199999), ("<|endofprompt|>", 200018)),
)
CL100K_BASE = Vocabulary(
    name="cl100k_base",
    sha256="223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    pattern=(
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$"
        r"|\s*[\r\n]|\s+(?!\S)|\s"
    ),
    special_tokens=(
        ("<|endoftext|>", 100257),
        ("<|fim_prefix|>", 100258),
        ("<|fim_middle|>", 100259),
        ("<|fim_suffix|>", 100260),
        ("<|endofprompt|>", 100276),
    ),
)


def vocabulary_for(model: str) -> Vocabulary:
    """Return the vocabulary of ``model``; newer and foreign models are counted with ``o200k_base``."""
    name = model.lower().rpartition("/")[2].removeprefix("ft:").partition(":")[0]
    counts_with_cl100k = name == "gpt-4" or name.startswith(
        ("gpt-4-", "gpt-3.5", "gpt-35", "text-embedding-")
    )
    return CL100K_BASE if counts_with_cl100k else O200K_BASE


@cache
def load_encoding(vocabulary: Vocabulary) -> Encoding:
    """Build the tokenizer, which takes a quarter of a second of CPU and some megabytes: once per process."""
    # Imported here, so that nothing waits for a tokenizer before one is needed.
    from importlib.resources import files  # noqa: PLC0415

    from tiktoken import Encoding  # noqa: PLC0415

    packed = (
        files("chatcli.conversation").joinpath("vocabularies", f"{vocabulary.name}.tiktoken.gz").read_bytes()
    )
    import gzip  # noqa: PLC0415 - with the vocabulary

    content = gzip.decompress(packed)
    if hashlib.sha256(content).hexdigest() != vocabulary.sha256:
        raise ImportError(f"the packaged vocabulary {vocabulary.name} is damaged: install chatcli again")
    fields = content.split()
    ranks = dict(zip(map(a2b_base64, fields[::2]), map(int, fields[1::2]), strict=True))
    return Encoding(
        vocabulary.name,
        pat_str=vocabulary.pattern,
        mergeable_ranks=ranks,
        special_tokens=dict(vocabulary.special_tokens),
    )


def utf_8_length(text: str) -> int:
    """Return the length of ``text`` in UTF-8 bytes, without copying all of it."""
    if text.isascii():
        return len(text)
    parts = (text[at : at + _MEASURED_AT_ONCE] for at in range(0, len(text), _MEASURED_AT_ONCE))
    return sum(len(part.encode("utf-8", "surrogatepass")) for part in parts)


class TiktokenCounter:
    """A ``TokenCounter`` with a packaged vocabulary, loaded on first use or earlier by ``load``."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.loaded = False
        self._encoding: Encoding | None = None
        self._loading = Lock()

    def load(self) -> Encoding:
        """Load the vocabulary; safe to call from a thread while another waits for it."""
        with self._loading:
            if self._encoding is None:
                self._encoding = load_encoding(self.vocabulary)
                self.loaded = True
            return self._encoding

    def count(self, text: str) -> int:
        encode = (self._encoding or self.load()).encode_ordinary
        parts = (text[at : at + _CHARACTERS_AT_ONCE] for at in range(0, len(text), _CHARACTERS_AT_ONCE))
        return sum(len(encode(part)) for part in parts)


class EstimatingCounter:
    """A ``TokenCounter`` that estimates without a vocabulary."""

    loaded = True

    def count(self, text: str) -> int:
        return -(-utf_8_length(text) // BYTES_A_TOKEN)


class CorrectedCounter:
    """A ``TokenCounter`` that adds ``share`` to the counts of ``inner``.

    The share is fixed at construction: a new one, learned while a text is read, would make finished parts too
    long.
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


def as_it_is(message: Message) -> Message:
    return message


class MessageTokens:
    """The tokens of messages in a request, each message counted once.

    ``share`` is the observed excess of the endpoint's counts over the vocabulary's; ``as_sent`` returns a message as
    it is sent, with frames around text of others.
    """

    def __init__(
        self,
        counter: TokenCounter,
        share: Callable[[], float] = no_share,
        as_sent: Callable[[Message], Message] = as_it_is,
    ) -> None:
        self.counter = counter
        self._share = share
        self._as_sent = as_sent
        self._counted: dict[Message, int] = {}
        self._lengths: dict[Message, int] = {}
        self._estimates: MessageTokens | None = None

    def corrected(self, share: Callable[[], float]) -> MessageTokens:
        """Return counts increased by ``share``, which is never negative; counted messages are not counted again."""
        corrected = MessageTokens(self.counter, share, self._as_sent)
        corrected._counted, corrected._lengths = self._counted, self._lengths
        return corrected

    @property
    def state(self) -> tuple[bool, float]:
        """What the counts depend on beside the messages: whether the vocabulary is loaded, and the share."""
        return self.counter.loaded, self._share()

    def by_vocabulary(self, tokens: int) -> int:
        """Return the vocabulary's count for ``tokens`` of these counts."""
        return round(tokens / (1 + self._share()))

    def __call__(self, message: Message) -> int:
        """Return the tokens of ``message``, including those of the chat format."""
        tokens = self._counted.get(message)
        if tokens is None:
            tokens = self.counter.count(self._sent_text(message)) + TOKENS_AROUND_MESSAGE
            self._counted[message] = tokens
        return self._with_share(tokens)

    def upper_bound(self, *messages: Message) -> int:
        """Return an upper bound of the tokens of ``messages``, without a vocabulary.

        Every token is at least one byte of UTF-8.
        """
        share = self._share()
        bounds = [self._length(message) + TOKENS_AROUND_MESSAGE for message in messages]
        return sum([bound + ceil(bound * share) for bound in bounds])

    def estimate(self, message: Message) -> int:
        """Return the estimated tokens of ``message``."""
        return self._with_share(-(-self._length(message) // BYTES_A_TOKEN) + TOKENS_AROUND_MESSAGE)

    def estimate_text(self, text: str) -> int:
        """Return the tokens of an answer: counted if that is quick, else estimated."""
        return (self.counter if self.counter.loaded else EstimatingCounter()).count(text)

    def of_form(self, form: ResponseFormat | None) -> int:
        """Return about how many tokens the schema of an answer takes: each endpoint writes it in its own way."""
        return 0 if form is None else self.estimate_text(form.words)

    @property
    def estimates(self) -> MessageTokens:
        """The estimating counter."""
        if self._estimates is None:
            self._estimates = MessageTokens(EstimatingCounter(), self._share, self._as_sent)
        return self._estimates

    def at_once(self) -> MessageTokens:
        """Return a counter that needs no loading: this one, or estimates until its vocabulary is loaded."""
        return self if self.counter.loaded else self.estimates

    def _sent_text(self, message: Message) -> str:
        sent = self._as_sent(message) if message.holds_text_of_others else message
        return sent.sent_text

    def _length(self, message: Message) -> int:
        length = self._lengths.get(message)
        if length is None:
            length = self._lengths[message] = utf_8_length(self._sent_text(message))
        return length

    def _with_share(self, tokens: int) -> int:
        share = self._share()
        return tokens + ceil(tokens * share) if share else tokens


class VocabularyTokens:
    """Token counters by model. Each keeps its counts of messages."""

    def __init__(self) -> None:
        self._counters: dict[Vocabulary, TiktokenCounter] = {}
        self._tokens: dict[Vocabulary, MessageTokens] = {}

    def tokens_for(
        self,
        model: str,
        share: Callable[[], float] | None = None,
        as_sent: Callable[[Message], Message] = as_it_is,
    ) -> MessageTokens:
        """Return the counter for messages of ``model``, increased by ``share``; ``as_sent`` as for ``MessageTokens``."""
        vocabulary = vocabulary_for(model)
        if vocabulary not in self._tokens:
            self._counters[vocabulary] = TiktokenCounter(vocabulary)
            self._tokens[vocabulary] = MessageTokens(self._counters[vocabulary], as_sent=as_sent)
        tokens = self._tokens[vocabulary]
        return tokens if share is None else tokens.corrected(share)

    def load(self, model: str) -> None:
        """Load the vocabulary of ``model``, whose counter exists."""
        self._counters[vocabulary_for(model)].load()


_SAMPLES: Final = 4
_SAMPLE_CHARACTERS: Final = 2_000
"""A longer text is sampled: this runs with each key press."""
# As vocabularies split text first: words with the blank before them, up to three digits, punctuation, white
# space.
_WORD: Final = lazy_pattern(r" ?[A-Za-z]+")
_DIGITS: Final = lazy_pattern(r"[0-9]{1,3}")
_SIGNS: Final = lazy_pattern(r" ?[!-/:-@\[-`{-~]{1,2}")
_BLANKS: Final = lazy_pattern(r"[ \t]{2,}|\n\s*| (?=[0-9])")
_DENSE: Final = lazy_pattern(r"[\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_PICTURES: Final = lazy_pattern(r"[\u2190-\u2bff\ue000-\ufdff\U00010000-\U0010ffff]")
_OTHERS: Final = lazy_pattern(r"[^\x00-\x7f]")
_OTHERS_A_TOKEN: Final = 2
_LETTERS_A_TOKEN: Final = 6
_UNUSUAL: Final = lazy_pattern(r"[a-z][A-Z]|[B-DF-HJ-NP-TV-Xb-df-hj-np-tv-xz]{4}")


def likely_tokens(text: str) -> int:
    """Return the approximate number of tokens of ``text``."""
    if len(text) <= _SAMPLES * _SAMPLE_CHARACTERS:
        return _tokens(text)
    step = (len(text) - _SAMPLE_CHARACTERS) // (_SAMPLES - 1)
    samples = [text[at : at + _SAMPLE_CHARACTERS] for at in range(0, step * _SAMPLES, step)]
    return ceil(sum(map(_tokens, samples)) * len(text) / sum(map(len, samples)))


def _tokens(text: str) -> int:
    words = sum(max(1, round(len(word.lstrip()) / _LETTERS_A_TOKEN)) for word in _WORD.findall(text))
    units = words + sum(len(kind.findall(text)) for kind in (_UNUSUAL, _DIGITS, _SIGNS, _BLANKS))
    if text.isascii():
        return units
    dense, pictures = len(_DENSE.findall(text)), len(_PICTURES.findall(text))
    others = len(_OTHERS.findall(text)) - dense - pictures
    return units + dense + 2 * pictures + ceil(others / _OTHERS_A_TOKEN)


def loaded_counter(model: str) -> Callable[[str], int]:
    """Return the loaded counter by the vocabulary of ``model``."""
    counter = TiktokenCounter(vocabulary_for(model))
    counter.load()
    return counter.count
