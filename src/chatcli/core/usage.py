"""Token counts of one answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one turn; ``None`` if not reported.

    ``cached_tokens`` are part of ``input_tokens`` and ``reasoning_tokens`` part of ``output_tokens``, as in
    the OpenAI API. ``estimated``: counted by chatcli, because the endpoint did not report them.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    estimated: bool = False
