"""Values of ``-O KEY=VALUE`` that change what a request costs: its model, the length of its answer, its price.

They are copied into the request body, where they win, so a budget must know them. What cannot be priced is refused
while a limit is set.
"""

from __future__ import annotations

import json
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.errors import UsageError
from chatcli.core.json_values import as_object
from chatcli.core.request import LIMIT_FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from chatcli.core.request import Parameters, Request

LONGEST_ANSWER_TOKENS: Final = 131_072
"""No model answers at greater length; with less left, an answer is capped."""

TYPICAL_ANSWER_TOKENS: Final = 1_000
"""The assumed length of an answer that nothing limits, in estimates for the person."""

EXPECTED_SEARCHES: Final = 5
EXPECTED_RESULTS_TOKENS: Final = 20_000
"""What a model that searches is expected to search and read, where a budget reserves its cost."""

_ANSWERS_AT_ONCE: Final = ("n", "best_of")
_STREAM_OPTIONS: Final = "stream_options"
_TEXTS: Final = ("input", "instructions", "prompt", "system")
_USUAL_TIERS: Final = {None, "auto", "default", "flex", "standard", "standard_only"}
_ADDS_INPUT: Final = (
    "tools",
    "plugins",
    "web_search_options",
    "search_parameters",
    "data_sources",
    "enable_search",
    "mcp_servers",
)


def model_asked(request: Request) -> str:
    """Return the model that the request body names."""
    model = request.parameters.extra.get("model")
    return model if isinstance(model, str) and model else request.model


def longest_answer_tokens(parameters: Parameters) -> int | None:
    """Return the maximum length of an answer, ``None`` if nothing limits it.

    Of several limits the highest counts, as endpoints differ in the one they keep to.
    """
    extra = [_number(parameters.extra[name]) for name in LIMIT_FIELDS if name in parameters.extra]
    if not extra:
        return parameters.max_tokens
    limits = [limit for limit in extra if limit is not None]
    return max(limits) if len(limits) == len(extra) else None


def expected_answer_tokens(parameters: Parameters) -> int:
    """Return the assumed length of an answer before it is received."""
    return longest_answer_tokens(parameters) or TYPICAL_ANSWER_TOKENS


def answers_at_once(parameters: Parameters) -> int:
    """Return the number of answers that are asked for."""
    return max(1, *(_number(parameters.extra.get(name)) or 1 for name in _ANSWERS_AT_ONCE))


def adds_input(parameters: Parameters) -> bool:
    """Return whether the endpoint may add to the input, as with the results of a search."""
    return bool(parameters.web_search) or any(name in parameters.extra for name in _ADDS_INPUT)


def sent_beside(parameters: Parameters) -> str:
    """Return the text among the extra values, which the endpoint reads as input."""
    held = {
        name: value
        for name, value in parameters.extra.items()
        if (isinstance(value, list | dict) and name != _STREAM_OPTIONS) or name in _TEXTS
    }
    return json.dumps(held, ensure_ascii=False) if held else ""


def limited(request: Request, most_tokens: int) -> Request:
    """Return ``request`` with its answer limited, by the fields in which the person limited it, if they did."""
    parameters = request.parameters
    named = {name: most_tokens for name in LIMIT_FIELDS if name in parameters.extra}
    is_own = parameters.max_tokens is None
    if named:
        also = None if is_own else most_tokens
        lowered = replace(parameters, max_tokens=also, extra={**parameters.extra, **named})
        return replace(request, parameters=lowered)
    return replace(request, parameters=replace(parameters, max_tokens=most_tokens), is_capped=is_own)


def reporting_usage(request: Request) -> Request:
    """Return ``request`` with its usage asked for: an answer without it may have any amount of hidden reasoning."""
    parameters = request.parameters
    if _STREAM_OPTIONS not in parameters.extra:
        return request
    options = {**as_object(parameters.extra[_STREAM_OPTIONS]), "include_usage": True}
    extra = {**parameters.extra, _STREAM_OPTIONS: options}
    return replace(request, parameters=replace(parameters, extra=extra))


def check_priced(parameters: Parameters, *, search_usd: Decimal | None = None) -> None:
    """Raise ``UsageError`` if a value has a price of its own that nothing tells; ``search_usd`` is that of a web search."""
    extra = parameters.extra
    if parameters.web_search and search_usd is None:
        raise UsageError(
            "the price of a web search is unknown here, so the budget cannot be kept",
            hint='set search in [prices."MODEL"] of config.toml, for a thousand searches, or leave out the limit',
            code="option_not_priced",
        )
    name = next((name for name in extra if name in _PRICED and not _PRICED[name](extra[name])), None)
    if name is not None:
        raise UsageError(
            f"-O {name} changes what a request costs, so the budget cannot be kept",
            hint=f"leave out -O {name}, or the limit",
            code="option_not_priced",
        )


def _is_off(value: object) -> bool:
    return value is None or value is False or value == []


def _is_number(value: object) -> bool:
    return value is None or _number(value) is not None


def _are_functions(value: object) -> bool:
    """Return whether tools are functions, which the endpoint only reads; it runs others itself, at a price."""
    return _is_off(value) or (
        isinstance(value, list) and all(as_object(tool).get("type") == "function" for tool in value)
    )


_PRICED: Final[Mapping[str, Callable[[Any], bool]]] = {
    "model": lambda value: isinstance(value, str) and bool(value),
    "n": _is_number,
    "best_of": _is_number,
    "service_tier": lambda value: value is None or (isinstance(value, str) and value in _USUAL_TIERS),
    "speed": lambda value: value in (None, "standard"),
    "prompt": lambda value: _is_off(value) or isinstance(value, str),
    "modalities": lambda value: value is None or value == ["text"],
    **dict.fromkeys(_ADDS_INPUT, _is_off),
    "tools": _are_functions,
    **dict.fromkeys(
        (
            # Other models, if the first fails.
            "models",
            # Tokens that are billed and not part of the answer, or kept in a cache at a surcharge.
            "prediction",
            "cache_control",
            # Input that is stored at the endpoint, and an answer that goes on when nobody listens.
            "previous_response_id",
            "conversation",
            "background",
        ),
        _is_off,
    ),
}
"""Values with a price of their own, and whether one leaves the price as it is."""


def _number(value: object) -> int | None:
    """Return a number of tokens or answers as endpoints read it: ``"500"`` and ``500.0`` too; ``None`` for none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return number if (number := ceil(float(value))) > 0 else None
    except (ValueError, OverflowError):
        return None
