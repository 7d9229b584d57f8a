"""The engine's child process: ``python -m chatcli.local.child``.

It reads one line of JSON, an ``EngineOrder``, since no secret may be in argv, and replies with one: ``{"url":
...}`` once the server accepts requests, or ``{"error": ...}`` before it exits with code 1. It serves until
its standard input ends, which happens on every platform when its parent dies.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import asdict, dataclass, field
from io import FileIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xllamacpp import Server


_TOKENS_AT_ONCE = 128
"""A second's work on a slow processor; larger batches are no faster there."""

ENGINE_MISSING = "engine_missing"
"""The ``error`` of the process when its engine is not installed."""


@dataclass(frozen=True, slots=True)
class EngineOrder:
    """Serve the weights on a loopback ``port``, 0 for a free one; an empty ``api_key`` admits everybody."""

    weights_path: str
    model: str
    context_tokens: int
    port: int
    api_key: str = field(repr=False)

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> EngineOrder:
        return cls(**json.loads(line))


def main() -> int:
    # The engine and its libraries may print: standard output is ours alone.
    answers = _set_aside(1, os.dup(2), "w")
    # On Windows a library that touches standard input while a thread reads it would block on that read.
    orders = _set_aside(0, os.open(os.devnull, os.O_RDONLY), "r")
    line = orders.readline()
    parent = threading.Thread(target=_leave_at_end, args=(orders,), daemon=True)
    parent.start()
    try:
        server = serve(EngineOrder.from_line(line))
    except Exception as error:  # noqa: BLE001 - every failure is reported to the parent
        missing = isinstance(error, ModuleNotFoundError) and error.name == "xllamacpp"
        _answer(answers, error=ENGINE_MISSING if missing else str(error))
        return 1
    _answer(answers, url=server.listening_address)
    parent.join()
    return 0


def serve(order: EngineOrder) -> Server:
    """Load the weights and return the running server; it serves as long as it is referenced."""
    import xllamacpp  # noqa: PLC0415 - the watch over the parent comes first

    parameters = xllamacpp.CommonParams()
    parameters.model.path = order.weights_path
    parameters.model_alias = {order.model}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = order.port
    parameters.api_keys = [order.api_key] if order.api_key else []
    parameters.n_ctx = order.context_tokens
    parameters.n_parallel = 1
    # The engine's threads wait for each other by spinning. With one on every core, any other busy process
    # stalls
    # them all: seconds per token instead of milliseconds.
    threads = max(1, (os.cpu_count() or 1) - 1)
    parameters.cpuparams.n_threads = threads
    parameters.cpuparams_batch.n_threads = threads
    parameters.cache_prompt = True
    # Between batches the engine notices that nobody waits for an answer any more.
    parameters.n_batch = parameters.n_ubatch = _TOKENS_AT_ONCE
    parameters.cache_ram_mib = 64
    parameters.warmup = False
    parameters.ui = False
    parameters.endpoint_slots = False
    parameters.offline = True
    return xllamacpp.Server(parameters)


def _set_aside(descriptor: int, replacement: int, mode: str) -> FileIO:
    """Return the file behind a standard descriptor, which is then replaced by ``replacement``."""
    kept = os.dup(descriptor)
    os.dup2(replacement, descriptor)
    os.close(replacement)
    return FileIO(kept, mode)


def _leave_at_end(orders: FileIO) -> None:
    while orders.read(1024):
        pass
    os._exit(0)


def _answer(answers: FileIO, **fields: str) -> None:
    answers.write(json.dumps(fields).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
