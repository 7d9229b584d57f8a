"""Reading of web pages for attachments: from the settings to the text of a page."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from chatcli.app.name_resolution import resolve_here
from chatcli.app.resolver import endpoint_at
from chatcli.attachments.attached import shown_size
from chatcli.attachments.html_text import html_text
from chatcli.attachments.web_texts import web_text
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from chatcli.app.run_context import RunContext
    from chatcli.attachments.encodings import EncodingHints
    from chatcli.attachments.web_texts import WebText
    from chatcli.client.endpoint import Endpoint
    from chatcli.config.settings import Settings

_REPORT_EVERY_S: Final = 1.0


async def read_page(
    address: str,
    settings: Settings,
    context: RunContext,
    hints: EncodingHints,
    *,
    doing: Callable[[str], None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> WebText:
    """Return the text of the page at an address the person typed.

    ``doing`` is given a line about the progress every second. Raise a ``ChatcliError`` if the page cannot be read.
    """
    # httpx2 and openai are slow to import: only when a page is read.
    from chatcli.client.address_guard import AddressGuard  # noqa: PLC0415
    from chatcli.client.web_pages import PageReader  # noqa: PLC0415

    def endpoint_of(url: str) -> Endpoint:
        return endpoint_at(url, settings, context, key=None)

    async def read_html(html: str, name: str) -> tuple[str | None, str]:
        return await html_text(html, name, executable=sys.executable, environment=context.environment)

    received_bytes = 0

    def count(total_bytes: int) -> None:
        nonlocal received_bytes
        received_bytes = total_bytes

    async def report() -> None:
        host = urlsplit(address).hostname or address
        while True:
            await sleep(_REPORT_EVERY_S)
            doing(f"reading {host}" + (f", {shown_size(received_bytes)}" if received_bytes else ""))

    reporting = asyncio.ensure_future(report())
    try:
        guard = AddressGuard(settings.private_hosts, context.resolve or resolve_here)
        reader = PageReader(
            endpoint_of=endpoint_of, environment=context.environment, guard=guard, progress=count
        )
        page = await reader.read(address)
        text = await web_text(address, page.content_type, page.content, read_html, hints=hints)
        if not page.is_redirected:
            return text
        moved = f"{sanitize_line(address)} led to {sanitize_line(page.url)}"
        return replace(text, note=f"{moved}; {text.note}" if text.note else moved)
    finally:
        reporting.cancel()
        with suppress(asyncio.CancelledError):
            await reporting
