"""Templates in a conversation: ``/NAME TEXT`` for one whose name no command has, and ``/t`` for all of them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from chatcli.app.threads import in_thread
from chatcli.core.errors import ChatcliError, UsageError
from chatcli.repl.answer_schema import answers_in, read_form
from chatcli.repl.commands.command import Choice, Command, say_rows
from chatcli.templates.combining import combined, in_conversation
from chatcli.templates.template import Filling
from chatcli.text.shortening import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chatcli.repl.repl_session import ReplSession
    from chatcli.templates.template import Template
    from chatcli.templates.template_store import TemplateEntry


_ASSIGNMENT: Final = re.compile(
    r"""(?P<name>[^\W\d][\w-]*)=(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>\S*))(?:\s+|\Z)"""
)
_LONGEST_SUMMARY: Final = 160


async def _template(repl: ReplSession, argument: str) -> None:
    if argument:
        name, *rest = argument.split(None, 1)
        await ask_with_template(repl, name, rest[0] if rest else "", draft=f"/t {argument}")
        return
    store = repl.templates
    say_rows(repl, await in_thread(lambda: [(entry.name, store.summary(entry)) for entry in store.entries()]))
    repl.frontend.remark(
        "/NAME TEXT uses a template, or /t NAME TEXT; VARIABLE=VALUE fills in its variables; yours are in "
        + str(store.folder)
    )


async def ask_with_template(repl: ReplSession, name: str, written: str, *, draft: str) -> None:
    """Ask the question that the template ``name`` makes of ``written``; ask for missing values first.

    Its system prompt stands above it, as the conversation keeps its own. ``name`` may be several joined by
    ``+``. Raise a ``ChatcliError`` if there is none of them, or they cannot be used.
    """
    store, notes = repl.templates, list[str]()
    found = await in_thread(lambda: [entry.template() for entry in store.find_all([name])])
    template = in_conversation(combined(found, notes.append))
    for note in notes:
        repl.frontend.remark(note)
    if unused := ", ".join(template.matter.settings):
        repl.frontend.remark(f"the conversation keeps its own {unused}; that of a template counts with -T")
    # Pasted text is data: what it mentions is not attached.
    files = repl.attachments.of(repl.typed)
    # Files are read last; until then only their presence counts.
    filling = replace(read_filling(template, written), documents=[file.name for file in files])
    answers = {}
    for place in template.missing(filling):
        answer = await repl.frontend.ask(f"{place}: ")
        if answer is None:
            repl.frontend.remark("not sent")
            repl.is_unsent = True
            return
        answers[place] = answer
    filled, schema = filling.with_answers(answers), template.matter.schema
    is_list, config = template.matter.is_schema_of_items, repl.context.paths.config
    wanted = None if schema is None else await in_thread(lambda: read_form(config, schema, is_list=is_list))
    with answers_in(repl.chat.turns, wanted):
        await repl.ask(
            lambda documents: template.question(replace(filled, documents=documents)),
            files,
            draft=draft,
        )


def read_filling(template: Template, written: str) -> Filling:
    """Return the filling written after a template's name: variables, then words by number, then the input.

    A ``NAME=VALUE`` counts only for a variable of the template: other text may contain equals signs. Raise
    ``UsageError`` for an unterminated quote.
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


async def all_templates(repl: ReplSession) -> Sequence[TemplateEntry]:
    """Return all templates, none if their folder cannot be read: the person asked for none of them yet."""
    try:
        return await in_thread(repl.templates.entries)
    except ChatcliError:
        return ()


async def summarized(repl: ReplSession, entries: Sequence[TemplateEntry]) -> list[Choice]:
    """Return the names of ``entries`` with their descriptions, shortened."""
    store = repl.templates
    return await in_thread(
        lambda: [Choice(entry.name, shortened(store.summary(entry), _LONGEST_SUMMARY)) for entry in entries]
    )


async def variables(repl: ReplSession, name: str) -> Iterable[Choice]:
    """Return the variables of a template as they are written before its input."""
    try:
        template = await in_thread(lambda: repl.templates.find(name).template())
    except ChatcliError:
        return ()
    return [Choice(f"{variable}=", _default_of(template, variable)) for variable in template.variables]


def _default_of(template: Template, variable: str) -> str:
    default = template.default(variable)
    return "must be given" if default is None else f"else {default}"


def template_help(entry: TemplateEntry, *, usage: str) -> list[str]:
    """Return what ``/help`` says about one template. Raise a ``ChatcliError`` if it is invalid."""
    template = entry.template()
    lines = [f"{usage} [VARIABLE=VALUE...] [TEXT]" if template.variables else f"{usage} [TEXT]"]
    lines += [f"  {line}" for line in filter(None, [template.matter.description])]
    lines += [f"  {variable}: {_default_of(template, variable)}" for variable in template.variables]
    return [*lines, "  a built-in template" if entry.is_shipped else f"  a template of yours: {entry.path}"]


async def _templates(repl: ReplSession) -> Iterable[Choice]:
    return await summarized(repl, await all_templates(repl))


COMMANDS: Final = (Command("t", "use a template, or list them", _template, "[NAME [TEXT]]", _templates),)
