"""The values of a JSON array of any size, one at a time."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Protocol

    class ByteStream(Protocol):
        def read(self, size: int, /) -> bytes: ...


LONGEST_CHARACTERS: Final = 1 << 27
"""Of one value: what is longer is no conversation, and memory is not endless."""
MOST_VALUES: Final = 8_000_000
"""In one value, as far as commas and brackets tell: even empty ones take sixty bytes each."""

_LARGEST_BYTES: Final = 1 << 28
_CHUNK_BYTES: Final = 1 << 18
_MOST_AT_ONCE_BYTES: Final = 1 << 25
_SPACE: Final = re.compile(r"[ \t\r\n]*")
# How far before the end of a piece the decoder may already stumble over what is only cut: -Infinity, \ud83d\ude00.
_CUT_CHARACTERS: Final = 16


class BrokenJSON(ValueError):
    """The text is no JSON from some place on; what came before was given out."""


def read_values(stream: ByteStream) -> Generator[Any]:
    """Yield the values of the array in ``stream``; of anything else, that one value.

    At most the longest value is in memory, and a little more. Bytes that are no UTF-8 become U+FFFD. Raises
    ``BrokenJSON``.
    """
    text = _Text(stream)
    if text.next_character() != "[":
        yield text.value()
        return
    text.take()
    if text.next_character() == "]":
        return
    while True:
        yield text.value()
        match text.next_character():
            case ",":
                text.take()
            case "]":
                return
            case "":
                raise BrokenJSON("the file ends in the middle")
            case _:
                raise text.broken("a comma is missing")


class _Text:
    """The text of a stream, of which only what is not read yet is kept."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._json = json.JSONDecoder(strict=False)
        self._text = ""
        self._at = 0
        self._given = 0
        self._is_at_end = False

    def next_character(self) -> str:
        """Return the next character that is no space, nothing at the end."""
        while True:
            match = _SPACE.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read_on():
                return ""

    def take(self) -> None:
        self._at += 1

    def value(self) -> Any:
        self.next_character()
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._is_broken(error) or not self._read_on():
                    raise self.broken(_reason(error)) from error
            except RecursionError as error:
                raise self.broken("it is nested too deeply") from error
            except ValueError as error:
                raise self.broken("a number is too long") from error
            else:
                if self._is_whole(value, end) or not self._read_on():
                    self._at = end
                    return value

    def _is_whole(self, value: Any, end: int) -> bool:
        """Tell a number from the beginning of one, which is a number as well: 0, 0. and 0.5e are all 0.5e3 so far."""
        return not isinstance(value, int | float) or self._text[end : end + 1] in {*" \t\r\n,]"}

    def broken(self, reason: str) -> BrokenJSON:
        return BrokenJSON(f"{reason}, at character {self._given + self._at:,}")

    def _is_broken(self, error: json.JSONDecodeError) -> bool:
        """Tell an error from a value of which there is only a part so far."""
        return error.pos < len(self._text) - _CUT_CHARACTERS and not error.msg.startswith(
            "Unterminated string"
        )

    def _read_on(self) -> bool:
        """Read as much again as waits: however long a value is, it is tried only a few times."""
        if self._is_at_end:
            return False
        waiting = self._text[self._at :]
        # One rare character makes Python keep four bytes for each of all the others.
        is_large = len(waiting) > LONGEST_CHARACTERS or waiting.__sizeof__() > _LARGEST_BYTES
        if is_large or sum(map(waiting.count, ",[{")) > MOST_VALUES:
            raise self.broken("one entry is too long")
        content = self._stream.read(min(max(_CHUNK_BYTES, len(waiting)), _MOST_AT_ONCE_BYTES))
        self._is_at_end = not content
        self._given += self._at
        self._text = waiting + self._decoder.decode(content, final=self._is_at_end)
        self._at = 0
        return True


def _reason(error: json.JSONDecodeError) -> str:
    return error.msg[:1].lower() + error.msg[1:]
