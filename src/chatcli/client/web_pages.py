"""Reading of web pages that the person named, and nothing else: no cookies, no keys, no referrer, no other site's data."""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import httpx2

from chatcli.client.address_guard import CODE, GuardedTransport, checked_url
from chatcli.client.error_kinds import on_one_line
from chatcli.client.network_faults import proxy_auth_required
from chatcli.client.openai_client import transport_to
from chatcli.client.openai_errors import translated
from chatcli.client.response_limits import Unpacked
from chatcli.core.errors import (
    BadResponse,
    ChatcliError,
    NetworkError,
    RateLimited,
    ServerFailed,
    TimedOut,
    UsageError,
)
from chatcli.core.frozen import frozen
from chatcli.core.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chatcli.client.address_guard import AddressGuard
    from chatcli.client.endpoint import Endpoint

TIMEOUT_S: Final = 30.0
MOST_BYTES: Final = 10_000_000
MOST_REDIRECTS: Final = 5

_SILENCE_S: Final = 15.0
_CONNECT_S: Final = 10.0
_HEADERS: Final = {
    "Accept": "text/markdown, text/plain;q=0.9, text/html;q=0.8, application/json;q=0.7, */*;q=0.1",
    "Accept-Encoding": "gzip",
    "User-Agent": f"chatcli/{__version__}",
}
_UNPACKABLE: Final = frozenset({"gzip", "x-gzip", "deflate"})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_DIGITS: Final = re.compile(r"[0-9]{1,20}")
_NO_ACCESS: Final = frozenset({401, 402, 403})
_TRY_LATER: Final = frozenset({408, 425, 429})
_COPY_IT: Final = "copy the text from your browser"
_HINTS: Final = {
    "dns": "check the address for typos, and your network; behind a proxy set HTTPS_PROXY",
    "refused": "check the address; nothing answers there",
    "reset": "try again later, or " + _COPY_IT,
    "not_http": "check the address and its port",
    "tls": "check whether the page has an http:// address only",
    "tls_certificate": "if you trust the server, name its authority with ca_bundle or SSL_CERT_FILE",
    "timed_out": "try again later, or " + _COPY_IT,
}
"""Hints for codes of network errors whose usual hint is about the model's endpoint."""


@frozen
class FetchedPage:
    """The content of a page and its ``Content-Type``; ``url`` is its address after redirects."""

    url: str
    content_type: str
    content: bytes
    is_redirected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PageReader:
    """Reads one page at a time. ``progress`` is given the bytes received so far.

    ``endpoint_of`` returns how a URL is reached, ``guard`` decides which addresses are. A page may have ``most_bytes``,
    unpacked, and take ``timeout_s`` with all its redirects.
    """

    endpoint_of: Callable[[str], Endpoint]
    environment: Mapping[str, str]
    guard: AddressGuard
    progress: Callable[[int], None] = lambda _: None
    timeout_s: float = TIMEOUT_S
    most_bytes: int = MOST_BYTES

    async def read(self, address: str) -> FetchedPage:
        """Return the page at ``address``.

        Raise ``UsageError`` for an address that is refused and for a page that does not exist or is too large, and an
        ``EndpointError`` if the network, the proxy or the server fails.
        """
        url = checked_url(address)
        try:
            async with asyncio.timeout(self.timeout_s):
                for redirects in range(MOST_REDIRECTS + 1):
                    answer = await self._answer(url)
                    if isinstance(answer, FetchedPage):
                        return replace(answer, is_redirected=redirects > 0)
                    url = _target(url, answer)
        except TimeoutError as error:
            raise TimedOut(
                f"{url.host}: the page did not arrive within {self.timeout_s:g} s", hint=_HINTS["timed_out"]
            ) from error
        raise BadResponse(
            f"{url.host}: more than {MOST_REDIRECTS} redirects",
            hint="open the page in your browser, and use its address",
        )

    async def _answer(self, url: httpx2.URL) -> FetchedPage | str:
        """Return the page at ``url``, or the address it redirects to."""
        endpoint = replace(self.endpoint_of(str(url)), timeout_s=_SILENCE_S, connect_timeout_s=_CONNECT_S)
        timeout = httpx2.Timeout(_SILENCE_S, connect=_CONNECT_S).as_dict()
        request = httpx2.Request("GET", url, headers=_HEADERS, extensions={"timeout": timeout})
        is_proxied = endpoint.proxy is not None
        try:
            with translated(endpoint):
                inner = transport_to(endpoint, self.environment)
                # Not a client: it would keep cookies, and send them at the next redirect.
                async with (
                    GuardedTransport(inner, self.guard, through_proxy=is_proxied) as transport,
                    aclosing(await transport.handle_async_request(request)) as response,
                ):
                    location = response.headers.get("location", "")
                    if response.status_code in _REDIRECTS and location:
                        return str(location)
                    if not response.is_success:
                        raise _status_error(endpoint, url, response)
                    content = await self._content(url, response)
                    return FetchedPage(str(url), response.headers.get("content-type", ""), content)
        except NetworkError as error:
            raise error.reworded(hint=_HINTS.get(error.code, error.hint)) from error

    async def _content(self, url: httpx2.URL, response: httpx2.Response) -> bytes:
        announced = response.headers.get("content-length", "")
        if _DIGITS.fullmatch(announced) and int(announced) > self.most_bytes:
            raise self._too_large(url)
        packed_as = response.headers.get("content-encoding", "identity").strip().lower()
        if packed_as in _UNPACKABLE and isinstance(response.stream, httpx2.AsyncByteStream):
            # One layer only, and no more of it than is taken: kilobytes can unpack to gigabytes.
            response.stream = Unpacked(response.stream, whole=True)
        elif packed_as not in {"", "identity"}:
            raise httpx2.DecodingError(f"a body packed as {on_one_line(packed_as)}, which was not requested")
        content = bytearray()
        async with aclosing(response.aiter_raw()) as chunks:
            async for chunk in chunks:
                content += chunk
                if len(content) > self.most_bytes:
                    raise self._too_large(url)
                self.progress(len(content))
        return bytes(content)

    def _too_large(self, url: httpx2.URL) -> UsageError:
        return UsageError(
            f"{url} is larger than {self.most_bytes / 1e6:,.0f} MB",
            hint="save it, and attach the part that matters",
            code="input_too_long",
        )


def _target(url: httpx2.URL, location: str) -> httpx2.URL:
    """Return the URL a redirect leads to. Raise ``UsageError`` for one that is never followed."""
    try:
        target = checked_url(str(url.join(location)))
    except (httpx2.InvalidURL, UsageError, ValueError) as error:
        reason = error.message if isinstance(error, ChatcliError) else "its target is no web address"
        raise UsageError(
            f"{url.host} redirects to an address that is not read: {reason}",
            hint="open the page in your browser, and use its address",
            code=CODE,
        ) from error
    if url.scheme == "https" and target.scheme != "https":
        raise UsageError(
            f"{url.host} redirects to an unencrypted address, {target.host}, which is not followed",
            hint=f"if that is fine, name it yourself: {target}",
            code=CODE,
        )
    return target


def _status_error(endpoint: Endpoint, url: httpx2.URL, response: httpx2.Response) -> ChatcliError:
    status = response.status_code
    if status == httpx2.codes.PROXY_AUTHENTICATION_REQUIRED:
        return proxy_auth_required(endpoint)
    message = f"{url}: {status} {on_one_line(response.reason_phrase)}".rstrip()
    if status in _TRY_LATER:
        return RateLimited(message, hint="try again later, or " + _COPY_IT, status=status)
    if response.is_server_error:
        return ServerFailed(message, hint="try again later; the page's server failed", status=status)
    hint = "check the address in your browser"
    if status in _NO_ACCESS:
        hint = f"the page needs a login or refuses programs; {_COPY_IT}"
    return UsageError(message, hint=hint, code="page_refused")
