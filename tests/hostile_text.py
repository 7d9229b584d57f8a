"""Text that acts on a terminal or hides in it, and a strict reader of what a program wrote to one.

The sequences are such as chatcli itself never writes, so that one that gets through is seen as what it is.
"""

from __future__ import annotations

import re
from typing import Final

SEQUENCES: Final = (
    *(
        "\x1b[5;6;8m",
        "\x9b5;8m",
        "\x1b[66;66H",
        "\x1b[2J",
        "\x1b[3J",
        "\x1b[?1049h",
        "\x1b[6n",
        "\x1b[8;5;5t",
    ),
    *(
        "\x1b]2;own\x07",
        "\x1b]52;c;b3du\x07",
        "\x1b]8;;http://e.example\x07",
        "\x1b]9;own\x07",
        "\x9d2;own\x9c",
    ),
    *("\x1bP$qm\x1b\\", "\x90q\x9c", "\x1b_Gi=1\x1b\\", "\x1b^own\x1b\\", "\x1bXown\x1b\\", "\x9fown\x9c"),
    *("\x1bc", "\x1b%@", "\x1b#8", "\x1b(0", "\x1bN", "\x84", "\x85", "\x8d"),
    *("\0", "\x05", "\x07", "\b", "\v", "\f", "\r", "\x0e", "\x0f", "\x18", "\x1a", "\x7f"),
    *("\u202e", "\u202d", "\u202a", "\u2066", "\u2067", "\u2069", "\u200f", "\u200e", "\u061c"),
    *(
        "\u2028",
        "\u2029",
        "\u200b",
        "\ufeff",
        "\u2060",
        "\u00ad",
        "\U000e0041",
        "\U000e007f",
        "\ufff9",
        "\uffff",
    ),
)
MARKED: Final = tuple(f"o{sequence}w" for sequence in SEQUENCES)
"""Each between two letters: what a terminal shows of the whole tells whether the sequence came along."""

HOSTILE: Final = "".join(MARKED)
BATCHES: Final = tuple("".join(MARKED[at : at + 4]) for at in range(0, len(MARKED), 4))
"""All of them in strings that are short enough to be shown whole as titles."""

NAMES: Final = tuple(
    "".join(each for each in MARKED[at : at + 14] if not {"/", "\0"} & set(each))
    for at in range(0, len(MARKED), 14)
)
"""All of them in strings that may be names of files."""

_FOREIGN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ufff9\uffff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_TEXT: Final = r"[^\x00-\x1f\x7f-\x9f]*"
_OWN: Final = re.compile(
    r"\x1b\[[0-9;]*m"  # colours and styles
    r"|\x1b\[[0-9]*[ABCDGJK]"  # the cursor within live rows, and erasing from it
    r"|\x1b\[\?(?:1|7|12|25|2004|2026)[hl]"  # wrapping, the cursor, pastes, frames
    r"|\x1b\[0? q|\x1b\[2[23];2t|\x1b\[[<>][0-9;]*[um]|\x1b\[=[0-9;]*u"  # its shape, the title, the keyboard
    rf"|\x1b\](?:8;|2|9|133|777);{_TEXT}\x1b\\"  # links, the title, notifications, marks
    r"|\x1b\]52;c;[A-Za-z0-9+/=]*\x07"  # the clipboard
    r"|\x1b\]11;\?\x07\x1b\[c"  # the background
    r"|\r+\n"
)
_WITHIN_ROWS: Final = re.compile(r"[\r\b]")


def leaks(output: str) -> list[str]:
    """Return what acts or hides in plain output, which has no sequences of the program's own."""
    return sorted(set(_FOREIGN.findall(output)))


def terminal_leaks(received: bytes | str, *, redraws: bool = False) -> list[str]:
    """Return what acts or hides in output to a terminal, beside the sequences that chatcli writes itself.

    Where it ``redraws`` rows in place, it also goes back to the left with a carriage return and backspaces.
    """
    output = received.decode("utf-8", "surrogateescape") if isinstance(received, bytes) else received
    rest = _OWN.sub("", output)
    found = [marked for marked in MARKED if marked in output]
    return found + _FOREIGN.findall(_WITHIN_ROWS.sub("", rest) if redraws else rest)
