"""The fields of a request that an endpoint refuses, found in the words of its refusal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from chatcli.core.request import LIMIT_FIELDS
from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from chatcli.core.errors import RequestRefused
    from chatcli.core.request import Request

STREAM: Final = "stream"
_STATUSES: Final = {200, 400, 422}
"""Status 200 is included for errors in the body of a success."""
OPTIONAL: Final = frozenset(
    {
        "temperature",
        "top_p",
        *LIMIT_FIELDS,
        "seed",
        "reasoning_effort",
        "reasoning",
        "verbosity",
        "stream_options",
        "store",
    }
)
_NEEDED: Final = frozenset({"model", "messages", "input"})
# The last: Moonshot's "invalid temperature: only 1 is allowed for this model".
_NOT_TAKEN: Final = lazy_pattern(
    r"un(?:supported|recognized|recognised|known|expected)|not (?:supported|permitted|allowed)|not support"
    r"|should be false|extra(?:_forbidden| inputs| fields)|only \S{1,20} is (?:allowed|supported)",
    re.IGNORECASE,
)
_WORD: Final = lazy_pattern(r"[A-Za-z_]\w*")
_ADVICE: Final = lazy_pattern(r"(?<!not )\buse\W{1,3}\w+", re.IGNORECASE)
"""The field to send instead, which is not the one refused."""
_OTHER_WORDS: Final = {"streaming": STREAM, "streamed": STREAM}
_HUMP: Final = lazy_pattern(r"(?<=[a-z0-9])(?=[A-Z])")


def refused_field(error: RequestRefused, request: Request, without: frozenset[str]) -> str | None:
    """Return the field of the request body that ``error`` refuses, ``None`` if it is about something else."""
    wording = error.provider_message or error.message
    if error.status not in _STATUSES or not _NOT_TAKEN.search(f"{error.provider_code} {wording}"):
        return None
    optional = (
        (OPTIONAL | {STREAM} | set(request.parameters.extra)) - _left_to_endpoint(request) - _NEEDED - without
    )
    named = (
        word for text in (error.parameter or "", _ADVICE.sub("", wording)) for word in _WORD.findall(text)
    )
    return next((name for word in named for name in (word, _in_snake_case(word)) if name in optional), None)


def _in_snake_case(word: str) -> str:
    """Return ``reasoningEffort``, as xAI names it, or ``Streaming`` in the spelling of the request."""
    name = _HUMP.sub("_", word).lower()
    return _OTHER_WORDS.get(name, name)


def _left_to_endpoint(request: Request) -> set[str]:
    """Return the fields that ``request`` leaves to the endpoint, which need no omission."""
    parameters = request.parameters
    fields = {
        ("temperature",): parameters.temperature,
        ("top_p",): parameters.top_p,
        LIMIT_FIELDS: parameters.max_tokens,
        ("seed",): parameters.seed,
        ("reasoning", "reasoning_effort"): parameters.reasoning,
        ("verbosity",): parameters.verbosity,
    }
    absent = {name for names, value in fields.items() if value is None for name in names}
    return absent - set(parameters.extra)
