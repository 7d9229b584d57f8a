"""``-T``: the template a call names, what it sets, and what it is filled in with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.attachments.encodings import as_typed
from chatcli.cli.typed_lines import TypedLines
from chatcli.config.resolve import TemplateSettings
from chatcli.config.suggestions import did_you_mean
from chatcli.core.errors import UsageError
from chatcli.templates.template import INPUT, Filling
from chatcli.templates.template_store import FOLDER, TemplateStore
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping, Sequence

    from chatcli.app.run_context import RunContext
    from chatcli.cli.standard_streams import Terminal
    from chatcli.core.messages import Message
    from chatcli.templates.template import Template

_INPUT_HINT: Final = "pipe it in, attach it with -f, or write it behind the options"


def template_store_of(world: RunContext) -> TemplateStore:
    return TemplateStore(world.paths.config / FOLDER)


def chosen_template(options: Namespace, world: RunContext) -> tuple[Template, TemplateSettings] | None:
    """Return the template of ``-T`` and what it sets; the output it wishes for goes into ``options``.

    Raise a ``ChatcliError`` where there is none or it cannot be used.
    """
    if options.template is None:
        if options.variables:
            raise UsageError(
                "--var only works with a template", hint="name one: chatcli -T NAME --var NAME=VALUE"
            )
        return None
    entry = template_store_of(world).find(as_typed(options.template))
    template = entry.template()
    # What the person asks for themselves comes first.
    if options.output is None and not options.extract:
        options.output = template.matter.output
        options.extract = template.matter.extract
    return template, TemplateSettings(
        f"template {template.name}", template.matter.settings, f"Edit {entry.path}."
    )


def fill(
    template: Template,
    options: Namespace,
    documents: Sequence[str],
    terminal: Terminal,
) -> Message:
    """Return the question. What there is nothing for is asked of a person at the keyboard, else a ``UsageError``."""
    words = [as_typed(word) for word in options.prompt]
    taken, rest = words[: template.words_taken], " ".join(words[template.words_taken :])
    named = as_typed(options.prompt_option) if options.prompt_option is not None else ""
    filling = Filling(
        words=taken,
        typed="\n".join(filter(str.strip, (named, rest))),
        values=_values(template, options.variables or []),
        documents=documents,
    )
    return template.question(_completed(template, filling, terminal))


def _values(template: Template, given: Sequence[str]) -> Mapping[str, str]:
    values = {}
    for each in map(as_typed, given):
        name, equals, value = each.partition("=")
        if not equals:
            raise UsageError(f"--var must be NAME=VALUE, not {each}", hint="like --var to=French")
        if name not in template.variables:
            raise UsageError(
                f"the template {template.name} has no variable {name}",
                hint=did_you_mean(name, template.variables, "variables"),
            )
        values[name] = value
    return values


def _completed(template: Template, filling: Filling, terminal: Terminal) -> Filling:
    missing = template.missing(filling)
    if not missing:
        return filling
    if not terminal.stdin_is_terminal:
        raise _missing(template, missing)
    lines = TypedLines(terminal)
    answers = {}
    for name in missing:
        # Standard output is for the answer alone.
        terminal.stderr.write(f"{sanitize_line(name)}: ")
        answer = lines.read("")
        if answer is None:
            raise _missing(template, missing)
        answers[name] = answer
    return filling.with_answers(answers)


def _missing(template: Template, missing: Sequence[str]) -> UsageError:
    name = missing[0]
    if name == INPUT:
        hint = _INPUT_HINT
    elif name.isdecimal():
        hint = f"write it behind the options, as word {name}"
    else:
        hint = f"give it with --var {name}=VALUE"
    return UsageError(
        f"the template {template.name} needs {', '.join(missing)}", hint=hint, code="missing_variable"
    )
