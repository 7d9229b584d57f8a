"""A file from the web, for a person who named its address."""

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
    """Return what lies at the ``base_url`` of ``endpoint``, which is the file's own address. No key is sent.

    Raise an ``EndpointError`` where it cannot be had: redirects are not followed, and what is longer than ``most_bytes``
    or takes longer than ``timeout_s`` in all is given up.
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
                        # There is no model and no key in the address.
                        raise error.reworded(hint="check the address" if response.is_client_error else None)
                    # Nothing packed was asked for, and nothing is unpacked: a few bytes could become any number.
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
