"""Draw a terminal picture: run commands on a real pseudo-terminal and export what the screen shows as SVG.

usage: python scripts/picture.py OUT.svg [--columns N] [--rows N] [--light] [--answer FILE] [--calls] COMMAND [COMMAND ...]

Each COMMAND is a shell line; it is shown after a ``$`` as if typed. With ``--answer`` it finds a model that answers
everything with the text of FILE, with ``--calls`` statistics of made-up calls. ``scripts/pictures`` makes the pictures of the documents.
"""

from __future__ import annotations

import argparse
import os
import pty
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import bench_endpoint
import page_picture
import pyte
from checkout import writing
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, DIMMED_MONOKAI
from rich.text import Text


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("commands", nargs="+")
    parser.add_argument("--columns", type=int, default=80)
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--light", action="store_true")
    parser.add_argument("--title", default="chatcli")
    parser.add_argument("--answer", type=Path)
    parser.add_argument("--calls", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        environment = dict(os.environ)
        if options.answer:
            text = options.answer.read_text(encoding="utf-8")
            base_url = stack.enter_context(bench_endpoint.serve_answers([text]))
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            environment |= {
                **bench_endpoint.environment(base_url, folder),
                "CHATCLI_MODEL": bench_endpoint.MODEL,
            }
            environment["CHATCLI_THEME"] = "light" if options.light else "dark"
        if options.calls:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            environment |= page_picture.folder_with_calls(folder)
        screen = screen_after(options, environment)
    write_picture(screen, options)
    return 0


def screen_after(options: argparse.Namespace, environment: dict[str, str]) -> pyte.Screen:
    screen = pyte.Screen(options.columns, options.rows)
    stream = pyte.ByteStream(screen)
    for command in options.commands:
        stream.feed(f"\x1b[1m$ {command}\x1b[0m\r\n".encode())
        stream.feed(output_of(command, options.columns, options.rows, environment))
    return screen


def write_picture(screen: pyte.Screen, options: argparse.Namespace) -> None:
    console = Console(
        record=True,
        width=options.columns,
        file=Path(os.devnull).open("w"),  # noqa: SIM115
        color_system="truecolor",
        force_terminal=True,
    )
    last = max((row for row in range(options.rows) if screen.display[row].strip()), default=0)
    for row in range(last + 1):
        console.print(line_of(screen, row), end="\n", no_wrap=True, crop=True)
    theme = DEFAULT_TERMINAL_THEME if options.light else DIMMED_MONOKAI
    options.out.write_text(console.export_svg(title=options.title, theme=theme), encoding="utf-8")


def output_of(command: str, columns: int, rows: int, environment: dict[str, str]) -> bytes:
    """Run a shell line on a pseudo-terminal of this size and return its output."""
    ours, theirs = pty.openpty()
    environment = {
        **environment,
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "COLUMNS": str(columns),
        "LINES": str(rows),
    }
    process = subprocess.Popen(
        ["sh", "-c", command], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    written = bytearray()
    while True:
        try:
            chunk = os.read(ours, 65_536)
        except OSError:
            break
        if not chunk:
            break
        written += chunk
    process.wait()
    return bytes(written)


def line_of(screen: pyte.Screen, row: int) -> Text:
    line = Text()
    for column in range(screen.columns):
        cell = screen.buffer[row][column]
        line.append(cell.data, style_of(cell))
    line.rstrip()
    return line


def style_of(cell: pyte.screens.Char) -> Style:
    return Style(
        color=color_of(cell.fg),
        bgcolor=color_of(cell.bg),
        bold=cell.bold,
        italic=cell.italics,
        underline=cell.underscore,
        strike=cell.strikethrough,
    )


def color_of(name: str) -> Color | None:
    if name == "default":
        return None
    if len(name) == len("rrggbb") and all(digit in "0123456789abcdef" for digit in name):
        return Color.parse(f"#{name}")
    return Color.parse(name.replace("brown", "yellow").replace("bright", "bright_"))


if __name__ == "__main__":
    with writing():
        sys.exit(main())
