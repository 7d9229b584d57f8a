"""How the provider is asked to search the web: in the form its endpoint takes, learned when it is refused.

https://developers.openai.com/api/docs/guides/tools-web-search (the tool of Responses, the options of search models),
https://openrouter.ai/docs/guides/features/plugins/web-search (the plugin, which searches once for every request, and a
tool with which the model searches as often as it likes), https://docs.litellm.ai/docs/completion/web_search (the options).
Gemini searches only in its own API, and Anthropic too: their compatible endpoints document no field for it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chatcli.core.errors import RequestRefused, UsageError
from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatcli.client.endpoint import Endpoint
    from chatcli.core.errors import EndpointError
    from chatcli.core.request import Request

OPTIONS: Final = "web search options"
PLUGIN: Final = "web search plugin"
TOOL: Final = "web search tool"
SEARCH_FORMS: Final = frozenset({OPTIONS, PLUGIN, TOOL})
"""Each contains a space, so that it differs from every field name."""

_OPENROUTER: Final = "openrouter.ai"
_CHOSEN: Final[Mapping[str, str]] = {"options": OPTIONS, "plugin": PLUGIN, "tool": TOOL}
"""The forms by the words of the setting."""


class _Support(NamedTuple):
    """The ``forms`` that models take at ``host``, the first one first; ``None`` if they have none, with a ``hint``.

    Without forms, every request searches. An empty ``host``, ``api`` or ``model`` fits all.
    """

    host: str
    api: str
    model: str
    forms: tuple[str, ...] | None
    hint: str = ""


_BY_RESPONSES: Final = "ask with --api responses"
_SUPPORT: Final = (
    _Support(_OPENROUTER, "", "", (PLUGIN, TOOL)),
    _Support("api.perplexity.ai", "chat", "", ()),
    _Support("api.openai.com", "chat", r"\bsearch\b", (OPTIONS,)),
    _Support(
        "api.openai.com", "chat", "", None, f"{_BY_RESPONSES}, or a search model such as gpt-5-search-api"
    ),
    # Its older search_parameters are gone: https://docs.x.ai/docs/guides/tools/overview.
    _Support("api.x.ai", "chat", "", None, _BY_RESPONSES),
    _Support("api.anthropic.com", "", "", None, "ask Claude through OpenRouter, whose endpoint searches"),
    _Support(
        "generativelanguage.googleapis.com",
        "",
        "",
        None,
        "ask Gemini through OpenRouter, whose endpoint searches",
    ),
    _Support("", "responses", "", (TOOL,)),
    _Support(
        "", "", "", None, "if its documentation names a form, set web_search to options, tool or plugin"
    ),
)
_ON_THIS_MACHINE: Final = _Support("", "", "", None, "attach pages, or ask another model (-m)")

_REFUSED_WITH: Final = frozenset({200, 400, 404, 410, 422, 501})
_READ_CHARACTERS: Final = 10_000
_ABOUT: Final[Mapping[str, re.Pattern[str]]] = {
    OPTIONS: lazy_pattern(r"web_?search_?options", re.IGNORECASE),
    PLUGIN: lazy_pattern(r"\bplugins?\b", re.IGNORECASE),
    # "Hosted tool 'web_search' is not supported with gpt-4.1-nano."
    TOOL: lazy_pattern(r"web.?search(?!_?options)", re.IGNORECASE),
}
_ABOUT_A_TOOL: Final = lazy_pattern(r"\btools?\W{1,4}\d+\W{1,5}(?:type|function)\b", re.IGNORECASE)
"""Where a server that validates tools says it, as vLLM does; of any tool."""


def search_forms(endpoint: Endpoint, api: str, model: str, chosen: str) -> tuple[str, ...]:
    """Return the forms that ask ``model`` to search, the first one first, none if it always does.

    ``chosen`` is the value of the setting. Raise ``UsageError`` if nobody knows one.
    """
    if chosen in _CHOSEN:
        return (_CHOSEN[chosen],)
    hostname = endpoint.host.partition(":")[0]
    row = next(
        row
        for row in _SUPPORT
        if row.host in ("", hostname) and row.api in ("", api) and re.search(row.model, model, re.IGNORECASE)
    )
    if endpoint.embedded or endpoint.runs_models:
        row = _ON_THIS_MACHINE
    if row.forms is None:
        raise _cannot(f"{model} at {endpoint.name} has no web search", row.hint)
    return row.forms


def is_search_optional(request: Request) -> bool:
    """Return whether a chat completion leaves searching to the model; a tool that it must call would keep it from that."""
    chosen = request.parameters.web_search
    form = _CHOSEN.get(chosen, TOOL if PLUGIN in request.without else PLUGIN)
    return bool(chosen) and form != PLUGIN


def search_fields(request: Request, endpoint: Endpoint, api: str) -> dict[str, Any]:
    """Return the fields of the body that ask the provider to search; ``tools`` go beside others.

    Raise ``UsageError`` if the model is known not to search.
    """
    chosen = request.parameters.web_search
    # The rest of an answer needs no other search.
    if not chosen or request.is_continuation:
        return {}
    forms = search_forms(endpoint, api, request.model, chosen)
    if not forms:
        return {}
    form = next((form for form in forms if form not in request.without), None)
    if form is None:
        raise _cannot(
            f"{request.model} at {endpoint.name} does not take web search",
            "leave out --web-search, or ask another model (-m)",
        )
    if form == OPTIONS:
        return {"web_search_options": {}}
    if form == PLUGIN:
        return {"plugins": [{"id": "web"}]}
    is_openrouter = endpoint.host.partition(":")[0] == _OPENROUTER
    return {"tools": [{"type": "openrouter:web_search" if is_openrouter else "web_search"}]}


def refused_search(error: EndpointError, request: Request, without: frozenset[str]) -> frozenset[str]:
    """Return the form of searching that ``error`` refuses, empty if it is about something else."""
    if not request.parameters.web_search or request.is_continuation:
        return frozenset()
    if not isinstance(error, RequestRefused) or error.status not in _REFUSED_WITH:
        return frozenset()
    wording = f"{error.parameter or ''} {(error.provider_message or error.message)[:_READ_CHARACTERS]}"
    found = (form for form, about in _ABOUT.items() if form not in without and about.search(wording))
    form = next(found, None)
    if form is None and TOOL not in without and not request.tools and "tools" not in request.parameters.extra:
        form = TOOL if _ABOUT_A_TOOL.search(wording) else None
    return frozenset({form} if form else ())


def _cannot(message: str, hint: str) -> UsageError:
    return UsageError(message, hint=hint, code="web_search_not_taken")
