"""The settings of a call: from its options, a template, the environment, and the person's configuration where it is wanted."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict
from weakref import WeakKeyDictionary

from chatcli.api.script_words import shown
from chatcli.app.run_context import RunContext, Shared
from chatcli.client.pool import Pool
from chatcli.config.credentials import bind, parsed_key
from chatcli.config.endpoints import OPENAI_URL, password_of
from chatcli.config.key_commands import KeyCommands
from chatcli.config.paths import find_paths
from chatcli.config.resolve import resolve, resolve_given
from chatcli.core.errors import ConfigurationError, UsageError
from chatcli.telemetry.log_file import open_logger

if TYPE_CHECKING:
    from chatcli.client.cache_access import AnswerCache
    from chatcli.config.settings import Settings, TemplateSettings
    from chatcli.text.redaction import Redactor

_ENDPOINT_VARIABLES: Final = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE")
_NETWORK_VARIABLES: Final = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
_NO_SETTINGS_HERE: Final = {
    "api_key_env": 'pass the key itself: api_key=os.environ["…"]',
    "save": "pass session= to save the conversation",
}
"""Settings of config.toml that a call of the API says otherwise."""


class AskOptions(TypedDict, total=False):
    """The options of ``ask`` and ``open_chat``, all by name. Other settings have their defaults.

    ``model``, ``base_url``, ``api_key``: which model, where, and the key of that endpoint.
    ``system``: the system prompt.
    ``temperature``, ``top_p``, ``max_tokens``, ``seed``, ``reasoning``: parameters of the request.
    ``cache``: where answers to equal questions are kept: ``"memory"``, ``"sqlite"``, ``"redis://…"`` or ``"off"``. Without
    it, the cache of a configuration counts only in a conversation with a ``session``.
    ``settings``: other settings by name, as in config.toml: ``{"retries": 0, "context": "recall"}``;
    ``chatcli config show`` lists them.
    ``config``: ``True`` reads the person's own configuration, overridden by these options: config.toml,
    variables, stored keys.
    ``insecure_http``: ``True`` sends a key over plain ``http://`` to another machine.
    """

    model: str
    base_url: str
    api_key: str
    system: str
    temperature: float
    top_p: float
    max_tokens: int
    seed: int
    reasoning: str
    cache: str
    settings: Mapping[str, object]
    config: bool
    insecure_http: bool


_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, Pool] = WeakKeyDictionary()
"""Connections belong to an event loop, and with them the limits of their endpoints."""

_answer_caches: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[object, ...], AnswerCache]] = (
    WeakKeyDictionary()
)
"""Caches in memory outlive a conversation."""

_key_commands: Final = KeyCommands(os.environ)
"""A command that prints a key is run once, however many conversations there are."""


def call_settings(
    options: AskOptions,
    environment: Mapping[str, str],
    redactor: Redactor,
    *,
    is_kept: bool,
    shared: Shared | None = None,
    template: TemplateSettings | None = None,
) -> tuple[Settings, RunContext]:
    """Return the settings of a call and its context; calls that are ``shared`` spend together."""
    reads_config = is_on(options, "config")
    given = {**_given(options, reads_config=reads_config), "save": is_kept}
    paths = find_paths(environment)
    loop = asyncio.get_running_loop()
    shared, caches = shared or Shared(), _answer_caches.setdefault(loop, {})
    shared.pool = _pools.setdefault(loop, Pool())
    if reads_config:
        settings = resolve(
            {},
            environment,
            paths,
            Path.cwd(),
            template=template,
            changes=given,
            key_commands=_key_commands,
        )
        context = RunContext(
            environment,
            paths,
            Path.cwd(),
            shared=shared,
            redactor=redactor,
            key_commands=_key_commands,
            answer_caches=caches,
        )
    else:
        if template is not None and "profile" in template.table:
            raise _needs_configuration(f"the profile of the {template.place}")
        settings = resolve_given(given, _only(environment, _ENDPOINT_VARIABLES), template=template)
        network = _only(environment, _NETWORK_VARIABLES)
        context = RunContext(
            network,
            paths,
            shared=shared,
            redactor=redactor,
            has_configuration=False,
            answer_caches=caches,
        )
    if (api_key := options.get("api_key")) is not None:
        settings = _with_key(settings, api_key)
    if settings.base_url is None and not settings.uses_local:
        raise ConfigurationError(
            "neither a key nor an endpoint is given",
            hint="pass api_key= or base_url=, or set OPENAI_API_KEY",
            code="no_key",
        )
    for server in (settings.cache, settings.limits):
        if "@" in server:
            redactor.add_key(password_of(server) or "")
    for credential in settings.every_credential:
        redactor.add_source(credential.secret.revealed)
    # The program decides what of it is logged, and where.
    least = logging.getLogger("chatcli").getEffectiveLevel()
    context.log.write_to("logging", partial(open_logger, redactor.redact), least=least)
    return settings, context


def asks_for_cache(options: AskOptions) -> bool:
    """Return whether the call itself names a cache of answers, which then holds without a session."""
    return "cache" in {**(options.get("settings") or {}), **options}


def config_folder(options: AskOptions) -> Path | None:
    """Return the person's configuration folder, ``None`` if it is not read."""
    return find_paths(os.environ).config if is_on(options, "config") else None


def _given(options: AskOptions, *, reads_config: bool) -> dict[str, Any]:
    """Return the values by setting, without those that are no settings. Raise ``UsageError`` for a wrong name."""
    others = options.get("settings")
    if others is None:
        others = {}
    if not isinstance(others, Mapping) or not all(isinstance(name, str) for name in others):
        raise UsageError("settings are a mapping of names to values", hint='as in settings={"retries": 0}')
    if "api_key" in others:
        raise UsageError("api_key is not among the settings here", hint="pass api_key=")
    own = {"settings", "config", "insecure_http", "api_key"}
    given = {**others, **{name: value for name, value in options.items() if name not in own}}
    for name in given:
        if name in _NO_SETTINGS_HERE:
            raise UsageError(f"{name} is not among the settings here", hint=_NO_SETTINGS_HERE[name])
    if "profile" in given and not reads_config:
        raise _needs_configuration("a profile")
    return given


def _needs_configuration(what: str) -> UsageError:
    return UsageError(f"{what} is part of the configuration", hint="pass config=True")


def is_on(options: AskOptions, name: str) -> bool:
    return checked_flag(options.get(name), name)


def checked_flag(value: object, name: str) -> bool:
    """Return whether the option ``name`` is on. Raise ``UsageError`` if its value is none of a switch."""
    if value is not None and not isinstance(value, bool):
        raise UsageError(f"{name} must be True or False, not {shown(value)}", hint=f"as in {name}=True")
    return value is True


def file_name(given: object, option: str, example: str) -> str | None:
    """Return the path or the name that an ``option`` gives a file, as text. Raise ``UsageError`` if it is none."""
    if given is None:
        return None
    name = os.fspath(given) if isinstance(given, str | os.PathLike) else None
    if not isinstance(name, str):
        raise UsageError(
            f"{option} must be a path or a name, not {shown(given)}", hint=f'as in {option}="{example}"'
        )
    try:
        is_possible = b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        is_possible = False
    if not is_possible:
        raise UsageError(
            f"{option} must be a name a file can have, not {shown(name)}",
            hint="leave out lone surrogates and null characters",
        )
    if name.endswith(("/", os.sep)):
        raise UsageError(
            f"{option} must be a file, not the folder {name}", hint=f'as in {option}="{name}{example}"'
        )
    return name


def _only(environment: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.upper() in names}


def _with_key(settings: Settings, api_key: str) -> Settings:
    try:
        credential = bind(parsed_key(api_key), settings.base_url, "api_key")
    except ValueError as error:
        raise UsageError(f"api_key {error}", hint="pass the key alone") from error
    return replace(
        settings,
        base_url=settings.base_url or OPENAI_URL,
        credential=credential,
        every_credential=(credential, *settings.every_credential),
    )
