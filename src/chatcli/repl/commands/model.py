"""``/model``: which model is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.app.endpoint_settings import pricing_at
from chatcli.render.text_columns import sentences, table
from chatcli.repl.commands.command import Choice, Command

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.cost.pricing import ModelFacts
    from chatcli.repl.talk import Talk


async def _run(talk: Talk, argument: str) -> None:
    if argument:
        await talk.change(model=argument)
        talk.surface.remark(f"model: {talk.chat.turns.connected.model_name}")
        talk.tell_unlisted_model()
        return
    chat = await talk.connected()
    choices = await models_to_choose(talk)
    if talk.settings.plain:
        in_use = {chat.turns.connected.model_name: "in use"}
        spoken = [(choice.text, in_use.get(choice.text, ""), choice.meaning) for choice in choices]
        talk.surface.say(sentences(spoken) or chat.turns.connected.model_name)
        return
    rows = [
        ("→" if choice.text == chat.turns.connected.model_name else "", choice.text, choice.meaning)
        for choice in choices
    ]
    talk.surface.say(table(rows, talk.surface.columns()) or chat.turns.connected.model_name)


async def models_to_choose(talk: Talk) -> Iterable[Choice]:
    offered = await talk.connection.offered(talk.chat, talk.settings)
    pricing = pricing_at(talk.chat.turns.connected.endpoint, talk.settings, talk.world.table)
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
