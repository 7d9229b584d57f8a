"""``/model``: which model is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.app.endpoint_settings import pricing_at
from chatcli.render.text_columns import sentences, table
from chatcli.repl.commands.command import Choice, Command

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.cost.pricing import ModelFacts
    from chatcli.repl.repl_session import ReplSession


async def _run(repl: ReplSession, argument: str) -> None:
    if argument:
        await repl.change(model=argument)
        repl.frontend.remark(f"model: {repl.chat.turns.connected.model_name}")
        repl.tell_unlisted_model()
        return
    chat = await repl.connected()
    choices = await models_to_choose(repl)
    if repl.settings.plain:
        in_use = {chat.turns.connected.model_name: "in use"}
        spoken = [(choice.text, in_use.get(choice.text, ""), choice.meaning) for choice in choices]
        repl.frontend.say(sentences(spoken) or chat.turns.connected.model_name)
        return
    rows = [
        ("→" if choice.text == chat.turns.connected.model_name else "", choice.text, choice.meaning)
        for choice in choices
    ]
    repl.frontend.say(table(rows, repl.frontend.columns()) or chat.turns.connected.model_name)


async def models_to_choose(repl: ReplSession) -> Iterable[Choice]:
    offered = await repl.connection.offered(repl.chat, repl.settings)
    pricing = pricing_at(repl.chat.turns.connected.endpoint, repl.settings, repl.world.table)
    facts = ((model.id, pricing.facts_of(model.id, model.window_tokens)) for model in offered)
    return [Choice(name, _meaning(known)) for name, known in facts]


def _meaning(known: ModelFacts) -> str:
    window = f"{known.window_tokens:,} tokens" if known.window_tokens else ""
    return ", ".join(filter(None, (window, known.price.per_million() if known.price else "")))


COMMAND = Command(
    "model",
    "switch to another model, or list them",
    _run,
    "[NAME]",
    models_to_choose,
    aliases=("models",),
)
