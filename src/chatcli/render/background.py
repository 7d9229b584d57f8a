"""Whether a terminal's background is dark or light, from what the terminal says about it.

Three places tell: the variable ``COLORFGBG``, which rxvt and Konsole set; the colour a terminal answers to OSC 11
(https://invisible-island.net/xterm/ctlseqs/ctlseqs.html, "Operating System Commands"); and, by their silence on that,
terminals that answer only to DA1, which all know.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chatcli.render.themes import Background

QUESTION: Final = "\x1b]11;?\x07\x1b[c"
"""What is the background's colour? And, so that who does not know the question answers at once too: what are you?"""

ANSWERED_WITHIN_S: Final = 0.1

_LIGHT_COLORS: Final = frozenset({7, *range(9, 16)})  # of the sixteen
_COLORS: Final = 16
# Above this relative luminance black text has more contrast than white (WCAG 2.2).
_LIGHT_LUMINANCE: Final = 0.179

# XParseColor(3): one to four hexadecimal digits a part.
_PARTED: Final = re.compile(
    r"rgba?:([0-9a-f]{1,4})/([0-9a-f]{1,4})/([0-9a-f]{1,4})(?:/[0-9a-f]{1,4})?", re.IGNORECASE
)
_JOINED: Final = re.compile(r"#((?:[0-9a-f]{3}){1,4})", re.IGNORECASE)

_COLOR_REPLY: Final = r"\x1b\]11;(?P<color>[rgba:#/0-9a-fA-F]{0,64}+)"
_STRING_END: Final = r"(?:\x07|\x1b\\|\x9c)"
# A reply that goes on as none does was cut: what there is of it is no key either.
_REPLY: Final = re.compile(
    rf"{_COLOR_REPLY}(?P<end>{_STRING_END}|(?!\x1b?\Z))|(?P<attributes>\x1b\[\?[0-9;]{{0,64}}c)"
)
_BEGUN: Final = re.compile(rf"(?:{_COLOR_REPLY}\x1b?|\x1b\]11?|\x1b\[\?[0-9;]{{0,64}}|\x1b[\[\]]?)\Z")
_LONGEST_KEYS: Final = 2
"""Of what may be the beginning of a reply, how much may also be a key on its own: Escape, Alt-[ and Alt-]."""


def told_background(environment: Mapping[str, str]) -> Background | None:
    """Return what ``COLORFGBG`` says, as in ``15;0`` or ``15;default;0``: the last is the background's number."""
    last = environment.get("COLORFGBG", "").rpartition(";")[2]
    if not (last.isascii() and last.isdecimal()) or int(last) >= _COLORS:
        return None
    return "light" if int(last) in _LIGHT_COLORS else "dark"


def background_of(color: str) -> Background | None:
    """Return what a colour is, as terminals write them: ``rgb:1e1e/1e1e/1e1e``, ``rgba:…`` or ``#1e1e1e``."""
    if parted := _PARTED.fullmatch(color):
        digits = parted.groups()
    elif joined := _JOINED.fullmatch(color):
        length = len(joined[1]) // 3
        digits = tuple(joined[1][at : at + length] for at in range(0, 3 * length, length))
    else:
        return None
    red, green, blue = (_linear(int(part, 16) / (16 ** len(part) - 1)) for part in digits)
    return "light" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > _LIGHT_LUMINANCE else "dark"


def _linear(part: float) -> float:
    """Return how bright a part of an sRGB colour is, as in https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4  # noqa: PLR2004


class ReplyFilter:
    """Takes the answers to ``QUESTION`` out of what a terminal sends, however late, in pieces, or among keys.

    ``answered`` is given the colour, and ``None`` when the terminal has answered all it will.
    """

    def __init__(self, answered: Callable[[str | None], object]) -> None:
        self._answered = answered
        self._held = ""

    def feed(self, text: str) -> str:
        """Return what of ``text`` is keys; what may be the beginning of an answer is held back."""
        keys = _REPLY.sub(self._take, self._held + text)
        begun = _BEGUN.search(keys)
        self._held = begun[0] if begun else ""
        return keys[: len(keys) - len(self._held)]

    def flush(self) -> str:
        """Return what was held back and is a key after all, as nothing followed it."""
        if len(self._held) > _LONGEST_KEYS:
            return ""
        keys, self._held = self._held, ""
        return keys

    def _take(self, reply: re.Match[str]) -> str:
        if reply["attributes"]:
            self._answered(None)
        elif reply["end"]:
            self._answered(reply["color"])
        return ""
