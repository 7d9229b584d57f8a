"""Slash commands that build a question: attached files and templates."""

from __future__ import annotations

import re
from asyncio import CancelledError
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from chatcli.app.threads import in_thread
from chatcli.attachments.attached import AttachedPage, path_words, quoted, shown_size
from chatcli.core.errors import UsageError
from chatcli.repl.answer_schema import answers_in, read_form
from chatcli.repl.commands.command import Choice, Command, say_rows, whole_number
from chatcli.repl.question_attachments import attached_line
from chatcli.templates.template import Filling
from chatcli.templates.template_store import FOLDER, TemplateStore

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.attachments.attached import Attachment
    from chatcli.repl.repl_session import ReplSession
    from chatcli.templates.template import Template


_REMOVED: Final = "-"
_ALL: Final = "-all"
_ASSIGNMENT: Final = re.compile(
    r"""(?P<name>[^\W\d][\w-]*)=(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>\S*))(?:\s+|\Z)"""
)


async def _file(repl: ReplSession, argument: str) -> None:
    attachments = repl.attachments
    if not argument:
        _list_attachments(repl)
        return
    for name in _named_paths(argument):
        if name == _ALL:
            attachments.take()
        elif name.startswith(_REMOVED) and len(name) > 1:
            attachments.remove(name.removeprefix(_REMOVED))
        else:
            try:
                await attachments.add(name)
            except CancelledError:
                repl.frontend.remark(f"stopped: {name} is not attached")
                raise
    repl.frontend.remark(attached_line(attachments.named) or "removed all attachments")


def _list_attachments(repl: ReplSession) -> None:
    rows = [(attached.name, _size_of(attached)) for attached in repl.attachments.named]
    if rows:
        say_rows(repl, rows)
        repl.frontend.remark("sent with the next question; /file -PATH removes one, /file -all removes all")
    else:
        repl.frontend.remark(
            "nothing is attached; /file PATH or @PATH in a question attaches a text file or a web page"
        )


def _size_of(attached: Attachment) -> str:
    return attached.facts if isinstance(attached, AttachedPage) else shown_size(attached.size_bytes)


def _named_paths(argument: str) -> list[str]:
    try:
        return path_words(argument)
    except ValueError as error:
        raise UsageError(
            f"unbalanced quote in {argument}", hint='write a path with spaces as "my notes.md"'
        ) from error


async def _attached(repl: ReplSession) -> Iterable[Choice]:
    named = [Choice(_REMOVED + quoted(attached.name), "remove it") for attached in repl.attachments.named]
    return [*named, Choice(_ALL, "remove all")] if len(named) > 1 else named


async def _suggestions(repl: ReplSession, argument: str) -> None:
    ahead, proposals = repl.between_turns.ahead, repl.between_turns.proposals
    if not repl.settings.prefetch:
        raise UsageError(
            "follow-up questions are suggested only with prefetch",
            hint="/config prefetch 1 turns it on for this run",
        )
    if ahead is None or not proposals:
        reason = f": {ahead.reason}" if ahead is not None and ahead.reason else ""
        repl.frontend.remark(f"no suggestions{reason}")
        return
    if argument:
        number = whole_number(argument)
        if not 1 <= number <= len(proposals):
            raise UsageError(f"there is no suggestion {number}", hint="/suggestions lists them")
        repl.frontend.draft(proposals[number - 1])
        return
    say_rows(
        repl,
        [
            (f"{number}", proposal, "answered" if ahead.is_answered(proposal) else "")
            for number, proposal in enumerate(proposals, start=1)
        ],
    )
    repl.frontend.remark("/suggestions N puts one into the composer")


async def _proposed(repl: ReplSession) -> Iterable[Choice]:
    proposals = repl.between_turns.proposals
    return [Choice(f"{number}", proposal) for number, proposal in enumerate(proposals, start=1)]


async def _template(repl: ReplSession, argument: str) -> None:
    store = _template_store(repl)
    if not argument:
        rows = await in_thread(lambda: [(entry.name, entry.summary()) for entry in store.entries()])
        say_rows(repl, rows)
        repl.frontend.remark(
            "/t NAME TEXT uses a template, VARIABLE=VALUE fills in its variables; yours are in "
            + str(store.folder)
        )
        return
    name, *rest = argument.split(None, 1)
    template = await in_thread(lambda: store.find(name).template())
    written = rest[0] if rest else ""
    files = repl.attachments.of(written)
    # Files are read last; until then only their presence counts.
    filling = replace(read_filling(template, written), documents=[file.name for file in files])
    answers = {}
    for place in template.missing(filling):
        answer = await repl.frontend.ask(f"{place}: ")
        if answer is None:
            repl.frontend.remark("not sent")
            return
        answers[place] = answer
    filled, schema = filling.with_answers(answers), template.matter.schema
    is_list, config = template.matter.is_schema_of_items, repl.context.paths.config
    wanted = None if schema is None else await in_thread(lambda: read_form(config, schema, is_list=is_list))
    with answers_in(repl.chat.turns, wanted):
        await repl.ask(
            lambda documents: template.question(replace(filled, documents=documents)),
            files,
            draft=f"/t {argument}",
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


def _template_store(repl: ReplSession) -> TemplateStore:
    return TemplateStore(repl.context.paths.config / FOLDER)


async def _templates(repl: ReplSession) -> Iterable[Choice]:
    store = _template_store(repl)
    return await in_thread(lambda: [Choice(entry.name, entry.summary()) for entry in store.entries()])


COMMANDS: Final = (
    Command(
        "file",
        "attach text files and web pages to the next question, or list them",
        _file,
        "[PATH|URL... | -PATH | -all]",
        _attached,
        takes_paths=True,
    ),
    Command("suggestions", "list likely follow-up questions, or choose one", _suggestions, "[N]", _proposed),
    Command("t", "use a template, or list them", _template, "[NAME [TEXT]]", _templates),
)
