"""``/tokens``: how the model's window is filled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import Command
from chatcli.repl.table import table

if TYPE_CHECKING:
    from chatcli.repl.talk import Talk


async def _run(talk: Talk, _: str) -> None:
    chat = await talk.connected()
    usage = chat.manager.context_usage()
    about = "~" if usage.estimated else ""
    kept = f"{usage.kept_turns} turn{'' if usage.kept_turns == 1 else 's'}"
    rows = [
        ("system prompt", f"{about}{usage.system_tokens:,}", ""),
        (kept, f"{about}{usage.turns_tokens:,}", ""),
        ("free for a question", f"{about}{usage.free_tokens:,}", ""),
        ("kept for the answer", f"{usage.window_tokens - usage.budget_tokens:,}", ""),
        ("window", f"{usage.window_tokens:,}", chat.model_name),
    ]
    talk.surface.say(table(rows, talk.surface.columns(), right={1}))
    if usage.left_out_turns:
        talk.surface.remark(f"{usage.left_out_turns} older turns do not fit and are left out")


COMMAND = Command("tokens", "show how the model's window is filled", _run)
