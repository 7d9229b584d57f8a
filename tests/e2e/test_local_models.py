"""Fetching a better embedded model: stopped, gone on with, one at a time."""

from __future__ import annotations

import os
import signal
import time

import pytest

from chatcli.local.weights import MODELS, HubWeights, partial_path
from scripted_server import HOLD, Answer, serving_in_thread

by_signals = pytest.mark.skipif(os.name != "posix", reason="Windows has no such signals")

MODEL = next(each for each in MODELS if isinstance(each, HubWeights))
BEGINNING = b"GGUF" + bytes(100_000)
SETUP = ("local", "setup", MODEL.name)


def beginning(request):
    """Return an answer that brings the file's beginning, or goes on from there, and then holds."""
    start = int(request.headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
    last = MODEL.file.size_bytes - 1
    headers = {"etag": '"v1"', "content-range": f"bytes {start}-{last}/{MODEL.file.size_bytes}"}
    return Answer((BEGINNING, HOLD), 206 if start else 200, headers if start else {"etag": '"v1"'})


def wait_for_size(path, size_bytes):
    deadline_s = time.monotonic() + 20
    while not path.exists() or path.stat().st_size < size_bytes:
        assert time.monotonic() < deadline_s, "it never arrived"
        time.sleep(0.02)


@by_signals
def test_ctrl_c_keeps_what_had_arrived_and_the_next_run_goes_on_from_there(program):
    partial = partial_path(program.local_folder, MODEL)
    with serving_in_thread(choose=beginning) as server:
        hub = {"CHATCLI_MODEL_HUB": f"http://127.0.0.1:{server.port}"}
        for number in (1, 2):
            with program.started(*SETUP, **hub) as process:
                wait_for_size(partial, number * len(BEGINNING))
                process.send_signal(signal.SIGINT)
                _, errors = process.communicate(timeout=20)
            assert process.returncode == 130
            assert f"stopped; chatcli local setup {MODEL.name} goes on from there" in errors.decode()
    assert [request.headers.get("range") for request in server.requests] == [
        None,
        f"bytes={len(BEGINNING)}-",
    ]
    assert server.requests[1].headers["if-range"] == '"v1"'
    assert partial.read_bytes() == BEGINNING * 2


@by_signals
def test_while_one_downloads_another_is_told_to_wait(program):
    with serving_in_thread(choose=beginning) as server:
        hub = {"CHATCLI_MODEL_HUB": f"http://127.0.0.1:{server.port}"}
        with program.started(*SETUP, **hub) as process:
            wait_for_size(partial_path(program.local_folder, MODEL), len(BEGINNING))
            done = program.run(*SETUP, **hub)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)
    assert done.exit_code == 8
    assert "another chatcli is working in" in done.stderr
    assert len(server.requests) == 1
