"""Wiring: from settings to a conversation, a list of models, or the request that would be sent."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chatcli.app.model_lists import ModelLists, list_offered
from chatcli.app.request_contents import frames_for
from chatcli.app.resolver import ModelResolver
from chatcli.app.windows import with_served_windows
from chatcli.chat import Conversation
from chatcli.core.errors import ConfigurationError
from chatcli.core.version import __version__
from chatcli.sessions.log import SessionLog
from chatcli.sessions.store import OF_A_SCRIPT, SessionStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from chatcli.app.run_context import ChatOptions, Notify, RunContext
    from chatcli.client.catalog import OfferedModel
    from chatcli.client.endpoint import Endpoint
    from chatcli.config.settings import Settings
    from chatcli.core.request import Request
    from chatcli.cost.budget import Approve
    from chatcli.sessions.session import Session
    from chatcli.sessions.store import SessionFile


def open_session(settings: Settings, options: ChatOptions, context: RunContext) -> Conversation:
    """Open the session that settings and options describe, as a conversation not yet connected to a model.

    Quick, and without network access. The caller closes it and connects it to the result of a
    ``ModelResolver``. Raise a ``ChatcliError`` if there is no such session; nothing has been written then.
    """
    store = SessionStore(context.paths.data, keeps_last=options.becomes_last)
    file = _session_file(store, options)
    app = f"chatcli {__version__}" + ("" if options.becomes_last else OF_A_SCRIPT)
    folder = str(context.folder) if context.folder else None
    if settings.save and not options.dry:
        log = (
            SessionLog.resume(file, store.load, app=app, folder=folder)
            if file
            else SessionLog(store.new(), app=app, folder=folder)
        )
    else:
        log = SessionLog(None, app=app, folder=folder, session=store.load(file) if file else None)
    chat = Conversation(log, store, system=_given_system(settings, log.session))
    if options.response_format is not None:
        chat.turns.response_format = options.response_format
    return chat


@asynccontextmanager
async def open_chat(
    settings: Settings,
    options: ChatOptions,
    context: RunContext,
    notify: Notify,
    *,
    approve: Approve | None = None,
) -> AsyncIterator[Conversation]:
    """Open the conversation that settings and options describe; ``notify`` receives notices for the person.

    ``approve`` asks about requests that would exceed a budget, ``None`` if nobody can be asked. Raise a
    ``ChatcliError`` if something is missing or wrong; nothing has been written then.
    """
    async with AsyncExitStack() as stack:
        chat = stack.enter_context(closing(open_session(settings, options, context)))
        resolver = ModelResolver(settings, options, context, notify, stack, approve=approve)
        chat.turns.connect(await resolver.resolve(chat))
        if options.count_exactly:
            chat.turns.load_vocabulary()
        while chat.opened.notices:
            notify(chat.opened.notices.pop(0))
        yield chat


@asynccontextmanager
async def open_catalog(
    settings: Settings, options: ChatOptions, context: RunContext, notify: Notify
) -> AsyncIterator[tuple[Endpoint, tuple[OfferedModel, ...]]]:
    """List the models of the configured endpoint."""
    async with AsyncExitStack() as stack:
        resolver = ModelResolver(settings, options, context, notify, stack)
        entry = await resolver.connected(await resolver.endpoint())
        yield (
            entry.endpoint,
            await with_served_windows(
                entry, await list_offered(entry, ModelLists(context.paths.cache, is_kept=settings.save))
            ),
        )


def body_to_send(
    request: Request, endpoint: Endpoint, settings: Settings, context: RunContext, *, is_turn: bool = False
) -> dict[str, Any]:
    """Return the JSON body of ``request``, without the fields the model is known to refuse.

    ``is_turn``: it is one of a conversation.
    """
    from chatcli.client.endpoint_facts import refused_before  # noqa: PLC0415 - openai takes half a second to import
    from chatcli.client.pipeline import dialect_for  # noqa: PLC0415 - as above

    entry = context.shared.pool.entry(endpoint, context.environment)
    refused = entry.facts(context.paths.cache, is_kept=settings.save).refused
    without = request.without | refused_before(refused, request)
    if request.response_format is not None:
        from chatcli.client.answer_forms import forms_not_taken  # noqa: PLC0415 - as above

        abilities = context.table.abilities(endpoint.host, request.model)
        without |= forms_not_taken(endpoint, settings.api, request.model, abilities)
    frames = frames_for(context.paths.data, is_saved=settings.save, may_write=False)
    sent = replace(request, without=without, messages=frames.messages(request.messages))
    if is_turn and settings.prompt_caching:
        from chatcli.client.prompt_caching import CONVERSATION, prompt_cache_of  # noqa: PLC0415 - as above

        sent = replace(
            sent, prompt_cache=prompt_cache_of(endpoint, settings.api, request.model, CONVERSATION)
        )
    return dialect_for(settings.api).body(sent, streamed=settings.stream, endpoint=endpoint)


def _session_file(store: SessionStore, options: ChatOptions) -> SessionFile | None:
    if options.session is not None:
        return store.resolve(options.session)
    if not options.resume_last:
        return None
    file = store.last_used()
    if file is None:
        raise ConfigurationError(
            "there is no session to resume",
            hint="ask something first; every conversation is saved automatically",
        )
    return file


def _given_system(settings: Settings, session: Session) -> str | None:
    """Return the system prompt to set: the one of this call, else the session's, else one from a file."""
    if settings.system is None or "system" in settings.asked_for:
        return settings.system
    return settings.system if session.system is None else None
