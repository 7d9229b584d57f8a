"""Where a model is reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from chatcli.client.proxies import Proxy

OPENAI_HOST = "api.openai.com"

_AZURE_DOMAINS = (
    ".openai.azure.com",
    ".cognitiveservices.azure.com",
    ".services.ai.azure.com",
    ".azure-api.net",
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI-compatible endpoint.

    ``key`` is the one configured for this endpoint, or ``None`` where it needs none. ``withheld`` names the keys
    that were found but belong to other endpoints. Times are in seconds: ``timeout_s`` bounds the wait for an answer
    to begin, ``idle_timeout_s`` the silence within one, ``connect_timeout_s`` the way to the server. Of an answer of
    more than ``largest_answer_mb`` megabytes the rest is not taken. ``proxy`` leads
    there, never to loopback. ``ca_bundle`` is a PEM file of certificates to trust beside the system's.
    ``api_version`` makes it an Azure OpenAI endpoint with deployments in its paths.
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

    @property
    def largest_answer_bytes(self) -> int:
        return self.largest_answer_mb * 1_000_000

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

    @property
    def is_azure(self) -> bool:
        """Whether it wants its key as Azure does: https://learn.microsoft.com/azure/ai-foundry/openai/reference."""
        host = urlsplit(self.base_url).hostname or ""
        return self.api_version is not None or host.endswith(_AZURE_DOMAINS)
