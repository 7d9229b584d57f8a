"""``/t``: a question as a template says it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import UsageError
from chatcli.render.text_columns import sentences, table
from chatcli.repl.commands.command import Choice, Command
from chatcli.repl.threads import in_thread
from chatcli.templates.template import Filling
from chatcli.templates.template_store import FOLDER, TemplateStore

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.repl.repl_session import ReplSession
    from chatcli.templates.template import Template

_ASSIGNMENT: Final = re.compile(
    r"""(?P<name>[^\W\d][\w-]*)=(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>\S*))(?:\s+|\Z)"""
)


async def _run(repl: ReplSession, argument: str) -> None:
    store = _template_store(repl)
    if not argument:
        rows = await in_thread(lambda: [(entry.name, entry.summary()) for entry in store.entries()])
        repl.frontend.say(sentences(rows) if repl.settings.plain else table(rows, repl.frontend.columns()))
        repl.frontend.remark(
            "/t NAME TEXT uses a template, VARIABLE=VALUE fills in its variables; yours are in "
            + str(store.folder)
        )
        return
    name, *rest = argument.split(None, 1)
    template = await in_thread(lambda: store.find(name).template())
    written = rest[0] if rest else ""
    files = repl.attachments.of(written)
    # The files are read when everything else is known; until then it counts that there are some.
    filling = replace(read_filling(template, written), documents=[file.name for file in files])
    answers = {}
    for place in template.missing(filling):
        answer = await repl.frontend.ask(f"{place}: ")
        if answer is None:
            repl.frontend.remark("not sent")
            return
        answers[place] = answer
    filled = filling.with_answers(answers)
    await repl.ask(
        lambda documents: template.question(replace(filled, documents=documents)),
        files,
        draft=f"/t {argument}",
    )


def read_filling(template: Template, written: str) -> Filling:
    """Return what is written behind the name of a template: variables, then words by their number, then the input.

    A ``NAME=VALUE`` counts only for a variable the template has: other text may hold equals signs. Raise
    ``UsageError`` for a quote without an end.
    """
    values: dict[str, str] = {}
    while (match := _ASSIGNMENT.match(written)) and match["name"] in template.variables:
        if match["bare"] and match["bare"][0] in "\"'":
            raise UsageError(
                f"the quote behind {match['name']}= has no end",
                hint='write a value with spaces as name="a b"',
            )
        values[match["name"]] = next(
            value for value in (match["double"], match["single"], match["bare"]) if value is not None
        )
        written = written[match.end() :]
    words = written.split(None, template.words_taken)
    rest = words[template.words_taken :]
    return Filling(words=words[: template.words_taken], typed=rest[0] if rest else "", values=values)


def _template_store(repl: ReplSession) -> TemplateStore:
    return TemplateStore(repl.world.paths.config / FOLDER)


async def _choices(repl: ReplSession) -> Iterable[Choice]:
    store = _template_store(repl)
    return await in_thread(lambda: [Choice(entry.name, entry.summary()) for entry in store.entries()])


COMMAND = Command("t", "use a template, or list them", _run, "[NAME [TEXT]]", _choices)
