"""``chatcli models``: the models of the endpoint, and the table of known models."""

from __future__ import annotations

import asyncio
import json
from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from wcwidth import width

from chatcli.app.resolver import endpoint_at
from chatcli.app.run_context import ChatOptions, pricing_at
from chatcli.app.wiring import open_catalog
from chatcli.cli.option_groups import add_model_options
from chatcli.cli.setup import run_context, settings_of
from chatcli.config.aliases import aliases_of, matching
from chatcli.config.endpoints import is_loopback
from chatcli.core.errors import ConfigurationError, ExitCode, LocalIOError, UsageError
from chatcli.cost.model_table import ABILITIES, FILE_NAME, MOST_BYTES, DamagedTable, keep_table
from chatcli.cost.price import KINDS
from chatcli.render.text_columns import table
from chatcli.storage.private_files import read_regular_or_pipe
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.shortening import shortened

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.app.run_context import RunContext
    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.client.catalog import OfferedModel
    from chatcli.config.settings import Settings
    from chatcli.cost.price import Price
    from chatcli.cost.pricing import ModelFacts

_EXAMPLES: Final = """\
examples:
  chatcli models                             names, windows, prices per million tokens, abilities, aliases
  chatcli models claude son                  those with both words in their name or an alias
  chatcli models -o json | jq '.[].id'       for programs
  chatcli models --update models.jsonl       use a newer table of windows and prices
"""

_NARROW_COLUMNS, _WIDE_COLUMNS = 60, 100
# Columns taken by window, price and abilities beside the name; in little room, by a short window and a price.
_BESIDE_NAME, _BESIDE_NAME_NARROW = 52, 22
_SHORTEST_NAME: Final = 16
_PATIENCE_S: Final = 60.0
_SIGNS: Final = {
    "pictures": "image",
    "audio": "audio",
    "tools": "tools",
    "reasoning": "think",
    "structured": "json",
}


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "query", nargs="*", metavar="QUERY", help="only models with all these words in their name or an alias"
    )
    parser.add_argument("--json", action="store_true", help="as a JSON list")
    parser.add_argument(
        "-o", "--output", choices=["text", "json"], default="text", help="as lines or as JSON"
    )
    parser.add_argument(
        "--update", metavar="FILE|URL", help="take windows, prices and abilities from this newer table"
    )
    add_model_options(parser)
    parser.epilog = _EXAMPLES
    parser.formatter_class = RawDescriptionHelpFormatter


def run(options: Namespace, terminal: Terminal) -> ExitCode:
    asyncio.run(_update(options, terminal) if options.update is not None else _list(options, terminal))
    return ExitCode.DONE


async def _list(options: Namespace, terminal: Terminal) -> None:
    context = run_context(terminal)
    settings = settings_of(options, context, terminal)
    chat_options = ChatOptions(embedded=options.embedded, insecure_http=options.insecure_http)
    async with open_catalog(
        settings, chat_options, context, lambda notice: terminal.warn(notice.message)
    ) as (
        endpoint,
        offered,
    ):
        pricing, query = pricing_at(endpoint, settings, context), " ".join(options.query)
        wanted = set(matching(query, [model.id for model in offered], settings.aliases))
        found = [
            _Listed(
                terminal.redactor.redact(model.id),
                pricing.facts_of(model.id, _window(settings, model)),
                aliases_of(model.id, settings.aliases),
            )
            for model in offered
            if model.id in wanted
        ]
    if options.json or options.output == "json":
        listed = [_as_json(model) for model in found]
        terminal.stdout.write(json.dumps(listed, ensure_ascii=False, indent=2) + "\n")
        return
    if not found:
        terminal.warn(
            f"{endpoint.name} lists no models" + (f" with {query} in their name" if offered and query else "")
        )
        return
    columns = terminal.listing_columns()
    rows = [_row(model, columns) for model in found]
    terminal.stdout.write(table(rows, columns, right={1}) + "\n")
    if terminal.stdout.is_terminal and any(model.known.price for model in found):
        terminal.warn(f"prices in/out per million tokens, as of {context.table.date} (--update: newer ones)")


class _Listed(NamedTuple):
    """A model by the name shown, what is known about it, and its aliases."""

    name: str
    known: ModelFacts
    aliases: tuple[str, ...]


def _window(settings: Settings, model: OfferedModel) -> int | None:
    return settings.model_windows.get(model.id, model.window_tokens)


def _row(model: _Listed, columns: int) -> tuple[str, ...]:
    known, aliases = model.known, ", ".join(model.aliases)
    if columns < _NARROW_COLUMNS:
        name = _with_aliases(model, max(_SHORTEST_NAME, columns - _BESIDE_NAME_NARROW))
        return name, _short(known.window_tokens), _price(known, briefly=True)
    signs = " ".join(sign for ability, sign in _SIGNS.items() if ability in (known.abilities or ()))
    window = f"{known.window_tokens:,}" if known.window_tokens else ""
    if columns < _WIDE_COLUMNS:
        name = _with_aliases(model, columns - _BESIDE_NAME)
        return name, window, _price(known, briefly=True), signs
    name = shortened(sanitize_line(model.name), columns - _BESIDE_NAME)
    return name, window, _price(known), signs, f"({aliases})" if aliases else ""


def _with_aliases(model: _Listed, columns: int) -> str:
    """Return the name with its aliases behind it, which are shown in full as long as a part of the name is too."""
    name, aliases = sanitize_line(model.name), f" ({', '.join(model.aliases)})" if model.aliases else ""
    least = min(width(name), _SHORTEST_NAME // 2)
    return shortened(name, max(least, columns - width(aliases))) + shortened(aliases, columns - least)


def _price(known: ModelFacts, *, briefly: bool = False) -> str:
    return known.price.per_million(briefly=briefly) if known.price else ""


def _short(tokens: int | None) -> str:
    if not tokens:
        return ""
    million, thousand = 1_000_000, 1000
    if tokens >= million:
        return f"{tokens / million:.3g}M"
    return f"{tokens / thousand:.3g}k" if tokens >= thousand else str(tokens)


def _as_json(model: _Listed) -> dict[str, Any]:
    known = model.known
    can = (
        None if known.abilities is None else [word for word in ABILITIES.values() if word in known.abilities]
    )
    return {
        "id": model.name,
        "context_window": known.window_tokens,
        "price": None if known.price is None else _price_as_json(known.price.price),
        "price_source": None if known.price is None else known.price.source,
        "abilities": can,
        "aliases": list(model.aliases),
    }


def _price_as_json(price: Price) -> dict[str, Any]:
    """Return US dollars per million tokens in the format of ``[prices]`` in config.toml."""
    row: dict[str, Any] = {kind: float(usd) for kind in KINDS if (usd := getattr(price, kind)) is not None}
    if price.up_to_tokens is not None:
        row["up_to_tokens"] = price.up_to_tokens
        row["beyond"] = None if price.beyond is None else _price_as_json(price.beyond)
    return row


async def _update(options: Namespace, terminal: Terminal) -> None:
    context, source = run_context(terminal), options.update
    content = await _content(source, options, context, terminal)
    try:
        made_on = keep_table(context.paths.data / FILE_NAME, content)
    except DamagedTable as error:
        raise ConfigurationError(
            f"{source} is not used: {error}",
            hint="name a table as scripts/model_table.py makes it; the one in use stays",
        ) from error
    except OSError as error:
        raise LocalIOError(
            f"the table cannot be kept in {context.paths.data}: {error.strerror or error}",
            hint="check the disk and the permissions of the folder",
        ) from error
    terminal.warn(f"windows and prices of {made_on} are used from now on")


async def _content(source: str, options: Namespace, context: RunContext, terminal: Terminal) -> bytes:
    if not source.strip():
        raise UsageError("no table is named", hint="name a file or an address: --update models.jsonl")
    if "://" not in source:
        try:
            return read_regular_or_pipe(Path(source), most_bytes=MOST_BYTES, patience_s=_PATIENCE_S)
        except OSError as error:
            raise LocalIOError(
                f"{source} cannot be read: {error.strerror or error}",
                hint="check the path and its permissions",
            ) from error
    scheme = source.partition("://")[0].lower()
    if scheme != "https" and not (scheme == "http" and is_loopback(source)):
        raise UsageError(
            f"{source} is not fetched: over plain http it could be changed on the way", hint="use https"
        )
    # httpx2 is slow to import: only when something is fetched.
    from chatcli.client.download import download  # noqa: PLC0415

    settings = settings_of(options, context, terminal)
    endpoint = endpoint_at(source, settings, context, key=None)
    return await download(endpoint, context.environment, most_bytes=MOST_BYTES)
