"""``chatcli sessions search``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from chatcli.attachments.encodings import as_typed
from chatcli.cli.commands.sessions.examples import add_examples
from chatcli.cli.commands.sessions.here import add_here_option, folder_of
from chatcli.cli.commands.sessions.layout import json_fields, write_found
from chatcli.cli.commands.sessions.refreshing import refresh
from chatcli.core.errors import UsageError
from chatcli.core.exit_codes import ExitCode
from chatcli.core.search_text import terms
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.sessions.library import Library

NAME = "search"
HELP = "search all conversations, in any language"

_LIMIT: Final = 20


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "words", nargs="*", metavar="WORDS", help="all words must occur; the last may be incomplete"
    )
    parser.add_argument(
        "--limit", type=int, default=_LIMIT, metavar="N", help=f"how many to show at most ({_LIMIT})"
    )
    add_here_option(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_examples(
        parser,
        ("chatcli sessions search train rome", "both words, anywhere in a conversation"),
        ("chatcli sessions search 北京", "also part of a word, in languages without spaces"),
        ("chatcli sessions search --here todo", "only what began in this folder"),
    )


def run(options: Namespace, library: Library, terminal: Terminal) -> ExitCode:
    words = as_typed(" ".join(options.words))
    if not words.strip():
        raise UsageError(
            "search for what? chatcli sessions search WORDS", hint="chatcli sessions list shows all"
        )
    if options.limit < 1:
        raise UsageError(f"--limit {options.limit} is too small", hint="use 1 or more")
    folder = folder_of(options, terminal)
    refresh(library, options, terminal)
    # A library without a word to look for shows all it has, which nobody asked for here.
    found = library.search(words, folder=folder, limit=options.limit) if terms(words) else []
    if options.json:
        listed = [{**json_fields(hit.summary), "excerpt": hit.excerpt, "at": list(hit.at)} for hit in found]
        terminal.stdout.write(json.dumps(listed, ensure_ascii=False, indent=2) + "\n")
        return ExitCode.DONE
    for hit in found:
        write_found(hit, terminal)
    if not found:
        terminal.warn(f"no session contains {sanitize_line(words)}")
    elif len(found) == options.limit and (total := library.count(words, folder=folder)) > len(found):
        terminal.warn(f"{len(found)} of {total:,}; --limit N shows more")
    return ExitCode.DONE
