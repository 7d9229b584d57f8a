"""What makes a sentence an order to a model: rules over the meanings of its words.

A rule is met if each of its meanings stands in the sentence, all within ``reach`` words of the first. Several names joined
by ``|`` are alternatives. Quotations and talk about attacks do not count; see ``docs/decisions/injection.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from chatcli.safety.meanings import BIT, Mark, Sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

SIGNS: Final = (
    BIT["ROLE"]
    | BIT["URL"]
    | BIT["MAIL"]
    | BIT["CALL"]
    | BIT["BLANK"]
    | BIT["LITERAL"]
    | BIT["HIDDENTEXT"]
    | BIT["LABEL"]
    | BIT["SPECIAL"]
    | BIT["OPENURL"]
)


@dataclass(frozen=True, slots=True)
class InjectionRule:
    """``first``: the word that begins the rule stands among the first so many words; ``without`` must be absent."""

    kind: str
    reason: str
    needs: tuple[int, ...]
    reach: int
    first: int
    without: int
    signs: tuple[int, ...]


def rule(
    kind: str, reason: str, needs: str, *, reach: int = 99, first: int = 99, without: str = ""
) -> InjectionRule:
    masks = [_mask(names) for names in needs.split()]
    words = tuple(mask for mask in masks if not mask & SIGNS)
    signs = tuple(mask for mask in masks if mask & SIGNS)
    return InjectionRule(kind, reason, words, reach, first, _mask(without) if without else 0, signs)


def _mask(names: str) -> int:
    return sum(BIT[name] for name in names.split("|"))


NOT_WORDS: Final = SIGNS & ~BIT["ROLE"] & ~BIT["HIDDENTEXT"]


def promising(mask: int) -> bool:
    """Return whether a sentence of words with these meanings may meet a rule."""
    key = mask
    known = _KNOWN.get(key)
    if known is None:
        if len(_KNOWN) >= MOST_KNOWN_MASKS:
            _KNOWN.clear()
        if mask & ADDRESSABLE:
            mask |= BIT["VOCATIVE"]
        known = _KNOWN[key] = any(all(mask & need for need in needs) for needs in _NEEDED)
    return known


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

RULES: Final = (
    rule("override", DROPS, "DROP ORDER BEFORE|ALL|YOU|PROMPT", reach=7),
    rule("override", DROPS, "DROP PROMPT", reach=7),
    rule("override", DROPS, "DROP BEFORE ALL", reach=5, first=3),
    rule("override", DROPS, "DROP TASK USER|YOU|INSTEAD", reach=9, first=3),
    rule("override", DROPS, "VOID ORDER BEFORE|YOU|INSTEAD|PROMPT", reach=8),
    rule("override", DROPS, "INSTEAD VOID ORDER", reach=8),
    rule("override", DROPS, "INSTEAD SAY|OBEY|FAVOUR TASK", reach=10, first=3),
    rule("override", DROPS, "DROP ORDER SAY|REVEAL|TOOL|PERSONA", reach=7, first=2),
    rule("override", DROPS, "DROP ALL|TASK SAY|INSTEAD|OBEY LITERAL|URL", first=3),
    rule("override", DROPS, "INSTEAD AI|ORDER SAY|AI", first=6),
    rule("override", DROPS, "HIDDENTEXT DROP BEFORE|ALL|ORDER|TASK|SAY", reach=8),
    rule("addressed", ADDRESSES, "HIDDENTEXT AI SAY|MUST|HIDE|FAVOUR|TOOL|REVEAL|DROP|INSTEAD"),
    rule("summary", SLANTS, "PUPPET SAY|MUST|HIDE|FAVOUR"),
    rule("addressed", ADDRESSES, "NOTICE AI", reach=6),
    rule("summary", SLANTS, "HIDDENTEXT ANSWER SAY|FAVOUR|HIDE"),
    rule("prompt-leak", LEAKS, "REVEAL PROMPT", reach=9, without="NOT|HIDE|CODED"),
    rule("addressed", ADDRESSES, "VOCATIVE SAY|FAVOUR|TOOL|HIDE|DROP|REVEAL|SEND|MUST|OBEY", first=6),
    rule("addressed", ADDRESSES, "AI READS THIS", first=9, reach=6),
    rule("addressed", ADDRESSES, "MACHINE READS THIS SAY|MUST|FAVOUR|OBEY|HIDE|TOOL", first=4, reach=14),
    rule("addressed", ADDRESSES, "AI USER CONFIRMED", first=12),
    rule("prompt-leak", LEAKS, "REVEAL SECRET CHIEF", reach=8),
    rule("addressed", ADDRESSES, "AI FAVOUR MUST|HIDE", first=7),
    rule("addressed", ADDRESSES, "AI SAY MUST LITERAL|HIDE|FAVOUR|YOU", first=7),
    rule("addressed", ADDRESSES, "AUTO MACHINE MUST SAY|FAVOUR|HIDE", first=5),
    rule("addressed", ADDRESSES, "MACHINE READS FAVOUR|HIDE|TOOL", first=3),
    rule("addressed", ADDRESSES, "WHO READS MUST|SAY", first=2),
    rule("summary", SLANTS, "ANSWER MUST SAY LITERAL|URL|MAIL", reach=9),
    rule("summary", SLANTS, "SAY ANSWER LITERAL|URL", reach=6, first=3),
    rule("summary", SLANTS, "ANSWER SAY LITERAL|URL|HIDE|FAVOUR", reach=8, first=3),
    rule("summary", SLANTS, "ANSWER MUST FAVOUR|HIDE", reach=9),
    rule("data-out", SENDS, "EMBED TALKED PICTURE", reach=14, first=12),
    rule("data-out", SENDS, "EMBED TALKED URL|MAIL", reach=14),
    rule(
        "fake-turn",
        FORGES,
        "LABEL TOOL|SEND|DROP|CONFIRMED|INSTEAD REVEAL|TOOL|SEND|CONFIRMED|SECRET|TASK|PROMPT",
    ),
    rule("fake-turn", FORGES, "LABEL REVEAL SECRET|PROMPT"),
    rule("role-token", FORGES, "SPECIAL ROLE"),
    rule("data-out", SENDS, "SEND SECRET DEST", reach=12),
    rule("data-out", SENDS, "SEND SECRET URL|MAIL", reach=16),
    rule("tool-order", CALLS, "FIRST TOOL|SEND", first=6, reach=14),
    rule("tool-order", CALLS, "FIRST TASK YOU INSTEAD|OBEY|PLEASE|SAY", first=8, reach=18),
    rule("tool-order", CALLS, "AI|MACHINE FIRST TOOL|SEND", first=8),
    rule("tool-order", CALLS, "TOOL|SEND CONFIRMED", reach=14),
    rule("tool-order", CALLS, "AI TOOL CONFIRMED|MUST", first=5),
    rule("persona", FREES, "PERSONA FREE", reach=12),
    rule("persona", FREES, "YOU|AI FREE FREE|SAY", reach=10),
    rule("memory", KEEPS, "MEMORY FUTURE", reach=12, first=8),
    rule("hide", HIDES, "HIDE USER|THIS SAY|TOOL|OBEY|TASK", reach=8),
    rule("authority", DROPS, "SELF CHIEF FREE|DROP|REVEAL|OBEY|CONFIRMED"),
    rule("authority", DROPS, "CHIEF MACHINE|AI MUST|OBEY ALL|OBEY"),
    rule("hide", HIDES, "HIDE USER", reach=10),
    rule("override", DROPS, "INSTEAD ORDER|TASK", reach=4, first=3),
    rule("override", DROPS, "INSTEAD SAY", reach=5, first=3),
    rule("prompt-leak", LEAKS, "REVEAL ORDER YOU", reach=6, first=4, without="NOT|HIDE"),
    rule("summary", SLANTS, "PUPPET"),
    rule("summary", SLANTS, "ANSWER THIS MUST|ALL PRESENT|SAY|FAVOUR|HIDE", reach=9, first=6),
    rule("override", DROPS, "DEEM BEFORE VOID", reach=9, first=3),
    rule("prompt-leak", LEAKS, "REVEAL CHIEF YOU", reach=10, first=4, without="NOT"),
    rule("data-out", SENDS, "PICTURE PICTURE TALKED", reach=10),
    rule("data-out", SENDS, "OPENURL SEND|TALKED|USER|SECRET"),
    rule("addressed", ADDRESSES, "AI HIDE", first=8),
    rule("tool-order", CALLS, "CONFIRMED"),
    rule("encoded", CODES, "CODED OBEY|SAY", reach=9),
    rule("tool-order", CALLS, "TOOL CALL AI MUST"),
    rule("hide", HIDES, "HIDE THIS ORDER"),
    rule("persona", FREES, "CHIEF|YOU FREE VOID|CONFIRMED"),
    rule(
        "role-token",
        FORGES,
        "ROLE SAY|DROP|FREE|REVEAL|OBEY|PERSONA|MUST|VOID|INSTEAD|FAVOUR|SECRET|ORDER|CONFIRMED",
    ),
)


ADDRESSABLE: Final = BIT["AI"] | BIT["MACHINE"]
MOST_KNOWN_MASKS: Final = 20_000
_KNOWN: Final[dict[int, bool]] = {}
_NEEDED: Final = [
    (*each.needs, *(sign for sign in each.signs if sign & ~NOT_WORDS == sign)) for each in RULES
]

OF_BRIEFS: Final = (
    "addressed",
    "summary",
    "hide",
    "encoded",
    "memory",
    "tool-order",
    "prompt-leak",
    "override",
)
"""Kinds of orders that a prompt gives its own model: not looked for in a text that begins like a prompt."""


def judge(sentence: Sentence, rules: Sequence[InjectionRule] = RULES) -> InjectionRule | None:
    """Return the first rule a sentence meets."""
    if sentence.about_attacks:
        return None
    for candidate in rules:
        if sentence.briefed and candidate.kind in OF_BRIEFS:
            continue
        if _is_met(candidate, sentence):
            return candidate
    return None


def _is_met(candidate: InjectionRule, sentence: Sentence) -> bool:
    mask = sentence.mask
    if mask & candidate.without or any(not mask & sign for sign in candidate.signs):
        return False
    if any(not mask & need for need in candidate.needs):
        return False
    marks = sentence.marks
    if not candidate.needs:
        return True
    head, *others = candidate.needs
    for index, mark in enumerate(marks):
        if mark.place > candidate.first:
            return False
        if mark.mask & head and _stand_near(marks, index, others, candidate.reach):
            return True
    return False


def _stand_near(marks: Sequence[Mark], index: int, needs: Sequence[int], reach: int) -> bool:
    used = {index}
    for need in needs:
        for other, mark in enumerate(marks):
            if other not in used and mark.mask & need and abs(mark.place - marks[index].place) <= reach:
                used.add(other)
                break
        else:
            return False
    return True
