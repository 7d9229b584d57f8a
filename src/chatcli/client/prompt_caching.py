"""Marks in a request where the provider caches its beginning, so that the next request reads that at a tenth of the price.

Claude behind compatible endpoints wants them (``cache_control`` of a text part); others cache by themselves, or not at all:
https://openrouter.ai/docs/features/prompt-caching, https://docs.litellm.ai/docs/completion/prompt_caching. A provider
caches everything up to a mark, for five minutes. What is written costs a quarter more than other input, so that only
the ends of what is likely to be sent again are marked: of the system prompt, of the last long document, of the last
whole turn, and of the question.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.errors import RequestRefused
from chatcli.core.whole_answers import asker
from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from chatcli.client.endpoint import Endpoint
    from chatcli.core.errors import EndpointError
    from chatcli.core.events import ModelEvent
    from chatcli.core.messages import Message
    from chatcli.core.ports import ChatModel
    from chatcli.core.request import Request
    from chatcli.core.whole_answers import Emit

CACHE_CONTROL: Final = "cache_control"
"""The field of the marks, and their name in ``Request.without``."""

ONE_REQUEST: Final = "one request"
CONVERSATION: Final = "conversation"
"""What shares its beginning with later requests, in ``Request.prompt_cache``: only the system prompt, or the turns too."""

MOST_MARKS: Final = 4
"""Anthropic's limit."""

_SHORTEST_CHARACTERS: Final = 2_000
"""Providers cache nothing shorter than 512 to 4,096 tokens, by model."""
_LONG_CHARACTERS: Final = 8_000
"""A question so long is worth its mark before it is known that another follows."""
_CLAUDE: Final = lazy_pattern(r"\bclaude\b", re.IGNORECASE)
_WITHOUT_MARKS: Final = frozenset(
    {
        # "Prompt caching is not supported": https://platform.claude.com/docs/en/api/openai-sdk.
        "api.anthropic.com",
        # They have no Claude, whatever a deployment is called.
        "api.openai.com",
        "generativelanguage.googleapis.com",
    }
)
_REFUSED_WITH: Final = frozenset({200, 400, 415, 422, 501})
_READ_CHARACTERS: Final = 10_000
_ABOUT_MARKS: Final = lazy_pattern(r"cache_?control|prompt.?cach|explicit cach|ephemeral", re.IGNORECASE)
_ABOUT_PARTS: Final = lazy_pattern(
    # Servers that take only plain text: "messages[0].content: expected a string", "content must be a string".
    r"\bcontent\b[^.]{0,60}\b(?:must|should|expected|invalid|valid)\b[^.]{0,40}\bstr(?:ing)?\b"
    r"|\bcontent\b[^.]{0,60}\b(?:array|list|sequence)\b",
    re.IGNORECASE,
)
_ABOUT_SCHEMA: Final = lazy_pattern(r"schema|response_format|\bpropert", re.IGNORECASE)


def prompt_cache_of(endpoint: Endpoint, api: str, model: str, what: str) -> str:
    """Return ``what`` if ``model`` may take marks at ``endpoint``, else nothing."""
    hostname = endpoint.host.partition(":")[0]
    is_known_without = endpoint.embedded or endpoint.runs_models or hostname in _WITHOUT_MARKS
    is_possible = api == "chat" and not is_known_without and _CLAUDE.search(model) is not None
    return what if is_possible else ""


class PromptCachingModel:
    """A ``ChatModel`` that has requests to ``inner`` marked where their beginning is to be cached.

    ``what`` shares that beginning with later requests.
    """

    def __init__(self, inner: ChatModel, endpoint: Endpoint, *, api: str, what: str) -> None:
        self._inner = inner
        self._endpoint = endpoint
        self._api = api
        self._what = what

    def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        return self._inner.stream(self._marked(request))

    async def ask(self, request: Request, emit: Emit) -> None:
        """See ``core.whole_answers``."""
        await asker(self._inner)(self._marked(request), emit)

    def _marked(self, request: Request) -> Request:
        what = prompt_cache_of(self._endpoint, self._api, request.model, self._what)
        return replace(request, prompt_cache=what) if what else request


def marked_places(messages: Sequence[Message], request: Request) -> frozenset[int]:
    """Return the positions of the ``messages`` of ``request`` that end with a mark."""
    if (
        not request.prompt_cache
        or CACHE_CONTROL in request.without
        or CACHE_CONTROL in request.parameters.extra
    ):
        return frozenset()
    lengths = [len(message.text) for message in messages]
    question = _last(messages, "user", len(messages))
    instructions = next(
        (place for place, message in enumerate(messages) if message.role != "system"), len(messages)
    )
    places = [instructions - 1]
    if request.prompt_cache == CONVERSATION and question >= 0:
        answered = _last(messages, "assistant", question)
        long = (place for place in range(question - 1, -1, -1) if lengths[place] >= _LONG_CHARACTERS)
        places += [next(long, -1), answered]
        if answered >= 0 or lengths[question] >= _LONG_CHARACTERS:
            places.append(question)
    found, total = set(), 0
    for place, length in enumerate(lengths):
        total += length
        if place in places and length and total >= _SHORTEST_CHARACTERS and messages[place].role != "tool":
            found.add(place)
    return frozenset(found)


def with_mark(wired: dict[str, Any]) -> dict[str, Any]:
    """Return a message of a request with a mark at the end of its text; one without text is unchanged."""
    text = wired.get("content")
    if not isinstance(text, str) or not text:
        return wired
    return {**wired, "content": [{"type": "text", "text": text, CACHE_CONTROL: {"type": "ephemeral"}}]}


def refuses_marks(error: EndpointError, request: Request, without: frozenset[str]) -> bool:
    """Return whether ``error`` refuses the marks of ``request``, or content in parts, which they need."""
    if not marked_places(request.messages, replace(request, without=without)):
        return False
    if not isinstance(error, RequestRefused) or error.status not in _REFUSED_WITH:
        return False
    wording = f"{error.parameter or ''} {(error.provider_message or error.message)[:_READ_CHARACTERS]}"
    # A schema may have a property of that name.
    is_about_parts = _ABOUT_PARTS.search(wording) and not _ABOUT_SCHEMA.search(wording)
    return bool(_ABOUT_MARKS.search(wording) or is_about_parts)


def _last(messages: Sequence[Message], role: str, end: int) -> int:
    return next((place for place in range(end - 1, -1, -1) if messages[place].role == role), -1)
