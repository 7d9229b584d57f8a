"""Counts of tokens, costs and searches, as endpoints report them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from chatcli.core.events import Usage
from chatcli.core.json_values import as_object

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_TOKENS: Final = 10**12
"""No answer has more tokens; values derived from counts are computed and stored."""


def count(counts: object, name: str) -> int | None:
    """Return a token count, ``None`` if it is missing or impossible."""
    value = as_object(counts).get(name)
    return value if type(value) is int and 0 <= value <= _MOST_TOKENS else None


_HIGHEST_COST_USD: Final = 1e6
"""A larger number is not a cost."""


def reported_cost_usd(usage: Mapping[str, Any]) -> float | None:
    """Return the cost an endpoint reports: a number (OpenRouter), or the ``total_cost`` of an object (Perplexity).

    https://openrouter.ai/docs/use-cases/usage-accounting, https://docs.perplexity.ai/api-reference.
    """
    cost = usage.get("cost")
    cost = cost.get("total_cost") if isinstance(cost, dict) else cost
    if isinstance(cost, bool) or not isinstance(cost, int | float):
        return None
    return float(cost) if 0 <= cost <= _HIGHEST_COST_USD else None


def reported_searches(usage: Mapping[str, Any]) -> int | None:
    """Return the number of web searches that an endpoint reports: OpenRouter and Anthropic, or Perplexity."""
    by_tool = count(usage.get("server_tool_use"), "web_search_requests")
    return count(usage, "num_search_queries") if by_tool is None else by_tool


def usage_in(chunk: Mapping[str, Any], choice: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the usage of a chunk of ``/chat/completions``, ``None`` if it has none.

    OpenAI reports it beside the choices. Streams of Groq may have it in ``x_groq`` alone
    (https://console.groq.com/docs/api-reference), those of Moonshot in the choice (https://platform.moonshot.ai/docs/api/chat).
    """
    for holder in (chunk, chunk.get("x_groq"), choice):
        if isinstance(holder, dict) and isinstance(usage := holder.get("usage"), dict):
            return usage
    return None


def chat_usage(usage: Mapping[str, Any]) -> Usage:
    """Return the counts of ``/chat/completions`` in OpenAI's terms, whatever the provider calls them."""
    reasoning_tokens = count(usage.get("completion_tokens_details"), "reasoning_tokens")
    details = usage.get("prompt_tokens_details")
    cached_tokens = count(details, "cached_tokens")
    if cached_tokens is None:  # Anthropic's gateways, DeepSeek, Moonshot
        names = ("cache_read_input_tokens", "prompt_cache_hit_tokens", "cached_tokens")
        cached_tokens = next((read for name in names if (read := count(usage, name)) is not None), None)
    written_tokens = count(details, "cache_write_tokens")  # OpenRouter; the other is LiteLLM's
    if written_tokens is None:
        written_tokens = count(usage, "cache_creation_input_tokens")
    sent, beside = count(usage, "prompt_tokens"), (cached_tokens or 0) + (written_tokens or 0)
    if sent is not None and sent < beside and not isinstance(details, dict):
        sent += beside  # as Anthropic counts them, and gateways that pass its counts on
    return Usage(
        input_tokens=sent,
        output_tokens=_output_tokens(usage, sent, reasoning_tokens),
        cached_tokens=cached_tokens,
        reasoning_tokens=reasoning_tokens,
        cache_write_tokens=written_tokens or None,
        searches=reported_searches(usage),
    )


def _output_tokens(usage: Mapping[str, Any], sent: int | None, reasoning_tokens: int | None) -> int | None:
    """Return the output tokens including reasoning, as OpenAI counts them.

    xAI counts reasoning separately, and Gemini includes it only in the total.
    """
    answered, total = count(usage, "completion_tokens"), count(usage, "total_tokens")
    if sent is None or answered is None or total is None:
        return answered
    beside = total - sent - answered
    return answered + beside if beside > 0 and reasoning_tokens in {None, beside} else answered
