from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from chatcli.cli.signals import Signalled, raising_signals, until_signalled
from chatcli.core.errors import LocalIOError

if sys.platform == "win32":
    pytest.skip("Windows cannot send itself these", allow_module_level=True)

SLOW_TO_CLOSE = """
import asyncio, os, time
from chatcli.cli.signals import until_signalled

async def work():
    print("working", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print("closing", flush=True)
        {closing}

os._exit(asyncio.run(until_signalled(work(), abandon=lambda: print("abandoned", flush=True))))
"""
WAITING_THREAD = """
import asyncio, os, time
from chatcli.cli.signals import until_signalled

async def work():
    print("working", flush=True)
    await asyncio.to_thread(time.sleep, 60)

os._exit(asyncio.run(until_signalled(work())))
"""

IN_A_FINALIZER = """
import signal, sys, time
from chatcli.__main__ import raise_signal_again
from chatcli.cli.signals import Signalled, raising_signals

class Finalized:
    def __del__(self):
        signal.raise_signal(signal.{name})

sys.unraisablehook = raise_signal_again
with raising_signals():
    try:
        Finalized()
        time.sleep(60)
    except (KeyboardInterrupt, Signalled) as error:
        print(type(error).__name__)
"""


@pytest.mark.parametrize(("name", "error"), [("SIGINT", "KeyboardInterrupt"), ("SIGTERM", "Signalled")])
def test_a_signal_that_python_drops_in_a_callback_is_raised_again(name, error):
    with started(IN_A_FINALIZER.format(name=name)) as process:
        stdout, stderr = process.communicate(timeout=30)
    assert (stdout.decode(), stderr) == (f"{error}\n", b"")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
async def test_a_signal_cancels_the_work_and_is_its_exit_code(number, code):
    seen = []

    async def work():
        signal.raise_signal(number)
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("closed")

    assert await until_signalled(work(), on_signal=lambda: seen.append("hurried")) == code
    assert seen == ["hurried", "closed"]


async def test_work_that_fails_of_the_closed_terminal_ended_by_the_signal():
    async def work():
        signal.raise_signal(signal.SIGHUP)
        raise LocalIOError("Input/output error")

    assert await until_signalled(work()) == 129


async def test_an_interrupt_may_mean_less_than_the_end():
    interrupted = asyncio.Event()

    async def work():
        signal.raise_signal(signal.SIGINT)
        await interrupted.wait()
        return 0

    assert await until_signalled(work(), interrupt=interrupted.set) == 0


async def test_work_that_ends_by_itself_leaves_the_signals_as_they_were():
    async def work():
        return 7

    before = signal.getsignal(signal.SIGTERM)
    assert await until_signalled(work()) == 7
    assert signal.getsignal(signal.SIGTERM) is before


def test_outside_of_a_loop_a_signal_is_an_exception():
    with pytest.raises(Signalled) as caught, raising_signals():
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.code == 143


@pytest.mark.parametrize(
    ("closing", "output"),
    [("await asyncio.sleep(60)", b""), ("time.sleep(60)", b"abandoned\n")],
    ids=["cancelled again", "blocked"],
)
def test_a_second_signal_ends_a_slow_close_at_once(closing, output):
    with started(SLOW_TO_CLOSE.format(closing=closing)) as process:
        assert process.stdout.readline() == b"working\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == b"closing\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stdout.read() == output


def test_nobody_waits_for_a_thread_that_asks_a_name_server():
    with started(WAITING_THREAD) as process:
        assert process.stdout.readline() == b"working\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 143


@contextmanager
def started(program):
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()
