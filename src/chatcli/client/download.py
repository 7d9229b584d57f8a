"""Download of a file from an address the person gave."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import httpx2

from chatcli.client.openai_client import transport_to
from chatcli.client.openai_errors import status_error, translated
from chatcli.core.errors import BadResponse, TimedOut

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatcli.client.endpoint import Endpoint

TIMEOUT_S: Final = 60.0


async def download(
    endpoint: Endpoint, environment: Mapping[str, str], *, most_bytes: int, timeout_s: float = TIMEOUT_S
) -> bytes:
    """Return the content of the file at the ``base_url`` of ``endpoint``; no key is sent.

    Raise an ``EndpointError`` on failure: redirects are not followed, and more than ``most_bytes`` or
    ``timeout_s`` is given up.
    """
    content = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            with translated(endpoint):
                transport = transport_to(endpoint, environment)
                headers = {"accept-encoding": "identity"}
                async with (
                    httpx2.AsyncClient(transport=transport, trust_env=False, headers=headers) as client,
                    client.stream("GET", endpoint.base_url) as response,
                ):
                    if not response.is_success:
                        error = status_error(endpoint, response)
                        # The address has no model and no key.
                        raise error.reworded(hint="check the address" if response.is_client_error else None)
                    # No compression is requested and none is undone: a few bytes could expand to any size.
                    async with aclosing(response.aiter_raw()) as chunks:
                        async for chunk in chunks:
                            content += chunk
                            if len(content) > most_bytes:
                                raise BadResponse(
                                    f"{endpoint.host}: the file is larger than {most_bytes:,} bytes",
                                    hint="check the address",
                                )
    except TimeoutError as error:
        raise TimedOut(
            f"{endpoint.host}: the download did not finish within {timeout_s:g} s",
            hint="try again, or download it yourself and name the file",
        ) from error
    return bytes(content)
