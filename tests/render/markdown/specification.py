"""The examples of the CommonMark specification."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple


class Example(NamedTuple):
    number: int
    section: str
    markdown: str
    html: str

    def __str__(self) -> str:
        return f"{self.section.replace(' ', '-').lower()}-{self.number}"


EXAMPLES = [
    Example(each["example"], each["section"], each["markdown"], each["html"])
    for each in json.loads(Path(__file__).with_name("commonmark-0.31.2.json").read_text("utf-8"))
]
SECTIONS = {
    section: [example for example in EXAMPLES if example.section == section]
    for section in dict.fromkeys(example.section for example in EXAMPLES)
}
