"""Decoding piped and attached bytes to text, in any encoding."""

from __future__ import annotations

import codecs
import os
import unicodedata
from dataclasses import field
from typing import TYPE_CHECKING, Final

from chatcli.attachments.file_kinds import PDF, is_certainly_data, kind_of, not_text
from chatcli.attachments.tolerant_decoding import REPLACEMENT, damage_cost, damaged_places, decode_tolerantly
from chatcli.core.errors import UsageError
from chatcli.core.frozen import frozen
from chatcli.text.lazy_pattern import lazy_pattern
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from chatcli.attachments.recognition import Likelihood


_SAMPLE: Final = 65_536
_LINE_CONTROLS: Final = frozenset("\t\n\r\f\x1b")
_BYTE_ORDER_MARK: Final = "\ufeff"
_DAMAGE_OF_A_CUT_TEXT: Final = 2
_LAST_ESCAPE: Final = lazy_pattern(rb"\x1b[$(]?\Z")
_DEAREST_CHARACTER: Final = 9.0
_UNCERTAIN: Final = 8.0
"""How much more than the best (nats) an encoding may cost to be offered: e to this power, 3,000 to 1."""
_MOST_READINGS: Final = 4
_GOOD_FOR_EACH_BAD: Final = 4
_CHARACTERS_FOR_EACH_BAD: Final = 10
_WIDE_SAMPLE: Final = 2_000
_NO_LETTER: Final = b"\xff"
"""Not UTF-8; in other encodings, among ASCII it is a space or a letter that is almost never used."""

_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


COMMON_ENCODINGS: Final = (
    *(
        "utf-8",
        "utf-16",
        "utf-16-le",
        "utf-16-be",
        "gb18030",
        "gbk",
        "big5",
        "big5hkscs",
        "shift_jis",
        "cp932",
    ),
    *(
        "euc-jp",
        "iso-2022-jp",
        "euc-kr",
        "cp949",
        "windows-1250",
        "windows-1251",
        "windows-1252",
        "windows-1253",
    ),
    *("windows-1254", "windows-1255", "windows-1256", "windows-1257", "windows-1258", "windows-874"),
    *("iso-8859-1", "iso-8859-2", "iso-8859-5", "iso-8859-7", "iso-8859-9", "iso-8859-15"),
    *("koi8-r", "koi8-u", "cp437", "cp850", "cp852", "cp866", "mac-roman"),
)
"""The encodings offered by completion; every encoding of Python is accepted."""

# Names in the WHATWG encoding standard that Python knows by other names.
_ALIASES: Final = {"windows-874": "cp874", "x-sjis": "cp932", "windows-31j": "cp932", "windows-949": "cp949"}
# Called text encodings in Python, but they encode something else.
_NO_ENCODINGS: Final = frozenset(
    {"idna", "punycode", "raw-unicode-escape", "unicode-escape", "undefined", "mbcs", "oem"}
)
_SCRIPTS: Final = {
    **dict.fromkeys(("zh_tw", "zh_hk", "zh_mo", "zh_hant"), "zh-Hant"),
    **dict.fromkeys(("zh", "zh_cn", "zh_sg", "zh_hans"), "zh-Hans"),
    "no": "nb",
}
# In order of precedence (POSIX, "Internationalization Variables").
_LOCALE_VARIABLES: Final = ("LC_ALL", "LC_CTYPE", "LANG")


@frozen
class EncodingHints:
    """Hints about a text's encoding; encodings are named as in Python, with underscores.

    ``given`` is the encoding chosen by the person. The locale only makes an encoding likelier, and matters
    for texts that are not UTF-8: it comes from variables of the ``environment``, or is the
    ``system_encoding``.
    """

    given: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    system_encoding: str = ""

    @property
    def locale_encoding(self) -> str | None:
        return _known(self._locale()[1]) or _known(self.system_encoding)

    @property
    def language(self) -> str | None:
        locale = self._locale()[0].lower()
        usual = None if locale in {"", "c", "posix"} else locale[:2]
        return _SCRIPTS.get(locale) or _SCRIPTS.get(locale[:2]) or usual

    def _locale(self) -> tuple[str, str]:
        """Return the name of the locale, as in ``pt_BR``, and of its encoding; empty if unknown."""
        named = next(filter(None, map(self.environment.get, _LOCALE_VARIABLES)), "")
        locale, _, charset = named.partition("@")[0].partition(".")
        return locale, charset


NO_HINTS: Final = EncodingHints()


@frozen
class Reading:
    """The text in an ``encoding``, whose display name is ``title``."""

    encoding: str
    title: str
    text: str


@frozen
class Text:
    """The decoded text of the input ``name``; ``note`` says what was guessed or replaced.

    If the encoding is ambiguous, ``readings`` are the likeliest ones, the best first; otherwise it is empty.
    """

    name: str
    text: str
    note: str | None = None
    readings: tuple[Reading, ...] = ()

    def read_as(self, reading: Reading) -> Text:
        """Return the text in the reading the person has chosen."""
        return Text(self.name, reading.text, _replaced(self.name, damaged_places(reading.text)))


def decode(content: bytes, name: str, hints: EncodingHints = NO_HINTS) -> Text:
    """Decode ``content``, called ``name`` in messages. Raise ``UsageError`` if it is not text.

    The encoding is the given one, that of the byte order mark, UTF-8 even if slightly damaged, or else the
    likeliest. Undecodable bytes become \ufffd. Anything uncertain is mentioned in a note.
    """
    if hints.given is not None:
        return _decode_given(content, name, hints.given)
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return _decode_marked(content, encoding, name)
    if b"\0" in content:
        return _decode_wide(content, name, hints)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return _decode_nearly_utf_8(content, name) or _decode_guessing(content, name, hints)
    if content.startswith(PDF):
        raise not_text(content, name)
    return _decode_mail(content, name) or Text(name, text)


def encoding_named(name: str) -> str:
    """Return Python's name of the encoding ``name``. Raise ``UsageError`` if there is none."""
    found = _known(name)
    if found is None:
        import difflib  # noqa: PLC0415 - only a mistake needs it

        near = difflib.get_close_matches(name.lower().replace("_", "-"), COMMON_ENCODINGS, n=1, cutoff=0.5)
        hint = (
            f"did you mean {near[0]}?"
            if near
            else f"such as {', '.join(COMMON_ENCODINGS[:8:2])}, windows-1252"
        )
        raise UsageError(f"there is no encoding {name.strip() or repr(name)}", hint=hint)
    return found


def _known(name: str) -> str | None:
    try:
        found = codecs.lookup(_ALIASES.get(name.lower(), name))
    except (LookupError, ValueError):
        return None
    # Python has base64 and the like in the same table.
    is_of_text = getattr(found, "_is_text_encoding", True) and found.name not in _NO_ENCODINGS
    return found.name.replace("-", "_") if is_of_text else None


def has_byte_order_mark(content: bytes) -> bool:
    return any(content.startswith(mark) for mark, _ in _BYTE_ORDER_MARKS)


def as_typed(argument: str) -> str:
    """Return a command-line argument as it was typed.

    In an ASCII locale, Python passes other bytes as lone surrogates.
    """
    try:
        argument.encode()
    except UnicodeEncodeError:
        return _from_surrogates(argument)
    return argument


def _from_surrogates(argument: str) -> str:
    try:
        return decode(os.fsencode(argument), "an argument").text
    except (UnicodeEncodeError, UsageError):
        return argument.encode("utf-8", "replace").decode()


def _decode_given(content: bytes, name: str, encoding: str) -> Text:
    if is_certainly_data(content):
        raise not_text(content, name)
    # A byte order mark is not part of the text.
    text = decode_tolerantly(content, encoding).removeprefix(_BYTE_ORDER_MARK)
    if _looks_binary(text):
        raise not_text(content, name)
    return Text(name, text, _replaced(name, damaged_places(text)))


def _decode_marked(content: bytes, encoding: str, name: str) -> Text:
    text = content.decode(encoding, "replace")
    bad = text.count(REPLACEMENT)
    # A truncated text may end in half a character. With more damage, nearly all of it must be text.
    is_hardly_text = bad > 1 and (
        len(text) < _CHARACTERS_FOR_EACH_BAD * bad or not (encoding == "utf-8-sig" or _is_plain(text))
    )
    if is_hardly_text or (bad and text.strip(REPLACEMENT) == "") or _looks_binary(text):
        raise not_text(content, name)
    return Text(name, text, _replaced(name, bad))


def _decode_wide(content: bytes, name: str, hints: EncodingHints) -> Text:
    """Decode UTF-32 or UTF-16, the only encodings of text with zero bytes."""
    from chatcli.attachments.recognition import likelihoods  # noqa: PLC0415 - as in _decode_guessing

    if kind_of(content):
        raise not_text(content, name)
    if (text := _utf_32(content)) is not None:
        return Text(name, text, f"{name} has no byte order mark; reading it as UTF-32{_damage(text)}")
    best = likelihoods(content, language=hints.language)[0]
    text = decode_tolerantly(content, best.candidate.encoding)
    # Data read as wide characters gives rare characters.
    characters = len(best.sample) - best.sample.count(REPLACEMENT)
    is_likely = best.cost - damage_cost(best.sample) <= _DEAREST_CHARACTER * characters
    if damaged_places(text) > _DAMAGE_OF_A_CUT_TEXT or not is_likely or not _is_plain(text):
        raise not_text(content, name)
    damage = _damage(text)
    return Text(name, text, f"{name} has no byte order mark; reading it as {best.candidate.title}{damage}")


def _utf_32(content: bytes) -> str | None:
    """Decode UTF-32, even truncated or damaged; return ``None`` if it is not UTF-32."""
    from chatcli.attachments.recognition import text_cost  # noqa: PLC0415 - as in _decode_guessing

    # A text truncated at its beginning is valid in either byte order: the characters must decide.
    candidates = [
        (text_cost(sample), cut_bytes, encoding)
        for cut_bytes in range(4)
        for encoding in ("utf_32_le", "utf_32_be")
        if (sample := _utf_32_units(content[: 4 * _WIDE_SAMPLE], cut_bytes, encoding)) is not None
    ]
    if not candidates:
        return None
    cost, cut_bytes, encoding = min(candidates)
    text = _utf_32_units(content, cut_bytes, encoding)
    if text is None:
        return None
    sample = text[:_WIDE_SAMPLE]
    characters = len(sample) - sample.count(REPLACEMENT)
    return text if cost - damage_cost(sample) <= _DEAREST_CHARACTER * characters else None


def _utf_32_units(content: bytes, cut_bytes: int, encoding: str) -> str | None:
    """Decode all but the first ``cut_bytes``; return ``None`` if more than a little is not text."""
    end = len(content) - (len(content) - cut_bytes) % 4
    decoded = content[cut_bytes:end].decode(encoding, "replace")
    text = "".join(character if _is_of_text(character) else REPLACEMENT for character in decoded)
    bad = text.count(REPLACEMENT)
    if len(text) < 2 or bad * _CHARACTERS_FOR_EACH_BAD > len(text):  # noqa: PLR2004 - one character is no text
        return None
    before, after = (
        REPLACEMENT if part.strip(b"\0") else "" for part in (content[:cut_bytes], content[end:])
    )
    return f"{before}{text}{after}"


def _is_plain(text: str) -> bool:
    """Whether every character is assigned and none is a control, unlike in wrongly decoded bytes."""
    sample = text[:_SAMPLE]
    return len(sample) > 1 and all(map(_is_of_text, sample))


def _is_of_text(character: str) -> bool:
    return character in _LINE_CONTROLS or unicodedata.category(character) not in {"Cc", "Cn", "Co", "Cs"}


def _decode_nearly_utf_8(content: bytes, name: str) -> Text | None:
    """Decode UTF-8 with a few invalid bytes: a text cut in mid-character, a mixed log."""
    text = content.decode("utf-8", "replace")
    bad = text.count(REPLACEMENT)
    good = sum(not character.isascii() for character in text[: 16 * _SAMPLE]) - bad
    is_cut = bad == 1 and text.endswith(REPLACEMENT) and good > 0
    is_ascii = good == 0 and len(text) >= _CHARACTERS_FOR_EACH_BAD * bad and content.count(_NO_LETTER) == bad
    if not (is_cut or is_ascii) and good < _GOOD_FOR_EACH_BAD * bad:
        return None
    if _looks_binary(text):
        raise not_text(content, name)
    return Text(name, text, _replaced(name, bad))


def _decode_mail(content: bytes, name: str) -> Text | None:
    """Decode ISO-2022-JP, the 7-bit encoding of Japanese mail, with the first or last escape cut."""
    whole = b"\x1b" + content if content.startswith((b"$B", b"$@")) and b"\x1b(" in content else content
    if b"\x1b$" not in whole:
        return None
    text = _LAST_ESCAPE.sub(b"", whole).decode("iso2022_jp_ext", "replace")
    if damaged_places(text) > _DAMAGE_OF_A_CUT_TEXT:
        return None
    return Text(name, text, f"{name} is not UTF-8; reading it as Japanese (ISO-2022-JP){_damage(text)}")


def _decode_guessing(content: bytes, name: str, hints: EncodingHints) -> Text:
    from chatcli.attachments.recognition import likelihoods  # noqa: PLC0415 - text in UTF-8 needs none of it

    found = likelihoods(content, locale_encoding=hints.locale_encoding, language=hints.language)
    best = found[0]
    text = decode_tolerantly(content, best.candidate.encoding)
    kind = kind_of(content)
    if _looks_binary(text) or (kind is not None and kind.is_unlikely_in_text):
        raise not_text(content, name)
    if best.candidate.encoding == "utf_8":
        return Text(name, text, _replaced(name, damaged_places(text)))
    readings = tuple(_readings(content, found))
    guess = f"{name} is not UTF-8; reading it as {best.candidate.title}{_damage(text)}"
    if len(readings) < 2:  # noqa: PLR2004 - one is no choice
        return Text(name, text, guess)
    return Text(name, text, f"{guess} (a guess; set --encoding if it is wrong)", readings)


def _readings(content: bytes, found: Sequence[Likelihood]) -> Iterator[Reading]:
    """Yield the readings that are about as likely as the best, each once."""
    samples: set[str] = set()
    for likelihood in found:
        if likelihood.cost > found[0].cost + _UNCERTAIN or len(samples) == _MOST_READINGS:
            return
        # Damaged readings are not offered beside an undamaged one.
        is_worse = REPLACEMENT in likelihood.sample and REPLACEMENT not in found[0].sample
        if likelihood.sample not in samples and not is_worse:
            samples.add(likelihood.sample)
            encoding = likelihood.candidate.encoding
            yield Reading(encoding, likelihood.candidate.title, decode_tolerantly(content, encoding))


def _damage(text: str) -> str:
    count = damaged_places(text)
    return f"; replaced unreadable bytes in {_places(count)} with {REPLACEMENT}" if count else ""


def _replaced(name: str, count: int) -> str | None:
    if not count:
        return None
    return f"{name} is damaged: replaced unreadable bytes in {_places(count)} with {REPLACEMENT}"


def _places(count: int) -> str:
    return counted(count, "place")


def _looks_binary(text: str) -> bool:
    """Tell data from text by its control characters: text in an 8-bit encoding has almost none."""
    sample = text[:_SAMPLE]
    controls = sum(character < " " and character not in _LINE_CONTROLS for character in sample)
    return controls * 100 > len(sample)
