"""Guard against requests that lead into a private network (server-side request forgery).

A URL written by somebody, or a redirect, can name the router, a metadata service or a server of the intranet. Only
addresses of the public internet pass. The address that was checked is the one connected to, so a name server
that changes its answer (DNS rebinding) gains nothing.

The networks are those of the IANA special-purpose address registries; ``ipaddress.is_global`` differs between
versions of Python, and takes NAT64 and 6to4 forms of a private address to be public.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import httpx2

from chatcli.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
    """Returns the addresses of a host, the best first; raises ``OSError`` if there are none."""

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

CODE: Final = "address_refused"

_SCHEME: Final = re.compile(r"https?://", re.IGNORECASE)
_USER: Final = re.compile(r"[a-z]+:/*[^/?#]*@(?P<host>[^/?#\\@]*)", re.IGNORECASE)
# Parsers of URLs disagree about these.
_AMBIGUOUS: Final = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029\ufeff]")
_NAME: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?", re.IGNORECASE)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
_LAST_PORT: Final = 65_535
# RFC 6761, 6762, 8375 and 9476, and what private networks use without asking.
_PRIVATE_NAMES: Final = (
    *("localhost", "local", "localdomain", "internal", "intranet", "private", "corp", "home", "lan"),
    "home.arpa",
)

_METADATA: Final = frozenset(
    map(
        ipaddress.ip_address,
        (
            "169.254.169.254",  # AWS, Azure, Google Cloud and others
            "169.254.170.2",  # containers on AWS
            "169.254.170.23",
            "100.100.100.200",  # Alibaba Cloud
            "168.63.129.16",  # Azure's host, by a public address
            "192.0.0.192",  # Oracle Cloud
            "fd00:ec2::254",  # AWS
            "fd00:ec2::23",
            "fd20:ce::254",  # Google Cloud
        ),
    )
)
_KINDS: Final = tuple(
    (ipaddress.ip_network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "an unspecified address"),
        ("10.0.0.0/8", "a private address"),
        ("100.64.0.0/10", "a private address (carrier-grade NAT)"),
        ("127.0.0.0/8", "this machine"),
        ("169.254.0.0/16", "a link-local address"),
        ("172.16.0.0/12", "a private address"),
        ("192.0.0.0/24", "a reserved address"),
        ("192.0.2.0/24", "a reserved address"),
        ("192.88.99.0/24", "a reserved address"),
        ("192.168.0.0/16", "a private address"),
        ("198.18.0.0/15", "a reserved address"),
        ("198.51.100.0/24", "a reserved address"),
        ("203.0.113.0/24", "a reserved address"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a reserved address"),
        ("::/128", "an unspecified address"),
        ("::1/128", "this machine"),
        ("2001::/23", "a reserved address"),
        ("2001:db8::/32", "a reserved address"),
        ("3fff::/20", "a reserved address"),
        ("fc00::/7", "a private address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a private address"),
        ("ff00::/8", "a multicast address"),
    )
)
_SERVICE: Final = "a metadata service"
_NEVER_BY_NAME: Final = (
    _SERVICE,
    "a link-local address",
    "a multicast address",
    "an unspecified address",
)
_GLOBAL_IPV6: Final = ipaddress.ip_network("2000::/3")
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_ISATAP: Final = (0x0000_5EFE, 0x0200_5EFE)
_MOST_ADDRESSES: Final = 4
_IMPATIENT_S: Final = 3.0
"""The wait for one address of several: IPv6 often leads nowhere."""


def kind_of_address(address: Address) -> str | None:
    """Return what an address outside the public internet is, ``None`` for a public one."""
    if address in _METADATA:
        return _SERVICE
    if isinstance(address, ipaddress.IPv6Address):
        within = _embedded(address)
        if within is not None:
            return kind_of_address(within)
    kind = next((kind for network, kind in _KINDS if address in network), None)
    if kind is None and isinstance(address, ipaddress.IPv6Address):
        hidden = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if address not in _GLOBAL_IPV6:
            return "a reserved address"
        if int(address) >> 32 & 0xFFFF_FFFF in _ISATAP:
            return kind_of_address(hidden)
    return kind


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that a mapped, NAT64 or 6to4 address leads to."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour


def checked_url(text: str) -> httpx2.URL:
    """Return a web address, without its fragment. Raise ``UsageError`` if it is none or hides its host.

    A host that is a number has one spelling only: ``127.1``, ``0x7f000001`` and ``2130706433`` are refused.
    """
    if not _SCHEME.match(text):
        raise UsageError(f"{text} is not a web address", hint="only http:// and https:// can be read")
    if found := _USER.match(text):
        raise UsageError(
            f"the address of {found['host']} holds a user name or a password",
            hint="remove what stands before the @",
            code=CODE,
        )
    if _AMBIGUOUS.search(text):
        raise _mistyped(text)
    try:
        url = httpx2.URL(text)
        host = url.raw_host.decode("ascii")
    except (httpx2.InvalidURL, ValueError) as error:
        raise _mistyped(text) from error
    if not (url.port is None or 0 < url.port <= _LAST_PORT):
        raise _mistyped(text)
    if ":" not in host:
        _check_name(host, text)
    elif "%" in host:
        raise _mistyped(text)
    return url.copy_with(fragment=None)


def _check_name(host: str, text: str) -> None:
    if not _NAME.fullmatch(host):
        raise _mistyped(text)
    if _NUMBER.fullmatch(host.removesuffix(".").rpartition(".")[2]) and _literal(host) is None:
        raise UsageError(
            f"{host} is an unusual spelling of an address",
            hint="write an address as four decimal numbers, like 192.0.2.1",
            code=CODE,
        )


def _mistyped(text: str) -> UsageError:
    return UsageError(
        f"{text} is not a valid web address",
        hint="write it as in a browser, like https://host.example/page, with %20 for a space",
    )


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


class AddressGuard:
    """Decides which hosts may be asked. One guard serves one chain of redirects.

    ``allowed`` are exceptions the person configured: names, which include their subdomains, and addresses and
    networks for hosts written as an address. They hold until a host outside of them is asked: neither a page of the
    internet nor a name server can lead into the intranet.
    """

    def __init__(self, allowed: Sequence[str], resolve: Resolve) -> None:
        self._resolve = resolve
        self._names = [entry.lower().rstrip(".") for entry in allowed if _network(entry) is None]
        self._networks = [network for entry in allowed if (network := _network(entry)) is not None]
        self._exceptions_hold = True

    async def addresses(self, url: httpx2.URL, *, by_proxy: bool = False) -> Sequence[str]:
        """Return the addresses that may be connected to, the best first.

        Raise ``UsageError`` if any of them is not public, and ``OSError`` if the name cannot be resolved. Where a
        proxy resolves it too (``by_proxy``) that returns nothing instead: such names are often known there alone.
        """
        host = url.raw_host.decode("ascii").lower().rstrip(".")
        literal = _literal(host)
        is_exception = self._exceptions_hold and self._is_listed(host, literal)
        found = (
            [host]
            if literal is not None
            else await self._resolved(host, url, is_exception, by_proxy=by_proxy)
        )
        for text in found:
            self._check(host, ipaddress.ip_address(text), is_exception=is_exception)
        self._exceptions_hold = is_exception
        return found[:_MOST_ADDRESSES]

    async def _resolved(
        self, host: str, url: httpx2.URL, is_exception: bool, *, by_proxy: bool
    ) -> Sequence[str]:
        if not is_exception and _is_private_name(host):
            raise self._refused(host, "is a name of a private network")
        try:
            return await self._resolve(host, _port(url))
        except OSError:
            if by_proxy:
                return ()
            raise

    def _is_listed(self, host: str, literal: Address | None) -> bool:
        if literal is not None:
            # Nobody means a metadata service when they allow a network.
            is_service = kind_of_address(literal) == _SERVICE
            listed = [network for network in self._networks if literal in network]
            return any(network.num_addresses == 1 or not is_service for network in listed)
        return any(host == name or host.endswith(f".{name}") for name in self._names)

    def _check(self, host: str, address: Address, *, is_exception: bool) -> None:
        """Raise ``UsageError`` for an address that does not pass; an exception made by name has its limits."""
        kind = kind_of_address(address)
        is_literal = _literal(host) is not None
        if kind is None or (is_exception and (is_literal or kind not in _NEVER_BY_NAME)):
            return
        what = f"is {kind}" if is_literal else f"leads to {address}, {kind}"
        raise self._refused(host, what, may_be_allowed=kind not in _NEVER_BY_NAME)

    def _refused(self, host: str, what: str, *, may_be_allowed: bool = True) -> UsageError:
        if not may_be_allowed:
            hint = "check the address; only pages of the internet are read"
        elif not self._exceptions_hold:
            hint = "a page of the internet leads there; if you trust it, name its address yourself"
        else:
            hint = f'if you trust it, allow it in config.toml: private_hosts = ["{host}"]'
        return UsageError(f"{host} {what}, and is not read", hint=hint, code=CODE)


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None


def _is_private_name(host: str) -> bool:
    return "." not in host or any(host.endswith(f".{name}") for name in _PRIVATE_NAMES)


def _port(url: httpx2.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


@dataclass(slots=True)
class GuardedTransport(httpx2.AsyncBaseTransport):
    """A transport that asks only what ``guard`` lets pass, by the addresses that were checked.

    TLS names and certificates and the ``Host`` header remain those of the URL. With ``through_proxy``, ``inner``
    leads through a proxy, which resolves names again: there the check is all that can be done.
    """

    inner: httpx2.AsyncBaseTransport
    guard: AddressGuard
    through_proxy: bool = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send ``request``; raise ``UsageError`` for a refused address."""
        try:
            addresses = await self.guard.addresses(request.url, by_proxy=self.through_proxy)
        except OSError as error:
            raise httpx2.ConnectError(str(error)) from error
        if self.through_proxy:
            return await self.inner.handle_async_request(request)
        if not addresses:
            raise httpx2.ConnectError("the name has no address")
        for address in addresses[:-1]:
            try:
                return await self.inner.handle_async_request(_pinned(request, address, _IMPATIENT_S))
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue
        return await self.inner.handle_async_request(_pinned(request, addresses[-1]))

    async def aclose(self) -> None:
        await self.inner.aclose()


def _pinned(request: httpx2.Request, address: str, connect_s: float | None = None) -> httpx2.Request:
    """Return ``request`` to ``address`` instead of the name in its URL."""
    extensions = {**request.extensions, "sni_hostname": request.url.raw_host.decode("ascii").rstrip(".")}
    if connect_s is not None:
        extensions["timeout"] = {**extensions.get("timeout", {}), "connect": connect_s}
    return httpx2.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions=extensions,
    )
