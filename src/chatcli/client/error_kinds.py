"""Messages of errors, wherever they are in the body, and the kinds of errors: tables."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.errors import clause
from chatcli.core.frozen import frozen
from chatcli.core.json_values import as_object, as_text
from chatcli.text.lazy_pattern import lazy_pattern
from chatcli.text.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


_SMALLEST_WINDOW, _LARGEST_WINDOW = 64, 100_000_000


def plain_code(code: str) -> str:
    """Return a code in comparable form: ``RateLimitError``, ``rate_limit_error`` and ``RATE-LIMIT`` are equal."""
    letters = re.sub(r"[^a-z0-9]", "", code.lower())
    return letters.removesuffix("exception").removesuffix("error")


@frozen
class ErrorKind:
    """A kind of error, recognized by one of its codes or by the message."""

    codes: frozenset[str]
    words: re.Pattern[str] | None = None

    def fits(self, codes: Iterable[str], text: str) -> bool:
        """Return whether an error matches: ``codes`` are as ``plain_code`` gives them, ``text`` is the whole message."""
        return not self.codes.isdisjoint(codes) or bool(self.words and self.words.search(text))


def _kind(codes: str, words: str = "") -> ErrorKind:
    pattern = lazy_pattern(words, re.IGNORECASE | re.VERBOSE) if words else None
    return ErrorKind(frozenset(map(plain_code, codes.split())), pattern)


# MiniMax (base_resp.status_code) and Zhipu use numbers, which do not overlap. Zhipu's numbers for a wrong key
# come with status 401.
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
    # For a missing or different code. Gemini's "limit: 0" is a model that the plan does not include.
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
UNKNOWN_MODEL: Final = _kind(
    "DeploymentNotFound invalid_model model_not_exist model_not_found unknown_model",
    # With status 400: LiteLLM "Invalid model name passed in model=", Mistral "Invalid model: x", OpenAI "invalid model ID",
    # OpenRouter "x is not a valid model ID", DeepSeek "Model Not Exist".
    r"""
    \binvalid\ model(?:\ (?:name|id))?(?::|\ passed\ in\ model|\Z)
    |\bis\ not\ a\ valid\ model\b
    |\A(?:unknown\ model\b|model\ not\ (?:exist|found)\b)
    |\bmodel\ [`'"][^`'"]{1,200}[`'"]\ (?:does\ not\ exist|(?:is\ |was\ )?not\ found)
    """,
)
REFUSAL: Final = _kind(
    """
    bad_request bad_request_error content_filter data_inspection_failed invalid_argument invalid_parameter invalid_request
    invalid_request_error model_not_found not_found_error permission_denied permission_error unsupported_parameter unsupported_value
    ValidationException 1301 minimax-1026 minimax-1027 minimax-2013
    """,
    # Gateways that answer with status 200 often give no code.
    r"""
    \b(?:is|are)\ not\ (?:supported|permitted|allowed)\b|\bdoes\ not\ support\b|\bunsupported\b|\bextra\ inputs\b
    |\b(?:unknown|unrecogni[sz]ed|unexpected)\ (?:request\ )?(?:parameter|field|argument|key)\b
    """,
)

# OpenAI and vLLM: "maximum context length is 8192 tokens"; llama.cpp: "available context size (4096 tokens)"; Mistral:
# "32768 maximum context length"; Anthropic: "210000 tokens > 200000 maximum"; Gemini: "maximum number of tokens allowed
# (1048576)"; xAI: "maximum prompt length is 131072"; GitHub: "Max size: 8000 tokens", "exceeds the limit of 128000";
# LM Studio: "context length of only 4096 tokens"; DashScope: "Range of input length should be [1, 30720]".
_WINDOW: Final = lazy_pattern(
    r"(?:context|prompt) (?:length|size|window)(?: is| of)?(?: only)?[ :=(]*(?P<of>\d[\d,]{0,15})"
    r"|(?<![\d,])(?P<before>\d[\d,]{0,15}) maximum context length|> (?P<above>\d[\d,]{0,15}) maximum"
    r"|maximum number of tokens allowed \((?P<allowed>\d[\d,]{0,15})\)"
    r"|too large for [^.]{1,80}\. max size: (?P<size>\d[\d,]{0,15}) tokens"
    r"|token count of \d{1,12} exceeds the limit of (?P<limit>\d[\d,]{0,15})"
    r"|input length should be \[\d{1,12}, (?P<range>\d[\d,]{0,15})\]",
    re.IGNORECASE,
)


def window_in(text: str) -> int | None:
    """Return the window size in tokens that a refusal names, ``None`` if it names none."""
    match = _WINDOW.search(text)
    digits = next(filter(None, match.groups()), "") if match else ""
    return plausible_window(int(digits[:12].replace(",", "")) if digits else 0)


def plausible_window(tokens: object) -> int | None:
    """Return ``tokens`` if that is a possible window size."""
    return tokens if type(tokens) is int and _SMALLEST_WINDOW <= tokens <= _LARGEST_WINDOW else None


MOST_ITEMS: Final = 5
DEEPEST: Final = 10
"""The limit of length and depth when reading lists: more is an attack."""

_MESSAGE_CHARACTERS: Final = 300
_TITLE_CHARACTERS: Final = 100
_PAGE_CHARACTERS: Final = 64 * 1024
_MOST_DIGITS: Final = 15
_SHORTEST_KEY: Final = 12
"""A local server may take any word as a key, such as its own name, which is not a secret."""

_MESSAGE_PATHS: Final[tuple[tuple[str, ...], ...]] = (
    ("metadata", "raw"),  # OpenRouter: the message of the provider behind it, often JSON in a text
    ("response", "error"),  # an event of OpenAI's Responses API
    ("error",),  # OpenAI and most others; as a text Ollama, xAI, Hugging Face; nested some gateways
    ("Error",),  # AWS
    ("errors",),  # Cloudflare, JSON:API, GraphQL
    ("fault", "faultstring"),  # Apigee
    ("base_resp",),  # MiniMax, with status 200
)
"""The first of these with a message has the best one: the levels around it say less."""

MESSAGE_KEYS: Final = (
    "message",  # OpenAI, vLLM, Cohere, DashScope; as an object Mistral; as a list NestJS
    "Message",  # AWS
    "msg",  # FastAPI
    "status_msg",  # MiniMax
    "error_msg",  # Baidu
    "error_message",
    "errorMessage",
    "error_description",  # OAuth
    "detail",  # FastAPI, RFC 9457
)
"""Messages that may be combined."""

_PAGE: Final = lazy_pattern(
    r"<(?:!doctype|html|head|title|body|center|h[1-6]|div|p|span|pre|br|hr|a|img|table|ul|ol|script|style|meta|link)"
    r"\b.*|<\?xml.*",
    re.IGNORECASE | re.DOTALL,
)
_TITLE: Final = lazy_pattern(r"<title[^>]{0,200}>([^<]{1,1000})</title", re.IGNORECASE)
_STATUS_TITLE: Final = lazy_pattern(r"(?:error )?[1-5]\d\d\b[\w\s():!-]{0,40}", re.IGNORECASE)
_OBJECT_IN_TEXT: Final = lazy_pattern(r"(?:\[\s{0,9})?\{\s{0,9}['\"]")
# The Python repr of an object, in which LiteLLM repeats a provider's error; and truncated JSON.
_MESSAGE_IN_PYTHON: Final = lazy_pattern(
    r"""['"](?:message|detail|error)['"]:\s{0,9}(?:'((?:[^'\\]|\\.)+)(?:'|\Z)|"((?:[^"\\]|\\.)+)(?:"|\Z))"""
)
_PYTHON_ESCAPE: Final = lazy_pattern(r"\\(['\"\\])")


def words_of(value: object, depth: int = 0) -> str:
    """Return the message in the JSON ``value``, empty without one.

    Texts may contain JSON of their own, or a page, of which the title is used.
    """
    if depth > DEEPEST:
        return ""
    if isinstance(value, str):
        return _message_of_text(value, depth)
    if isinstance(value, list):
        return _joined("; ", (words_of(item, depth + 1) for item in value[:MOST_ITEMS]))
    return _message_of_object(value, depth) if isinstance(value, dict) else ""


def on_one_line(text: str) -> str:
    """Return ``text`` on one line, shortened, up to the beginning of a proxy's page."""
    return shortened(" ".join(_PAGE.sub("", text).strip("\ufeff").split()))


def shortened(line: str) -> str:
    return line if len(line) <= _MESSAGE_CHARACTERS else line[: _MESSAGE_CHARACTERS - 1] + "…"


def without_key(text: str, key: str | None) -> str:
    """Return ``text``, which may go into a bug report, with the key redacted."""
    if not key or len(key) < _SHORTEST_KEY:
        return text
    redactor = Redactor()
    redactor.add_key(key)
    return redactor.redact(text)


def place_of(problem: Mapping[str, Any]) -> str:
    """Return the location of FastAPI's error in the request: ``["body", "stop", 0]`` is ``stop.0``."""
    loc = problem.get("loc")
    steps = loc[:DEEPEST] if isinstance(loc, list) else []
    names = [step if isinstance(step, str) else digits_of(step) for step in steps]
    return ".".join(filter(None, names[1:] if names[:1] == ["body"] else names))


def digits_of(value: object) -> str:
    """Return the digits of a numeric code, empty if ``value`` is not one that could be looked up."""
    text = str(value) if type(value) is int and abs(value) < 10**_MOST_DIGITS else value
    is_number = isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    return str(text) if is_number else ""


def http_status(value: object) -> int | None:
    """Return ``value`` if it is an HTTP status."""
    digits = digits_of(value)
    return int(digits) if re.fullmatch(r"[1-5]\d\d", digits) else None


def parsed(text: str) -> object | None:
    """Return ``text`` parsed as JSON, ``None`` if it is invalid."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value


def split_at_object(text: str) -> tuple[str, object | None, str]:
    """Return the text before a JSON object in ``text``, the object, and the text after it; ``None`` without one."""
    start = _OBJECT_IN_TEXT.search(text)
    if start is None or "\0" in text:
        return text, None, ""
    before, rest = text[: start.start()], text[start.start() :]
    try:
        value, end = json.JSONDecoder().raw_decode(rest)
    except (ValueError, RecursionError):
        return before, None, rest
    return before, value, rest[end:]


def written(value: object) -> str:
    """Return ``value`` as JSON, empty if it contains a page or cannot be encoded."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (RecursionError, ValueError, TypeError):  # a value that was just decoded may be too deep to encode
        return ""
    return "" if _PAGE.search(text) else text


def _message_of_object(error: Mapping[str, Any], depth: int) -> str:
    words = next(filter(None, (words_of(_at(error, path), depth + 1) for path in _MESSAGE_PATHS)), "")
    beside = _joined(": ", (words_of(error.get(name), depth + 1) for name in MESSAGE_KEYS))
    if beside and isinstance(error.get("error"), str):
        # A single word, or the words of the sentence beside it, are only the error's name.
        words = beside if " " not in words or words in beside else f"{clause(words)}: {beside}"
    words = words or beside or words_of(error.get("title"), depth + 1)
    if not words:
        return ""
    reasons = _at(error, ("metadata", "reasons"))  # OpenRouter: why a question was flagged
    if isinstance(reasons, list) and (
        named := _joined(", ", (words_of(one, depth + 1) for one in reasons[:MOST_ITEMS]))
    ):
        words = f"{clause(words)}: {named}"
    if (number := _own_number(error)) and number not in words:
        words = f"{clause(words)} ({number})"
    provider = _at(error, ("metadata", "provider_name"))
    before = (place_of(error), as_text(provider), words)
    return ": ".join(filter(None, before))


def _message_of_text(text: str, depth: int) -> str:
    if "\0" in text:
        return ""  # bytes of another encoding are not text
    text = text.strip(" \t\r\n\ufeff")
    if text.startswith(("{", "[")) and (value := parsed(text)) is not None:
        return words_of(value, depth + 1) or written(value)
    if page := _PAGE.search(text):
        return f"{text[: page.start()]} {_title(page[0])}".strip()
    before, value, rest = split_at_object(text)
    words = f"{words}{rest}" if (words := words_of(value, depth + 1)) else _message_in_python(rest)
    return f"{before}{words}" if words else text


def _message_in_python(text: str) -> str:
    match = _MESSAGE_IN_PYTHON.search(text[:_PAGE_CHARACTERS])
    return _PYTHON_ESCAPE.sub(r"\1", match[1] or match[2]) if match else ""


def _title(page: str) -> str:
    """Return the title of a page, empty if it is only the status."""
    match = _TITLE.search(page[:_PAGE_CHARACTERS])
    title = " ".join(html.unescape(match[1]).replace("<", "").split()) if match else ""
    if not title or _STATUS_TITLE.fullmatch(title):
        return ""
    return f'a web page titled "{title[:_TITLE_CHARACTERS]}"'


def _own_number(error: Mapping[str, Any]) -> str:
    """Return a provider's own error number, by which its documentation can be searched."""
    numbers = (digits_of(error.get(name)) for name in ("code", "error_code", "status_code"))
    return next((number for number in numbers if number.strip("0") and http_status(number) is None), "")


def _at(error: Mapping[str, Any], path: tuple[str, ...]) -> object:
    value: object = error
    for name in path:
        value = as_object(value).get(name)
    return value


def _joined(by: str, words: Iterable[str]) -> str:
    return by.join(filter(None, dict.fromkeys(words)))
