"""Language profiles: how likely a text is in a language, which tells encodings apart.

A cost is the negative logarithm of a probability (nats): of a letter after the one before it in alphabets, of
a character by itself in scripts with thousands. ``letter_costs.tsv`` has one row for a language, an order (1:
characters, 2: pairs) and a cost, with everything of that cost; ``scripts/letter_costs.py`` generates it.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from dataclasses import field
from functools import cache
from typing import TYPE_CHECKING, Final

from chatcli.core.frozen import frozen, mutable

if TYPE_CHECKING:
    from collections.abc import Mapping

ASCII_COST: Final = 3.0
"""The cost of an ASCII letter, digit or sign anywhere; it is the same in nearly every encoding."""

_CONTROL_COST: Final = 14.0
_LINE_CONTROLS: Final = frozenset("\t\n\r\f\x1b")
_UNSEEN_PAIR_COST: Final = 8.0
_UNSEEN_IN_ITS_SCRIPT_COST: Final = 9.5  # within one script, every common pair is in the profile
_UNSEEN_BEFORE_ASCII_COST: Final = 5.0
_AFTER_UNSEEN_COST: Final = 2.0
_FOREIGN_LETTER_COST: Final = 10.5
_WORD_END_COST: Final = 1.0
_CAPITAL_COSTS: Final = {"first": 1.0, "among capitals": 0.3, "inside": 5.0, "small after capitals": 2.0}
_BESIDE_LATIN_COST: Final = 2.0
_HALF_WIDTH_BESIDE_LATIN_COST: Final = 5.0
_HALF_WIDTH_WORD_COST: Final = 3.0
_BETWEEN_WIDTHS_COST: Final = 4.0
_BETWEEN_SCRIPTS_COST: Final = 11.0
_REPEATED_COST: Final = 1.5

# Signs used in many languages, and rarely typed ones: letters of another encoding look like the latter.
_SIGNS: Final = (
    (4.5, "、。，"),
    (5.0, "“”„«»‘’–—…！？：；（）「」『』《》・〜～【】・ー‧︰"),
    (6.0, "\xa0"),
    (5.5, "№°§€£·•"),
    (6.0, "®©×¿¡─│┌┐└┘├┤┬┴┼═║→←↑↓√±²³ªº№★☆●○◎◆◇■□▲△▼▽※〒々〇｡｢｣､･"),
)
_SIGNS_IN_WORDS: Final = "’‑·"
_SIGNS_BEFORE_WORDS: Final = "“„«‘‚¿¡–—…\xa0№§€£©•→‹" + _SIGNS_IN_WORDS
_SIGNS_AFTER_WORDS: Final = "”»’…–—\xa0°®©ªº€£“‘›"
_SIGN_BESIDE_LETTER_COST: Final = 3.5
_END_OF_LATIN: Final = "\u0250"
_END_OF_ALPHABETS: Final = "\u0e80"
_SIGN_COSTS: Final = {sign: cost for cost, signs in _SIGNS for sign in signs}
_OTHER_SIGN_COST: Final = 9.0

_CANTONESE: Final = "喺嘅啲哋嚟咗嘢冇佢唔咁嗰乜攞㗎噉咩啱嘥瞓諗揾搵脷冚嗌咪喎嘞喇囉吖嘛咧冧孖餸嚿啖掂"
_CANTONESE_COST: Final = 7.0
_HALF_WIDTH_KANA: Final = frozenset(map(chr, range(0xFF66, 0xFFA0)))
# By language: the cost of characters of its script that the profile lacks, by their national standard.
_DEFAULTS: Final[Mapping[str, tuple[tuple[str, range, float], ...]]] = {
    "zh-Hans": (("gb2312", range(0xB0, 0xD8), 11.0), ("gb2312", range(0xD8, 0xF8), 12.0)),
    "zh-Hant": (("big5", range(0xA4, 0xC7), 11.0), ("big5", range(0xC9, 0xFA), 12.5)),
    "ja": (
        ("euc_jp", range(0xB0, 0xD0), 9.0),
        ("euc_jp", range(0xD0, 0xF5), 11.5),
        ("euc_jp", range(0xA4, 0xA6), 8.0),
    ),
    "ko": (("euc_kr", range(0xB0, 0xC9), 9.5), ("euc_kr", range(0xCA, 0xFE), 12.0)),
}
_RARE_HANGUL_COST: Final = 11.0
_RARE_CHARACTER_COST: Final = 13.5
_HANGUL: Final = range(0xAC00, 0xD7A4)


def folded(character: str) -> str:
    """Return ``character`` in lower case, if that is one character."""
    small = character.lower()
    return small if len(small) == 1 else character


@mutable
class LanguageProfile:
    """A text to be judged by languages, with its cost in each of them and counts of its letter pairs."""

    cost: float = 0.0
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, text: str) -> None:
        before, was_capital, sign = " ", False, ""
        for character in text:
            is_ascii = character.isascii()
            if not (character.isalpha() if is_ascii else _is_letter(character)):
                if not before.isascii():
                    self.pairs[before, " "] += 1
                if is_ascii:
                    self.cost += (
                        ASCII_COST if character >= " " or character in _LINE_CONTROLS else _CONTROL_COST
                    )
                    sign = ""
                else:
                    self.cost += _REPEATED_COST if character == sign else sign_cost(character)
                    if before != " " and before < _END_OF_ALPHABETS and character not in _SIGNS_IN_WORDS:
                        self.cost += _SIGN_BESIDE_LETTER_COST * (character not in _SIGNS_AFTER_WORDS)
                    sign = character
                before, was_capital = " ", False
                continue
            letter = folded(character)
            if is_ascii and before.isascii():
                self.cost += ASCII_COST
            else:
                self.pairs[before, letter] += 1
            if sign and letter < _END_OF_ALPHABETS and sign not in _SIGNS_BEFORE_WORDS:
                self.cost += _SIGN_BESIDE_LETTER_COST
            is_capital = character != letter
            self.cost += _capital_cost(before, is_capital=is_capital, was_capital=was_capital)
            before, was_capital, sign = letter, is_capital, ""


@frozen
class Language:
    """``characters`` are those of the language, ``pairs`` its letter pairs; both with their costs."""

    name: str
    characters: Mapping[str, float]
    pairs: Mapping[str, float]

    is_latin: bool

    @property
    def is_alphabetic(self) -> bool:
        return bool(self.pairs)

    def cost(self, profile: LanguageProfile, limit: float = math.inf) -> float:
        """Return the cost of a text, infinity if it exceeds ``limit``."""
        pair_cost = self._pair_cost if self.is_alphabetic else self._character_pair_cost
        cost = profile.cost
        for pair, count in profile.pairs.items():
            if cost > limit:
                return math.inf
            cost += pair_cost(*pair) * count
        return cost

    def character_cost(self, character: str) -> float:
        """Return the cost of a single character, for languages with thousands of them."""
        cost = self.characters.get(character)
        return _default_cost(self.name, character) if cost is None else cost

    def _pair_cost(self, before: str, after: str) -> float:
        cost = self.pairs.get(before + after)
        if (
            not self.is_latin
            and (before + after).strip()
            and (before if after > "\x7f" else after).isascii()
            and " " not in before + after
        ):
            return _BETWEEN_SCRIPTS_COST
        if after.isascii():
            found = _UNSEEN_BEFORE_ASCII_COST if cost is None else cost
            return found + _WORD_END_COST if after == " " else found
        if cost is not None:
            return cost
        single = self.characters.get(after)
        if single is None:
            return _FOREIGN_LETTER_COST
        unseen = _UNSEEN_PAIR_COST if self.is_latin else _UNSEEN_IN_ITS_SCRIPT_COST
        return max(unseen, single + _AFTER_UNSEEN_COST)

    def _character_pair_cost(self, before: str, after: str) -> float:
        if after == " ":
            return 0.0  # words have no ends here
        if after.isascii():
            return ASCII_COST + _beside_latin_cost(before)
        cost = self.character_cost(after)
        if before == " ":
            return cost + _HALF_WIDTH_WORD_COST * (after in _HALF_WIDTH_KANA)
        if before.isascii():
            return cost + _beside_latin_cost(after)
        return cost + _BETWEEN_WIDTHS_COST * ((before in _HALF_WIDTH_KANA) != (after in _HALF_WIDTH_KANA))


@cache
def languages() -> Mapping[str, Language]:
    """Return every language by its name."""
    from importlib.resources import files  # noqa: PLC0415 - text in UTF-8 needs no table

    characters: dict[str, dict[str, float]] = {}
    pairs: dict[str, dict[str, float]] = {}
    table = files(__package__).joinpath("letter_costs.tsv").read_text(encoding="utf-8")
    for row in table.split("\n"):
        if not row:
            continue
        name, order, cost, letters = row.split("\t")
        own, size = (characters, 1) if order == "1" else (pairs, 2)
        found = own.setdefault(name, {})
        found.update(dict.fromkeys(map("".join, zip(*[iter(letters)] * size, strict=True)), float(cost)))
    for character in _CANTONESE:
        characters["zh-Hant"].setdefault(character, _CANTONESE_COST)
    return {
        name: Language(
            name, known, pairs.get(name, {}), is_latin=min(known, key=known.__getitem__) < _END_OF_LATIN
        )
        for name, known in characters.items()
    }


@cache
def _is_letter(character: str) -> bool:
    return character.isalpha() or unicodedata.category(character) in {"Mn", "Mc"}


@cache
def _default_cost(language: str, character: str) -> float:
    for charset, leads, cost in _DEFAULTS[language]:
        encoded = character.encode(charset, "ignore")
        if encoded and encoded[0] in leads:
            return cost
    if language == "ko" and ord(character) in _HANGUL:
        return _RARE_HANGUL_COST
    return _RARE_CHARACTER_COST


@cache
def sign_cost(character: str) -> float:
    if character in _SIGN_COSTS:
        return _SIGN_COSTS[character]
    kind = unicodedata.category(character)
    if kind in {"Cc", "Cn", "Co", "Cs"}:
        return _CONTROL_COST
    if "\uff01" <= character <= "\uff60":
        return 6.0
    return _OTHER_SIGN_COST


def _beside_latin_cost(character: str) -> float:
    return _HALF_WIDTH_BESIDE_LATIN_COST if character in _HALF_WIDTH_KANA else _BESIDE_LATIN_COST


def _capital_cost(before: str, *, is_capital: bool, was_capital: bool) -> float:
    if not is_capital:
        return 0.0
    if before == " ":
        return _CAPITAL_COSTS["first"]
    return _CAPITAL_COSTS["among capitals" if was_capital else "inside"]
