"""Writing a template in the person's editor."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from chatcli.core.exit_codes import ExitCode
from chatcli.repl.editor import Editor
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from chatcli.cli.standard_streams import Terminal
    from chatcli.templates.template_store import TemplateStore


def write_in_editor(name: str, before: str, store: TemplateStore, terminal: Terminal) -> ExitCode:
    """Let the person edit ``before`` and keep what becomes of it, unless that is the same."""
    before = before.removesuffix("\n")
    after = asyncio.run(Editor(terminal.environment).edit(before))
    if after == before:
        terminal.warn("nothing changed, nothing written")
        return ExitCode.DONE
    return keep(name, f"{after}\n", store, terminal)


def keep(name: str, text: str, store: TemplateStore, terminal: Terminal) -> ExitCode:
    """Keep a template. One that cannot be used is kept as well, as it was work to write, and then told of."""
    path = store.save(name, text)
    terminal.warn(f"written: {sanitize_line(str(path))}")
    store.find(name).template()
    return ExitCode.DONE
