"""Endpoint URLs: validation, comparison, and whether they are local."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from chatcli.core.errors import ConfigurationError
from chatcli.text.lazy_pattern import lazy_pattern

OPENAI_URL = "https://api.openai.com/v1"

_LAST_PORT = 65_535
_LONGEST_URL = 8_192
"""Longer ones are refused by servers, and by libraries in words of their own."""
_DEFAULT_PORTS = {"http": 80, "https": 443}
# URL parsers disagree about backslashes, white space and letters that normalize to others, so the host
# that was checked could differ from the host that is called.
_PLAIN_URL = lazy_pattern(r"[!-\[\]-~]+")
_QUOTES = ('"', "'", "`", "“", "”", "‘", "’")
_SCHEME = lazy_pattern(r"[a-z][a-z0-9+.-]*://|https?:", re.IGNORECASE)
_DOTTED_NUMBERS = lazy_pattern(r"[0-9]+(?:\.[0-9]+){3}")
# No name ends in a number: that is an address in an unusual spelling.
_HOST_NAME = lazy_pattern(r"(?:[a-z0-9_-]+\.)*(?![0-9]+\.?\Z)[a-z0-9_-]+\.?", re.IGNORECASE)
_AUTHORITY = lazy_pattern(r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")


class MistypedValue(ValueError):
    """A value whose exact mistake is known, with a ``hint`` for it."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class EndpointOrigin(NamedTuple):
    """Scheme, lower-case host and effective port, which identify an endpoint (RFC 6454)."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = self.port == _DEFAULT_PORTS[self.scheme]
        return f"{self.scheme}://{host}" + ("" if default else f":{self.port}")


def password_of(url: str) -> str | None:
    """Return the password in a URL, as written; ``None`` if it has none or is no URL."""
    authority = url.partition("://")[2].partition("/")[0]
    before, at, _ = authority.rpartition("@")
    return (before.partition(":")[2] or None) if at else None


def validated_url(text: str) -> str:
    """Return an endpoint's URL without surrounding white space and trailing slashes.

    A URL without a scheme gets ``http://`` on this machine and ``https://`` elsewhere. Raise ``ValueError``
    with a reason that never contains a password.
    """
    url = text.strip().rstrip("/")
    refuse_quotes(url)
    if url and not _SCHEME.match(url):
        url = _with_scheme(url)
    parts = _split(url)
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or a password; give the key as api_key")
    if "?" in url or "#" in url:
        raise ValueError("must end before any '?' or '#'")
    _origin(parts)
    return url


def with_version(url: str) -> str | None:
    """Return a valid URL with the ``/v1`` that nearly all servers want, ``None`` if it has a path."""
    return None if urlsplit(url).path.strip("/") else f"{url.rstrip('/')}/v1"


def _with_scheme(address: str) -> str:
    url = f"http://{address}"
    try:
        return url if is_loopback(url) else f"https://{address}"
    except ValueError:
        # Which quote it is does not matter.
        return f"https://{address}"


def refuse_quotes(value: str) -> None:
    """Raise ``MistypedValue`` if a value that never has quotes begins or ends with one."""
    if value.startswith(_QUOTES) or value.endswith(_QUOTES):
        raise MistypedValue(
            "must not have quotes around it",
            hint="remove the quotes: whatever set the value kept them, as Docker's --env-file does",
        )


def origin_of(url: str) -> EndpointOrigin:
    """Return the origin of a valid URL; raise ``ValueError`` for any other."""
    return _origin(_split(url))


def is_host_or_network(text: str) -> bool:
    """Return whether ``text`` is the name of a host or a domain, an address, or a network such as 10.0.0.0/8."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return _HOST_NAME.fullmatch(text) is not None
    return True


def is_loopback(url: str) -> bool:
    """Return whether a valid URL names this machine: 127.0.0.0/8, ::1 or ``localhost``."""
    host = origin_of(url).host
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def sends_in_clear(url: str) -> bool:
    """Return whether data sent to a valid URL crosses a network unencrypted."""
    return origin_of(url).scheme == "http" and not is_loopback(url)


def refuse_key_in_clear(url: str, *, accepted: bool) -> None:
    """Raise ``ConfigurationError`` if a key would cross a network unencrypted without permission."""
    if sends_in_clear(url) and not accepted:
        raise ConfigurationError(
            f"{url} would receive the key over an unencrypted connection",
            hint="use https, or allow it with --insecure-http",
        )


def _split(url: str) -> SplitResult:
    if not _PLAIN_URL.fullmatch(url):
        raise ValueError("must be a URL of plain ASCII characters, like https://host.example/v1")
    if len(url) > _LONGEST_URL:
        raise ValueError(f"must be a URL of at most {_LONGEST_URL:,} characters")
    try:
        return urlsplit(url)
    except ValueError as error:
        raise ValueError("must be a URL like https://host.example/v1") from error


def _origin(parts: SplitResult) -> EndpointOrigin:
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("must be a URL that starts with http:// or https://")
    authority = _AUTHORITY.fullmatch(parts.netloc.lower())
    if authority is None:
        raise ValueError("must name a host and perhaps a port, like https://host.example:8443/v1")
    return EndpointOrigin(parts.scheme, _host(authority["host"]), _port(authority["port"], parts.scheme))


def _host(host: str) -> str:
    if _DOTTED_NUMBERS.fullmatch(host) and _address(host) is None:
        raise ValueError("must hold a valid IPv4 address, or a name")
    if not host.startswith("["):
        return host
    # An address has many spellings; the standard library finds the canonical one.
    address = _address(host[1:-1])
    if address is None:
        raise ValueError("must hold a valid IPv6 address between its brackets")
    return str(address)


def _port(digits: str | None, scheme: str) -> int:
    if digits is None:
        return _DEFAULT_PORTS[scheme]
    port = int(digits)
    if not 0 < port <= _LAST_PORT:
        raise ValueError(f"must have a port from 1 to {_LAST_PORT}")
    return port


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
