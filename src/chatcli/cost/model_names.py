"""Names of models: their spellings, and which names denote the same model."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_NAME: Final = 200
"""A longer name is not looked up."""

_MOST_NAMES: Final = 24

# gpt-5-mini-2025-08-07, claude-opus-4-20250514, claude-opus-4@20250514, anthropic.claude-opus-4-20250514-v1:0.
_SNAPSHOT: Final = lazy_pattern(r"(?P<name>.+?)(?:[-@]\d{4}-\d{2}-\d{2}|[-@]\d{8}|(?:[-@]\d{8})?-v\d:\d)")
# kimi-k2p6 is how Fireworks writes kimi-k2.6.
_POINT: Final = lazy_pattern(r"(?<=\d)p(?=\d)")
# us.anthropic.claude-opus-4-1 is how Bedrock writes claude-opus-4-1.
_BEDROCK: Final = lazy_pattern(r"(?:(?:us|eu|ap|apac|jp|au|global)\.)?[a-z]\w*\.(?=[a-z])")
_FINE_TUNED: Final = lazy_pattern(r"ft:([^:]+)(:.*)?")

_QUANTIZED: Final = (
    r"i?q\d(?:_\w+)?|bf16|f16|f32|fp\d\w*|int\d|w\d+a\d+|awq|gptq|gguf|mlx|mxfp4|nvfp4|\d-?bit|qat"
)
_SUFFIXES: Final = (
    re.compile(r"@[^/]*$"),
    re.compile(rf"[-_:](?:{_QUANTIZED})$"),
    re.compile(r":[^/:]*$"),
    re.compile(r"-(?:19|20)\d\d-\d\d-\d\d$|-20\d{6}$|-\d\d-20\d\d$|-20\d\d-\d\d$|-\d\d-\d\d$|-\d{3,4}$"),
    re.compile(r"-v\d+$"),
    re.compile(r"-(?:latest|preview|experimental|exp|beta|free|thinking|cloud|instruct|chat|it|hf)$"),
)
_ENDS: Final = lazy_pattern("|".join(f"(?:{suffix.pattern})" for suffix in _SUFFIXES))


def spelled(name: str) -> str:
    """Return a model's name as the table spells it: without vendor prefix, lower case, dots as dashes.

    ``anthropic/Claude-Sonnet-4.5`` is ``claude-sonnet-4-5``, ``accounts/fireworks/models/kimi-k2p6``
    ``kimi-k2-6``.
    """
    last = name.strip().lower().rstrip("/").rpartition("/")[2]
    return _POINT.sub("-", _BEDROCK.sub("", last, count=1) if _BEDROCK.match(last) else last).replace(
        ".", "-"
    )


def snapshot_of(name: str) -> str | None:
    """Return the model of which the spelled ``name`` is a dated snapshot, ``None`` if it is none."""
    found = _SNAPSHOT.fullmatch(name)
    return found["name"] if found else None


def priced_names(name: str) -> Iterator[str]:
    """Yield the spelled names whose price applies to a model: its own, its snapshot's, the latest's.

    No others: ``gpt-4o:free`` does not cost what ``gpt-4o`` does, nor a fine-tuned model what its base does.
    """
    own = spelled(name)
    yield own
    if (dated := snapshot_of(own)) is not None:
        yield dated
    if own.endswith("-latest"):
        yield own.removesuffix("-latest")


def names_of_base(name: str) -> Iterator[str]:
    """Yield the spelled names of the models ``name`` is a variant of, the nearest first.

    Dates, releases, quantization and suffixes after ``:`` or ``@`` are removed one by one:
    ``qwen3:8b-q4_K_M`` is ``qwen3:8b``, that is ``qwen3-8b``, and that is ``qwen3``.
    """
    fine_tuned = _FINE_TUNED.fullmatch(name.strip().lower())
    visited: set[str] = set()
    waiting = [spelled(fine_tuned[1] if fine_tuned else name)]
    while waiting and len(visited) < _MOST_NAMES:
        shorter = waiting.pop(0)
        if not shorter or shorter in visited:
            continue
        visited.add(shorter)
        yield shorter
        # Ollama puts the size into the tag, others into the name.
        if ":" in shorter:
            waiting.append(shorter.replace(":", "-"))
        waiting += [shorter[: found.start()] for ending in _SUFFIXES if (found := ending.search(shorter))]


def is_same_base(longer: str, base: str) -> bool:
    """Return whether ``longer`` adds only dates, releases or quantization to ``base``."""
    rest = longer
    while rest.startswith(base) and rest != base:
        found = _ENDS.search(rest)
        if found is None or found.start() < len(base):
            return False
        rest = rest[: found.start()]
    return rest == base
