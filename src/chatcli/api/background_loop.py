"""The event loop of all ``ask`` calls of a process, in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from concurrent.futures import wait
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from chatcli.app.threads import started_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_T = TypeVar("_T")

_LOOK_AGAIN_S: Final = 0.2
_PATIENCE_S: Final = 5.0


class _BackgroundLoop(NamedTuple):
    loop: asyncio.AbstractEventLoop
    thread: threading.Thread


_started: list[_BackgroundLoop] = []
"""The loop, once there is one."""
_starting = threading.Lock()


def run(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run ``coroutine`` on the loop and return its result. Ctrl-C stops it first.

    Raise ``RuntimeError`` once Python shuts down, when the loop no longer runs.
    """
    try:
        background = _background()
    except BaseException:
        coroutine.close()
        raise
    is_done = threading.Event()

    async def running() -> _T:
        try:
            return await coroutine
        finally:
            is_done.set()

    future = asyncio.run_coroutine_threadsafe(running(), background.loop)
    try:
        while not future.done():
            # With a limit, as Ctrl-C ends no endless wait on Windows, and the thread may end. Not ``result``: its TimeoutError
            # could be that of a signal handler.
            wait((future,), timeout=_LOOK_AGAIN_S)
            if not future.done():
                _refuse_ended(background)
        return future.result()
    except BaseException:
        future.cancel()
        if _is_running(background):
            is_done.wait(_PATIENCE_S)
        raise


def _background() -> _BackgroundLoop:
    """Return the loop, started by the first call. Raise ``RuntimeError`` if it cannot run any more."""
    with _starting:
        if not _started:
            _refuse_shutdown()
            loop = asyncio.new_event_loop()
            # The executor of asyncio refuses work as soon as the main thread has ended.
            loop.run_in_executor = _run_in_daemon_thread  # type: ignore[method-assign, assignment]
            thread = threading.Thread(target=partial(_keep_running, loop), name="chatcli", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # as in ``atexit`` functions, from Python 3.12 on
                loop.close()
                raise
            _started.append(_BackgroundLoop(loop, thread))
        _refuse_ended(_started[0])
        return _started[0]


def _keep_running(loop: asyncio.AbstractEventLoop) -> None:
    is_left = True
    while is_left:
        # What a class of the person's own exits with is raised where the question was asked, and by asyncio here as well.
        with suppress(SystemExit, KeyboardInterrupt):
            loop.run_forever()
            is_left = False


def _run_in_daemon_thread(_executor: object, work: Callable[..., _T], *arguments: Any) -> asyncio.Future[_T]:
    return started_in_thread(partial(work, *arguments))


def _is_running(background: _BackgroundLoop) -> bool:
    return background.thread.is_alive() and not sys.is_finalizing()


def _refuse_ended(background: _BackgroundLoop) -> None:
    _refuse_shutdown()
    if not background.thread.is_alive():
        raise RuntimeError("the thread of chatcli.ask() has ended")


def _refuse_shutdown() -> None:
    # Python still seems to run its daemon threads then, but they have stopped.
    if sys.is_finalizing():
        raise RuntimeError("chatcli.ask() cannot be called while Python shuts down")


def _forget() -> None:
    """Forget the loop in a child of a fork, which does not have its thread."""
    global _starting  # noqa: PLW0603 - another thread may have held it
    _starting = threading.Lock()
    _started.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
