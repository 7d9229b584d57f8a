"""The slash command for structured output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.app.threads import in_thread
from chatcli.core.errors import UsageError
from chatcli.repl.answer_schema import read_form, schema_folder, use_schema
from chatcli.repl.commands.command import Choice, Command, say_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.repl.repl_session import ReplSession

_OFF: Final = "off"
_MULTI: Final = "multi"


async def _schema(repl: ReplSession, argument: str) -> None:
    chat, config = repl.chat, repl.context.paths.config
    if not argument:
        await _show(repl)
    elif argument == _OFF:
        if chat.turns.response_format is None:
            raise UsageError("there is no schema", hint="/schema FIELDS sets one", code="no_schema")
        chat.turns.response_format = None
        chat.opened.mark("schema", None)
        repl.frontend.remark("answers have any form again")
    else:
        first, _, rest = argument.partition(" ")
        is_list = first == _MULTI and bool(rest.strip())
        given = rest.strip() if is_list else argument
        wanted = await in_thread(lambda: read_form(config, given, is_list=is_list))
        repl.frontend.remark(use_schema(chat, wanted, given, is_list=is_list))


async def _show(repl: ReplSession) -> None:
    folder = schema_folder(repl.context.paths.config)
    names, wanted = await in_thread(folder.paths), repl.chat.turns.response_format
    if wanted is not None:
        properties = ", ".join(map(str, wanted.schema.get("properties", {})))
        repl.frontend.remark(f"answers are JSON with: {properties} (/schema off ends it)")
    if names:
        say_rows(repl, [(name, path.name) for name, path in names.items()])
    repl.frontend.remark(
        "/schema FIELDS sets one: /schema name, age int, tags list (multi before it: a list); "
        f"yours by name are in {folder.folder}"
    )


async def _choices(repl: ReplSession) -> Iterable[Choice]:
    folder = schema_folder(repl.context.paths.config)
    names = [Choice(name, path.name) for name, path in (await in_thread(folder.paths)).items()]
    ends = [Choice(_OFF, "answers of any form")] if repl.chat.turns.response_format is not None else []
    return [*names, *ends]


COMMANDS: Final = (
    Command(
        "schema",
        "have answers in JSON that fits a schema",
        _schema,
        "[[multi] FIELDS|NAME|PATH | off]",
        _choices,
    ),
)
