"""The address of a model server, and the proxy to it."""

from __future__ import annotations

import ipaddress
from dataclasses import field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from chatcli.core.errors import ConfigurationError
from chatcli.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

OPENAI_HOST = "api.openai.com"

_AZURE_DOMAINS = (
    ".openai.azure.com",
    ".cognitiveservices.azure.com",
    ".services.ai.azure.com",
    ".azure-api.net",
)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


@frozen
class Proxy:
    """A proxy and the variable that names it. ``url`` may contain a password; ``address`` and ``str`` never do."""

    url: str = field(repr=False)
    variable: str

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or _DEFAULT_PORTS[parts.scheme]

    @property
    def has_user(self) -> bool:
        return bool(urlsplit(self.url).username)

    @property
    def address(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{urlsplit(self.url).scheme}://{host}:{self.port}"

    def __str__(self) -> str:
        return f"the proxy {self.address} ({self.variable})"


@frozen
class Endpoint:
    """An OpenAI-compatible endpoint.

    ``key`` is the one configured for this endpoint, or ``None`` if it needs none. ``withheld`` names keys
    found for other endpoints. Times are in seconds: ``timeout_s`` bounds the wait for an answer
    to begin, ``idle_timeout_s`` the silence within one, ``connect_timeout_s`` the connection. An answer is cut
    after ``largest_answer_mb`` megabytes. ``proxy`` is never used for loopback. ``ca_bundle`` is a PEM file of certificates to trust beside the system's.
    ``api_version`` makes it an Azure OpenAI endpoint with deployments in its paths. ``runs_models``: only model servers use
    this port of this machine, so its answers are free.

    Other attributes are derived. ``host`` includes a non-default port and is used in errors; ``name`` is used in notices.
    ``is_azure``: the key goes into Azure's header
    (https://learn.microsoft.com/azure/ai-foundry/openai/reference).
    """

    base_url: str
    key: str | None = field(default=None, repr=False)
    loopback: bool = False
    embedded: bool = False
    withheld: tuple[str, ...] = ()
    timeout_s: float = 600.0
    idle_timeout_s: float = 120.0
    connect_timeout_s: float = 10.0
    largest_answer_mb: int = 64
    proxy: Proxy | None = None
    ca_bundle: str | None = None
    api_version: str | None = None
    runs_models: bool = False
    host: str = field(init=False, repr=False, compare=False)
    name: str = field(init=False, repr=False, compare=False)
    is_openai: bool = field(init=False, repr=False, compare=False)
    is_azure: bool = field(init=False, repr=False, compare=False)
    largest_answer_bytes: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        hostname = parts.hostname or ""
        host = f"[{hostname}]" if ":" in hostname else hostname or self.base_url
        host = host if parts.port is None else f"{host}:{parts.port}"
        derived = {
            "host": host,
            "name": "the embedded model" if self.embedded else host,
            "is_openai": hostname == OPENAI_HOST,
            "is_azure": self.api_version is not None or hostname.endswith(_AZURE_DOMAINS),
            "largest_answer_bytes": self.largest_answer_mb * 1_000_000,
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    @property
    def is_direct(self) -> bool:
        """Whether plain HTTP with one key in one header is all it takes."""
        return self.proxy is None and not self.is_azure


def proxy_for(base_url: str, environment: Mapping[str, str]) -> Proxy | None:
    """Return the proxy for a valid URL other than loopback, ``None`` for a direct connection.

    Read as curl does: HTTPS_PROXY or HTTP_PROXY by the scheme, else ALL_PROXY, lower-case names first; hosts
    in NO_PROXY are reached directly. Raise a ``ConfigurationError`` for an invalid proxy URL.
    """
    parts = urlsplit(base_url)
    if _is_exempt(parts.hostname or "", parts.port, _value(environment, "no_proxy")[0]):
        return None
    for name in (f"{parts.scheme}_proxy", "all_proxy"):
        value, variable = _value(environment, name)
        if value:
            return _proxy(value, variable)
    return None


def _value(environment: Mapping[str, str], name: str) -> tuple[str, str]:
    variable = name if environment.get(name) else name.upper()
    return environment.get(variable, "").strip(), variable


def _proxy(value: str, variable: str) -> Proxy:
    url = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _DEFAULT_PORTS and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigurationError(
            f"{variable} is not a proxy URL",
            hint="write it as http://host:port or socks5h://host:port, a user name and password before the host: "
            "http://user:password@host:port",
            code="proxy_not_valid",
        )
    return Proxy(url, variable)


def _is_exempt(host: str, port: int | None, no_proxy: str) -> bool:
    """Return whether NO_PROXY matches ``host``: ``*``, a domain and its subdomains, an address or a network."""
    return any(_names(entry.strip().lower(), host.lower(), port) for entry in no_proxy.split(","))


def _names(entry: str, host: str, port: int | None) -> bool:
    if not entry:
        return False
    if entry == "*":
        return True
    name, _, digits = entry.rpartition(":")
    if name and digits.isdigit() and (":" not in name or name.endswith("]")):
        if int(digits) != port:
            return False
        entry = name
    domain = entry.removeprefix("*").lstrip(".").strip("[]")
    return host == domain or host.endswith(f".{domain}") or _is_in_network(host, domain)


def _is_in_network(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
