"""A scanner that finds one phrase, and links that repeat a text: what is done with findings is tested with it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from chatcli.safety.screening import Scanner

PHRASE = "obey me"


@dataclass(frozen=True)
class Planted:
    start: int
    end: int
    excerpt: str
    reason: str
    kind: str = "order"


def scan(text):
    return [
        Planted(found.start(), found.end(), found[0], "it orders") for found in re.finditer("obey me", text)
    ]


def find_links(answer, texts):
    return [
        Planted(found.start(), found.end(), found[0], "it repeats your text")
        for found in re.finditer(r"https?://\S+", answer)
        if any(word in found[0] for text in texts for word in re.findall(r"\w+", text) if len(word) > 7)
    ]


SCANNER = Scanner(scan, find_links)
