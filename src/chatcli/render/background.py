"""Whether a terminal's background is dark or light, as reported by the terminal.

There are three sources: the variable ``COLORFGBG``, set by rxvt and Konsole; the colour in the reply to OSC
11 (https://invisible-island.net/xterm/ctlseqs/ctlseqs.html, "Operating System Commands"); and a missing reply
to it from a terminal that has answered DA1, which all terminals know.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chatcli.render.themes import Background

BACKGROUND_QUERY: Final = "\x1b]11;?\x07\x1b[c"
"""OSC 11 asks for the background colour; DA1 makes a terminal without OSC 11 reply at once too."""

ANSWERED_WITHIN_S: Final = 0.1

_LIGHT_COLORS: Final = frozenset({7, *range(9, 16)})  # of the sixteen
_COLORS: Final = 16
# Above this relative luminance, black text has more contrast than white (WCAG 2.2).
_LIGHT_LUMINANCE: Final = 0.179

# XParseColor(3): one to four hexadecimal digits per part.
_PARTED: Final = lazy_pattern(
    r"rgba?:([0-9a-f]{1,4})/([0-9a-f]{1,4})/([0-9a-f]{1,4})(?:/[0-9a-f]{1,4})?", re.IGNORECASE
)
_JOINED: Final = lazy_pattern(r"#((?:[0-9a-f]{3}){1,4})", re.IGNORECASE)

_COLOR_REPLY: Final = r"\x1b\]11;(?P<color>[rgba:#/0-9a-fA-F]{0,64}+)"
_STRING_END: Final = r"(?:\x07|\x1b\\|\x9c)"
# A reply without its proper end was cut; what arrived of it is not typed text either.
_REPLY: Final = lazy_pattern(
    rf"{_COLOR_REPLY}(?P<end>{_STRING_END}|(?!\x1b?\Z))|(?P<attributes>\x1b\[\?[0-9;]{{0,64}}c)"
)
_BEGUN: Final = lazy_pattern(rf"(?:{_COLOR_REPLY}\x1b?|\x1b\]11?|\x1b\[\?[0-9;]{{0,64}}|\x1b[\[\]]?)\Z")
_LONGEST_KEYS: Final = 2
"""The longest start of a reply that may also be a key of its own: Escape, Alt-[ and Alt-]."""


def background_from_environment(environment: Mapping[str, str]) -> Background | None:
    """Return the background by ``COLORFGBG``, as in ``15;0`` or ``15;default;0``, with its colour last."""
    last = environment.get("COLORFGBG", "").rpartition(";")[2]
    if not (last.isascii() and last.isdecimal()) or int(last) >= _COLORS:
        return None
    return "light" if int(last) in _LIGHT_COLORS else "dark"


def background_of(color: str) -> Background | None:
    """Classify a colour as terminals write it: ``rgb:1e1e/1e1e/1e1e``, ``rgba:…`` or ``#1e1e1e``."""
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
    """Linearize an sRGB component, as in https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4  # noqa: PLR2004


class ReplyFilter:
    """Removes replies to ``BACKGROUND_QUERY`` from terminal input, even if they are late, cut, or among keys.

    ``answered`` receives the colour, and ``None`` once the terminal has sent its last reply.
    """

    def __init__(self, answered: Callable[[str | None], object]) -> None:
        self._answered = answered
        self._held = ""

    def feed(self, text: str) -> str:
        """Return the keys in ``text``; a possible start of a reply is held back."""
        keys = _REPLY.sub(self._take, self._held + text)
        begun = _BEGUN.search(keys)
        self._held = begun[0] if begun else ""
        return keys[: len(keys) - len(self._held)]

    def flush(self) -> str:
        """Return the text held back if it is a key after all, because nothing has followed it."""
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
