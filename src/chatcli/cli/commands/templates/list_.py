"""``chatcli templates list``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from chatcli.core.errors import ChatcliError
from chatcli.core.exit_codes import ExitCode
from chatcli.render.text_columns import table

if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.templates.template_store import TemplateEntry, TemplateStore

NAME = "list"
HELP = "list templates, yours and the built-in ones"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="as a JSON list")


def run(options: Namespace, store: TemplateStore, terminal: Terminal) -> ExitCode:
    entries = store.entries()
    if options.json:
        listed = [_described(entry) for entry in entries]
        terminal.stdout.write(json.dumps(listed, ensure_ascii=False, indent=2) + "\n")
        return ExitCode.DONE
    rows = [(entry.name, "shipped" if entry.is_shipped else "yours", entry.summary()) for entry in entries]
    terminal.stdout.write(table(rows, terminal.listing_columns()) + "\n")
    return ExitCode.DONE


def _described(entry: TemplateEntry) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": entry.name,
        "path": str(entry.path),
        "shipped": entry.is_shipped,
        "overrides": entry.overrides,
    }
    try:
        template = entry.template()
    except ChatcliError as error:
        return {**described, "description": None, "places": [], "error": error.message}
    places = [place.name for place in template.places]
    return {**described, "description": template.matter.description, "places": places, "error": None}
