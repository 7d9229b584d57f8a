"""Count how often letters follow each other in many languages, for the recognition of encodings.

usage: scripts/letter_costs.py > src/chatcli/attachments/letter_costs.tsv

Reads the translations that come with Django, Wagtail and Sphinx (BSD), the words of jieba (MIT) and OpenCC's conversion to
traditional characters (Apache-2.0): pip install Django wagtail sphinx jieba opencc-python-reimplemented
"""

from __future__ import annotations

import math
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PACKAGES = ("django", "wagtail", "sphinx")
ALPHABETS = {
    **{
        name: (name,)
        for name in [
            "ru",
            "uk",
            "bg",
            "be",
            "sr",
            "mk",
            "el",
            "de",
            "fr",
            "es",
            "it",
            "sv",
            "da",
            "fi",
            "is",
            "ca",
            "pl",
            "cs",
            "sk",
            "hu",
        ]
    },
    **{
        name: (name,)
        for name in ["hr", "sl", "sq", "tr", "az", "lt", "lv", "et", "vi", "th", "ar", "fa", "he", "kk"]
    },
    "pt": ("pt", "pt_BR"),
    "nb": ("nb", "nb_NO"),
    "ro": ("ro",),
    "nl": ("nl",),
}
CHINESE_SHARE = 0.15
HALF_WIDTH_KANA = "".join(map(chr, range(0xFF66, 0xFFA0)))
FEWEST, DEAREST_PAIR, DEAREST_CHARACTER = 3, 7, 12
MESSAGE = re.compile(r'^msgstr(?:\[\d\])? ((?:"(?:[^"\\]|\\.)*"\s*)+)', re.MULTILINE)
# Names of variables and tags belong to programs, not to the language.
FOREIGN = re.compile(r"%\(\w+\)\w|%\w|\{[^}]*\}|<[^>]*>|\\[nt\"]|:\w+:|`[^`]*`|&\w+;")


def main() -> int:
    for language, names in ALPHABETS.items():
        write_pairs(language, texts(names))
    simplified, traditional = chinese()
    write_characters("zh-Hans", simplified)
    write_characters("zh-Hant", traditional)
    write_characters("ko", Counter("".join(texts(("ko", "ko_KR")))))
    write_characters("ja", japanese(simplified + traditional))
    write("ja", 1, half_width("".join(texts(("ja",)))), DEAREST_CHARACTER)
    return 0


def texts(names: Iterable[str]) -> Iterator[str]:
    for package in PACKAGES:
        spec = find_spec(package)
        folder = Path(spec.origin).parent if spec and spec.origin else sys.exit(f"{package} is not installed")
        for name in names:
            for path in sorted(folder.glob(f"**/locale/{name}/LC_MESSAGES/*.po")):
                for found in MESSAGE.finditer(path.read_text(encoding="utf-8").partition("\n\n")[2]):
                    quoted = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', found[1]))
                    yield unicodedata.normalize("NFC", FOREIGN.sub(" ", quoted)) + "\n"


def folded(character: str) -> str:
    small = character.lower()
    return small if len(small) == 1 else character


def write_pairs(language: str, parts: Iterable[str]) -> None:
    letters: Counter[str] = Counter()
    pairs: dict[str, Counter[str]] = defaultdict(Counter)
    for part in parts:
        before = " "
        for character in map(folded, part):
            is_letter = character.isalpha() or unicodedata.category(character) in {"Mn", "Mc"}
            after = character if is_letter else " "
            letters[after] += 1
            pairs[before][after] += 1
            before = after
    total = letters.total()
    singles = {c: -math.log(n / total) for c, n in letters.items() if n >= FEWEST and not c.isascii()}
    doubles = {
        before + after: -math.log(count / followers.total())
        for before, followers in pairs.items()
        for after, count in followers.items()
        if count >= FEWEST and not (before + after).isascii()
    }
    write(language, 1, singles, DEAREST_CHARACTER)
    write(language, 2, doubles, DEAREST_PAIR)


def write_characters(language: str, counts: Counter[str]) -> None:
    total = sum(counts.values())
    kept = {c: -math.log(n / total) for c, n in counts.items() if not c.isascii() and c.isalpha()}
    write(language, 1, kept, DEAREST_CHARACTER)


def chinese() -> tuple[Counter[str], Counter[str]]:
    import jieba
    from opencc import OpenCC

    convert = OpenCC("s2t").convert
    simplified: Counter[str] = Counter()
    traditional: Counter[str] = Counter()
    for line in (Path(jieba.__file__).parent / "dict.txt").read_text(encoding="utf-8").splitlines():
        word, count, _ = line.split(" ")
        for counts, written in ((simplified, word), (traditional, convert(word))):
            for character in written:
                counts[character] += int(count)
    return simplified, traditional


def japanese(chinese_counts: Counter[str]) -> Counter[str]:
    """Return the characters of translations; missing ones are taken from Chinese."""
    counts = Counter("".join(texts(("ja",))))
    shared = Counter({c: n for c, n in chinese_counts.items() if is_in_jis(c)})
    share = CHINESE_SHARE * counts.total() / shared.total()
    return Counter({c: counts[c] + shared[c] * share for c in counts | shared})


def half_width(text: str) -> dict[str, float]:
    """Return the costs of half-width katakana pairs; words in them are those of katakana."""
    full = {unicodedata.normalize("NFKC", half): half for half in HALF_WIDTH_KANA}
    marks = {"\u3099": "ﾞ", "\u309a": "ﾟ"}
    counts = Counter(
        {**full, **marks}[character]
        for character in unicodedata.normalize("NFD", text)
        if character in full or character in marks
    )
    return {half: -math.log((counts[half] + 1) / counts.total()) for half in HALF_WIDTH_KANA}


def is_in_jis(character: str) -> bool:
    return len(character.encode("euc_jp", "ignore")) == len("\x30\x21")


def write(language: str, order: int, costs: dict[str, float], dearest: int) -> None:
    by_cost: dict[int, list[str]] = defaultdict(list)
    for text, cost in costs.items():
        by_cost[round(cost)].append(text)
    for cost in sorted(by_cost):
        if cost <= dearest:
            print(language, order, cost, "".join(sorted(by_cost[cost])), sep="\t")


if __name__ == "__main__":
    sys.exit(main())
