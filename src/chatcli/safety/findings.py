"""What is found in texts: apart from what finds it, so that looking at links loads no rules about orders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

EXCERPT_CHARS: Final = 160


@dataclass(frozen=True, slots=True, order=True)
class InjectionFinding:
    """A passage ``text[start:end]`` that looks like an order to a model.

    ``excerpt`` is its beginning as it stands in the text; whoever shows it sanitizes it. ``reason`` completes "warned of
    because".
    """

    start: int
    end: int
    kind: str
    excerpt: str
    reason: str
