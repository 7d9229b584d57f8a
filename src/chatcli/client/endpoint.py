"""Where a model is reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

OPENAI_HOST = "api.openai.com"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI-compatible endpoint.

    ``key`` is the one configured for this endpoint, or ``None`` where it needs none. ``withheld`` names the keys
    that were found but belong to other endpoints. Times are in seconds: ``timeout_s`` bounds the silence between
    two reads, ``connect_timeout_s`` the way to the server. A loopback endpoint is never reached through a proxy.
    """

    base_url: str
    key: str | None = field(default=None, repr=False)
    loopback: bool = False
    embedded: bool = False
    withheld: tuple[str, ...] = ()
    timeout_s: float = 600.0
    connect_timeout_s: float = 10.0

    @property
    def host(self) -> str:
        """The host, with its port where that is not the usual one: how errors name the endpoint."""
        parts = urlsplit(self.base_url)
        host = parts.hostname or self.base_url
        if parts.hostname and ":" in host:
            host = f"[{host}]"
        return host if parts.port is None else f"{host}:{parts.port}"

    @property
    def name(self) -> str:
        """How a line for the person names the endpoint."""
        return "the embedded model" if self.embedded else self.host

    @property
    def is_openai(self) -> bool:
        return urlsplit(self.base_url).hostname == OPENAI_HOST
