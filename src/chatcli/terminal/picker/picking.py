"""Choosing a session on the screen: each key starts a search in a thread, and the newest result wins."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Final

from prompt_toolkit.enums import EditingMode

from chatcli.app.threads import in_thread
from chatcli.core.errors import ChatcliError
from chatcli.terminal.picker.picker_drawing import ASCII, UNICODE, PickerDrawing, PickerPanel
from chatcli.terminal.picker.picker_state import Doing, PickerState, key_bindings

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from chatcli.repl.pickable_sessions import Listing, PickableSessions
    from chatcli.sessions.store import SessionSummary
    from chatcli.terminal.live_application import LiveApplication
    from chatcli.terminal.screen import Screen

LIST_AGAIN_S: Final = 0.5
"""How often the sessions read so far are listed while files are still being read."""

_ESCAPE_WITHIN_S: Final = 0.05
"""How long to wait for more bytes after Escape before it counts as the key.

The usual half second is too slow for closing a list.
"""


async def pick_session(
    screen: Screen,
    pickable: PickableSessions,
    *,
    unicode: bool,
    words: str = "",
    everywhere: bool = False,
) -> str | None:
    """Return the name of the session the person chooses, ``None`` if they close the list.

    The first results are those for ``words``: in the person's folder if there are any, or ``everywhere``.
    """
    state = PickerState(words=words, has_folder=pickable.has_folder, everywhere=everywhere)
    return await _Picking(screen, pickable, state, unicode=unicode).run()


class _Picking:
    """The actions of the keys, and their work in threads."""

    def __init__(
        self,
        screen: Screen,
        pickable: PickableSessions,
        state: PickerState,
        *,
        unicode: bool,
    ) -> None:
        self._screen = screen
        self._pickable = pickable
        self._state = state
        self._glyphs = UNICODE if unicode else ASCII
        self._is_chosen = False
        self._is_refreshed = self._is_complete = False
        self._subject: SessionSummary | None = None
        self._wanted = asyncio.Event()
        self._listed = asyncio.Event()
        self._end: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._panel = PickerPanel(
            state, self._drawing, bindings=key_bindings(self, state), looked_for=self._look_for
        )

    async def run(self) -> str | None:
        panel = self._panel
        with _keys_of_a_list(self._screen.application):
            async with self._screen.panel(panel.container, panel.search_window):
                self._wanted.set()
                self._start(self._keep_listing())
                self._start(self._refresh())
                try:
                    return await self._end
                finally:
                    for task in self._tasks:
                        task.cancel()

    def choose(self) -> None:
        """Choose the marked session, once the list is the result of what the person typed before choosing."""
        self._is_chosen = True
        self._choose_if_current()

    def clear(self) -> None:
        if self._panel.search.text:
            self._panel.search.reset()
            self._look_for("")
        else:
            self.close()

    def close(self) -> None:
        self._finish(None)

    def turn_scope(self) -> None:
        self._state.turn_scope()
        self._wanted.set()

    def begin_renaming(self) -> None:
        self._subject = session = self._state.begin(Doing.RENAMING)
        if session is not None:
            self._panel.title.text = session.title
            self._panel.title.cursor_position = len(session.title)
            self._screen.application.layout.focus(self._panel.title_window)

    def keep_title(self) -> None:
        session, title = self._subject, self._panel.title.text.strip()
        self.go_back()
        if session is not None and title and title != session.title:
            self._start(self._change(self._pickable.rename(session.name, title)))

    def begin_removing(self) -> None:
        session = self._state.marked
        if session is not None and session.name == self._pickable.current:
            self._state.error = "this conversation is open and cannot be deleted here"
        else:
            self._subject = self._state.begin(Doing.REMOVING)

    def remove(self) -> None:
        session = self._subject
        self.go_back()
        if session is not None:
            self._start(self._change(self._pickable.remove(session.name)))

    def go_back(self) -> None:
        self._state.end()
        self._screen.application.layout.focus(self._panel.search_window)

    def _drawing(self) -> PickerDrawing:
        return PickerDrawing(
            self._glyphs,
            columns=self._screen.columns(),
            # The rows a tail may have include room for the line above and the footer.
            rows=self._screen.rows(),
            now=datetime.now().astimezone(),
            current=self._pickable.current,
        )

    def _look_for(self, words: str) -> None:
        self._is_chosen = False
        self._state.look_for(words)
        self._wanted.set()

    async def _keep_listing(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            is_complete = self._is_refreshed
            with self._telling():
                self._state.take(await self._list())
            self._is_complete = is_complete
            self._listed.set()
            self._choose_if_current()
            self._draw()

    async def _list(self) -> Listing:
        state, pickable = self._state, self._pickable
        if not state.is_settled:
            words = state.words
            here = await in_thread(lambda: pickable.listing(words, is_here=True))
            if here.total:
                state.settle(is_here=True)
                return here
        words, is_here = state.words, state.is_here
        return await in_thread(lambda: pickable.listing(words, is_here=is_here))

    async def _refresh(self) -> None:
        await self._listed.wait()  # show known sessions first
        loop = asyncio.get_running_loop()

        def progress(done: int, total: int) -> None:
            loop.call_soon_threadsafe(self._note_progress, done, total)

        listing_again = self._start(self._list_now_and_then())
        try:
            with self._telling():
                await in_thread(lambda: self._pickable.refresh(progress))
        finally:
            listing_again.cancel()
            self._is_refreshed, self._state.progress = True, None
        self._wanted.set()

    async def _list_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(LIST_AGAIN_S)
            self._wanted.set()

    def _note_progress(self, done: int, total: int) -> None:
        self._state.progress = (done, total)
        self._draw()

    async def _change(self, change: Coroutine[None, None, None]) -> None:
        with self._telling():
            await change
        self._wanted.set()

    def _choose_if_current(self) -> None:
        if not (self._is_chosen and self._state.is_current):
            return
        if (session := self._state.marked) is not None:
            self._finish(session.name)
        elif self._is_complete:
            self._is_chosen = False  # what their words match may still be read

    def _finish(self, name: str | None) -> None:
        if not self._end.done():
            self._end.set_result(name)

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except ChatcliError as error:
            self._state.error = error.message
            self._draw()

    def _draw(self) -> None:
        self._screen.application.invalidate()


@contextmanager
def _keys_of_a_list(application: LiveApplication) -> Iterator[None]:
    """Let Escape close a list at once, and letters search: vi modes are for longer texts."""
    usual = application.ttimeoutlen, application.timeoutlen, application.editing_mode
    application.ttimeoutlen = application.timeoutlen = _ESCAPE_WITHIN_S
    application.editing_mode = EditingMode.EMACS
    try:
        yield
    finally:
        application.ttimeoutlen, application.timeoutlen, application.editing_mode = usual
