"""Telling a webhook: one JSON object is posted to an address that the person named, and nothing is read but the status."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import httpx2

from chatcli.client.address_guard import GuardedTransport, checked_url
from chatcli.client.openai_client import transport_to
from chatcli.client.openai_errors import translated
from chatcli.core.errors import BadResponse, EndpointError, TimedOut, UsageError
from chatcli.core.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatcli.client.address_guard import AddressGuard
    from chatcli.client.endpoint import Endpoint

_HINT: Final = "check webhook in config.toml"
_HEADERS: Final = {"Content-Type": "application/json", "User-Agent": f"chatcli/{__version__}"}


async def post_json(
    endpoint: Endpoint,
    body: Mapping[str, object],
    *,
    environment: Mapping[str, str],
    guard: AddressGuard,
    timeout_s: float,
) -> int:
    """Post ``body`` to the address of ``endpoint`` and return the status of the answer, a success; redirects are not followed.

    All of it takes at most ``timeout_s``, however slowly the server drips. Raise a ``ChatcliError`` that names the host and
    nothing else of the address, which may be a secret.
    """
    try:
        target = checked_url(endpoint.base_url)
    except UsageError as error:
        raise UsageError("the address of the webhook is not valid", hint=_HINT) from error
    if target.scheme != "https":
        raise UsageError(f"{target.host}: a webhook needs https", hint=_HINT)
    endpoint = replace(endpoint, timeout_s=timeout_s, connect_timeout_s=timeout_s)
    content = json.dumps(body).encode()
    request = httpx2.Request(
        "POST",
        target,
        content=content,
        headers=_HEADERS,
        extensions={"timeout": httpx2.Timeout(timeout_s).as_dict()},
    )
    try:
        async with asyncio.timeout(timeout_s):
            with translated(endpoint):
                inner = transport_to(endpoint, environment)
                async with (
                    GuardedTransport(inner, guard, through_proxy=endpoint.proxy is not None) as transport,
                    aclosing(await transport.handle_async_request(request)) as response,
                ):
                    status = response.status_code
    except UsageError as error:
        raise error.reworded(error.message.replace("is not read", "is not told")) from error
    except EndpointError as error:
        if "base_url" not in (error.hint or ""):
            raise
        # That is where the models are, and not what is wrong here.
        raise error.reworded(hint=_HINT) from error
    except TimeoutError as error:
        raise TimedOut(f"{target.host}: no answer within {timeout_s:g} s", hint="check the server") from error
    if not httpx2.codes.is_success(status):
        what = (
            f"{status}, a redirect, which is not followed"
            if httpx2.codes.is_redirect(status)
            else f"{status}"
        )
        raise BadResponse(f"{target.host}: {what}", hint=_HINT, status=status)
    return status
