"""Which kind of error a provider's words and codes stand for: a table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_SMALLEST_WINDOW, _LARGEST_WINDOW = 64, 100_000_000


def plain_code(code: str) -> str:
    """Return a code as it is compared: ``RateLimitError``, ``rate_limit_error`` and ``RATE-LIMIT`` are one."""
    letters = re.sub(r"[^a-z0-9]", "", code.lower())
    return letters.removesuffix("exception").removesuffix("error")


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """A kind of error, known by one of its codes or by words of the message."""

    codes: frozenset[str]
    words: re.Pattern[str] | None = None

    def fits(self, codes: Iterable[str], text: str) -> bool:
        """``codes`` are as ``plain_code`` gives them, ``text`` is all that the provider says."""
        return not self.codes.isdisjoint(codes) or bool(self.words and self.words.search(text))


def _kind(codes: str, words: str = "") -> ErrorKind:
    pattern = re.compile(words, re.IGNORECASE | re.VERBOSE) if words else None
    return ErrorKind(frozenset(map(plain_code, codes.split())), pattern)


# MiniMax has numbers (base_resp.status_code), Zhipu too; those of one mean nothing to the other. Zhipu's numbers for a
# wrong key come with status 401.
WRONG_KEY: Final = _kind(
    """
    invalid_api_key incorrect_api_key api_key_invalid invalid_key authentication_error invalid_authentication_error
    unauthenticated invalid_access_token expired_api_key
    UnrecognizedClientException ExpiredTokenException InvalidClientTokenId
    minimax-1004 minimax-2049
    """,
    # Gemini: "API key not valid.", "API key expired. Please renew", "API key was reported as leaked", "unregistered
    # callers"; xAI: "Incorrect API key provided"; Anthropic: "invalid x-api-key"; AWS: "The security token included ..."
    r"""
    \bapi[ _-]?key(?:\ (?:you\ |that\ was\ )?provided)?(?:\ (?:is|was))?\ (?:not\ valid|invalid|incorrect|expired|missing|
        required|not\ (?:found|provided|recognized)|reported\ as\ leaked|disabled|revoked)\b
    |\b(?:invalid|incorrect|wrong|expired|missing|no|unknown|malformed|bad)\ (?:or\ (?:missing|expired)\ )?
        (?:x-)?api[ _-]?key\b(?!\ for\ (?:higher|more))
    |\bdidn[’']t\ provide\ an\ api\ key
    |\A(?:unauthorized\Z|authentication\ error\b)
    |\bunregistered\ callers
    |\binvalid\ authentication\ credentials
    |\bsecurity\ token\ included\ in\ the\ request\ is\ (?:invalid|expired)
    """,
)
QUOTA: Final = _kind(
    """
    account_deactivated arrearage billing_error billing_hard_limit_reached billing_not_active credit_balance_too_low
    exceeded_current_quota_error insufficient_balance insufficient_credits insufficient_funds insufficient_quota
    insufficient_user_quota payment_required 1113 minimax-1008
    """,
    # Where a code is missing or says something else. Gemini's "limit: 0" is a model the plan does not have at all.
    r"""
    \binsufficient\ (?:account\ )?(?:balance|credits?|funds|quota)\b
    |\bcredit\ balance\ is\ too\ low
    |\b(?:out\ of|used\ all\ (?:available|your)|exceeded\ your\ monthly\ included)\ credits\b
    |\bmonthly\ spending\ limit
    |\bquota\ exceeded\ for\ metric:\ [^,\s]{1,200},\ limit:\ 0\b(?!\.)
    |余额不足|欠费
    """,
)
DAILY: Final = _kind("", r"\bper[ -]day\b|\bdaily\b|PerDay")
OVERFLOW: Final = _kind(
    """
    context_length_exceeded context_window_exceeded_error exceed_context_size_error model_max_prompt_tokens_exceeded
    string_above_max_length tokens_limit_reached 1261 minimax-1039
    """,
    r"""
    maximum\ (?:context|prompt)\ length|context\ (?:length|window|size)|(?:prompt|input)\ is\ too\ long
    |input\ token\ count\b.{0,80}\bexceeds|exceeds?\ the\ maximum\ number\ of\ (?:input\ )?tokens
    |range\ of\ input\ length\ should\ be|prompt\ exceeds\ max\ length|too\ many\ (?:input\ )?tokens
    |\binputs`\ (?:must\ have\ less\ than|tokens\ \+)|prompt\ token\ count\ of\ \d{1,12}\ exceeds
    # A single request above the tokens a minute: OpenAI says it with 429, Groq with 413; no wait helps.
    |request\ (?:body\ )?too\ large\ for
    """,
)
RATE_LIMIT: Final = _kind(
    """
    rate_limit rate_limited rate_limit_error rate_limit_exceeded rate_limit_reached_error too_many_requests
    resource_exhausted throttling throttled ThrottlingException throttling.ratequota throttling.allocationquota limit_requests
    limit_burst_rate 429 1302 1303 minimax-1002 minimax-1041
    """
)
OVERLOAD: Final = _kind(
    """
    api_error engine_overloaded engine_overloaded_error internal internal_error internal_server_error model_not_ready
    overloaded overloaded_error server_error service_unavailable timeout unavailable 1305
    minimax-1000 minimax-1001 minimax-1013 minimax-1024 minimax-1033
    """
)
FLAGGED: Final = _kind(
    """
    content_filter content_policy_violation content_moderation data_inspection_failed moderation_blocked
    ResponsibleAIPolicyViolation 1301 minimax-1026 minimax-1027
    """,
    # OpenRouter: "Your input was flagged", with metadata.reasons.
    r"""
    \b(?:inputs?|prompts?|questions?|messages?|contents?|requests?)\ (?:was|were|has\ been|have\ been|is|are)\ flagged\b
    |\brequires\ moderation\b[^.]{0,80}\bflagged\b
    """,
)
REFUSAL: Final = _kind(
    """
    bad_request bad_request_error content_filter data_inspection_failed invalid_argument invalid_parameter invalid_request
    invalid_request_error model_not_found not_found_error permission_denied permission_error unsupported_parameter unsupported_value
    ValidationException 1301 minimax-1026 minimax-1027 minimax-2013
    """
)

# OpenAI and vLLM: "maximum context length is 8192 tokens"; llama.cpp: "available context size (4096 tokens)"; Mistral:
# "32768 maximum context length"; Anthropic: "210000 tokens > 200000 maximum"; Gemini: "maximum number of tokens allowed
# (1048576)"; xAI: "maximum prompt length is 131072"; GitHub: "Max size: 8000 tokens", "exceeds the limit of 128000";
# LM Studio: "context length of only 4096 tokens"; DashScope: "Range of input length should be [1, 30720]".
_WINDOW: Final = re.compile(
    r"(?:context|prompt) (?:length|size|window)(?: is| of)?(?: only)?[ :=(]*(?P<of>\d[\d,]{0,15})"
    r"|(?<![\d,])(?P<before>\d[\d,]{0,15}) maximum context length|> (?P<above>\d[\d,]{0,15}) maximum"
    r"|maximum number of tokens allowed \((?P<allowed>\d[\d,]{0,15})\)"
    r"|too large for [^.]{1,80}\. max size: (?P<size>\d[\d,]{0,15}) tokens"
    r"|token count of \d{1,12} exceeds the limit of (?P<limit>\d[\d,]{0,15})"
    r"|input length should be \[\d{1,12}, (?P<range>\d[\d,]{0,15})\]",
    re.IGNORECASE,
)


def window_in(text: str) -> int | None:
    """Return how many tokens the window has, as the words of a refusal tell, ``None`` where they do not."""
    match = _WINDOW.search(text)
    digits = next(filter(None, match.groups()), "") if match else ""
    return plausible_window(int(digits[:12].replace(",", "")) if digits else 0)


def plausible_window(tokens: object) -> int | None:
    """Return ``tokens`` where that can be the size of a window."""
    return tokens if type(tokens) is int and _SMALLEST_WINDOW <= tokens <= _LARGEST_WINDOW else None
