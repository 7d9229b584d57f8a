"""The connection to an endpoint, carrying that endpoint's credentials and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
from openai import AsyncOpenAI

from chatcli.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatcli.client.endpoint import Endpoint


def connect(endpoint: Endpoint, environment: Mapping[str, str]) -> AsyncOpenAI:
    """Return the openai package's client for ``endpoint``, carrying this endpoint's credentials and no others.

    Left to itself the package takes an organization, a project, an admin key and whole headers from the
    environment, sends them to whatever endpoint it is pointed at, and follows redirects with them.

    Raise a ``ConfigurationError`` for a key that no header can carry.
    """
    _check_key(endpoint)
    client = AsyncOpenAI(
        base_url=endpoint.base_url,
        # The package wants a key before it sends anything; without one the header is taken away again.
        api_key=endpoint.key or "none",
        admin_api_key="",
        # Told here and not to the http_client, of which the package takes 5 s to mean its own 600 s.
        timeout=httpx2.Timeout(endpoint.timeout_s, connect=endpoint.connect_timeout_s),
        max_retries=0,
        http_client=httpx2.AsyncClient(
            follow_redirects=False,
            trust_env=not endpoint.loopback,
            event_hooks={"request": [] if endpoint.key else [_without_key]},
        ),
    )
    client.organization = environment.get("OPENAI_ORG_ID") if endpoint.is_openai else None
    client.project = environment.get("OPENAI_PROJECT_ID") if endpoint.is_openai else None
    # There is no public way to refuse OPENAI_CUSTOM_HEADERS, which may hold an Authorization for another host.
    client._custom_headers = {}  # noqa: SLF001
    return client


def _check_key(endpoint: Endpoint) -> None:
    """Refuse what the transport would refuse later, with the whole key in its message."""
    key = endpoint.key or ""
    if not (key.isascii() and key.isprintable() and key == key.strip()):
        raise ConfigurationError(
            f"the key set for {endpoint.host} holds what no key does: a line break, white space or a curly quote",
            hint="set it again, without what was copied along with it",
        )


async def _without_key(request: httpx2.Request) -> None:
    request.headers.pop("authorization", None)
