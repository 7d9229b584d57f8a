from __future__ import annotations

import asyncio
import gc
import math

import pytest

from chat.conversations import opened
from chatcli.app.run_context import ChatOptions, RunContext
from chatcli.app.threads import in_thread
from chatcli.config.paths import find_paths
from chatcli.config.resolve import resolve_given
from chatcli.repl.model_connection import Connection, Warmup
from chatcli.sessions.store import SessionStore


async def test_a_step_waits_until_the_typing_pauses_and_so_does_the_next():
    idle_s, done = iter([0.0, 0.0, 9.0, 0.0, 9.0]), []
    steps = [lambda: done.append("first"), lambda: done.append("second")]
    await Warmup(steps, idle_s=lambda: next(idle_s), quiet_s=0.001).run()
    assert done == ["first", "second"]
    assert next(idle_s, None) is None


async def test_who_needs_it_now_ends_the_waiting():
    done = []
    warmup = Warmup([lambda: done.append("loaded")], idle_s=lambda: 0.0, quiet_s=3600)
    running = asyncio.create_task(warmup.run())
    await asyncio.sleep(0)
    assert not done
    warmup.finish_now()
    await asyncio.wait_for(running, 20)
    assert done == ["loaded"]


async def test_the_collector_rests_meanwhile_and_works_again_afterwards():
    seen = []
    await Warmup([lambda: seen.append(gc.isenabled())], idle_s=lambda: 9.0).run()
    assert seen == [False]
    assert gc.isenabled()


async def test_work_in_a_thread_gives_back_what_it_returns_or_raises():
    assert await in_thread(lambda: 42) == 42
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)


async def test_a_conversation_is_counted_once_its_model_is_found_and_its_vocabulary_is_loaded(tmp_path):
    seen, is_counting = [], asyncio.Event()
    chat = opened(SessionStore(tmp_path))

    def note(event):
        seen.append((event, chat.resolved is not None, chat.turns.model_in_use.tokens.counter.loaded))

    def count():
        note("counting")
        is_counting.set()

    paths = find_paths({"HOME": str(tmp_path), "CHATCLI_LOCAL_DIR": str(tmp_path)})
    connection = Connection(
        ChatOptions(),
        RunContext({}, paths),
        print,
        idle_s=lambda: math.inf,
        draws=False,
        opened=lambda: note("opened"),
        counting=count,
    )
    given = {"base_url": "http://127.0.0.1:9/v1", "model": "small", "context_window": 8192, "save": False}
    connection.begin(chat, resolve_given(given, {}))
    async with asyncio.timeout(60):
        await is_counting.wait()
    assert seen == [("opened", True, False), ("counting", True, True)]
    await connection.close()
    chat.close()
