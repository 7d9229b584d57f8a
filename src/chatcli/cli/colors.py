"""How many colours a terminal shows, by what its environment tells.

There is no one place to ask: terminfo knows no more than ``TERM`` does, and that often says less than the terminal can.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatcli.render.themes import ColorSystem

# https://force-color.org, with the levels of chalk. Any other value that is not empty: as many as the terminal shows.
COLORS_WISHED: Final[Mapping[str, ColorSystem | None]] = {
    "0": None,
    "false": None,
    "1": "standard",
    "2": "256",
    "3": "truecolor",
}

_COLORTERMS: Final = frozenset({"truecolor", "24bit"})
# Over ssh only TERM arrives, so terminals with a name of their own are known by it.
_TERMS: Final = ("xterm-kitty", "xterm-ghostty", "alacritty", "wezterm", "foot", "contour", "iterm2", "rio")
_PROGRAMS: Final[Mapping[str, ColorSystem]] = {
    "iTerm.app": "truecolor",
    "WezTerm": "truecolor",
    "ghostty": "truecolor",
    "vscode": "truecolor",
    "Hyper": "truecolor",
    "Apple_Terminal": "256",
}
_PROGRAM_VARIABLES: Final = ("WT_SESSION", "KITTY_WINDOW_ID")
"""Set by programs, as Windows Terminal, that show them all and say so nowhere else."""


_WITHOUT_COLORS: Final = re.compile(r"vt\d+|.*-mono\Z|.*-m\Z")
"""Terminals of one colour, as terminfo names them."""


def shown_colors(environment: Mapping[str, str]) -> ColorSystem | None:
    """Return what the terminal shows: the sixteen colours nearly every one has, or more, or ``None`` for none."""
    term = environment.get("TERM", "")
    if _WITHOUT_COLORS.match(term) and not environment.get("COLORTERM"):
        return None
    told = _told_colors(term, environment)
    # GNU screen hands COLORTERM on from the terminal around it and misreads what that would understand.
    if told == "truecolor" and term.startswith("screen") and not environment.get("TMUX"):
        return "256"
    return told


def _told_colors(term: str, environment: Mapping[str, str]) -> ColorSystem:
    if environment.get("COLORTERM", "").lower() in _COLORTERMS:
        return "truecolor"
    if term.endswith("-direct") or term.startswith(_TERMS):
        return "truecolor"
    if any(environment.get(variable) for variable in _PROGRAM_VARIABLES):
        return "truecolor"
    by_term: ColorSystem = "256" if "256" in term else "standard"
    return _PROGRAMS.get(environment.get("TERM_PROGRAM", ""), by_term)
