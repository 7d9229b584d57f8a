"""The manual page ``chatcli.1``, from the tables that make ``--help``, completion and the reference."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatcli.cli.commands import COMMANDS
from chatcli.cli.options import Parser, add_general_options, main_parser
from chatcli.cli.shell_completion.grammar import read_levels
from chatcli.config.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chatcli.cli.shell_completion.grammar import Level, Option
    from chatcli.core.errors import ExitCode

HEAD = r"""
.\" Made by scripts/reference.py from the program's own tables.
.TH CHATCLI 1 "" chatcli "User Commands"
.SH NAME
chatcli \- chat with OpenAI\-compatible models in the terminal
.SH SYNOPSIS
.B chatcli
.RI [ OPTIONS ]
.RI [ PROMPT ]...
.br
.B chatcli
.I COMMAND
\&...
.SH DESCRIPTION
Without a prompt, chatcli starts a conversation on a terminal.
With a prompt or piped text, it writes one answer to standard output; everything else goes to standard error.
Piped text alone is the prompt. Next to a prompt it is attached.
A first word that is the name of a command starts the command; put
.B \-\-
before a prompt that may begin with one.
""".lstrip()

FILES = r"""
.SH FILES
.TP
.I config.toml
Settings, profiles and keys of the keyboard;
.B chatcli config path
shows where it is, and
.B chatcli config show
each value and where it comes from.
.TP
.I sessions/
The saved conversations, in the folder of data. One file each, of JSON lines.
.TP
.I templates/\fR, \fPschemas/
Your own templates and schemas, in the folder of the configuration.
.SH SEE ALSO
.B chatcli \-\-help\fR,
.B chatcli
.I COMMAND
.BR \-\-help ,
and the guides that come with the source.
""".lstrip()


def man_page(exit_codes: Mapping[ExitCode, str]) -> str:
    return HEAD + "".join(f"{line}\n" for line in _lines(exit_codes)) + FILES


def _lines(exit_codes: Mapping[ExitCode, str]) -> Iterator[str]:
    yield ".SH OPTIONS"
    levels = {level.path: level for level in read_levels()}
    options = {option.names[0]: option for option in levels[""].options}
    for group in main_parser("")._action_groups:  # noqa: SLF001 - nor of its groups
        names = [action.option_strings[0] for action in group._group_actions if action.option_strings]  # noqa: SLF001
        if shown := [options[name] for name in names if name in options]:
            yield f".SS {_text(_capitalized(group.title or ''))}"
        for option in shown:
            yield from _option(option)
    yield ".SH COMMANDS"
    yield "Each takes the general options as well."
    for command in COMMANDS:
        if not command.is_reserved:
            words = " ".join(levels[command.name].word_names)
            yield f".SS {_text(f'chatcli {command.name} {words}'.rstrip())}"
            yield f"{_text(_capitalized(command.help or ''))}."
            yield from _command(levels, command.name)
    yield ".SH ENVIRONMENT"
    for setting in SETTINGS:
        if setting.variables:
            names = ", ".join(rf"\fB{_text(name)}\fP" for name in setting.variables)
            yield from _item(names, setting.help)
    yield from _item(
        r"\fBCHATCLI_CONFIG_DIR\fP, \fBCHATCLI_DATA_DIR\fP, \fBCHATCLI_CACHE_DIR\fP, \fBCHATCLI_LOCAL_DIR\fP",
        "the folders of the configuration, of data, of the cache and of the embedded model",
    )
    yield ".SH EXIT STATUS"
    for code, meaning in exit_codes.items():
        yield from _item(rf"\fB{code.value}\fP", meaning)
    yield ".SH EXAMPLES"
    yield ".EX"
    examples = (main_parser("").epilog or "").partition("examples:\n")[2].partition("\n\n")[0]
    yield from map(_text, examples.splitlines())
    yield ".EE"


def _command(levels: Mapping[str, Level], name: str) -> Iterator[str]:
    yield from _options(levels[name])
    for path, level in levels.items():
        if path.startswith(f"{name} "):
            action = path.removeprefix(f"{name} ")
            label = rf"\fB{_text(action)}\fP \fI{_text(' '.join(level.word_names))}\fP"
            yield from _item(label, dict(levels[name].words[0].choices)[action])
            yield ".RS"
            yield from _options(level)
            yield ".RE"


def _options(level: Level) -> Iterator[str]:
    general = Parser(add_help=False)
    add_general_options(general)
    known = general._option_string_actions  # noqa: SLF001 - argparse has no public table of its options
    for option in level.options:
        if option.names[0] not in known:
            yield from _option(option)


def _option(option: Option) -> Iterator[str]:
    names = ", ".join(rf"\fB{_text(name)}\fP" for name in option.names)
    yield from _item(rf"{names} \fI{_text(option.metavar)}\fP" if option.metavar else names, option.help)


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def _item(label: str, text: str) -> Iterator[str]:
    yield ".TP"
    yield label
    yield re.sub("`([^`]*)`", r"\\fB\1\\fP", _text(text))


def _text(text: str) -> str:
    """Return ``text`` as roff shows it: a hyphen is one that can be copied, and nothing is a request."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("^", r"\(ha").replace("~", r"\(ti")
    return re.sub(r"^(?=[.'])", r"\\&", escaped)
