"""Examples below the help of an action."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

if TYPE_CHECKING:
    from chatcli.cli.options import Parser


def add_examples(parser: Parser, *examples: tuple[str, str]) -> None:
    """Show commands, each with what it does, at the end of ``--help``."""
    columns = max(cell_len(command) for command, _ in examples)
    lines = [f"  {set_cell_size(command, columns)}  {meaning}" for command, meaning in examples]
    parser.epilog = "\n".join(["examples:", *lines])
