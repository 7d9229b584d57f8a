"""Redirects, which are told and never followed."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from chatcli.text.terminal import sanitize_line

if TYPE_CHECKING:
    import httpx2

_RULE = "redirects are not followed, with or without a key: set base_url to the final address"
_LONGEST_ADDRESS = 200


def redirect_hint(response: httpx2.Response) -> str:
    """Tell where a redirect points, as far as it is safe to show: no user name, no password, no query."""
    try:
        target = urlsplit(urljoin(str(response.request.url), response.headers.get("location", "")))
        port = "" if target.port is None else f":{target.port}"
    except ValueError:
        return _RULE
    if not response.headers.get("location") or not target.hostname:
        return _RULE
    address = sanitize_line(f"{target.scheme}://{target.hostname}{port}{target.path}")[:_LONGEST_ADDRESS]
    return f"{_RULE} (it points to {address})"
