"""Decoding the keys of terminals, in every encoding, for prompt_toolkit's parser.

Terminals disagree: xterm's ``modifyOtherKeys`` and kitty's protocol encode a key as its number with its
modifiers, the keypad in application mode has sequences of its own, and modes left on by another program send
focus reports, mouse events and key releases. The parser would type unknown sequences into the question; here
they are translated or dropped. Pastes pass unchanged.

Sources: https://invisible-island.net/xterm/ctlseqs/ctlseqs.html and
https://sw.kovidgoyal.net/kitty/keyboard-protocol/.
"""

from __future__ import annotations

import re
from typing import Final

from prompt_toolkit.input.ansi_escape_sequences import ANSI_SEQUENCES

from chatcli.text.lazy_pattern import lazy_pattern

PASTE_BEGIN: Final = "\x1b[200~"
PASTE_END: Final = "\x1b[201~"
"""https://invisible-island.net/xterm/ctlseqs/ctlseqs.html, "Bracketed Paste Mode"."""


class PasteGatherer:
    """Holds back a paste until its end has arrived.

    prompt_toolkit searches the whole paste for its end each time more arrives, which is too slow for several
    megabytes.
    """

    def __init__(self) -> None:
        self._chunks: list[str] = []
        self._tail = ""

    def feed(self, text: str) -> str:
        """Return what can be processed now."""
        if not self._chunks:
            return self._held_back(text)
        self._chunks.append(text)
        recent = self._tail + text
        # The end may be split over several reads.
        self._tail = recent[-len(PASTE_END) :]
        if PASTE_END not in recent:
            return ""
        gathered = "".join(self._chunks)
        self._chunks = []
        return self._held_back(gathered)

    def _held_back(self, text: str) -> str:
        begin = text.rfind(PASTE_BEGIN)
        if begin < 0 or text.find(PASTE_END, begin) >= 0:
            return text
        self._chunks = [text[begin:]]
        self._tail = self._chunks[0][-len(PASTE_END) :]
        return text[:begin]


SHIFT_ENTER: Final = "\ufdd0"
CTRL_ENTER: Final = "\ufdd1"
"""Keys without a name in prompt_toolkit.

Unicode keeps these noncharacters for internal use: no keyboard sends them.
"""

_ESCAPE: Final = "\x1b"
# An eight-bit control character is Escape and a letter; not being UTF-8, it arrives as a surrogate.
_EIGHT_BITS: Final = {0x8F: "O", 0x90: "P", 0x9B: "[", 0x9D: "]", 0x9F: "_"}
_INTRODUCERS: Final = {
    chr(code): _ESCAPE + letter for byte, letter in _EIGHT_BITS.items() for code in (byte, 0xDC00 + byte)
}
_BEGINNING: Final = lazy_pattern(f"[{_ESCAPE}{''.join(_INTRODUCERS)}]")
_CTRL_C: Final = "\x03"
_CONTROL_SEQUENCE: Final = lazy_pattern(r"\x1b\[(?P<parameters>[0-?]*)[ -/]*(?P<final>[@-~])")
_CONTROL_SEQUENCE_BEGUN: Final = lazy_pattern(r"\x1b\[[0-?]*[ -/]*")
_LINUX_FUNCTION_KEY: Final = lazy_pattern(r"\x1b\[\[[A-E]")
_OLD_MOUSE: Final = lazy_pattern(r"\x1b\[M.{3}", re.DOTALL)
_SINGLE_SHIFT: Final = lazy_pattern(r"\x1bO(?P<modifiers>\d*)(?P<final>[ -~])")
# OSC, DCS and APC as terminals send them; with another character after it, it is a key with Alt.
_STRING_BEGUN: Final = lazy_pattern(r"\x1b(?:\]\d|P[\d>!$+|]|_G)")
_STRING: Final = lazy_pattern(r"\x1b[\]P_].*?(?:\x07|\x1b\\|[\x9c\udc9c])", re.DOTALL)
_LONGEST_STRING: Final = 4_096
_PASTE_NUMBERS: Final = {"200", "201"}
"""Numbers of no key: with modifiers, nothing is pasted."""

_KEYPAD: Final = {
    **{chr(ord("p") + n): str(n) for n in range(10)},
    **dict(zip("jklmnoXIM ", "*+,-./=\t\r ", strict=True)),
}
_SHIFT, _ALT, _CTRL, _META = 1, 2, 4, 32
_COMMAND_KEYS: Final = 8 | 16  # super and hyper: keys of the desktop
_LOCKS: Final = 64 | 128
_RELEASE: Final = "3"

# Kitty's numbers of functional keys, from "Functional key definitions".
_KITTY_KEYPAD: Final = dict(zip(range(57399, 57417), "0123456789./*-+\r=,", strict=True))
_KITTY_KEYPAD_MOVES: Final = dict(
    zip(range(57417, 57427), ("D", "C", "A", "B", "5~", "6~", "H", "F", "2~", "3~"), strict=True)
)
_CONTROL_BYTES: Final = {
    **{chr(96 + n): chr(n) for n in range(1, 27)},
    **dict(
        zip("@[\\]^_ 2345678/?", "\0\x1b\x1c\x1d\x1e\x1f\0\0\x1b\x1c\x1d\x1e\x1f\x7f\x1f\x7f", strict=True)
    ),
}


class KeyDecoder:
    """Translates a terminal's input, however it is split into reads."""

    def __init__(self) -> None:
        self._held = ""
        self._is_in_paste = False
        self._is_quiet = False

    def feed(self, text: str) -> str:
        """Return the complete keys; hold back the beginning of a sequence."""
        if self._is_quiet and text == _CTRL_C:
            # The paste has stalled: its end is lost, and every key would be taken for more of it.
            self._is_in_paste = self._is_quiet = False
            self._held = ""
            return PASTE_END
        self._is_quiet = False
        text, self._held = self._held + text, ""
        decoded: list[str] = []
        at = 0
        while at < len(text):
            if self._is_in_paste:
                at = self._pass_paste(text, at, decoded)
                continue
            beginning = _BEGINNING.search(text, at)
            end = beginning.start() if beginning else len(text)
            decoded.append(text[at:end])
            if beginning and beginning[0] != _ESCAPE:
                if end + 1 == len(text):
                    self._held = text[end:]
                    break
                text, end, at = _INTRODUCERS[beginning[0]] + text[end + 1 :], 0, 0
            at = self._read_sequence(text, end, decoded) if beginning else end
        return "".join(decoded)

    def flush(self) -> str:
        """Return held-back text that turned out to be a key by itself: Escape, Alt-[ or Alt-O."""
        if self._is_in_paste:
            self._is_quiet = True
            return ""
        held, self._held = self._held, ""
        return held if held in {_ESCAPE, "\x1b[", "\x1bO", "\x1b\x1b", "\x9b"} else ""

    def _pass_paste(self, text: str, at: int, decoded: list[str]) -> int:
        end = text.find(PASTE_END, at)
        if end >= 0:
            self._is_in_paste = False
            decoded.append(text[at : end + len(PASTE_END)])
            return end + len(PASTE_END)
        # Its end may be split.
        kept = next(
            (size for size in range(len(PASTE_END) - 1, 0, -1) if text.endswith(PASTE_END[:size], at)), 0
        )
        decoded.append(text[at : len(text) - kept])
        self._held = text[len(text) - kept :]
        return len(text)

    def _read_sequence(self, text: str, at: int, decoded: list[str]) -> int:
        """Read the sequence that begins with the Escape at ``at``; return the index of its end."""
        prefix = ""
        if text.startswith(("\x1b\x1b[", "\x1b\x1bO"), at):  # rxvt's Alt
            prefix, at = _ESCAPE, at + 1
        following = text[at + 1 : at + 2]
        if not following:
            self._held = prefix + text[at:]
            return len(text)
        if following == "[":
            return self._read_control_sequence(text, at, prefix, decoded)
        if following == "O":
            return self._read_single_shift(text, at, prefix, decoded)
        if _STRING_BEGUN.match(text, at):
            return self._drop_string(text, at)
        if following in "]P_" and at + 2 == len(text):
            self._held = text[at:]  # a string, or a key with Alt
            return len(text)
        decoded.append(_ESCAPE)
        return at + 1

    def _read_control_sequence(self, text: str, at: int, prefix: str, decoded: list[str]) -> int:
        if text.startswith(PASTE_BEGIN, at):
            self._is_in_paste = True
            decoded.append(PASTE_BEGIN)
            return at + len(PASTE_BEGIN)
        known = _LINUX_FUNCTION_KEY.match(text, at)
        if known:
            decoded.append(prefix + known[0])
            return known.end()
        if text.startswith("\x1b[M", at) or text[at:] == "\x1b[[":
            mouse = _OLD_MOUSE.match(text, at)
            if mouse is None:
                self._held = prefix + text[at:]
            return len(text) if mouse is None else mouse.end()
        match = _CONTROL_SEQUENCE.match(text, at)
        if match is not None:
            key = _key_of(match[0], match["parameters"], match["final"])
            decoded.append(prefix + key if key else "")
            return match.end()
        begun = _CONTROL_SEQUENCE_BEGUN.match(text, at)
        end = begun.end() if begun else at + 2
        if end == len(text):
            self._held = prefix + text[at:]
        return end

    def _read_single_shift(self, text: str, at: int, prefix: str, decoded: list[str]) -> int:
        match = _SINGLE_SHIFT.match(text, at)
        if match is None:
            if text[at + 2 :].isdecimal() or at + 2 == len(text):
                self._held = prefix + text[at:]
                return len(text)
            decoded.append(prefix + "\x1bO")
            return at + 2
        modifiers = _modifiers(match["modifiers"])
        if match["final"] in _KEYPAD:
            key = _with_modifiers(_KEYPAD[match["final"]], modifiers)
        else:
            key = _known(f"\x1bO{match['final']}") if not match["modifiers"] else ""
            key = key or _moved(match["final"], modifiers)
        decoded.append(prefix + key if key else "")
        return match.end()

    def _drop_string(self, text: str, at: int) -> int:
        match = _STRING.match(text, at)
        if match is not None:
            return match.end()
        if len(text) - at <= _LONGEST_STRING:
            self._held = text[at:]
        return len(text)


def _key_of(sequence: str, parameters: str, final: str) -> str:
    """Return prompt_toolkit's form of a control sequence, empty if it is no key."""
    if sequence in {"\x1b[I", "\x1b[O", PASTE_END} or not re.fullmatch(r"[\d;:]*", parameters):
        return ""
    fields = parameters.split(";")
    first = fields[0].partition(":")[0]
    if first in _PASTE_NUMBERS:
        return ""
    modifier_field = fields[1] if len(fields) > 1 else ""
    if modifier_field.partition(":")[2] == _RELEASE:
        return ""
    modifiers = _modifiers(modifier_field.partition(":")[0])
    if final == "u" and first != "1":  # "1" is a digit of the keypad with Ctrl, as old terminals send it
        return _numbered(fields, modifiers)
    if final == "~" and first == "27" and len(fields) > 2:  # noqa: PLR2004 - modifyOtherKeys: 27, modifiers, key
        return _numbered([fields[2]], modifiers)
    known = _known(sequence) if ":" not in parameters else ""
    key = f"{first}~" if final == "~" else final if first in {"", "1"} else ""
    return known or (_moved(key, modifiers) if key else "")


def _modifiers(field: str) -> int:
    """Return the modifier bits of a field, which counts from 1, without those of locks."""
    number = int(field) if field.isdecimal() and len(field) < 4 else 1  # noqa: PLR2004 - at most 256
    bits = max(0, number - 1) & ~_LOCKS
    return (bits | _ALT) & ~_META if bits & _META else bits


def _numbered(fields: list[str], modifiers: int) -> str:
    """Return the key whose character or kitty number is in the first of ``fields``."""
    codes = [int(code) for code in fields[0].split(":") if code.isdecimal() and len(code) < 8]  # noqa: PLR2004
    if not codes or modifiers & _COMMAND_KEYS:
        return ""
    code = codes[0]
    if code in _KITTY_KEYPAD:
        return _with_modifiers(_KITTY_KEYPAD[code], modifiers)
    if code in _KITTY_KEYPAD_MOVES:
        return _moved(_KITTY_KEYPAD_MOVES[code], modifiers)
    if 0xE000 <= code <= 0xF8FF or not 0 < code < 0x110000 or 0xD800 <= code <= 0xDFFF:  # noqa: PLR2004 - other keys
        return ""
    character = chr(code)
    if modifiers & _SHIFT and character.isprintable():
        typed = fields[2].split(":") if len(fields) > 2 else []  # noqa: PLR2004 - the text it types
        shifted = int(typed[0]) if typed and typed[0].isdecimal() else codes[1] if len(codes) > 1 else 0
        character = chr(shifted) if 31 < shifted < 0xD800 else character.upper()  # noqa: PLR2004
        character = character if len(character) == 1 else chr(code)
    return _with_modifiers(character, modifiers)


def _with_modifiers(character: str, modifiers: int) -> str:
    """Return the classic encoding of ``character`` with modifiers; Enter becomes a key of its own."""
    before = _ESCAPE if modifiers & _ALT else ""
    if character == "\r" and modifiers & (_CTRL | _SHIFT):
        return CTRL_ENTER if modifiers & _CTRL else SHIFT_ENTER
    if character == "\t" and modifiers & _SHIFT:
        return "\x1b[Z"
    if character == "\x7f" and modifiers & _CTRL:
        return before + "\x17"  # the word before the cursor, as in graphical programs
    if modifiers & _CTRL and character.isprintable():
        control = _CONTROL_BYTES.get(character.lower(), "")
        return before + control if control else ""
    return before + character


def _moved(key: str, modifiers: int) -> str:
    """Return an arrow, function key or the like with its modifiers, in xterm's encoding."""
    if modifiers & _COMMAND_KEYS:
        return ""
    number, tilde = key[:-1], key[-1]
    if modifiers:
        candidate = f"\x1b[{number or '1'};{modifiers + 1}{tilde}"
        return _known(candidate) or _moved(key, modifiers & ~_SHIFT if modifiers & _SHIFT else 0)
    return next(filter(None, (_known(f"\x1b[{key}"), _known(f"\x1bO{key}"))), "")


def _known(sequence: str) -> str:
    return sequence if sequence in ANSI_SEQUENCES else ""
