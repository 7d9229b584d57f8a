"""What the terminal can do, as far as that is known without asking it."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from chatcli.doctor.finding import ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.doctor.examination import Examination, TerminalFacts
    from chatcli.doctor.finding import Finding

_NAME = "terminal"


async def check(examination: Examination) -> Iterable[Finding]:
    facts = examination.terminal
    findings = [ok(_NAME, f"{_kind(facts)}, {_colors(facts)}, {facts.encoding}, {facts.columns} columns")]
    if facts.stdout_is_terminal and facts.term == "dumb":
        findings.append(warning(_NAME, "TERM=dumb: plain lines without redrawing"))
    if not _is_utf_8(facts.encoding):
        findings.append(
            warning(
                _NAME,
                f"the locale's encoding is {facts.encoding}, and chatcli writes UTF-8",
                "set LANG to one that ends in UTF-8, like C.UTF-8, and the terminal to the same",
            )
        )
    return findings


def _kind(facts: TerminalFacts) -> str:
    if facts.stdout_is_terminal and facts.stdin_is_terminal:
        return f"a terminal ({facts.term or 'TERM is not set'})"
    if facts.stdout_is_terminal:
        return f"output to a terminal ({facts.term or 'TERM is not set'}), input from elsewhere"
    return "output to a pipe or a file"


def _colors(facts: TerminalFacts) -> str:
    names = {"standard": "16 colours", "256": "256 colours", "truecolor": "all colours"}
    return names.get(facts.colors or "", "no colours")


def _is_utf_8(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding).name == "utf-8"
    except LookupError:
        return False
