"""The settings: their definitions, sources and values.

Each is defined once, as a field of ``Settings``. config.toml, variables, flags, ``config show`` and
``.env.example`` follow the table derived from these fields.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, field, fields
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from chatcli.config import parsers
from chatcli.config.credentials import parsed_key
from chatcli.config.setting_fields import Setting
from chatcli.config.setting_fields import setting as _setting
from chatcli.core.frozen import frozen
from chatcli.core.strategy_table import (
    CONTEXT_STRATEGIES,
    DEFAULT_CONTEXT_STRATEGY,
    FAIL,
    LONG_INPUT_STRATEGIES,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from chatcli.config.credentials import Credential
    from chatcli.core.alert_rules import AlertRule
    from chatcli.core.errors import ConfigurationError

_DAY_S = 86_400


def _alert_rules(value: object) -> tuple[AlertRule, ...]:
    from chatcli.config.alert_tables import alert_rules  # noqa: PLC0415 - most people keep the rules there are

    return alert_rules(value)


@frozen
class Untrusted:
    """Known variables in the ``.env`` of ``folder``, with this content, that need trust."""

    folder: Path
    sha256: str
    names: tuple[str, ...]

    @property
    def notice(self) -> str:
        return f"not used from .env: {', '.join(self.names)} (use it: chatcli trust, or --env-file .env)"


class TemplateSettings(NamedTuple):
    """The settings of a prompt template: a ``table`` like one of config.toml, found at ``place``.

    ``hint`` is added to errors about a value.
    """

    place: str
    table: Mapping[str, object]
    hint: str


@frozen
class Settings:
    """All settings with validated values. Fields that are not given have their defaults.

    ``base_url`` is ``None`` if neither an endpoint nor a key for OpenAI's is configured. ``credential`` is
    the key for ``base_url``; ``withheld`` are keys of other endpoints; ``every_credential`` is every key that
    was found, including those of fallback profiles. ``asked_for`` names settings of this call: its own, or of
    its profile or template. ``model_windows`` are context windows in tokens, by model, from config.toml:
    empty if a flag or a variable sets ``context_window`` for this run. ``fallback_profiles`` are the settings
    of profiles named in ``fallback``. ``aliases`` have the models behind them, and the settings that name models
    have those models; ``aliases_used`` are the aliases that were written there, by setting. ``uses_local``: the
    embedded model in ``local`` comes before ``base_url``. ``warnings`` are lines for stderr. ``untrusted`` holds variables of the
    working folder's ``.env`` that need trust, ``None`` without any. ``unreadable_keys`` is the reason why
    stored keys cannot be used, if they cannot.
    """

    _: KW_ONLY
    model: str | None = _setting(
        "Model to use, or an alias of it", parsers.name, flag="--model", harmless=True
    )
    base_url: str | None = _setting(
        "URL of an OpenAI-compatible endpoint",
        parsers.url,
        flag="--base-url",
        also_variables=("OPENAI_BASE_URL", "OPENAI_API_BASE"),
        routes=True,
    )
    api: str = _setting(
        "API to speak: chat or responses",
        parsers.choice("chat", "responses"),
        "chat",
        flag="--api",
        routes=True,
    )
    api_version: str | None = _setting(
        "Version of an Azure OpenAI API with deployments in its path", parsers.name, routes=True
    )
    credential: Credential | None = _setting(
        "Key, sent only to the base_url it is set beside (else to OpenAI)",
        parsed_key,
        also_variables=("OPENAI_API_KEY",),
        name="api_key",
    )
    api_key_env: str | None = _setting(
        "Name of the environment variable that holds the key", parsers.name, file_only=True
    )
    key_command: tuple[str, ...] | None = _setting(
        'Program that prints the key, as a list: ["pass", "show", "openai"]', parsers.command, file_only=True
    )
    system: str | None = _setting("System prompt", parsers.text, flag="--system")
    agents_md: bool = _setting(
        "Send the AGENTS.md of the working folder as instructions, once chatcli trust trusts it",
        parsers.switch,
        False,
    )
    temperature: float | None = _setting(
        "Randomness of the answer, 0 to 2", parsers.number(0, 2), flag="--temperature", harmless=True
    )
    top_p: float | None = _setting(
        "Share of likely tokens to choose from, 0 to 1", parsers.number(0, 1), flag="--top-p", harmless=True
    )
    max_tokens: int | None = _setting(
        "Longest answer, in tokens", parsers.whole_number(1), flag="--max-tokens", harmless=True
    )
    seed: int | None = _setting(
        "Seed for repeatable answers, where the endpoint has it",
        parsers.whole_number(-(2**63), 2**63 - 1),
        flag="--seed",
        harmless=True,
    )
    reasoning: str | None = _setting(
        "Reasoning effort, in the endpoint's words: low, medium, high",
        parsers.name,
        flag="--reasoning",
        harmless=True,
    )
    verbosity: str | None = _setting(
        "Length of the answer, where the model takes it: low, medium, high",
        parsers.choice("low", "medium", "high"),
        flag="--verbosity",
    )
    web_search: str = _setting(
        "Have the provider search the web: off, auto, or the form it takes: options, tool, plugin",
        parsers.web_search,
        "off",
        flag="--web-search",
        switched_on="auto",
    )
    thoughts_in_text: str = _setting(
        "Reasoning inside the answer text (think tags, channels): auto separates it, off leaves it in",
        parsers.choice("auto", "off"),
        "auto",
    )
    options: Mapping[str, Any] = _setting(
        "Extra values for the request body", parsers.body_values, flag="-O", merges=True
    )
    context: str = _setting(
        "What is kept of a conversation that outgrows the window: " + ", ".join(CONTEXT_STRATEGIES),
        parsers.choice(*CONTEXT_STRATEGIES),
        DEFAULT_CONTEXT_STRATEGY,
        flag="--context",
    )
    summary_model: str | None = _setting("Model that writes the summaries, for summarize", parsers.name)
    embedding_model: str | None = _setting(
        "Embedding model that finds older turns by meaning, for recall", parsers.name
    )
    aliases: Mapping[str, str] = _setting(
        'Own names for models, as a table [aliases]: fast = "gpt-5-mini"',
        parsers.aliases,
        file_only=True,
        merges=True,
    )
    long: str = _setting(
        f"What to do with a question too long for the window: {', '.join(LONG_INPUT_STRATEGIES)}, or {FAIL} to refuse it",
        parsers.choice(*LONG_INPUT_STRATEGIES, FAIL),
        FAIL,
        flag="--long",
    )
    long_concurrency: int = _setting(
        "Parts of a long text to process in parallel, 1 to 64", parsers.whole_number(1, 64), 4
    )
    context_window: int | None = _setting("Size of the model's window, in tokens", parsers.whole_number(64))
    timeout_s: float = _setting(
        "Longest wait for the first byte of an answer, in seconds",
        parsers.number(0.001, _DAY_S),
        600.0,
        flag="--timeout",
    )
    connect_timeout_s: float = _setting(
        "Longest wait for a connection, in seconds", parsers.number(0.001, _DAY_S), 10.0
    )
    idle_timeout_s: float = _setting(
        "Longest silence once an answer has begun, in seconds", parsers.number(0.001, _DAY_S), 120.0
    )
    largest_answer_mb: int = _setting(
        "Largest answer to take, in megabytes, 1 to 4,096; the rest is left out",
        parsers.whole_number(1, 4_096),
        64,
    )
    local: str | None = _setting(
        "Embedded model to ask, by its name or the path of its GGUF file, or none: chatcli local models lists them",
        parsers.local_model,
        flag="--local",
        routes=True,
    )
    model_hub: str = _setting(
        "Where chatcli local setup fetches models: https://huggingface.co or a mirror of it",
        parsers.url,
        "https://huggingface.co",
        also_variables=("HF_ENDPOINT",),
        in_profile=False,
        needs_no_reconnect=True,
    )
    ca_bundle: str | None = _setting("File of additional certificates to trust", parsers.path, routes=True)
    private_hosts: tuple[str, ...] = _setting(
        "Hosts outside the public internet whose pages may be read: names, addresses or networks",
        parsers.hosts,
        (),
    )
    retries: int = _setting(
        "How often to retry after a failure, 0 to 20", parsers.whole_number(0, 20), 4, flag="--retries"
    )
    retry_budget_s: float = _setting(
        "Longest time to spend on retries, in seconds", parsers.number(0, _DAY_S), 120.0
    )
    fallback: tuple[str, ...] = _setting(
        "Models or profiles to try when this one fails, in order", parsers.names, ()
    )
    auto_continue: int = _setting(
        "How often to continue an answer that was cut off, 0 to 20", parsers.whole_number(0, 20), 0
    )
    requests_per_minute: int | None = _setting("Most requests to send in a minute", parsers.whole_number(1))
    tokens_per_minute: int | None = _setting(
        "Most tokens to send and ask for in a minute", parsers.whole_number(1)
    )
    limits: str = _setting(
        "Where rate limits are shared with other running chatclis: machine, or the redis:// URL of a server",
        parsers.limits,
        parsers.THIS_MACHINE,
    )
    prices: Mapping[str, Mapping[str, float]] = _setting(
        'What models cost in US dollars per million tokens, as tables: [prices."gpt-5-mini"] input = 0.25',
        parsers.prices,
        file_only=True,
        merges=True,
    )
    max_cost: float | None = _setting(
        "Most to spend in this run, in US dollars", parsers.amount_usd, flag="--max-cost"
    )
    budget: Mapping[str, float] = _setting(
        "Most to spend in US dollars, as a table [budget]: session = 1.0, day = 5.0, month = 50.0, prefetch = 0.05",
        parsers.budget,
        file_only=True,
        in_profile=False,
        merges=True,
    )
    prompt_caching: bool = _setting(
        "Have Claude cache the beginning of prompts, behind endpoints that want it marked",
        parsers.switch,
        True,
    )
    cache: str = _setting(
        "Answers to equal questions from before: off, memory, sqlite, or the URL of a Redis server",
        parsers.cache,
        "off",
        flag="--cache",
        switched_on="sqlite",
    )
    cache_ttl: float = _setting(
        "How long the cache keeps an answer: 30m, 12h, 7d, or seconds",
        parsers.duration(1, 366 * _DAY_S),
        7.0 * _DAY_S,
    )
    cache_size_mb: int = _setting(
        "Most the cache keeps, in megabytes, 1 to 100,000; the answers used longest ago go first",
        parsers.whole_number(1, 100_000),
        100,
    )
    cache_patience_ms: int = _setting(
        "Longest wait of a turn for the cache, in milliseconds, 1 to 10,000",
        parsers.whole_number(1, 10_000),
        50,
    )
    prefetch: int = _setting(
        "How many likely follow-up questions to answer ahead into the cache, 0 to 5; needs cache",
        parsers.whole_number(0, 5),
        0,
        needs_no_reconnect=True,
    )
    similar: float | None = _setting(
        "Offer the cached answer to a question this similar, 0.5 to 1; needs embedding_model",
        parsers.number(0.5, 1),
    )
    injection: str = _setting(
        "Attached text that seems to give the model orders: warn, block (not sent, or asked first), or off",
        parsers.choice("warn", "block", "off"),
        "warn",
    )
    stream: bool = _setting("Show the answer while it arrives", parsers.switch, True, flag="--no-stream")
    save: bool = _setting("Keep conversations", parsers.switch, True, flag="--no-save")
    telemetry: bool = _setting(
        "Keep response times, outcomes, tokens and costs of calls on this machine, for chatcli stats",
        parsers.switch,
        True,
    )
    telemetry_days: int = _setting(
        "How long these are kept, in days, 1 to 3,650", parsers.whole_number(1, 3_650), 180
    )
    log_file: str | None = _setting(
        "File to log to, in place of chatcli.log in the data folder",
        parsers.path,
        flag="--log-file",
        in_profile=False,
        needs_no_reconnect=True,
    )
    log_level: str = _setting(
        "Least important events to log: off, error, warning, info, debug; info where log_file is set",
        parsers.choice("off", "error", "warning", "info", "debug"),
        "warning",
        flag="--log-level",
        in_profile=False,
        needs_no_reconnect=True,
    )
    otel: bool = _setting(
        "Send traces and metrics of calls to OpenTelemetry, as the OTEL_ variables say", parsers.switch, False
    )
    plain: bool = _setting(
        "Plain lines without redrawing, for screen readers",
        parsers.switch,
        False,
        flag="--plain",
        also_variables=("ACCESSIBLE",),
        parse_also=parsers.any_but_zero,
    )
    theme: str = _setting(
        "Colours for a dark or a light background: dark, light, or auto, as the terminal reports",
        parsers.choice("auto", "dark", "light"),
        "auto",
        needs_no_reconnect=True,
        harmless=True,
    )
    line_breaks: Literal["auto", "keep", "join"] = _setting(
        "Line breaks within a paragraph: keep, join, or auto, which joins lines that were wrapped by hand",
        parsers.choice("auto", "keep", "join"),
        "auto",
        needs_no_reconnect=True,
    )
    repl_prompt: str = _setting("Prompt of the composer", parsers.prompt, "> ")
    editing_mode: str = _setting(
        "Keys of the line editor: emacs or vi",
        parsers.choice("emacs", "vi"),
        "emacs",
        needs_no_reconnect=True,
    )
    keys: Mapping[str, tuple[str, ...]] = _setting(
        'Key bindings, as a table [keys] of what /keys lists: send = "enter", [] for none',
        parsers.keys,
        file_only=True,
        in_profile=False,
        merges=True,
        needs_no_reconnect=True,
    )
    show_reasoning: bool = _setting(
        "Show the model's reasoning, instead of one line about it",
        parsers.switch,
        False,
        needs_no_reconnect=True,
    )
    window_title: bool = _setting(
        "Name the conversation in the window's title", parsers.switch, True, needs_no_reconnect=True
    )
    notify: str = _setting(
        "How to notify you of a finished long answer: bell, desktop or off",
        parsers.choice("bell", "desktop", "off"),
        "bell",
        needs_no_reconnect=True,
    )
    notify_after_s: float = _setting(
        "Shortest answer time to notify about, in seconds; 0 for never",
        parsers.number(0, _DAY_S),
        20.0,
        needs_no_reconnect=True,
    )
    alerts: tuple[AlertRule, ...] | None = _setting(
        "Rules of alerts, as tables [[alerts]], instead of the built-in ones (chatcli alerts list), or off",
        _alert_rules,
        file_only=True,
        in_profile=False,
        needs_no_reconnect=True,
    )
    profile: str | None = _setting(
        "Table [profiles.NAME] of config.toml to use, or none",
        parsers.profile,
        flag="--profile",
        in_profile=False,
        routes=True,
    )
    withheld: tuple[Credential, ...] = ()
    model_windows: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    asked_for: frozenset[str] = frozenset()
    every_credential: tuple[Credential, ...] = ()
    fallback_profiles: Mapping[str, Settings] = field(default_factory=dict)
    aliases_used: Mapping[str, str] = field(default_factory=dict)
    untrusted: Untrusted | None = None
    unreadable_keys: ConfigurationError | None = None
    uses_local: bool = False

    def origin(self, name: str) -> str:
        """Return where a setting's value came from, as in ``environment CHATCLI_MODEL`` or ``default``."""
        return self.origins.get(name, "default")

    def shown_origin(self, name: str) -> str:
        """Return ``origin`` with the alias that was written there, if it was one."""
        alias = self.aliases_used.get(name)
        return self.origin(name) + (f", alias {alias}" if alias else "")

    def window_for(self, model: str) -> int | None:
        """Return the configured context window of a model, in tokens."""
        return self.model_windows.get(model, self.context_window)


SETTINGS: tuple[Setting, ...] = tuple(
    Setting(**{"name": each.name, **each.metadata}) for each in fields(Settings) if each.metadata
)
SETTINGS_BY_NAME = {each.name: each for each in SETTINGS}
SETTINGS_BY_VARIABLE = {variable: each for each in SETTINGS for variable in each.variables}
PARSERS_BY_VARIABLE = {
    variable: each.parse_also if each.parse_also and variable in each.also_variables else each.parse
    for variable, each in SETTINGS_BY_VARIABLE.items()
}
