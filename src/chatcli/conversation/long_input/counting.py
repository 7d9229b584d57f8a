"""Counting pieces of text as the endpoint was seen to count."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chatcli.core.ports import TokenCounter


class CorrectedCounter:
    """A ``TokenCounter`` that counts by ``share`` more than ``inner``.

    The share is that of one moment: learned while a text is read, another one would make parts too long that were not.
    """

    def __init__(self, inner: TokenCounter, share: float) -> None:
        self._inner = inner
        self._share = share

    @property
    def loaded(self) -> bool:
        return self._inner.loaded

    def count(self, text: str) -> int:
        tokens = self._inner.count(text)
        return tokens + ceil(tokens * self._share)
