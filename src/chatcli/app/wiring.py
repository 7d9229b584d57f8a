"""The wiring: from settings to a conversation, a list of models, or the request that would be sent."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chatcli import __version__
from chatcli.app.layers import PARAMETERS_FILE, dialect_of
from chatcli.app.resolver import ModelResolver, list_offered
from chatcli.app.windows import with_served_windows
from chatcli.chat import Chat
from chatcli.core.errors import ConfigurationError
from chatcli.cost.spending import SessionInHand
from chatcli.sessions.log import SessionLog
from chatcli.sessions.session import Session
from chatcli.sessions.store import SessionStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from chatcli.app.run_context import ChatOptions, RunContext, Tell
    from chatcli.client.catalog import OfferedModel
    from chatcli.client.endpoint import Endpoint
    from chatcli.config.settings import Settings
    from chatcli.core.request import Request
    from chatcli.sessions.store import SessionFile


def open_session(settings: Settings, wish: ChatOptions, world: RunContext) -> Chat:
    """Open the session the settings and the wish describe, as a conversation without a model to ask yet.

    That is quick and needs no network. The caller closes it, and connects it to what a ``ModelResolver`` finds.
    Raise a ``ChatcliError`` where there is no such session; nothing has been written then.
    """
    store = SessionStore(world.paths.data)
    file = _session_file(store, wish)
    app, folder = f"chatcli {__version__}", str(world.folder) if world.folder else None
    if settings.save and not wish.dry:
        load = store.load if file else _nothing_said
        log = SessionLog.resume(file or store.new(), load, app=app, folder=folder)
    else:
        log = SessionLog(None, app=app, folder=folder, session=store.load(file) if file else None)
    return Chat(log, store, system=_wished_system(settings, log.session))


@asynccontextmanager
async def open_chat(
    settings: Settings, wish: ChatOptions, world: RunContext, tell: Tell
) -> AsyncIterator[Chat]:
    """Open the conversation the settings and the wish describe; ``tell`` is given what the person should know.

    Raise a ``ChatcliError`` where something is missing or wrong; nothing has been written then.
    """
    async with AsyncExitStack() as stack:
        chat = stack.enter_context(closing(open_session(settings, wish, world)))
        chat.connect(await ModelResolver(settings, wish, world, tell, stack).target(chat.session))
        if wish.count_exactly:
            chat.turns.load_vocabulary()
        world.spending.session = lambda: SessionInHand(chat.opened.name, chat.session.cost_usd)
        for notice in chat.opened.pending_notices():
            tell(notice)
        yield chat


@asynccontextmanager
async def open_catalog(
    settings: Settings, wish: ChatOptions, world: RunContext, tell: Tell
) -> AsyncIterator[tuple[Endpoint, tuple[OfferedModel, ...]]]:
    """Ask the configured endpoint which models it offers."""
    async with AsyncExitStack() as stack:
        finder = ModelResolver(settings, wish, world, tell, stack)
        endpoint = await finder.endpoint()
        client = await finder.connected(endpoint)
        yield endpoint, await with_served_windows(client, endpoint, await list_offered(client, endpoint))


def body_to_send(request: Request, endpoint: Endpoint, settings: Settings, *, cache: Path) -> dict[str, Any]:
    """Return the JSON that ``request`` is sent as, without what its model is known not to take."""
    from chatcli.client.adapting import refused_before  # noqa: PLC0415
    from chatcli.client.endpoint_memory import EndpointMemory  # noqa: PLC0415

    memory = EndpointMemory(cache / PARAMETERS_FILE, now_s=time.time()) if settings.save else None
    without = request.without | refused_before(memory, endpoint.base_url, request.model)
    return dialect_of(settings).body(
        replace(request, without=without), streamed=settings.stream, endpoint=endpoint
    )


def _nothing_said(_: SessionFile) -> Session:
    return Session()


def _session_file(store: SessionStore, wish: ChatOptions) -> SessionFile | None:
    if wish.session is not None:
        return store.resolve(wish.session)
    if not wish.resume_last:
        return None
    file = store.last_used()
    if file is None:
        raise ConfigurationError(
            "there is no session to resume",
            hint="ask something first; every conversation is saved automatically",
        )
    return file


def _wished_system(settings: Settings, session: Session) -> str | None:
    """Return the prompt to set: one given for this call wins over the session's own, that over one from a file."""
    given = settings.is_for_this_run("system")
    return settings.system if given or session.system is None else None
