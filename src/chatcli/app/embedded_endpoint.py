"""The endpoint of the embedded model, which answers if nothing else is configured."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from chatcli.client.endpoint import Endpoint
from chatcli.config.paths import ensure_private_folder
from chatcli.core.errors import ConfigurationError
from chatcli.core.events import Notice
from chatcli.local.discovery import find_servers
from chatcli.local.engine import engine_state
from chatcli.local.server import LocalServer
from chatcli.local.weights import SMOLLM2, status

if TYPE_CHECKING:
    from contextlib import AsyncExitStack
    from pathlib import Path

    from chatcli.app.run_context import ChatOptions, Notify, RunContext
    from chatcli.config.settings import Settings

WAYS_OUT: Final = (
    "set a key (chatcli config login, or OPENAI_API_KEY), name a server (--base-url http://127.0.0.1:11434/v1), "
    "or use the built-in model (chatcli local setup)"
)


def is_embedded_ready(folder: Path) -> bool:
    """Whether the embedded model's weights are in ``folder`` and its engine is installed."""
    return status(folder).ready and engine_state().installed


async def embedded_endpoint(
    settings: Settings, options: ChatOptions, context: RunContext, stack: AsyncExitStack, *, notify: Notify
) -> Endpoint:
    """Start the server of the embedded model, which ``stack`` ends, and return its endpoint.

    Raise a ``ConfigurationError`` if nobody asked for this model and it is not there, or must not stand in.
    """
    folder = context.paths.local
    if not options.embedded and settings.unreadable_keys is not None:
        # An incomplete setting names an endpoint: the embedded model must not answer in its place.
        raise settings.unreadable_keys
    if not options.embedded and not is_embedded_ready(folder):
        raise await _nothing_configured()
    message = f"using the built-in demo model {SMOLLM2.model} (others: chatcli --help)"
    notify(Notice("embedded_model", message))
    server = LocalServer(
        folder,
        log_folder=ensure_private_folder(context.paths.cache),
        executable=sys.executable,
        environment=context.environment,
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
