"""A model's window, drawn as a bar: a sign a cell, so that it is read without colours as well."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatcli.render.themes import Role, Theme

LONGEST_BAR: Final = 78


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the window: the sign it is drawn with, its role in the theme, and its length."""

    sign: str
    role: Role
    tokens: int


def bar(segments: Sequence[Segment], theme: Theme, columns: int) -> str:
    """Return the segments side by side between brackets, in one row of at most ``columns``.

    Each that is not empty has a cell at least, as long as there are cells; the rest goes by the tokens.
    """
    shown = [segment for segment in segments if segment.tokens > 0]
    cells = shares([segment.tokens for segment in shown], max(1, min(columns, LONGEST_BAR) - 2))
    signs = [
        (segment.sign, segment.role)
        for segment, share in zip(shown, cells, strict=True)
        for _ in range(share)
    ]
    painted = (
        theme.paint("".join(sign for sign, _ in run), role)
        for role, run in ((role, list(run)) for role, run in groupby(signs, key=lambda cell: cell[1]))
    )
    return theme.paint("[", "rule") + "".join(painted) + theme.paint("]", "rule")


def shares(weights: Sequence[int], cells: int) -> list[int]:
    """Divide ``cells`` by ``weights``: one for each where there are enough, then by the largest remainder."""
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
