"""What is known of a text's encoding before it is read: what the person says, and what their locale does."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

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
"""What completion offers; every encoding Python knows is taken."""

# What the WHATWG's encoding standard calls otherwise than Python does.
_ALIASES: Final = {"windows-874": "cp874", "x-sjis": "cp932", "windows-31j": "cp932", "windows-949": "cp949"}
# They are called encodings of text and encode something else.
_NO_ENCODINGS: Final = frozenset(
    {"idna", "punycode", "raw-unicode-escape", "unicode-escape", "undefined", "mbcs", "oem"}
)
_SCRIPTS: Final = {
    **dict.fromkeys(("zh_tw", "zh_hk", "zh_mo", "zh_hant"), "zh-Hant"),
    **dict.fromkeys(("zh", "zh_cn", "zh_sg", "zh_hans"), "zh-Hans"),
    "no": "nb",
}
# In the order of their weight (POSIX, "Internationalization Variables").
_LOCALE_VARIABLES: Final = ("LC_ALL", "LC_CTYPE", "LANG")


@dataclass(frozen=True, slots=True)
class EncodingHints:
    """``given`` is the encoding the person named; the locale's makes it and its ``language`` only likelier.

    The names of encodings are Python's, with underscores.
    """

    given: str | None = None
    locale_encoding: str | None = None
    language: str | None = None


NO_HINTS: Final = EncodingHints()


def encoding_hints(
    environment: Mapping[str, str], system_encoding: str, *, given: str | None = None
) -> EncodingHints:
    """Return what ``--encoding``, the locale's variables and the system say. Raise ``UsageError`` for no encoding."""
    named = next(filter(None, map(environment.get, _LOCALE_VARIABLES)), "")
    locale, _, charset = named.partition("@")[0].partition(".")
    locale = locale.lower()
    return EncodingHints(
        None if given is None else encoding_named(given),
        _known(charset) or _known(system_encoding),
        _SCRIPTS.get(locale)
        or _SCRIPTS.get(locale[:2])
        or (locale[:2] if locale not in {"", "c", "posix"} else None),
    )


def encoding_named(name: str) -> str:
    """Return how Python calls the encoding ``name``. Raise ``UsageError`` where there is none."""
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
    # Python keeps base64 and the like in the same table.
    is_of_text = getattr(found, "_is_text_encoding", True) and found.name not in _NO_ENCODINGS
    return found.name.replace("-", "_") if is_of_text else None
