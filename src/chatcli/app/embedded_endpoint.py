"""The endpoint of the embedded model, which answers if nothing else is configured."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chatcli.app.run_context import is_embedded
from chatcli.client.endpoint import Endpoint
from chatcli.config.paths import ensure_private_folder
from chatcli.core.errors import ConfigurationError, UsageError
from chatcli.core.events import Notice
from chatcli.local.discovery import find_servers, is_embedded_ready
from chatcli.local.own_models import find_model, is_path
from chatcli.local.server import LocalServer
from chatcli.local.weights import SMOLLM2

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from chatcli.app.run_context import ChatOptions, Notify, RunContext
    from chatcli.config.settings import Settings
    from chatcli.local.weights import Weights

WAYS_OUT: Final = (
    "set a key (chatcli config login, or OPENAI_API_KEY), name a server (--base-url http://127.0.0.1:11434/v1), "
    "or use the built-in model (chatcli local setup)"
)


_AS_TYPED: Final = ("flag ", "command ")


def embedded_model(settings: Settings, context: RunContext) -> Weights:
    """Return the embedded model of the settings.

    Raise a ``UsageError`` if there is none of that name, or a ``ConfigurationError`` if it was not typed for this run.
    """
    name, origin = settings.local, settings.origin("local")
    is_typed = origin.startswith(_AS_TYPED)
    if name is not None and is_path(name) and not is_typed and not _is_whole(name):
        raise ConfigurationError(
            f"{origin}: {name} could be another file in each folder", hint="write the whole path"
        )
    try:
        return find_model(name, context.paths.local)
    except UsageError as error:
        if is_typed:
            raise
        raise ConfigurationError(f"{origin}: {error.message}", hint=error.hint, code=error.code) from error


def _is_whole(path: str) -> bool:
    return Path(path).is_absolute() or path.startswith("~")


def embedded_window(settings: Settings, weights: Weights) -> int:
    """Return the window in tokens: the settings' if the model was trained for that much, else its own."""
    return min(settings.window_for(weights.model) or weights.context_tokens, weights.longest_context_tokens)


async def embedded_endpoint(
    settings: Settings, options: ChatOptions, context: RunContext, stack: AsyncExitStack, *, notify: Notify
) -> Endpoint:
    """Start the server of the embedded model, which ``stack`` ends, and return its endpoint.

    Raise a ``ConfigurationError`` if nobody asked for this model and it is not there, or must not stand in.
    """
    folder = context.paths.local
    is_wanted = is_embedded(settings, options)
    if not is_wanted and settings.unreadable_keys is not None:
        # An incomplete setting names an endpoint: the embedded model must not answer in its place.
        raise settings.unreadable_keys
    if not is_wanted and not is_embedded_ready(folder):
        raise await _nothing_configured()
    weights = embedded_model(settings, context)
    message = f"using the embedded model {weights.model}"
    if weights is SMOLLM2:
        message = f"using the built-in demo model {weights.model} (others: {context.command} --help)"
    notify(Notice("embedded_model", message))
    served_tokens = max(weights.context_tokens, embedded_window(settings, weights))
    server = LocalServer(
        folder,
        log_folder=ensure_private_folder(context.paths.cache),
        executable=sys.executable,
        environment=context.environment,
        weights=replace(weights, context_tokens=served_tokens),
    )
    local = await (await stack.enter_async_context(server)).start()
    return Endpoint(
        base_url=local.base_url,
        key=local.api_key,
        loopback=True,
        embedded=True,
        timeout_s=settings.timeout_s,
        idle_timeout_s=settings.idle_timeout_s,
        connect_timeout_s=settings.connect_timeout_s,
        largest_answer_mb=settings.largest_answer_mb,
    )


async def _nothing_configured() -> ConfigurationError:
    found = await find_servers()
    running = f"{found[0].name} is running here (--base-url {found[0].base_url}); or " if found else ""
    return ConfigurationError("no model is set up", hint=running + WAYS_OUT, code="nothing_configured")
