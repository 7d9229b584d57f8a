"""The connection to an endpoint, carrying that endpoint's credentials and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
from openai import AsyncOpenAI

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatcli.client.endpoint import Endpoint


def connect(endpoint: Endpoint, environment: Mapping[str, str]) -> AsyncOpenAI:
    """Return the openai package's client for ``endpoint``, carrying this endpoint's credentials and no others.

    Left to itself the package takes an organization, a project, an admin key and whole headers from the
    environment, sends them to whatever endpoint it is pointed at, and follows redirects with them.
    """
    client = AsyncOpenAI(
        base_url=endpoint.base_url,
        # The package wants a key before it sends anything; without one the header is taken away again.
        api_key=endpoint.key or "none",
        admin_api_key="",
        max_retries=0,
        http_client=httpx2.AsyncClient(
            timeout=httpx2.Timeout(endpoint.timeout_s, connect=endpoint.connect_timeout_s),
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


async def _without_key(request: httpx2.Request) -> None:
    request.headers.pop("authorization", None)
