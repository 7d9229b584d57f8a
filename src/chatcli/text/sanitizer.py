"""Sanitizing of text from models and servers for a terminal: active and invisible characters become visible.

These become visible, by code point:

* C0 but newline and tab, and DEL, as their Unicode control pictures (``␛``, ``␡``); a carriage return
  before a newline is dropped, any other is shown as ``␍``;
* C1, lone surrogates, noncharacters, line and paragraph separators, bidirectional controls, interlinear
  annotations and every default-ignorable character, as ``<U+202E>``. That includes zero-width characters,
  tags, soft hyphens and Hangul fillers: invisible text can smuggle instructions past a reader.

Invisible characters are kept where they affect rendering:

* ZWJ, U+FE0E, U+FE0F and tags inside a well-formed emoji sequence (UTS #51; tags only as the subdivision
  flags, three to six letters and digits after U+1F3F4);
* one variation selector after an ideograph, one Mongolian variation selector after a Mongolian letter;
* ZWJ and ZWNJ between letters (or their marks) of one joining script, as Persian and Hindi spell.

Kept text holds no control character, so nothing that is kept can form an escape sequence.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, Final

from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    import re

# These terminals print an operating system command, or wait for its end, where others ignore unknown ones:
# hardware terminals and terminal types named after them (not VTE, whose name also begins with "vt").
_TERMS_WITHOUT_COMMANDS: Final = lazy_pattern(r"vt\d|linux|cons|sun|ansi|eterm")

SUSPICIOUS: Final = lazy_pattern(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ud800-\udfff\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    + "".join(chr((plane << 16) + last) for plane in range(1, 17) for last in (0xFFFE, 0xFFFF))
    + "]"
)
"""Matches any one character that is made visible unless its neighbours justify it."""

# Extended_Pictographic of Unicode 17; beyond the BMP its whole blocks, so that newer emoji are right as well.
_PICTOGRAPH: Final = (
    "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u2199\u21a9\u21aa\u231a\u231b\u2328\u23cf\u23e9-\u23f3"
    "\u23f8-\u23fa\u24c2\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe\u2600-\u2604\u260e\u2611\u2614\u2615\u2618"
    "\u261d\u2620\u2622\u2623\u2626\u262a\u262e\u262f\u2638-\u263a\u2640\u2642\u2648-\u2653\u265f\u2660"
    "\u2663\u2665\u2666\u2668\u267b\u267e\u267f\u2692-\u2697\u2699\u269b\u269c\u26a0\u26a1\u26a7\u26aa"
    "\u26ab\u26b0\u26b1\u26bd\u26be\u26c4\u26c5\u26c8\u26ce\u26cf\u26d1\u26d3\u26d4\u26e9\u26ea\u26f0-\u26f5"
    "\u26f7-\u26fa\u26fd\u2702\u2705\u2708-\u270d\u270f\u2712\u2714\u2716\u271d\u2721\u2728\u2733\u2734"
    "\u2744\u2747\u274c\u274e\u2753-\u2755\u2757\u2763\u2764\u2795-\u2797\u27a1\u27b0\u27bf\u2934\u2935"
    "\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\u3030\u303d\u3297\u3299"
    "\U0001f000-\U0001f1e5\U0001f201-\U0001f3fa\U0001f400-\U0001faff\U0001fc00-\U0001fffd"
)
_SKIN_TONE: Final = "\U0001f3fb-\U0001f3ff"
_IDEOGRAPH: Final = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_BLACK_FLAG: Final = "\U0001f3f4"
_TAG: Final = "\U000e0030-\U000e0039\U000e0061-\U000e007a"
_TAG_END: Final = "\U000e007f"

_BEFORE: Final = 8
"""The longest look-behind in characters: black flag, six tags, end of tags."""

# Each matches the suspicious character with its neighbours; lookbehinds need a fixed width.
_EMOJI_JOINER: Final = lazy_pattern(
    f"\u200d(?:(?<=[{_PICTOGRAPH}].)|(?<=[{_PICTOGRAPH}][\ufe0f{_SKIN_TONE}].)"
    f"|(?<=[{_PICTOGRAPH}]\ufe0f[{_SKIN_TONE}].)|(?<=[{_PICTOGRAPH}][{_SKIN_TONE}]\ufe0f.))(?=[{_PICTOGRAPH}])"
)
_VARIATION: Final = lazy_pattern(
    f"(?:(?<=[{_PICTOGRAPH}])[\ufe0e\ufe0f]|(?<=[{_PICTOGRAPH}][{_SKIN_TONE}])\ufe0f"
    f"|(?<=[0-9#*])\ufe0f(?=\u20e3)"
    f"|(?<=[{_IDEOGRAPH}])[\ufe00-\ufe0f\U000e0100-\U000e01ef]"
    "|(?<=[\u1820-\u1878\u1880-\u18aa])[\u180b-\u180d\u180f])"
)
_FLAG: Final = lazy_pattern(f"{_BLACK_FLAG}[{_TAG}]{{3,6}}{_TAG_END}")
_UNDECIDED: Final = lazy_pattern(
    f"(?:\r|[\u200c\u200d]|(?<=[0-9#*])\ufe0f|(?<={_BLACK_FLAG})[{_TAG}]{{1,6}})\\Z",
)
"""Matches an end of the text whose meaning depends on the next characters."""

# First and last code points of the blocks of scripts whose letters join, or whose conjuncts ZWJ and ZWNJ steer.
_JOINING_BLOCKS: Final = (
    (0x0600, 0x06FF, "Arabic"),
    (0x0700, 0x074F, "Syriac"),
    (0x0750, 0x077F, "Arabic"),
    (0x07C0, 0x07FF, "N'Ko"),
    (0x0840, 0x085F, "Mandaic"),
    (0x0860, 0x086F, "Syriac"),
    (0x0870, 0x08FF, "Arabic"),
    (0x0900, 0x097F, "Devanagari"),
    (0x0980, 0x09FF, "Bengali"),
    (0x0A00, 0x0A7F, "Gurmukhi"),
    (0x0A80, 0x0AFF, "Gujarati"),
    (0x0B00, 0x0B7F, "Odia"),
    (0x0B80, 0x0BFF, "Tamil"),
    (0x0C00, 0x0C7F, "Telugu"),
    (0x0C80, 0x0CFF, "Kannada"),
    (0x0D00, 0x0D7F, "Malayalam"),
    (0x0D80, 0x0DFF, "Sinhala"),
    (0x1000, 0x109F, "Myanmar"),
    (0x1780, 0x17FF, "Khmer"),
    (0x1800, 0x18AF, "Mongolian"),
    (0x1B00, 0x1B7F, "Balinese"),
    (0xA840, 0xA87F, "Phags-pa"),
    (0xA8E0, 0xA8FF, "Devanagari"),
    (0xA980, 0xA9DF, "Javanese"),
    (0xFB50, 0xFDFF, "Arabic"),
    (0xFE70, 0xFEFC, "Arabic"),
    (0x10AC0, 0x10AFF, "Manichaean"),
    (0x10B80, 0x10BAF, "Psalter Pahlavi"),
    (0x10D00, 0x10D3F, "Hanifi Rohingya"),
    (0x10F30, 0x10F6F, "Sogdian"),
    (0x1E900, 0x1E95F, "Adlam"),
)
_BLOCK_STARTS: Final = tuple(first for first, _, _ in _JOINING_BLOCKS)
_DELETE: Final = "\x7f"
_CONTROL_PICTURES: Final = 0x2400
_SPACED: Final = str.maketrans("\n\t", "  ")


class TerminalSanitizer:
    """Sanitizes a text that arrives in chunks; the result does not depend on where it was cut.

    Holds back at most six characters: those whose meaning the next chunk decides.
    """

    def __init__(self) -> None:
        self._before = ""
        self._held = ""

    def feed(self, text: str) -> str:
        """Return the text that is decided by now, sanitized."""
        if not self._held and SUSPICIOUS.search(text) is None:
            self._before = (self._before + text)[-_BEFORE:] if len(text) < _BEFORE else text[-_BEFORE:]
            return text
        start = len(self._before)
        window = self._before + self._held + text
        undecided = _UNDECIDED.search(window, max(start, len(window) - _BEFORE))
        end = undecided.start() if undecided else len(window)
        self._before, self._held = window[max(0, end - _BEFORE) : end], window[end:]
        return _visible(window, start, end)

    def finish(self) -> str:
        """Return the characters still held back: the text is complete."""
        start = len(self._before)
        window = self._before + self._held
        self._before = self._held = ""
        return _visible(window, start, len(window))


def sanitize(text: str) -> str:
    """Return ``text`` sanitized."""
    # Most names and titles are printable ASCII, which needs no regular expression.
    if (text.isascii() and text.isprintable()) or SUSPICIOUS.search(text) is None:
        return text
    return _visible(text, 0, len(text))


def sanitize_line(text: str) -> str:
    """Return ``text`` sanitized, with newlines and tabs as spaces: for titles, names and error bodies."""
    return sanitize(text).translate(_SPACED)


def _visible(window: str, start: int, end: int) -> str:
    """Sanitize ``window[start:end]``, taking its neighbours in ``window`` into account."""
    parts: list[str] = []
    done = start
    for match in SUSPICIOUS.finditer(window, start, end):
        at = match.start()
        parts += window[done:at], _shown(window, at)
        done = at + 1
    parts.append(window[done:end])
    return "".join(parts)


def _shown(window: str, at: int) -> str:
    character = window[at]
    if character == "\r" and window.startswith("\n", at + 1):
        return ""
    if character < " ":
        return chr(_CONTROL_PICTURES + ord(character))
    if character == _DELETE:
        return "␡"
    return character if _is_kept(window, at) else f"<U+{ord(character):04X}>"


def _is_kept(window: str, at: int) -> bool:
    character = window[at]
    if character in "\u200c\u200d":
        return _joins_letters(window, at) or _EMOJI_JOINER.match(window, at) is not None
    if "\U000e0020" <= character <= _TAG_END:
        return _is_in_flag(window, at)
    return _VARIATION.match(window, at) is not None


def _joins_letters(window: str, at: int) -> bool:
    script = _joining_script(window[at - 1 : at])
    return script is not None and script == _joining_script(window[at + 1 : at + 2])


def _joining_script(neighbour: str) -> str | None:
    """Return the joining script of a letter or mark; ``None`` for anything else."""
    if not neighbour or unicodedata.category(neighbour)[0] not in "LM" or SUSPICIOUS.match(neighbour):
        return None
    block = bisect_right(_BLOCK_STARTS, ord(neighbour)) - 1
    if block < 0:
        return None
    _, last, script = _JOINING_BLOCKS[block]
    return script if ord(neighbour) <= last else None


def _is_in_flag(window: str, at: int) -> bool:
    flag = window.rfind(_BLACK_FLAG, max(0, at - _BEFORE), at)
    match = _FLAG.match(window, flag) if flag >= 0 else None
    return match is not None and at < match.end()


def takes_commands(term: str) -> bool:
    """Return whether a terminal of type ``TERM`` parses operating system commands (OSC), if only to ignore them."""
    return _TERMS_WITHOUT_COMMANDS.match(term) is None


def json_line(value: Any) -> str:
    """Return ``value`` as one line of JSON that is safe to display and can always be encoded."""
    import json  # noqa: PLC0415 - the prompt shows none

    line = json.dumps(value, ensure_ascii=False)
    # JSON escapes all of C0 itself.
    return line if line.isascii() and "\x7f" not in line else SUSPICIOUS.sub(_escape, line)


def _escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


_FORMULA: Final = lazy_pattern(r"[=+\-@\t\r\n＝＋－＠]")
_NUMBER: Final = lazy_pattern(r"[+-]?[0-9]+([.,][0-9]+)*([eE][+-]?[0-9]+)?\s*%?")
_QUOTED: Final = lazy_pattern(r'[",;|\t\r\n]|^\s|\s$')
"""Spreadsheets of some countries separate by other characters."""


def table_cell(value: object) -> str:
    """Return ``value`` as a cell of CSV (RFC 4180) or TSV, quoted where needed; ``None`` is empty.

    Spreadsheets take a cell that begins like a formula for one, whoever wrote it
    (https://owasp.org/www-community/attacks/CSV_Injection): such texts get an apostrophe before them. Numbers stay.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = sanitize(str(value))
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        text = f"'{text}"
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text
