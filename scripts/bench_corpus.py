"""Ten thousand realistic conversations in English, Chinese and code, written straight into files."""

from __future__ import annotations

import json
import os
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LATEST = datetime(2026, 11, 23, 12, tzinfo=UTC)
APART = timedelta(minutes=47)
FOLDERS = ("/home/ada/engine", "/home/ada/letters", "/srv/site")
MARKER = "zanzibar"
"""Stands in one session of a thousand."""

_CHINESE_SHARE, _CODE_SHARE, _COMMON_SHARE = 1 / 3, 0.2, 0.5
_MARKED_EVERY, _MARKED_FROM = 1000, 7

_SYLLABLES = (
    "ta",
    "ri",
    "con",
    "sel",
    "mo",
    "ver",
    "pi",
    "lan",
    "the",
    "o",
    "in",
    "gra",
    "du",
    "ex",
    "per",
    "sta",
)
_COMMON = (
    *(
        "the",
        "of",
        "and",
        "to",
        "a",
        "in",
        "is",
        "that",
        "for",
        "it",
        "with",
        "as",
        "this",
        "are",
        "be",
        "you",
    ),
    *("can", "function", "value", "return", "list", "error", "file", "data", "how", "test", "line", "string"),
)
_HAN = "的一是不了人我在有他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么心多天而能好都然没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长知民样现分将外但身些与高意进把法此实回二理美点月明其种声全工己话儿者向情部正名定女问力机给等几很业最间新什打便位因重被走电四第门相次东政海口使教西再平真听世气信北少关并内加化由却代军产入先山五太水万市眼体别处总才场师书比住员九笑性通目华报立马命张活难神数件安表原车白应路期叫死常提感金何更反合放做系计或司利受光王果亲界及今京务制解各任至清物台象记边共风战干接它许八特觉望直服毛林题建南度统色字请交爱让认算论百吃义科怎元社术结六功指思非流每青管夫连远资队跟带花快条院变联言权往展该领传近留红治决周保达办运武半候七必城父强步完革深区即求品士转量空甚众技轻程告江语英基派满式李息写呢识极令黄德收脸钱党倒未持取设始版双历越史商千片容研像找友孩站广改议形委早房音火际则首单据导影失拿网香似斯专石若兵弟谁校读志飞观争究包组造落视济喜离虽坏兴"
_CODE = (
    "def {0}_{1}(items):\n    return [item.{2} for item in items if item]\n",
    "for {0} in range({3}):\n    print(f'{{{0}}}', {1})\n",
    "SELECT {0}, count(*) FROM {1} WHERE {2} > {3} GROUP BY {0};\n",
    "const {0} = await fetch(`/api/{1}/${{{2}}}`);\n",
)


def write_corpus(sessions: Path, count: int, turns: int) -> None:
    """Create ``sessions`` with ``count`` files, dated over more than a year."""
    sessions.mkdir(parents=True)
    chance = random.Random(20)
    words = _vocabulary(chance)
    pools = ([_english(chance, words) for _ in range(4000)], [_chinese(chance) for _ in range(2000)])
    for number in range(count):
        at = LATEST - APART * number
        path = sessions / f"{at:%Y-%m-%d-%H%M}-{number:04x}.jsonl"
        path.write_bytes(_session(chance, pools, words, number=number, at=at, turns=turns))
        os.utime(path, (at.timestamp(), at.timestamp()))


def _session(
    chance: random.Random,
    pools: tuple[list[str], list[str]],
    words: list[str],
    *,
    number: int,
    at: datetime,
    turns: int,
) -> bytes:
    stamp = at.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
    folder = FOLDERS[number % len(FOLDERS)]
    lines = [
        {"type": "header", "format": 1, "id": f"{number:06x}", "at": stamp, "app": "bench", "folder": folder}
    ]
    parent = None
    pool = pools[chance.random() < _CHINESE_SHARE]
    for turn in range(turns):
        asked = chance.choice(pool)
        if number % _MARKED_EVERY == _MARKED_FROM and turn == turns // 2:
            asked += f" {MARKER}"
        for role, origin, text in (
            ("user", "person", asked),
            ("assistant", "model", _reply(chance, pool, words)),
        ):
            own = f"{number:06x}{len(lines):03x}"
            part = {"type": "text", "text": text, "origin": origin}
            lines.append(
                {
                    "type": "message",
                    "id": own,
                    "parent": parent,
                    "at": stamp,
                    "message": {"role": role, "parts": [part]},
                }
            )
            parent = own
    return "".join(
        json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines
    ).encode()


def _reply(chance: random.Random, pool: list[str], words: list[str]) -> str:
    text = "\n\n".join(chance.choices(pool, k=chance.randint(1, 4)))
    if chance.random() < _CODE_SHARE:
        code = chance.choice(_CODE).format(*chance.choices(words, k=3), chance.randint(1, 99))
        text += f"\n\n```\n{code}```\n"
    return text


def _vocabulary(chance: random.Random) -> list[str]:
    made = {"".join(chance.choices(_SYLLABLES, k=chance.randint(1, 4))) for _ in range(30_000)}
    return sorted(made)


def _english(chance: random.Random, words: list[str]) -> str:
    # Rare words must be rare: evenly distributed ones would give another index.
    chosen = [
        chance.choice(_COMMON)
        if chance.random() < _COMMON_SHARE
        else words[int(len(words) * chance.random() ** 4)]
        for _ in range(chance.randint(8, 40))
    ]
    return " ".join(chosen).capitalize() + "."


def _chinese(chance: random.Random) -> str:
    chosen = ("".join(chance.choices(_HAN, k=chance.randint(4, 14))) for _ in range(chance.randint(1, 8)))
    return "，".join(chosen) + "。"
