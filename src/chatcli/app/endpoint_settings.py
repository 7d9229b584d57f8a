"""What the settings and the environment say of an endpoint: how it is reached, and what its models cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.client.endpoint import Endpoint
from chatcli.client.proxies import proxy_for
from chatcli.config.endpoints import OPENAI_URL, is_loopback, origin_of, sends_in_clear
from chatcli.core.errors import ConfigurationError
from chatcli.cost.pricing import Pricing
from chatcli.local.discovery import WELL_KNOWN

if TYPE_CHECKING:
    from chatcli.app.run_context import RunContext
    from chatcli.config.settings import Settings
    from chatcli.cost.model_table import ModelTable

DEFAULT_MODEL = "gpt-5-mini"
"""What OpenAI's own endpoint is asked for when no model is named."""


def endpoint_at(
    base_url: str, settings: Settings, world: RunContext, *, key: str | None, withheld: tuple[str, ...] = ()
) -> Endpoint:
    """Return the endpoint at ``base_url``, and the way there that the settings and the environment tell of.

    Raise a ``ConfigurationError`` for a proxy that is none.
    """
    loopback = is_loopback(base_url)
    # A version is set for one endpoint; where none is configured it belongs to the one that is about to be.
    versioned = base_url == settings.base_url or (settings.base_url is None and base_url != OPENAI_URL)
    return Endpoint(
        base_url=base_url,
        key=key,
        loopback=loopback,
        withheld=withheld,
        timeout_s=settings.timeout_s,
        idle_timeout_s=settings.idle_timeout_s,
        connect_timeout_s=settings.connect_timeout_s,
        largest_answer_mb=settings.largest_answer_mb,
        proxy=None if loopback else proxy_for(base_url, world.environment),
        ca_bundle=settings.ca_bundle,
        api_version=settings.api_version if versioned else None,
    )


def runs_models_itself(base_url: str) -> bool:
    """Whether a valid URL names a port of this machine that only a server of models takes.

    Another server on loopback may pass requests on for money.
    """
    port = origin_of(base_url).port
    return any(server.runs_models and server.port == port for server in WELL_KNOWN) and is_loopback(base_url)


def refuse_key_in_clear(base_url: str, *, accepted: bool) -> None:
    """Raise ``ConfigurationError`` where a key would cross a network unencrypted and nobody has accepted that."""
    if sends_in_clear(base_url) and not accepted:
        raise ConfigurationError(
            f"{base_url} would receive the key over an unencrypted connection",
            hint="use https, or allow it with --insecure-http",
        )


def pricing_at(endpoint: Endpoint, settings: Settings, table: ModelTable) -> Pricing:
    """Return what the models of an endpoint cost."""
    return Pricing(
        endpoint.host,
        is_free=endpoint.embedded or runs_models_itself(endpoint.base_url),
        own=settings.prices,
        table=table,
    )
