"""``ask`` in every stage of a script's life: in its threads, behind its main thread, at its exit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from scripted_server import Answer, event_stream, serving_in_thread

PARIS = Answer(event_stream("Paris."))
ASK = 'chatcli.ask("Capital?", model="small", settings={"context_window": 4096})'
BY_NAME = ASK.replace("settings", 'base_url=URL.replace("127.0.0.1", "localhost"), settings')

THREAD = f"""
import chatcli, threading
threading.Thread(target=lambda: print({ASK})).start()
"""
WARM_THREAD = f"""
import chatcli, os, threading
URL = os.environ["OPENAI_BASE_URL"]
{ASK}
def late():
    threading.main_thread().join()
    print({BY_NAME})
threading.Thread(target=late).start()
"""
POOL = f"""
import chatcli
from concurrent.futures import ThreadPoolExecutor
ThreadPoolExecutor(2).submit(lambda: print({ASK}))
"""
WARM_EXIT = f"""
import atexit, chatcli
{ASK}
atexit.register(lambda: print({ASK}))
"""
LIMITED_EXIT = WARM_EXIT.replace('"context_window"', '"requests_per_minute": 1000, "context_window"')
COLD_EXIT = f"""
import atexit, chatcli
atexit.register(lambda: print({ASK}))
"""
DELETED = f"""
import chatcli
class Summary:
    def __del__(self):
        {ASK}
summary = Summary()
print({ASK})
"""


@pytest.fixture
def run(tmp_path):
    def run_script(script, *answers):
        with serving_in_thread(*(answers or (PARIS,))) as server:
            return server, subprocess.run(
                [sys.executable, "-c", script],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
                env={"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "sk-0", "HOME": str(tmp_path)},
            )

    return run_script


@pytest.mark.parametrize(
    "script",
    [
        THREAD,
        WARM_THREAD,
        POOL,
        WARM_EXIT,
        LIMITED_EXIT,
        pytest.param(
            COLD_EXIT,
            marks=pytest.mark.skipif(sys.version_info >= (3, 12), reason="no thread starts at the exit"),
        ),
    ],
    ids=["thread", "warm thread", "pool", "warm exit", "exit with limits", "cold exit"],
)
def test_a_question_is_answered_though_the_main_thread_has_ended(run, script):
    _, ended = run(script)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("Paris.\n", "", 0)


def test_a_question_when_python_has_shut_down_is_refused_at_once(run):
    _, ended = run(DELETED)
    assert ended.stdout == "Paris.\n"
    assert "cannot be called while Python shuts down" in ended.stderr


def test_threads_that_start_together_share_one_loop(run):
    threads = f"""
import chatcli, sys, threading
import chatcli.api
sys.setswitchinterval(1e-6)
start = threading.Barrier(30)
def one():
    start.wait()
    {ASK}
threads = [threading.Thread(target=one) for _ in range(30)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sum(thread.name == "chatcli" for thread in threading.enumerate()))
"""
    _, ended = run(threads)
    assert (ended.stdout, ended.stderr) == ("1\n", "")


def test_the_error_of_a_question_is_chained_to_nothing_false(run):
    refused = f"""
import chatcli
try:
    {ASK.replace('"Capital?"', '""')}
except chatcli.UsageError as error:
    print(error.__context__, error.__cause__)
"""
    _, ended = run(refused)
    assert ended.stdout == "None None\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_of_a_fork_shares_the_limits_of_its_parent(run):
    # Python 3.12 and later warn of threads at a fork.
    forked = f"""
import chatcli, os, warnings
warnings.simplefilter("ignore", DeprecationWarning)
def ask(): return {ASK.replace('"context_window"', '"requests_per_minute": 1000, "context_window"')}
print(ask().notices == (), flush=True)
child = os.fork()
print(ask().notices == (), flush=True)
if child: os.waitpid(child, 0)
"""
    _, ended = run(forked)
    assert (ended.stdout, ended.stderr) == ("True\n" * 3, "")


@pytest.mark.parametrize("end", ["SystemExit(3)", "KeyboardInterrupt()"])
def test_a_class_that_exits_does_so_where_the_question_was_asked_and_ends_no_other_question(run, end):
    exiting = f"""
import chatcli
from dataclasses import dataclass
@dataclass
class Exiting:
    n: int
    def __post_init__(self):
        raise {end}
try:
    {ASK.replace('model="small"', 'model="small", schema=Exiting')}
except BaseException as error:
    print(repr(error))
print({ASK})
"""
    _, ended = run(exiting, Answer(event_stream('{"n": 1}')))
    assert (ended.stdout, ended.stderr) == (f'{end}\n{{"n": 1}}\n', "")


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no such signal")
def test_what_a_signal_handler_raises_ends_the_question_even_a_timeout(run):
    interrupted = f"""
import chatcli, os, signal
from dataclasses import dataclass
def refuse(*_):
    raise TimeoutError("enough")
signal.signal(signal.SIGUSR1, refuse)
@dataclass
class Late:
    n: int
    def __post_init__(self):
        os.kill(os.getpid(), signal.SIGUSR1)
try:
    {ASK.replace('model="small"', 'model="small", schema=Late')}
except TimeoutError as error:
    print(error)
"""
    _, ended = run(interrupted, Answer(event_stream('{"n": 1}')))
    assert (ended.stdout, ended.stderr) == ("enough\n", "")
