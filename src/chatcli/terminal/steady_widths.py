"""Drawing emoji with a width all terminals agree on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prompt_toolkit.layout.processors import Processor, Transformation

from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from prompt_toolkit.formatted_text import StyleAndTextTuples
    from prompt_toolkit.layout.processors import TransformationInput

# Joiners, variation selectors and skin tones merge emoji in some terminals and not in others, and
# prompt_toolkit adds up the widths of the parts. Without them, the parts are drawn side by side, the same
# everywhere.
_MELTING: Final = lazy_pattern("(?<=[\u2190-\U0001faff])[\u200d\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]")

# A pair of them is a flag, which is two or four columns wide.
_FLAG_LETTERS: Final = {0x1F1E6 + at: chr(ord("A") + at) for at in range(26)}


class SteadyWidths(Processor):
    """A processor that omits what makes an emoji's width ambiguous. The text itself is unchanged."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        fragments = transformation_input.fragments
        line = "".join(fragment[1] for fragment in fragments)
        if line.isascii():
            return Transformation(fragments)
        left_out = {match.start() for match in _MELTING.finditer(line)}
        if not left_out:
            return Transformation(fragments)
        kept = [at for at in range(len(line)) if at not in left_out]
        shown_before = _counts(kept, len(line))
        return Transformation(
            _without(fragments, left_out),
            source_to_display=lambda at: shown_before[min(at, len(line))] + max(0, at - len(line)),
            display_to_source=lambda at: kept[at] if at < len(kept) else len(line) + at - len(kept),
        )


def steady(text: str) -> str:
    """Return ``text`` with the same width in every terminal: emoji unmerged, flags as letters."""
    return _MELTING.sub("", text).translate(_FLAG_LETTERS)


def _counts(kept: list[int], length: int) -> list[int]:
    """Return for each position in the line how many characters are drawn before it."""
    counts, drawn = [], set(kept)
    count = 0
    for at in range(length):
        counts.append(count)
        count += at in drawn
    return [*counts, count]


def _without(fragments: StyleAndTextTuples, left_out: set[int]) -> StyleAndTextTuples:
    kept: StyleAndTextTuples = []
    at = 0
    for style, text, *_ in fragments:
        kept.append((style, "".join(char for place, char in enumerate(text, at) if place not in left_out)))
        at += len(text)
    return kept
