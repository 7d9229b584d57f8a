"""Build the question of a one-shot call from prompt, template, pipe and files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.attachments.attached import AttachedPage, is_web_address
from chatcli.attachments.encodings import EncodingHints, as_typed, encoding_named
from chatcli.attachments.texts import (
    encoding_choices,
    encoding_chosen,
    encoding_prompt,
    no_encoding_chosen,
    read_file,
    read_pipe,
)
from chatcli.cli.typed_lines import TypedLines, answered
from chatcli.config.settings import TemplateSettings
from chatcli.core import messages
from chatcli.core.errors import UsageError
from chatcli.text.documents import document
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Mapping, Sequence

    from chatcli.app.run_context import RunContext
    from chatcli.attachments.encodings import Text
    from chatcli.attachments.web_texts import WebText
    from chatcli.cli.standard_streams import Terminal
    from chatcli.core.messages import Message
    from chatcli.core.request import ResponseFormat
    from chatcli.templates.template import Filling, Template
    from chatcli.templates.template_store import TemplateStore

PIPE: Final = "-"
_INPUT_HINT: Final = "pipe it in, attach it with -f, or write it behind the options"


def compose(
    options: Namespace,
    terminal: Terminal,
    template: Template | None = None,
    *,
    read_page: Callable[[str, EncodingHints], WebText],
) -> Message | None:
    """Return the question of a one-shot call, or ``None`` when none was given and stdin is a keyboard.

    Piped text alone is the prompt; beside a prompt or a ``template``, and for ``-f -``, it is attached data.
    ``read_page`` fetches the pages whose addresses are named with ``-f``.
    """
    files: list[str] = options.files or []
    prompt = _prompt(options)
    hints = hints_of(terminal, options.encoding)
    if not options.reads_stdin and PIPE in files:
        raise UsageError("-f - reads stdin, and --no-stdin leaves it alone", hint="use one of them")
    piped = _piped(terminal, hints) if options.reads_stdin else ""
    typed = [prompt, options.system or "", *(options.variables or ())]
    if not options.quiet and any(map(terminal.redactor.keys_in, filter(None, [*typed, piped]))):
        # Scripts must not break: it is sent.
        terminal.warn("the prompt contains what looks like a key (chatcli config login keeps one)")
    documents = [
        document(as_typed(name), _reported_page(name, terminal, read_page(name, hints), quiet=options.quiet))
        if is_web_address(name)
        else document(as_typed(name), _from_file(name, terminal, hints))
        for name in files
        if name != PIPE
    ]
    if template is not None:
        if piped.strip() and not options.quiet:
            _report_attached(piped, terminal)
        handed_over = [*documents, *([document("stdin", piped)] if piped.strip() else [])]
        return _filled(template, options, handed_over, terminal)
    if piped.strip():
        if prompt or PIPE in files or documents:
            if prompt and PIPE not in files and not options.quiet:
                _report_attached(piped, terminal)
            documents.append(document("stdin", piped))
        else:
            prompt = piped.rstrip()
    if prompt.strip() or documents:
        return messages.question(prompt if prompt.strip() else "", *documents)
    if terminal.stdin_is_terminal and not _was_given(options):
        return None
    raise UsageError("no prompt was given", hint='give one: chatcli "PROMPT", or pipe it in')


def system_prompt(given: str, terminal: Terminal, *, encoding: str | None = None) -> str:
    """Return the text of ``-S TEXT|@FILE``."""
    if not given.startswith("@"):
        return as_typed(given)
    return _from_file(given[1:], terminal, hints_of(terminal, encoding))


def hints_of(terminal: Terminal, encoding: str | None = None) -> EncodingHints:
    """Return the hints for decoding texts. Raise ``UsageError`` if ``encoding`` is unknown."""
    given = None if encoding is None else encoding_named(encoding)
    return EncodingHints(given, terminal.environment, terminal.locale_encoding)


def template_store_of(context: RunContext) -> TemplateStore:
    from chatcli.templates.template_store import FOLDER, TemplateStore  # noqa: PLC0415 - most questions use none

    return TemplateStore(context.paths.config / FOLDER)


def chosen_template(
    options: Namespace, context: RunContext, terminal: Terminal
) -> tuple[Template, TemplateSettings]:
    """Return the templates of ``-T`` as one, and its settings; store its output format in ``options``.

    Raise a ``ChatcliError`` if one does not exist or they cannot be used.
    """
    if not options.templates:
        raise UsageError(
            "--var only works with a template", hint="name one: chatcli -T NAME --var NAME=VALUE"
        )

    def notify(conflict: str) -> None:
        if not options.quiet:
            terminal.warn(sanitize_line(conflict))

    from chatcli.templates.combining import combined  # noqa: PLC0415 - as below

    entries = template_store_of(context).find_all(map(as_typed, options.templates))
    template = combined([entry.template() for entry in entries], notify)
    # Options given on the command line take precedence.
    if options.output is None and not options.extract:
        options.output = template.matter.output
        options.extract = template.matter.extract
    return template, TemplateSettings(
        f"template {template.name}",
        template.matter.settings,
        f"Edit {' or '.join(str(entry.path) for entry in entries)}.",
    )


def chosen_schema(
    options: Namespace, context: RunContext, template: Template | None
) -> ResponseFormat | None:
    """Return the form of answers that the options or the template name, ``None`` for any."""
    wanted = given_schema(options, context)
    if wanted is None and template is not None and (schema := template.matter.schema) is not None:
        wanted = _read_schema(schema, context, is_list=template.matter.is_schema_of_items)
    if wanted is not None and options.extract:
        raise UsageError("--schema and -x cannot be combined", hint="leave out -x: the answer is JSON")
    return wanted


def given_schema(options: Namespace, context: RunContext) -> ResponseFormat | None:
    """Return the form of answers of ``--schema`` or ``--schema-multi``, ``None`` for any; raise ``UsageError``."""
    if options.schema is not None and options.schema_multi is not None:
        raise UsageError("--schema and --schema-multi cannot be combined", hint="use one of them")
    given = options.schema if options.schema_multi is None else options.schema_multi
    if given is None:
        return None
    return _read_schema(as_typed(given), context, is_list=options.schema_multi is not None)


def _read_schema(given: str, context: RunContext, *, is_list: bool) -> ResponseFormat:
    from chatcli.schemas.schema_source import FOLDER, SchemaFolder  # noqa: PLC0415 - most questions name none
    from chatcli.schemas.wire_forms import read_response_format  # noqa: PLC0415 - as above

    return read_response_format(given, SchemaFolder(context.paths.config / FOLDER), is_list=is_list)


def _prompt(options: Namespace) -> str:
    words = as_typed(" ".join(options.prompt)) if options.prompt else ""
    if options.prompt_option is None:
        return words
    named = as_typed(options.prompt_option)
    return f"{named}\n{words}" if words else named


def _was_given(options: Namespace) -> bool:
    return bool(options.prompt) or options.prompt_option is not None


def _piped(terminal: Terminal, hints: EncodingHints) -> str:
    if terminal.stdin is None or terminal.stdin_is_terminal:
        return ""
    return _reported(read_pipe(terminal.stdin, terminal.warn, hints=hints), terminal)


def _report_attached(piped: str, terminal: Terminal) -> None:
    """Warn if stdin is a file: a loop reading lines from it would lose them to the first question."""
    if not terminal.stdin_is_file:
        return
    lines = len(piped.splitlines())
    terminal.warn(f"stdin attached: {counted(lines, 'line')}")


def _from_file(name: str, terminal: Terminal, hints: EncodingHints) -> str:
    return _reported(read_file(name, terminal.warn, hints=hints), terminal)


def _reported_page(name: str, terminal: Terminal, page: WebText, *, quiet: bool) -> str:
    if not quiet:
        terminal.warn(sanitize_line(f"attached: {AttachedPage(name, page.text).label}"))
    if page.note:
        terminal.warn(page.note)
    return page.text


def _reported(text: Text, terminal: Terminal) -> str:
    if text.readings and terminal.is_attended:
        text = _chosen(text, terminal)
    if text.note:
        terminal.warn(text.note)
    return text.text


def _chosen(text: Text, terminal: Terminal) -> Text:
    """Let the person choose the encoding of ``text``. Raise ``UsageError`` at the end of input."""
    for line in encoding_choices(text):
        terminal.warn(line)
    while (answer := answered(encoding_prompt(text), terminal)) is not None:
        if (chosen := encoding_chosen(text, answer)) is not None:
            return chosen
    raise no_encoding_chosen(text)


def _filled(
    template: Template,
    options: Namespace,
    documents: Sequence[str],
    terminal: Terminal,
) -> Message:
    """Return the question. Ask a person at the keyboard for missing values, else raise ``UsageError``."""
    from chatcli.templates.template import Filling  # noqa: PLC0415 - as above

    words = [as_typed(word) for word in options.prompt]
    taken, rest = words[: template.words_taken], " ".join(words[template.words_taken :])
    named = as_typed(options.prompt_option) if options.prompt_option is not None else ""
    filling = Filling(
        words=taken,
        typed="\n".join(filter(str.strip, (named, rest))),
        values=variable_values(template, options.variables or []),
        documents=documents,
    )
    return template.question(_completed(template, filling, terminal))


def variable_values(template: Template, given: Sequence[str]) -> Mapping[str, str]:
    """Return the values of ``--var`` by name. Raise ``UsageError`` for one that the template does not have."""
    values = {}
    for each in map(as_typed, given):
        name, equals, value = each.partition("=")
        if not equals:
            raise UsageError(f"--var must be NAME=VALUE, not {each}", hint="like --var to=French")
        values[name] = value
    template.refuse_unknown(values)
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
    from chatcli.templates.template import INPUT  # noqa: PLC0415 - as above

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
