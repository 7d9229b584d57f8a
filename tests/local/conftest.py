from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chatcli.local.server import LocalServer
from chatcli.local.weights import status

if TYPE_CHECKING:
    from collections.abc import Callable

CHECKOUT = Path(__file__).parents[2]

HANGING_ENGINE = """
import json, os, pathlib, socket, sys, time

class CommonParams:
    def __init__(self):
        self.model = self.cpuparams = self.cpuparams_batch = self

class Server:
    def __init__(self, parameters):
        listener = socket.create_server(("127.0.0.1", 0))
        seen = {"port": listener.getsockname()[1], "argv": sys.orig_argv, "api_keys": parameters.api_keys}
        path = pathlib.Path(os.environ["SEEN"])
        path.with_suffix(".new").write_text(json.dumps(seen))
        path.with_suffix(".new").replace(path)
        time.sleep(600)
"""


@pytest.fixture(scope="session")
def weights_folder() -> Path:
    """Return the folder with the real weights."""
    folder = Path(os.environ.get("CHATCLI_LOCAL_DIR") or CHECKOUT / ".local-model")
    if not status(folder).ready:
        pytest.fail(f"the embedded model's weights are not in {folder}: run scripts/test, which fetches them")
    return folder


@pytest.fixture
def fake_weights_folder(tmp_path: Path) -> Path:
    """Return a folder with a file named like the weights that is not the weights."""
    folder = tmp_path / "weights"
    folder.mkdir()
    status(folder).path.write_bytes(b"these are no weights")
    return folder


@pytest.fixture
def module_environment(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Return a function that makes an environment in which module ``name`` has ``source``."""

    def make(name: str, source: str, **more: str) -> dict[str, str]:
        folder = tmp_path / "modules"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
        return {**os.environ, "PYTHONPATH": str(folder), **more}

    return make


@pytest.fixture
def make_server(tmp_path: Path) -> Callable[..., LocalServer]:
    def make(folder: Path, environment: dict[str, str] | None = None, **options) -> LocalServer:
        return LocalServer(
            folder,
            log_folder=tmp_path / "cache",
            executable=sys.executable,
            environment=dict(os.environ) if environment is None else environment,
            **options,
        )

    return make


@pytest.fixture
def make_server_with(make_server, fake_weights_folder, module_environment) -> Callable[..., LocalServer]:
    """Return a function that makes a server with ``source`` as its engine and ``environment``."""

    def make(source: str, environment: dict[str, str] | None = None, **options) -> LocalServer:
        found = module_environment("xllamacpp", source, **(environment or {}))
        return make_server(fake_weights_folder, found, **options)

    return make


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Return a function that waits up to 20 s for a condition set by another process."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline_s, "it never came true"
            time.sleep(0.01)

    return wait


@pytest.fixture
def until_closed(wait_until) -> Callable[[int], None]:
    """Return a function that waits until a loopback port is closed."""

    def refused(port: int) -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return True
        return False

    return lambda port: wait_until(lambda: refused(port))


@pytest.fixture
def hanging_engine() -> str:
    """Return the source of an engine that records its order in the file ``SEEN`` and never gets ready."""
    return HANGING_ENGINE
