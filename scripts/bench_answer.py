"""A reproducible Markdown answer of any length with every kind of Markdown."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LAST_WORD: Final = "Endofanswer"

_TOKEN: Final = re.compile(r"[\u3000-\u9fff]{1,2}| ?[^\W\u3000-\u9fff]{1,8}|[^\w\s]{1,3}|\s+|.")
_MARK: Final = re.compile(r"x\d{5}x")

_VOCABULARY: Final = (
    "a and answer before between block buffer column common describe every example figure first follow frame given "
    "history instead keep language later letter line long measure memory model network often order paragraph part "
    "people place question quick reader reason result second server several short simple single small source stream "
    "table tail terminal text than that the their then there time token together under until value when where which "
    "while width with without word work writes"
)
_WORDS: Final = _VOCABULARY.split()
_CJK: Final = "终端里的流式输出应当完整而且不闪烁每一行只出现一次表格中的宽字符也要对齐"
_CODE: Final = {
    "python": 'def step_{n}(values: list[int]) -> int:  # {mark}\n    return sum(v * {n} for v in values if v != "x")\n',
    "rust": "fn step_{n}(values: &[u64]) -> u64 {{ // {mark}\n    values.iter().map(|v| v * {n}).sum()\n}}\n",
    "javascript": "const step{n} = (values) => // {mark}\n  values.map((v) => v * {n}).join(`-`);\n",
    "bash": 'for name in *.txt; do # {mark}\n  wc -l "$name" | sort -n > out-{n}.txt\ndone\n',
    "json": '{{"mark": "{mark}", "step": {n},\n "values": [1, 2.5, null, true]}}\n',
    "sql": "select name, count(*) from steps -- {mark}\nwhere step = {n} group by name order by 2 desc;\n",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """``tokens`` joined are the text; ``marks`` are words that each occur once in it, in this order."""

    tokens: Sequence[str]
    marks: Sequence[str]

    @property
    def text(self) -> str:
        return "".join(self.tokens)


def marks_in(text: str) -> list[str]:
    return _MARK.findall(text)


def answer(tokens: int) -> Answer:
    """Return an answer of about ``tokens`` tokens; the first thousand contain every kind of block."""
    writer = _Writer()
    blocks: list[str] = []
    count = 0
    for block in writer.blocks():
        if count >= tokens:
            break
        blocks.append(block)
        count += len(_TOKEN.findall(block))
    text = "".join(blocks) + LAST_WORD + "\n"
    return Answer(_TOKEN.findall(text), marks_in(text))


def numbered_words(count: int) -> list[str]:
    """Return numbered words, each a mark, in paragraphs of forty."""
    return [f"x{number:05}x" + ("\n\n" if number % 40 == 0 else " ") for number in range(1, count + 1)]


class _Writer:
    def __init__(self) -> None:
        self._random = random.Random(1)
        self._marked = 0

    def blocks(self) -> Iterator[str]:
        kinds: Sequence[Callable[[], str]] = (
            self._heading,
            self._paragraph,
            self._list,
            self._paragraph,
            self._code,
            self._table,
            self._paragraph,
            self._numbered,
            self._quote,
            self._code,
            self._cjk,
        )
        while True:
            for kind in kinds:
                yield kind() + "\n"

    def _mark(self) -> str:
        self._marked += 1
        return f"x{self._marked:05}x"

    def _words(self, least: int, most: int) -> str:
        return " ".join(self._random.choices(_WORDS, k=self._random.randint(least, most)))

    def _sentence(self) -> str:
        kind = self._random.choice(("**{}**", "*{}*", "`{}`", "[{}](https://example.org/page)", "{}"))
        return f"{self._words(4, 9)} {kind.format(self._words(1, 3))}, {self._words(3, 8)}. "

    def _heading(self) -> str:
        return f"{'#' * self._random.randint(1, 3)} {self._mark()} {self._words(2, 5)}\n"

    def _paragraph(self) -> str:
        return (
            f"{self._mark()} {''.join(self._sentence() for _ in range(self._random.randint(2, 5))).strip()}\n"
        )

    def _list(self) -> str:
        items = (f"{'  ' * (n % 3)}- {self._mark()} {self._sentence().strip()}" for n in range(6))
        return "\n".join(items) + "\n"

    def _numbered(self) -> str:
        return "\n".join(f"{n}. {self._mark()} {self._sentence().strip()}" for n in range(1, 6)) + "\n"

    def _code(self) -> str:
        language = self._random.choice(list(_CODE))
        steps = (_CODE[language].format(n=self._random.randint(2, 99), mark=self._mark()) for _ in range(4))
        return f"```{language}\n{''.join(steps)}```\n"

    def _table(self) -> str:
        rows = (f"| {self._mark()} | {self._words(1, 3)} | {n * 7} | {_CJK[n : n + 4]} |" for n in range(5))
        return "\n".join(["| mark | what | count | 名称 |", "| :-- | --- | --: | --- |", *rows]) + "\n"

    def _quote(self) -> str:
        return "".join(f"> {self._mark()} {self._sentence().strip()}\n" for _ in range(2))

    def _cjk(self) -> str:
        starts = self._random.sample(range(len(_CJK) - 12), 3)
        return f"{self._mark()} {'，'.join(_CJK[start : start + 12] for start in starts)}。\n"
