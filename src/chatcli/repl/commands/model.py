"""``/model``: which model is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import Choice, Command
from chatcli.repl.table import table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.repl.talk import Talk


async def _run(talk: Talk, argument: str) -> None:
    if argument:
        await talk.change(model=argument)
        talk.surface.remark(f"from here on: {talk.chat.model_name}")
        return
    chat = await talk.connected()
    rows = [
        ("→" if choice.text == chat.model_name else "", choice.text, choice.meaning)
        for choice in await models_to_choose(talk)
    ]
    talk.surface.say(table(rows, talk.surface.columns()) or chat.model_name)


async def models_to_choose(talk: Talk) -> Iterable[Choice]:
    offered = await talk.connection.offered(talk.chat, talk.settings)
    table, host = talk.world.table, talk.chat.endpoint.host
    windows = ((model.id, model.window_tokens or table.window_tokens(host, model.id)) for model in offered)
    return [Choice(name, f"{window:,} tokens" if window else "") for name, window in windows]


COMMAND = Command("model", "ask another model, or list those there are", _run, "[NAME]", models_to_choose)
