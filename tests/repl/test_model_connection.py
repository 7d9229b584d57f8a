from __future__ import annotations

import asyncio
import gc

import pytest

from chatcli.app.threads import in_thread
from chatcli.repl.model_connection import Warmup


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
    await asyncio.wait_for(running, 5)
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
