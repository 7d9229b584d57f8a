"""The settings in force."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatcli.config.credentials import Credential
    from chatcli.config.env_files import Untrusted
    from chatcli.core.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting of the table with its value, checked.

    ``base_url`` is ``None`` when no endpoint is configured and no key for OpenAI's either. ``credential`` is the
    key for ``base_url``; ``withheld`` are keys that were found but belong to other endpoints.
    ``every_credential`` is every key that was found, those of profiles that stand in among them.
    ``asked_for`` names what this call asked for: for itself, or by the profile or template it names.
    ``model_windows`` are context windows in tokens, by model, from config.toml: empty when a flag or a variable
    sets ``context_window`` for this run. ``fallback_profiles`` are the settings of those names in ``fallback`` that
    are profiles. ``warnings`` are lines for stderr. ``untrusted`` is what the ``.env`` of the working folder sets beyond
    what it may, ``None`` where that is nothing. ``unreadable_keys`` says why the stored keys cannot be used, where they cannot.
    """

    model: str | None
    base_url: str | None
    api: str
    api_version: str | None
    api_key_env: str | None
    system: str | None
    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    seed: int | None
    reasoning: str | None
    thoughts_in_text: str
    options: Mapping[str, Any]
    context: str
    summary_model: str | None
    embedding_model: str | None
    long: str
    long_concurrency: int
    context_window: int | None
    timeout_s: float
    connect_timeout_s: float
    idle_timeout_s: float
    largest_answer_mb: int
    ca_bundle: str | None
    retries: int
    retry_budget_s: float
    fallback: tuple[str, ...]
    auto_continue: int
    requests_per_minute: int | None
    tokens_per_minute: int | None
    prices: Mapping[str, Mapping[str, float]]
    max_cost: float | None
    budget: Mapping[str, float]
    stream: bool
    save: bool
    plain: bool
    theme: str
    line_breaks: Literal["auto", "keep", "join"]
    repl_prompt: str
    editing_mode: str
    keys: Mapping[str, tuple[str, ...]]
    show_reasoning: bool
    window_title: bool
    notify: str
    notify_after_s: float
    profile: str | None
    credential: Credential | None
    withheld: tuple[Credential, ...]
    model_windows: Mapping[str, int]
    warnings: tuple[str, ...]
    origins: Mapping[str, str]
    asked_for: frozenset[str]
    every_credential: tuple[Credential, ...]
    fallback_profiles: Mapping[str, Settings] = field(default_factory=dict)
    untrusted: Untrusted | None = None
    unreadable_keys: ConfigurationError | None = None

    def origin(self, name: str) -> str:
        """Tell where a setting's value came from, as in ``environment CHATCLI_MODEL`` or ``default``."""
        return self.origins[name]

    def window_for(self, model: str) -> int | None:
        """Return the configured context window of a model, in tokens."""
        return self.model_windows.get(model, self.context_window)
