"""Posts to one path of an endpoint: the openai package makes the first request, and its URL and headers serve the others."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Final, cast

import anyio
import httpx2
import openai

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatcli.client.pool import Call

_ONCE_ONLY: Final = frozenset({"content-length", "cookie", "idempotency-key"})
"""Headers of a single request. httpx2 sets the first two."""

_AS_IT_IS: Final[Any] = {
    "cast_to": httpx2.Response,
    "stream": True,
    "stream_cls": openai.AsyncStream[Any],
}


class RepeatedPosts:
    """Posts bodies to ``path``, and returns responses once their headers have arrived.

    For each request the package copies its options, merges its headers and builds the URL anew: a third of the time
    from Enter to the request. Only the body differs.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._made: tuple[object, httpx2.Request] | None = None

    async def post(self, call: Call, content: bytes) -> httpx2.Response:
        """Post ``content``, a JSON object, in an admitted call.

        Raise like the package, but an ``APIStatusError`` for every error status.
        """
        client = await call.client()
        if self._made is not None and self._made[0] is client:
            # There is no public name for it.
            return await _again(client._client, self._made[1], content)  # noqa: SLF001
        # The package's own create() of an API imports every type of its answers, and adds nothing to the body.
        response = cast("httpx2.Response", await client.post(self._path, content=content, **_AS_IT_IS))
        if "idempotency-key" not in response.request.headers:
            self._made = client, response.request
        return response

    async def post_body(self, call: Call, body: Mapping[str, Any]) -> httpx2.Response:
        """Post ``body`` where the package has to look at it: it finds the model for Azure's older paths there."""
        client = await call.client()
        return cast("httpx2.Response", await client.post(self._path, body=body, **_AS_IT_IS))


async def _again(http_client: httpx2.AsyncClient, made: httpx2.Request, content: bytes) -> httpx2.Response:
    request = http_client.build_request(
        "POST",
        made.url,
        headers=[(name, value) for name, value in made.headers.multi_items() if name not in _ONCE_ONLY],
        content=content,
        extensions={"timeout": made.extensions["timeout"]},
    )
    try:
        response = await http_client.send(request, stream=True)
    except httpx2.TimeoutException as error:
        raise openai.APITimeoutError(request=request) from error
    except (httpx2.RequestError, ssl.SSLError, anyio.EndOfStream) as error:
        raise openai.APIConnectionError(request=request) from error
    if not response.is_success:
        await response.aread()
        raise openai.APIStatusError(f"status {response.status_code}", response=response, body=None)
    return response
