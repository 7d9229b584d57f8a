"""Download of a large file, resumed where it was cut (RFC 9110, range requests)."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

import httpx2

from chatcli.client.openai_client import transport_to
from chatcli.client.openai_errors import status_error, translated
from chatcli.core.errors import BadResponse, EndpointError, RequestRefused, UsageError
from chatcli.core.frozen import frozen
from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path
    from typing import IO

    from chatcli.client.endpoint import Endpoint

_ATTEMPTS: Final = 5
_FIRST_WAIT_S: Final = 1.0
_MOST_REDIRECTS: Final = 5
_CONTENT_RANGE: Final = lazy_pattern(r"bytes (?P<start>\d{1,15})-\d{1,15}/(?P<total>\d{1,15}|\*)")
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_OK, _PARTIAL, _NO_SUCH_RANGE = 200, 206, 416
_OTHER_FILE: Final = "try again later, or name another model_hub"


@frozen
class Part:
    """What has arrived of a file, in ``path``; ``tag_path`` keeps its ETag, so that no two versions are joined."""

    path: Path
    tag_path: Path

    @property
    def size_bytes(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    @property
    def tag(self) -> str:
        try:
            return self.tag_path.read_text(encoding="utf-8")
        except (FileNotFoundError, UnicodeDecodeError):
            return ""

    def opened(self, start: int, tag: str) -> IO[bytes]:
        """Open the file for the bytes from ``start``, 0 or its size, of the version with this ``tag``."""
        self.tag_path.write_text(tag, encoding="utf-8")
        return self.path.open("ab" if start else "wb")

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)

    def forget_tag(self) -> None:
        self.tag_path.unlink(missing_ok=True)


@frozen
class FileDownload:
    """The download of the file at ``url``, of which ``size_bytes`` are known before.

    ``endpoint_to`` returns how to reach an address: every redirect has its own proxy. No key is sent.
    """

    url: str
    size_bytes: int
    endpoint_to: Callable[[str], Endpoint]
    environment: Mapping[str, str]
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep

    async def run(self, part: Part, report: Callable[[int], None]) -> None:
        """Bring ``part`` to its whole size, from what is there; ``report`` receives its size now and then.

        After a cut it goes on by itself, unless five attempts in a row bring nothing new.

        :raises EndpointError: the server refuses, sends another file, or cannot be reached
        :raises UsageError: the address is one over plain http
        :raises OSError: the file cannot be written
        """
        first = self.endpoint_to(self.url)
        if not _is_secure(first, first):
            raise UsageError(
                f"{self.url} is not fetched: over plain http it could be changed on the way", hint="use https"
            )
        failures, most_bytes = 0, part.size_bytes
        while part.size_bytes != self.size_bytes:
            if part.size_bytes > self.size_bytes:
                part.discard()
            try:
                await self._go_on(part, report)
            except EndpointError as error:
                failures = 1 if part.size_bytes > most_bytes else failures + 1
                most_bytes = max(most_bytes, part.size_bytes)
                if not error.retryable or failures == _ATTEMPTS:
                    raise _about_hub(error) from error
                await self.sleep(_FIRST_WAIT_S * 2 ** (failures - 1))
        part.forget_tag()

    async def _go_on(self, part: Part, report: Callable[[int], None]) -> None:
        """Request the rest of the file and append it, or start over if the server does not resume this one."""
        here_bytes, tag = part.size_bytes, part.tag
        headers = {"accept-encoding": "identity"}
        if here_bytes:
            headers["range"] = f"bytes={here_bytes}-"
            # A weak one does not promise the same bytes, and not everything that is received can be sent.
            if tag.startswith('"') and tag.isascii() and tag.isprintable():
                headers["if-range"] = tag
        async with self._response(headers) as (endpoint, response):
            new_tag = response.headers.get("etag", "")
            is_other = response.status_code == _PARTIAL and tag and new_tag and tag != new_tag
            if here_bytes and (is_other or response.status_code == _NO_SUCH_RANGE):
                part.discard()
                raise BadResponse(
                    f"{endpoint.host}: the file there has changed", hint=_OTHER_FILE, retryable=True
                )
            done_bytes = self._start(endpoint, response, here_bytes)
            with part.opened(done_bytes, new_tag) as file, translated(endpoint):
                # In blocks of a fixed size, the last one before a cut would be lost.
                async with aclosing(response.aiter_raw()) as blocks:
                    async for block in blocks:
                        done_bytes += len(block)
                        if done_bytes > self.size_bytes:
                            raise self._wrong_size(endpoint, f"more than {self.size_bytes:,}")
                        file.write(block)
                        file.flush()  # what was received is resumed from, however this run ends
                        report(done_bytes)
        if done_bytes < self.size_bytes:
            raise BadResponse(f"{endpoint.host}: the download ended early", hint="try again", retryable=True)

    def _start(self, endpoint: Endpoint, response: httpx2.Response, here_bytes: int) -> int:
        """Return the position of the first byte of the body, after checking that it belongs to this file."""
        if response.status_code == _PARTIAL:
            found = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
            if found is None or int(found["start"]) not in {0, here_bytes}:
                raise BadResponse(
                    f"{endpoint.host}: sent another part than the one requested", hint=_OTHER_FILE
                )
            total = found["total"]
            if total not in {"*", str(self.size_bytes)}:
                raise self._wrong_size(endpoint, f"{int(total):,}")
            return int(found["start"])
        if response.status_code != _OK:
            error = status_error(endpoint, response)
            # There is neither a model nor a key to check.
            raise error.reworded(hint=_OTHER_FILE if error.retryable else "check model_hub")
        length = response.headers.get("content-length", str(self.size_bytes))
        if length != str(self.size_bytes):
            raise self._wrong_size(endpoint, f"{int(length):,}" if length.isdecimal() else length)
        return 0

    def _wrong_size(self, endpoint: Endpoint, sent: str) -> BadResponse:
        return BadResponse(
            f"{endpoint.host}: the file there has {sent} bytes, not {self.size_bytes:,}", hint=_OTHER_FILE
        )

    @asynccontextmanager
    async def _response(self, headers: Mapping[str, str]) -> AsyncIterator[tuple[Endpoint, httpx2.Response]]:
        """Follow redirects to the file; an address over plain http is refused before it is asked."""
        url = self.url
        first = endpoint = self.endpoint_to(url)
        for _ in range(_MOST_REDIRECTS + 1):
            timeout = httpx2.Timeout(endpoint.idle_timeout_s, connect=endpoint.connect_timeout_s)
            transport = transport_to(endpoint, self.environment)
            async with httpx2.AsyncClient(
                transport=transport, trust_env=False, timeout=timeout, headers=headers
            ) as client:
                with translated(endpoint):
                    response = await client.send(client.build_request("GET", url), stream=True)
                async with aclosing(response):
                    if response.status_code not in _REDIRECTS:
                        yield endpoint, response
                        return
            try:
                url = urljoin(url, response.headers.get("location", ""))
                following = self.endpoint_to(url)
            except ValueError as error:
                raise RequestRefused(
                    f"{endpoint.host}: redirects to an invalid address", hint="check model_hub"
                ) from error
            if not _is_secure(following, first):
                raise RequestRefused(
                    f"{endpoint.host}: redirects to {following.host} without encryption",
                    hint="name another model_hub; a file over plain http could be changed on the way",
                )
            endpoint = following
        raise RequestRefused(f"{first.host}: redirects in a circle", hint="check model_hub")


def _is_secure(endpoint: Endpoint, first: Endpoint) -> bool:
    """Return whether nobody on the way can change the file: https, or both are on this machine."""
    scheme = urlsplit(endpoint.base_url).scheme
    return scheme == "https" or (scheme == "http" and endpoint.loopback and first.loopback)


def _about_hub(error: EndpointError) -> EndpointError:
    return error.reworded(hint=(error.hint or "try again").replace("base_url", "model_hub"))
