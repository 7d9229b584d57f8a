"""Models available on this machine: the embedded one, and servers that are running.

Servers are found by requesting ``/v1/models`` on their default ports.
"""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from chatcli.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Any

    from chatcli.local.engine import EngineState
    from chatcli.local.weights import Weights, WeightsState


_HOST = "127.0.0.1"
_TIMEOUT_S = 0.3
_LIMIT_BYTES = 256 * 1024
_STATUS_OK = re.compile(rb"HTTP/1\.[01] 200[ \r]")
_CONTENT_LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,9})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


@frozen
class ServerCandidate:
    """A server to look for, and its default loopback port.

    ``runs_models``: no other program uses that port, so what answers there is a model on this machine.
    """

    name: str
    port: int
    runs_models: bool = False


WELL_KNOWN = (
    ServerCandidate("Ollama", 11434, runs_models=True),
    ServerCandidate("LM Studio", 1234, runs_models=True),
    ServerCandidate("llama.cpp", 8080),
)


@frozen
class FoundServer:
    """A server that answered. ``models`` are its model ids, unsanitized."""

    name: str
    base_url: str
    models: tuple[str, ...]


async def find_servers(
    candidates: Iterable[ServerCandidate] = WELL_KNOWN, *, timeout_s: float = _TIMEOUT_S
) -> tuple[FoundServer, ...]:
    """Ask all candidates at once and return the model servers that answer within ``timeout_s``.

    Other programs on the ports are ignored: redirects are not followed, and at most 256 KiB are read.
    """
    found = await asyncio.gather(*(_ask(candidate, timeout_s) for candidate in candidates))
    return tuple(server for server in found if server is not None)


async def _ask(candidate: ServerCandidate, timeout_s: float) -> FoundServer | None:
    try:
        async with asyncio.timeout(timeout_s):
            models = model_ids(await _get_models(candidate.port))
    except (OSError, EOFError, asyncio.LimitOverrunError, ValueError, RecursionError):
        return None
    return FoundServer(candidate.name, f"http://{_HOST}:{candidate.port}/v1", models)


async def _get_models(port: int) -> bytes:
    """Return the body of ``GET /v1/models``.

    HTTP/1.0, so that no server sends chunks and the body ends with the connection at the latest.
    """
    reader, writer = await asyncio.open_connection(_HOST, port, limit=_LIMIT_BYTES)
    try:
        writer.write(f"GET /v1/models HTTP/1.0\r\nHost: {_HOST}:{port}\r\nConnection: close\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if not _STATUS_OK.match(head):
            raise ValueError("not a 200")
        return await _body(reader, head)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    length = _CONTENT_LENGTH.search(head)
    if length is not None:
        return await reader.readexactly(min(int(length[1]), _LIMIT_BYTES))
    body = bytearray()
    while len(body) < _LIMIT_BYTES and (block := await reader.read(_LIMIT_BYTES - len(body))):
        body += block
    return bytes(body)


def model_ids(body: bytes) -> tuple[str, ...]:
    """Return the ids in an OpenAI model list. Without models, Ollama sends ``null`` for the list.

    :raises ValueError: this is not a model list
    """
    answer: Any = json.loads(body)
    if not isinstance(answer, dict) or "data" not in answer:
        raise ValueError("not a model list")
    models = answer["data"] or []
    if not isinstance(models, list):
        raise ValueError("not a model list")  # noqa: TRY004 - what is wrong is the answer, not an argument's type
    ids = (model.get("id") for model in models if isinstance(model, dict))
    return tuple(model_id for model_id in ids if isinstance(model_id, str))


@frozen
class LocalState:
    engine: EngineState
    weights: WeightsState
    servers: tuple[FoundServer, ...]

    @property
    def ready(self) -> bool:
        """Whether the embedded model can be started."""
        return self.engine.installed and self.weights.ready


def is_embedded_ready(folder: Path) -> bool:
    """Whether the built-in model's weights are in ``folder`` and its engine is installed."""
    # Not needed to look for servers.
    from chatcli.local.engine import engine_state  # noqa: PLC0415
    from chatcli.local.weights import status  # noqa: PLC0415

    return status(folder).ready and engine_state().installed


async def local_state(
    folder: Path, candidates: Iterable[ServerCandidate] = WELL_KNOWN, *, weights: Weights | None = None
) -> LocalState:
    """Check the engine, the weights in ``folder``, by default of the built-in model, and the default ports."""
    # Not needed to look for servers.
    from chatcli.local.engine import engine_state  # noqa: PLC0415
    from chatcli.local.weights import SMOLLM2, status  # noqa: PLC0415

    return LocalState(engine_state(), status(folder, weights or SMOLLM2), await find_servers(candidates))
