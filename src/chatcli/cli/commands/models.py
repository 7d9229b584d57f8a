"""``chatcli models``: what the endpoint offers."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from chatcli.app import open_catalog
from chatcli.cli.options import add_model_options
from chatcli.cli.setup import settings_of, world_of
from chatcli.core.exit_codes import ExitCode
from chatcli.safety.terminal import sanitize_line
from chatcli.target import Wish

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.cli.options import Parser
    from chatcli.cli.terminal import Terminal


def add_arguments(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="as a JSON list")
    add_model_options(parser)


def run(options: Namespace, terminal: Terminal) -> ExitCode:
    asyncio.run(_list(options, terminal))
    return ExitCode.DONE


async def _list(options: Namespace, terminal: Terminal) -> None:
    world = world_of(terminal)
    settings = settings_of(options, world, terminal)
    wish = Wish(embedded=options.local, insecure_http=options.insecure_http)
    async with open_catalog(settings, wish, world, lambda notice: terminal.warn(notice.message)) as (
        endpoint,
        offered,
    ):
        found = [
            (model.id, model.window_tokens or world.table.window_tokens(endpoint.host, model.id))
            for model in offered
        ]
    if options.json:
        listed = [{"id": name, "context_window": window} for name, window in found]
        terminal.stdout.write(json.dumps(listed, ensure_ascii=False, indent=2) + "\n")
        return
    if not found:
        terminal.warn(f"{endpoint.name} lists no models")
    for name, window in found:
        tokens = f"  {window:,} tokens" if window else ""
        terminal.stdout.write(f"{sanitize_line(name)}{tokens}\n")
