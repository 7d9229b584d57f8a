"""Logging in: finding login options, checking a key and storing it. Nothing here asks the person."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from chatcli.config.config_file import FILE_NAME as CONFIG_FILE_NAME
from chatcli.config.config_file import set_setting, unset_setting
from chatcli.config.credentials import (
    IN_KEYRING,
    KEYS_FILE_NAME,
    SOURCES,
    StoredKeys,
    parsed_key,
    system_keyring,
)
from chatcli.config.endpoints import OPENAI_URL, origin_of, refuse_key_in_clear, validated_url, with_version
from chatcli.core.errors import BadResponse, RequestRefused, UsageError
from chatcli.local.discovery import WELL_KNOWN, local_state

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from chatcli.app.run_context import RunContext
    from chatcli.client.catalog import OfferedModel
    from chatcli.config.credentials import FindKeyring
    from chatcli.config.settings import Settings
    from chatcli.local.discovery import FoundServer, LocalState, ServerCandidate

_NO_MODEL_LIST = {404, 405}

_REQUEST_PATH = re.compile(r"/(?:chat/completions|completions|models|responses)\Z")
"""The path of a request as in documentation, which people copy along with the address."""

_AROUND = " \t\r\n\ufeff\u200b\"'`“”‘’"
_BEFORE = re.compile(
    r"\A(?:(?:(?:export|set|setx)\s+|\$env:)?\w*(?:_KEY|_TOKEN)\s*=(?!=)|(?:authorization:\s*)?bearer\s+)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Checked:
    """An endpoint that answered at ``base_url`` and did not refuse the key.

    ``models`` are those it offers. ``proven`` is false if the endpoint has no list of models to check the key
    with.
    """

    base_url: str
    models: tuple[OfferedModel, ...]
    proven: bool


class EmbeddedModel(Enum):
    """The embedded model's state: ``FETCHABLE`` lacks only its weights, ``NO_ENGINE`` the engine."""

    READY = "ready"
    FETCHABLE = "fetchable"
    NO_ENGINE = "no engine"


@dataclass(frozen=True, slots=True)
class LoginOptions:
    """What can be used without a key: servers on this machine, and the embedded model."""

    servers: tuple[FoundServer, ...]
    embedded: EmbeddedModel

    @classmethod
    def of(cls, state: LocalState) -> LoginOptions:
        if not state.engine.installed:
            embedded = EmbeddedModel.NO_ENGINE
        else:
            embedded = EmbeddedModel.READY if state.weights.ready else EmbeddedModel.FETCHABLE
        return cls(state.servers, embedded)


async def find_login_options(
    context: RunContext, candidates: Iterable[ServerCandidate] = WELL_KNOWN
) -> LoginOptions:
    """Find the login options that need no key. Raise ``LocalIOError``."""
    return LoginOptions.of(await local_state(context.paths.local, candidates))


def clean_key(text: str) -> str:
    """Return the key in pasted text, without quotes, ``Bearer``, ``export OPENAI_API_KEY=`` and the like.

    Raise ``UsageError`` for what cannot be a key, without repeating it.
    """
    key = text
    while (stripped := _BEFORE.sub("", key.strip(_AROUND))) != key:
        key = stripped
    if not key:
        raise UsageError("no key was given", hint="paste the key alone, on one line")
    try:
        return parsed_key(key).reveal()
    except ValueError as error:
        raise UsageError(
            "that is not a key: it holds white space or characters no key has",
            hint="paste the key alone, on one line",
        ) from error


def clean_address(text: str) -> str:
    """Return a typed address of an endpoint with its scheme added and a request's path removed.

    Raise ``UsageError`` if it cannot be one.
    """
    try:
        return validated_url(_REQUEST_PATH.sub("", validated_url(text.strip().strip("\"'"))))
    except ValueError as error:
        example = "https://host.example/v1"
        hint = None if example in str(error) else f"it looks like {example}"
        raise UsageError(f"the address {error}", hint=hint) from error


async def check_key(
    base_url: str, key: str | None, settings: Settings, context: RunContext, *, insecure_http: bool = False
) -> Checked:
    """Request the endpoint's models, with the key if there is one; ``settings`` limit the waiting time.

    If an address without a path does not answer, ``/v1`` is tried as well. Raise ``KeyRefused`` for a wrong
    key, ``ConfigurationError`` if it would travel unencrypted without permission, and any other
    ``EndpointError`` of the call.
    """
    if key is not None:
        refuse_key_in_clear(base_url, accepted=insecure_http)
        context.redactor.add_key(key)
    try:
        return await _checked(base_url, key, settings, context)
    except (RequestRefused, BadResponse) as error:
        if (versioned := with_version(base_url)) is not None:
            with suppress(RequestRefused, BadResponse):
                return await _checked(versioned, key, settings, context)
        if error.status not in _NO_MODEL_LIST:
            raise
        return Checked(base_url, (), proven=False)


async def _checked(base_url: str, key: str | None, settings: Settings, context: RunContext) -> Checked:
    # What resolves models imports the whole conversation, which config show must not wait for.
    from chatcli.app.model_lists import list_offered  # noqa: PLC0415
    from chatcli.app.resolver import endpoint_at  # noqa: PLC0415

    entry = context.shared.pool.entry(endpoint_at(base_url, settings, context, key=key), context.environment)
    return Checked(base_url, await list_offered(entry), proven=True)


def keep_key(base_url: str, key: str, context: RunContext, find_keyring: FindKeyring = system_keyring) -> str:
    """Store the key for the endpoint, replacing an older one, and return the place for display.

    May wait for the person to unlock the keyring. Raise ``ConfigurationError`` and ``LocalIOError``.
    """
    context.redactor.add_key(key)
    folder = context.paths.config
    place = StoredKeys(folder, find_keyring).store(origin_of(base_url), key)
    return "the system keyring" if place == IN_KEYRING else str(folder / KEYS_FILE_NAME)


def set_keys_aside(context: RunContext) -> Path:
    """Rename the unreadable file of stored keys and return its new path. Raise ``LocalIOError``."""
    return StoredKeys(context.paths.config).set_aside()


def forget_key(base_url: str, context: RunContext, find_keyring: FindKeyring = system_keyring) -> bool:
    """Remove the stored key of the endpoint; return whether there was one. Raise like ``keep_key``."""
    return StoredKeys(context.paths.config, find_keyring).remove(origin_of(base_url))


def key_in_front(base_url: str, settings: Settings) -> str | None:
    """Return the origin of a key that takes precedence over a stored one of the endpoint."""
    everything = (settings.credential, *settings.withheld)
    own = (one for one in everything if one is not None and one.endpoint_origin == origin_of(base_url))
    return next((one.source for one in own if one.source not in SOURCES), None)


def use_endpoint(base_url: str, context: RunContext) -> None:
    """Set the endpoint in config.toml; OpenAI's own is the default as soon as its key is stored.

    Raise ``ConfigurationError`` and ``LocalIOError``.
    """
    file = context.paths.config / CONFIG_FILE_NAME
    url = validated_url(base_url)
    if url == OPENAI_URL:
        unset_setting(file, "base_url")
    else:
        set_setting(file, "base_url", url)


def use_model(name: str | None, context: RunContext) -> None:
    """Set the model in config.toml, ``None`` for the endpoint's first. Raise like ``use_endpoint``."""
    file = context.paths.config / CONFIG_FILE_NAME
    if name is None:
        unset_setting(file, "model")
    else:
        set_setting(file, "model", name)
