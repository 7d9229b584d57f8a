"""Judge whether a sentence is an order to a model: a linear model over its meanings, its words and its place.

The weights are whole numbers in ``weights.txt``, written by ``scripts/train_injection.py``; a sentence is an order if
those of its features add up to more than ``threshold``.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.safety.meanings import BIT, MOST_KNOWN_SENTENCES, NAMES, WORD

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from chatcli.safety.meanings import Mark, Sentence

NEAR_WORDS: Final = 8
"""The distance in words within which two meanings are a pair."""
MOST_WORDS: Final = 80
MOST_LENGTH_STEPS: Final = 5
WORDS_PER_STEP: Final = 6
FIRST_PLACES: Final = 1
LABEL_CHARS: Final = 120
MOST_KNOWN_MASKS: Final = 20_000
FEWEST_MEANINGS: Final = 2

DROPS: Final = "it tells a model to drop its instructions"
ADDRESSES: Final = "it gives an order to an AI that reads this"
LEAKS: Final = "it asks a model for its hidden instructions"
SLANTS: Final = "it says what an answer or a summary has to contain"
SENDS: Final = "it asks for private data to be sent or linked"
CALLS: Final = "it orders a tool call or an action without asking you"
FREES: Final = "it tells a model that its limits are gone"
KEEPS: Final = "it asks a model to remember something for good"
HIDES: Final = "it asks for something to be kept from you"
FORGES: Final = "it imitates a message of the system or of a turn"
CODES: Final = "it asks a model to decode and follow something"


class Judgement(NamedTuple):
    """Why a sentence is an order to a model."""

    kind: str
    reason: str


def _needs(names: str) -> tuple[int, ...]:
    return tuple(sum(BIT[name] for name in alternatives.split("|")) for alternatives in names.split())


KINDS: Final = tuple(
    (Judgement(kind, reason), _needs(names))
    for kind, reason, names in (
        ("role-token", FORGES, "ROLE|SPECIAL"),
        ("memory", KEEPS, "MEMORY FUTURE|TALKED"),
        ("data-out", SENDS, "OPENURL"),
        ("data-out", SENDS, "SEND|EMBED|PICTURE TALKED|SECRET"),
        ("encoded", CODES, "CODED OBEY|SAY"),
        ("override", DROPS, "DROP|VOID ORDER|TASK|BEFORE"),
        ("prompt-leak", LEAKS, "REVEAL PROMPT|SECRET"),
        ("persona", FREES, "FREE PERSONA|YOU|AI"),
        ("tool-order", CALLS, "CONFIRMED"),
        ("hide", HIDES, "HIDE USER"),
        ("addressed", ADDRESSES, "AI|MACHINE|VOCATIVE"),
        ("override", DROPS, "INSTEAD"),
        ("tool-order", CALLS, "TOOL"),
        ("summary", SLANTS, "ANSWER|PUPPET|SAY"),
    )
)
"""The first kind whose meanings are all in a sentence names it; several names joined by ``|`` are alternatives."""

_LABEL: Final = re.compile(
    r"(?:^|[\[(<{\"#*/>|-])[\s*#\"]{0,4}(?:[\w'/&-]{1,20} ){0,4}(?:ai|agents?|llms?|chatbots?|models?|assistants?|ki|ia|ии|system)\b[\w' /&-]{0,32}[:\]]"
    r"|(?:^|[\[(<{\"#*/>|-])[\s*#\"]{0,4}(?:[\w'/&-]{1,20} ){0,4}(?:note|notice|directive|instructions?|override|command|message|injection|update|order)\b[\w '/&-]{0,24}[:\]]"
)
_LABEL_ENDS: Final = (":", "]")
_CHARACTERS: Final = (("quote", '"“`'), ("question", "?"))
_SIGNS_OF_PLACE: Final = (
    ("bracket", re.compile(r"\s*(?:[\[【(<{]|<!--|/\*|---+|===+|\*\*\*|###)")),
    ("colon", re.compile(r"[\s\[(<*#\"-]{0,8}[a-z][a-z /_-]{2,40}:\s")),
)
_CODE: Final = re.compile(
    r"\w\(|\)\.|[{};]\s*$|=\s*[\[{('\"]|\b(?:def|import|return) |\bself\.|->|::|==|\$\w|\w_\w+\s{0,4}="
)
_BULLET: Final = re.compile(r"\s*(?:[-*+•>|]|\d{1,3}[.)])\s")
_COMMENT: Final = re.compile(r"\s*(?:#(?!#)|//|;|--\s|rem\b|<!--|/\*|\*\s)")
CROSSED: Final = frozenset({"hidden", "labelled", "bracket", "code", "comment", "talk", "brief"})
"""Signs of place that count once more together with each meaning."""


def features(sentence: Sentence) -> Iterator[str]:
    """Yield the names of what is known of a sentence; some twice."""
    meanings = _names(sentence.mask)
    signs = list(_signs_of_place(sentence))
    yield from meanings
    for sign in signs:
        yield "@" + sign
        if sign in CROSSED:
            for name in meanings:
                yield f"{sign} {name}"
    yield from _pairs(sentence.marks)
    if sentence.marks and sentence.marks[0].place <= FIRST_PLACES:
        for name in _names(sentence.marks[0].mask):
            yield "first " + name
    for name in _names(sentence.before):
        yield "before " + name
    words = WORD.findall(sentence.text)[:MOST_WORDS]
    yield f"@length {min(MOST_LENGTH_STEPS, len(words) // WORDS_PER_STEP)}"
    for word in words:
        yield "=" + word
    if words:
        yield "^" + words[0]


def _signs_of_place(sentence: Sentence) -> Iterator[str]:
    text = sentence.text
    if sentence.mask & BIT["HIDDENTEXT"]:
        yield "hidden"
    if sentence.about_attacks:
        yield "talk"
    if sentence.briefed:
        yield "brief"
    beginning = text[:LABEL_CHARS]
    # Looking for a character first spares most sentences a pattern.
    if any(end in beginning for end in _LABEL_ENDS) and _LABEL.search(beginning):
        yield "labelled"
    yield from (sign for sign, pattern in _SIGNS_OF_PLACE if pattern.match(text))
    yield from (sign for sign, characters in _CHARACTERS if any(each in text for each in characters))
    if _CODE.search(text):
        yield "code"
    if _COMMENT.match(sentence.line) or _COMMENT.match(text):
        yield "comment"
    if _BULLET.match(sentence.line) or _BULLET.match(text):
        yield "bullet"


def _pairs(marks: Sequence[Mark]) -> Iterator[str]:
    for at, mark in enumerate(marks):
        for other in marks[at + 1 : at + 1 + NEAR_WORDS]:
            if other.place - mark.place > NEAR_WORDS:
                break
            for name in _names(mark.mask):
                for follower in _names(other.mask):
                    if name != follower:
                        yield _pair(name, follower)


@cache
def _pair(name: str, follower: str) -> str:
    return f"{name}>{follower}"


@cache
def _names_of_byte(byte: int, shift: int) -> tuple[str, ...]:
    return tuple(NAMES[shift + at] for at in range(8) if byte >> at & 1)


def _names(mask: int) -> tuple[str, ...]:
    names: tuple[str, ...] = ()
    shift = 0
    while mask:
        if mask & 255:
            names += _names_of_byte(mask & 255, shift)
        mask >>= 8
        shift += 8
    return names


class Classifier:
    """The weights of features, the threshold, and which meanings are worth a closer look."""

    def __init__(self, weights: Mapping[str, int], *, threshold: int, promise: int) -> None:
        self._weights = weights
        self.threshold = threshold
        self._promise = promise
        self._known: dict[int, bool] = {}
        self._judged: dict[tuple[object, ...], Judgement | None] = {}

    def score(self, sentence: Sentence) -> int:
        weights = self._weights
        return sum(weights.get(name, 0) for name in set(features(sentence)))

    def judge(self, sentence: Sentence) -> Judgement | None:
        """Return of what kind an order is, or None if the sentence is none. Logs and tables repeat their sentences."""
        about = (sentence.about_attacks, sentence.briefed)
        key = (sentence.text, sentence.line, sentence.mask, sentence.before, *about)
        if key not in self._judged:
            if len(self._judged) >= MOST_KNOWN_SENTENCES:
                self._judged.clear()
            self._judged[key] = self._judge(sentence)
        return self._judged[key]

    def _judge(self, sentence: Sentence) -> Judgement | None:
        if self.score(sentence) <= self.threshold:
            return None
        for judgement, needs in KINDS:
            if all(sentence.mask & need for need in needs):
                return judgement
        return Judgement("addressed", ADDRESSES)

    def promise(self, mask: int) -> int:
        """Return how much the meanings alone add up to at most; further meanings never lessen it."""
        names = _names(mask)
        weights = self._weights
        total = sum(max(0, weights.get(name, 0)) for name in names)
        for at, name in enumerate(names):
            for other in names[at + 1 :]:
                total += max(0, weights.get(_pair(name, other), 0), weights.get(_pair(other, name), 0))
        return total

    def is_promising(self, mask: int) -> bool:
        """Return whether a sentence of words with these meanings may be an order."""
        known = self._known.get(mask)
        if known is None:
            if len(self._known) >= MOST_KNOWN_MASKS:
                self._known.clear()
            known = mask.bit_count() >= FEWEST_MEANINGS and self.promise(mask) >= self._promise
            self._known[mask] = known
        return known


@cache
def classifier() -> Classifier:
    """Return the classifier of ``weights.txt``: lines of a weight and the features that have it."""
    weights: dict[str, int] = {}
    settings: dict[str, int] = {}
    for line in files("chatcli.safety").joinpath("weights.txt").read_text("utf-8").splitlines():
        head, _, rest = line.partition("\t")
        if head in ("threshold", "promise"):
            settings[head] = int(rest)
        elif rest:
            weights.update(dict.fromkeys(rest.split("\t"), int(head)))
    return Classifier(weights, threshold=settings["threshold"], promise=settings["promise"])
