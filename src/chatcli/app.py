"""The wiring: from settings to a conversation. With ``target``, the only module that knows every room."""

from __future__ import annotations

from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from threading import Thread
from typing import TYPE_CHECKING

from chatcli import __version__
from chatcli.conversation.counting import MessageTokens, TiktokenCounter
from chatcli.conversation.history import Entry, History
from chatcli.conversation.manager import ConversationManager
from chatcli.conversation.vocabulary import vocabulary_for
from chatcli.core.errors import ConfigurationError, LocalIOError
from chatcli.core.events import Notice, TurnStarted
from chatcli.sessions.log import SessionLog
from chatcli.sessions.session import Session
from chatcli.sessions.store import SessionFile, SessionStore
from chatcli.sessions.unsaved import UnsavedJournal
from chatcli.target import TargetFinder, list_offered

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from chatcli.client.catalog import OfferedModel
    from chatcli.client.endpoint import Endpoint
    from chatcli.config.settings import Settings
    from chatcli.core.events import Event
    from chatcli.core.messages import Message
    from chatcli.target import Target, Tell, Wish, World


class Chat:
    """An open conversation."""

    def __init__(
        self,
        manager: ConversationManager,
        *,
        model_name: str,
        endpoint: Endpoint,
        session: Session,
        remember: Callable[[], None],
    ) -> None:
        self.manager = manager
        self.model_name = model_name
        self.endpoint = endpoint
        self.session = session
        self._remember = remember

    async def send(self, question: Message) -> AsyncGenerator[Event]:
        """Ask; see ``ConversationManager.send``. The session becomes the one used last."""
        async with aclosing(self.manager.send(question)) as events:
            async for event in events:
                yield event
                if isinstance(event, TurnStarted) and (notice := self._remembered()):
                    yield notice

    def _remembered(self) -> Notice | None:
        try:
            self._remember()
        except LocalIOError as error:
            return Notice(error.code, f"{error.message}; {error.hint}")
        return None


@asynccontextmanager
async def open_chat(settings: Settings, wish: Wish, world: World, tell: Tell) -> AsyncIterator[Chat]:
    """Open the conversation the settings and the wish describe; ``tell`` is given what the person should know.

    Raise a ``ChatcliError`` where something is missing or wrong; nothing has been written then.
    """
    async with AsyncExitStack() as stack:
        store = SessionStore(world.paths.data)
        file = _session_file(store, wish)
        session = store.load(file) if file else Session()
        target = await TargetFinder(settings, wish, world, tell, stack).target(session)
        counter = TiktokenCounter(vocabulary_for(target.model_name))
        if wish.count_exactly:
            counter.load()
        elif wish.talks:
            Thread(target=counter.load, daemon=True).start()
        kept = (file or store.new()) if settings.save and not wish.dry else None
        journal = _log(kept) if kept else UnsavedJournal()
        stack.callback(journal.close)
        manager = ConversationManager(
            model=target.model,
            model_name=target.model_name,
            history=_history(session),
            journal=journal,
            tokens=MessageTokens(counter),
            window_tokens=target.window_tokens,
            parameters=target.parameters,
        )
        _set_system(manager, settings, target)
        yield Chat(
            manager,
            model_name=target.model_name,
            endpoint=target.endpoint,
            session=session,
            remember=lambda: store.remember(kept) if kept else None,
        )


@asynccontextmanager
async def open_catalog(
    settings: Settings, wish: Wish, world: World, tell: Tell
) -> AsyncIterator[tuple[Endpoint, tuple[OfferedModel, ...]]]:
    """Ask the configured endpoint which models it offers."""
    async with AsyncExitStack() as stack:
        finder = TargetFinder(settings, wish, world, tell, stack)
        endpoint = await finder.endpoint()
        yield endpoint, await list_offered(await finder.connected(endpoint), endpoint)


def _session_file(store: SessionStore, wish: Wish) -> SessionFile | None:
    if wish.session is not None:
        return store.resolve(wish.session)
    if not wish.resume_last:
        return None
    file = store.last_used()
    if file is None:
        raise ConfigurationError(
            "there is no session to continue",
            hint="ask something first; every conversation is saved by itself",
        )
    return file


def _log(file: SessionFile) -> SessionLog:
    return SessionLog(file.path, name=file.name, app=f"chatcli {__version__}")


def _history(session: Session) -> History:
    pinned = set(session.pinned)
    history = History(Entry(record.id, record.message, record.id in pinned) for record in session.context())
    history.system, history.head = session.system, session.head
    return history


def _set_system(manager: ConversationManager, settings: Settings, target: Target) -> None:
    """Let a prompt given for this call win over the session's own, and that over one from the settings."""
    if settings.system is not None and settings.origin("system").startswith("flag"):
        manager.set_system(settings.system)
    elif manager.history.system is None:
        default = target.default_system if settings.system is None else settings.system
        if default:
            manager.set_system(default)
