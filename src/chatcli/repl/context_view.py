"""The model's context for display: a bar of its window, and a table of its parts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.chat.context_report import ranges, stretches
from chatcli.render.text_columns import table
from chatcli.sessions.titles import one_line
from chatcli.text.shortening import shortened
from chatcli.text.wording import dollars

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chatcli.chat.context_report import ContextReport, ReportedPart
    from chatcli.conversation.context import PartKind
    from chatcli.render.themes import Role, StyledRow


_SIGNS: Final[dict[str, tuple[str, Role]]] = {
    "instructions": ("I", "code.tag"),
    "system": ("S", "code.name"),
    "note": ("N", "code.string"),
    "framing": ("D", "code.comment"),
    "schema": ("J", "code.attribute"),
    "pinned": ("P", "code.keyword"),
    "summary": ("=", "code.type"),
    "retrieved": ("R", "math"),
    "turn": ("T", "quote"),
    "question": ("Q", "code.number"),
    "free": (".", "rule"),
    "answer": ("A", "address"),
}
# Alternate turns are drawn differently, to tell them apart.
_OTHER_TURN: Final = ("t", "address")

_RANGE: Final = re.compile(r"(?<=\d)–(?=\d)")
_ROWS_A_TURN: Final = 8
"""Up to so many turns have a row each."""
_WORDS: Final = 60
_FEWER_WORDS: Final = 24
_NARROW_COLUMNS: Final = 60


class _ContextRow(NamedTuple):
    sign: str
    what: str
    tokens: int
    cost_usd: float | None = None


def context_view(report: ContextReport, columns: int) -> list[StyledRow]:
    """Return the bar and the table, in rows of at most ``columns``."""
    rows = _parts_table(report, columns).split("\n")
    return [bar(_stretches(report), columns), *([(row, "")] for row in rows)]


def context_sentences(report: ContextReport) -> str:
    """Return the context for reading aloud: a line per part."""
    about = "about " if report.estimated else ""
    lines = []
    for row in _all_rows(report):
        cost = f", {dollars(row.cost_usd)}" if row.cost_usd else ""
        is_counted = row.sign and row.sign != _SIGNS["answer"][0]
        what, _, words = _RANGE.sub(" to ", row.what).partition(": ")
        count = f"{about if is_counted else ''}{row.tokens:,} tokens{cost}"
        lines.append(f"{_capital(what)}, {count}{f': {words}' if words else '.'}")
    return "\n".join(lines)


def left_out_lines(report: ContextReport) -> Iterator[str]:
    """Yield lines about what is left out, and why."""
    for gap in report.left_out:
        turns = ranges(gap.turns)
        named = "" if not turns else f"turn {turns}" if len(gap.turns) == 1 else f"turns {turns}"
        tokens = f" (~{gap.tokens:,} tokens)" if gap.tokens else ""
        yield f"not sent: {named}{tokens}: {gap.reason}" if named else f"not sent{tokens}: {gap.reason}"


def suspicion_lines(report: ContextReport) -> Iterator[str]:
    """Yield a line about the turns that hold a text that seems to give the model orders."""
    turns = [part.turn for part in report.parts if part.is_suspicious and part.turn is not None]
    if turns:
        yield f"suspicious text: {_turns(sorted(turns))}; /drop N leaves one out"


def imported_lines(report: ContextReport) -> Iterator[str]:
    """Yield a line about the turns that were imported, for each program they came from."""
    programs: dict[str, list[int]] = {}
    for part in report.parts:
        if part.imported is not None and part.turn is not None:
            programs.setdefault(part.imported, []).append(part.turn)
    for program, turns in programs.items():
        yield f"imported from {program}: {_turns(sorted(turns))}"


def comparison(now: ContextReport, then: ContextReport, columns: int) -> str:
    """Return a table that compares the context now sent with another."""
    return table(_compared_rows(now, then), columns, right={1, 2})


def _compared_rows(now: ContextReport, then: ContextReport) -> list[tuple[str, str, str]]:
    return [
        ("", _name(now, then), _name(then, now)),
        *(
            (label, f"{now.tokens_of(kind):,}", f"{then.tokens_of(kind):,}")
            for kind, label in _COMPARED
            if now.tokens_of(kind) or then.tokens_of(kind)
        ),
        ("turns sent", f"{len(now.turns):,}", f"{len(then.turns):,}"),
        ("free for a question", f"{now.free_tokens:,}", f"{then.free_tokens:,}"),
        ("reserved for the answer", f"{now.answer_tokens:,}", f"{then.answer_tokens:,}"),
        ("window", f"{now.window_tokens:,}", f"{then.window_tokens:,}"),
    ]


def comparison_sentences(now: ContextReport, then: ContextReport) -> str:
    """Return the comparison for reading aloud."""
    (_, name, other), *rows = _compared_rows(now, then)
    return "\n".join(
        f"{_capital(label)}: {count} with {name}, {other_count} with {other}."
        for label, count, other_count in rows
    )


def differences(now: ContextReport, then: ContextReport) -> Iterator[str]:
    """Yield which turns would be sent in addition, and which no longer."""
    more, fewer = then.turns - now.turns, now.turns - then.turns
    if more:
        yield f"it would also send {_turns(sorted(more))}"
    if fewer:
        yield f"it would leave out {_turns(sorted(fewer))}"
    if not (more or fewer):
        yield "no difference: same turns"


_OWN_ROWS: Final[tuple[tuple[PartKind, str], ...]] = (
    ("instructions", "your instructions"),
    ("system", "system prompt"),
    ("note", "notes"),
    ("framing", "rule for attached text"),
    ("schema", "schema of the answer"),
    ("summary", "summary"),
)
_COMPARED: Final[tuple[tuple[PartKind, str], ...]] = (
    *_OWN_ROWS,
    ("pinned", "pinned turns"),
    ("retrieved", "recalled turns"),
    ("turn", "other turns"),
)


def _stretches(report: ContextReport) -> list[Stretch]:
    window, is_other = [], False
    for part in report.parts:
        sign, role = _SIGNS[part.kind]
        if part.kind == "turn":
            sign, role = _OTHER_TURN if is_other else (sign, role)
            is_other = not is_other
        if part.kind != "question" or part.text:
            window.append(Stretch(sign, role, part.tokens))
    return [
        *window,
        Stretch(*_SIGNS["free"], report.free_tokens),
        Stretch(*_SIGNS["answer"], report.answer_tokens),
    ]


def _parts_table(report: ContextReport, columns: int) -> str:
    about = "~" if report.estimated else ""
    rows = _all_rows(report)
    own = len(rows) - 3
    numbers = [f"{about if at < own + 1 else ''}{row.tokens:,}" for at, row in enumerate(rows)]
    costs = ["" if row.cost_usd is None else dollars(row.cost_usd) for row in rows]
    if columns < _NARROW_COLUMNS or not any(row.cost_usd for row in rows):
        costs = [""] * len(rows)
    # Numbers are never cut, their notes may be.
    taken = 1 + max(map(len, numbers)) + max(map(len, costs)) + 3 * 2
    room = max(8, columns - taken)
    cells = [
        (row.sign, shortened(row.what, room), number, cost)
        for row, number, cost in zip(rows, numbers, costs, strict=True)
    ]
    return table(cells, columns, right={2, 3})


def _all_rows(report: ContextReport) -> list[_ContextRow]:
    return [
        *_rows(report.parts),
        _ContextRow(".", "free for a question", report.free_tokens),
        _ContextRow("A", "reserved for the answer", report.answer_tokens),
        _ContextRow("", f"window of {report.model_name}", report.window_tokens),
    ]


def _rows(parts: Sequence[ReportedPart]) -> Iterator[_ContextRow]:
    for kind, label in _OWN_ROWS:
        own = [part for part in parts if part.kind == kind]
        if own:
            yield _together(own, f"{len(own)} {label}" if kind == "note" and len(own) > 1 else label)
    for kind, label in (("pinned", "pinned"), ("retrieved", "brought back")):
        for part in parts:
            if part.kind == kind:
                yield _together([part], f"turn {part.turn}, {label}: {_beginning_of(part)}")
    yield from _turn_rows([part for part in parts if part.kind == "turn"])
    for part in parts:
        if part.kind == "question" and part.text:
            yield _together([part], f"question: {_beginning_of(part)}")


def _turn_rows(turns: Sequence[ReportedPart]) -> Iterator[_ContextRow]:
    if len(turns) <= _ROWS_A_TURN:
        for turn in turns:
            yield _together([turn], f"turn {turn.turn}: {_beginning_of(turn)}")
        return
    by_number = {turn.turn: turn for turn in turns if turn.turn is not None}
    for first, last in stretches(sorted(by_number)):
        own = [by_number[number] for number in range(first, last + 1)]
        yield _together(own, f"{len(own)} turns, {first}–{last}" if last > first else f"turn {first}")


def _beginning_of(part: ReportedPart) -> str:
    if not part.attached:
        return one_line(part.text, _WORDS)
    return f"{one_line(part.text, _FEWER_WORDS)} + {one_line(', '.join(part.attached), _WORDS)}"


def _together(parts: Sequence[ReportedPart], what: str) -> _ContextRow:
    costs = [part.cost_usd for part in parts]
    known = [cost for cost in costs if cost is not None]
    return _ContextRow(
        _SIGNS[parts[0].kind][0],
        what,
        sum(part.tokens for part in parts),
        sum(known) if len(known) == len(costs) else None,
    )


def _name(report: ContextReport, other: ContextReport) -> str:
    return report.model_name if report.model_name != other.model_name else report.context


def _turns(numbers: Sequence[int]) -> str:
    return f"turn{'' if len(numbers) == 1 else 's'} {ranges(numbers)}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


LONGEST_BAR: Final = 78


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of the window: its sign, its role in the theme, and its length."""

    sign: str
    role: Role
    tokens: int


def bar(parts: Sequence[Stretch], columns: int) -> StyledRow:
    """Return the parts side by side in brackets, in one row of at most ``columns``.

    Each part that is not empty gets at least one cell, as long as there are cells; the rest is divided by
    tokens.
    """
    shown = [part for part in parts if part.tokens > 0]
    cells = shares([part.tokens for part in shown], max(1, min(columns, LONGEST_BAR) - 2))
    signs = [(part.sign, part.role) for part, share in zip(shown, cells, strict=True) for _ in range(share)]
    runs = ((role, "".join(sign for sign, _ in run)) for role, run in groupby(signs, key=itemgetter(1)))
    return [("[", "rule"), *((run, role) for role, run in runs), ("]", "rule")]


def shares(weights: Sequence[int], cells: int) -> list[int]:
    """Divide ``cells`` by ``weights``: at least one each if there are enough, then by largest remainder."""
    if len(weights) > cells:
        heaviest = sorted(range(len(weights)), key=lambda at: -weights[at])[:cells]
        return [int(at in heaviest) for at in range(len(weights))]
    free, total = cells - len(weights), sum(weights)
    if not total:
        return [1] * len(weights)
    exact = [weight * free / total for weight in weights]
    given = [int(share) for share in exact]
    by_remainder = sorted(range(len(weights)), key=lambda at: given[at] - exact[at])
    for at in by_remainder[: free - sum(given)]:
        given[at] += 1
    return [share + 1 for share in given]
