"""From prompt, pipe and files to the question that is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.attachments import encoding_question
from chatcli.attachments.encodings import as_typed
from chatcli.attachments.texts import read_file, read_pipe
from chatcli.cli.agreeing import answered, can_be_asked
from chatcli.cli.templating import fill
from chatcli.core import messages
from chatcli.core.documents import document
from chatcli.core.errors import UsageError

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.attachments.encoding_hints import EncodingHints
    from chatcli.attachments.encodings import Text
    from chatcli.cli.standard_streams import Terminal
    from chatcli.core.messages import Message
    from chatcli.templates.template import Template

PIPE = "-"


def compose(options: Namespace, terminal: Terminal, template: Template | None = None) -> Message | None:
    """Return the question of a one-shot call, or ``None`` when nothing is asked and the person is at the keyboard.

    Piped text alone is the prompt; beside a prompt or a ``template``, and for ``-f -``, it is attached data.
    """
    files: list[str] = options.files or []
    prompt = _prompt(options)
    hints = terminal.encoding_hints(options.encoding)
    if not options.reads_stdin and PIPE in files:
        raise UsageError("-f - reads stdin, and --no-stdin leaves it alone", hint="use one of them")
    piped = _piped(terminal, hints) if options.reads_stdin else ""
    documents = [
        document(as_typed(name), _from_file(name, terminal, hints)) for name in files if name != PIPE
    ]
    if template is not None:
        if piped.strip() and not options.quiet:
            _tell_attached(piped, terminal)
        handed_over = [*documents, *([document("stdin", piped)] if piped.strip() else [])]
        return fill(template, options, handed_over, terminal)
    if piped.strip():
        if prompt or PIPE in files or documents:
            if prompt and PIPE not in files and not options.quiet:
                _tell_attached(piped, terminal)
            documents.append(document("stdin", piped))
        else:
            prompt = piped.rstrip()
    if prompt.strip() or documents:
        return messages.question(prompt if prompt.strip() else "", *documents)
    if terminal.stdin_is_terminal and not _was_given(options):
        return None
    raise UsageError("no prompt was given", hint='give one: chatcli "PROMPT", or pipe it in')


def system_prompt(given: str | None, terminal: Terminal, *, encoding: str | None = None) -> str | None:
    """Return the text of ``-S TEXT|@FILE``."""
    if given is None or not given.startswith("@"):
        return given and as_typed(given)
    return _from_file(given[1:], terminal, terminal.encoding_hints(encoding))


def _prompt(options: Namespace) -> str:
    words = as_typed(" ".join(options.prompt))
    if options.prompt_option is None:
        return words
    named = as_typed(options.prompt_option)
    return f"{named}\n{words}" if words else named


def _was_given(options: Namespace) -> bool:
    return bool(options.prompt) or options.prompt_option is not None


def _piped(terminal: Terminal, hints: EncodingHints) -> str:
    if terminal.stdin is None or terminal.stdin_is_terminal:
        return ""
    return _said(read_pipe(terminal.stdin, terminal.warn, hints=hints), terminal)


def _tell_attached(piped: str, terminal: Terminal) -> None:
    """Say so where stdin is a file: a loop that reads its lines from there loses them to the first question."""
    if not terminal.stdin_is_file:
        return
    lines = len(piped.splitlines())
    terminal.warn(f"stdin attached: {lines:,} line{'' if lines == 1 else 's'}")


def _from_file(name: str, terminal: Terminal, hints: EncodingHints) -> str:
    return _said(read_file(name, terminal.warn, hints=hints), terminal)


def _said(text: Text, terminal: Terminal) -> str:
    if text.readings and can_be_asked(terminal):
        text = _chosen(text, terminal)
    if text.note:
        terminal.warn(text.note)
    return text.text


def _chosen(text: Text, terminal: Terminal) -> Text:
    """Let the person choose how ``text`` reads. Raise ``UsageError`` where they end the input instead."""
    for line in encoding_question.choices(text):
        terminal.warn(line)
    while (answer := answered(encoding_question.prompt(text), terminal)) is not None:
        if (chosen := encoding_question.chosen(text, answer)) is not None:
            return chosen
    raise encoding_question.not_chosen(text)
