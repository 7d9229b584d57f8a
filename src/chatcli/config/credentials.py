"""Keys and the endpoints they belong to: a key is only ever sent to the endpoint it was configured with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chatcli.config.endpoints import OPENAI_URL, EndpointOrigin, origin_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.config.secret import Secret


@dataclass(frozen=True, slots=True)
class Credential:
    """A key, the one place it may be sent to, and where it was found (``environment OPENAI_API_KEY``)."""

    secret: Secret
    endpoint_origin: EndpointOrigin
    source: str

    @property
    def name(self) -> str:
        """How a line for the person names the key."""
        return f"the key from {self.source}"

    @property
    def withheld_notice(self) -> str:
        return f"{self.name} was not sent: it belongs to {self.endpoint_origin}"


def bind(secret: Secret, base_url: str | None, source: str) -> Credential:
    """Tie a key to the URL it was configured with, or to OpenAI's where there was none."""
    return Credential(secret, origin_of(base_url or OPENAI_URL), source)


def choose(
    credentials: Iterable[Credential], base_url: str | None
) -> tuple[Credential | None, tuple[Credential, ...]]:
    """Return the first credential of the endpoint, and all those that belong to other places."""
    endpoint = None if base_url is None else origin_of(base_url)
    everything = tuple(credentials)
    own = (credential for credential in everything if credential.endpoint_origin == endpoint)
    foreign = (credential for credential in everything if credential.endpoint_origin != endpoint)
    return next(own, None), tuple(foreign)
