"""The options of ``chatcli``: one parser, built from groups the commands share."""

from __future__ import annotations

import argparse
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NoReturn

from chatcli.cli.option_groups import (
    LOCAL,
    add_model_options,
    add_parameter_options,
    add_schema_options,
    add_system_option,
    add_template_options,
    join_local_names,
)
from chatcli.core.errors import UsageError
from chatcli.text.hints import did_you_mean
from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

RESERVED_OPTIONS = (
    *(
        "--tool",
        "--allow-tool",
        "--frames",
    ),
    *("--kb", "--speak", "--pdf", "--pages", "--detail"),
)
"""Options of later versions, reserved so that no script depends on how they are rejected."""

_MEANT: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "-a": ("-f",),
        "-i": ("-f",),
        "-j": ("-o json", "--json"),
        "-n": ("--no-save", "--limit"),
        "-u": ("-v",),
        "--api-base": ("--base-url",),
        "--attach": ("-f",),
        "--attachment": ("-f",),
        "--budget": ("--max-cost",),
        "--chat": ("-s",),
        "--cid": ("-s",),
        "--code": ("-x",),
        "--conversation": ("-s",),
        "--endpoint": ("--base-url",),
        "--format": ("-o", "--json"),
        "--host": ("--base-url",),
        "--input": ("-f",),
        "--json": ("-o json", "--json"),
        "--last": ("-c",),
        "--no-history": ("--no-save",),
        "--no-log": ("--no-save",),
        "--option": ("-O",),
        "--output": ("-o", "--json"),
        "--output-file": ("--out",),
        "--param": ("--var",),
        "--private": ("--no-save",),
        "--role": ("-S",),
        "--save": ("-s",),
        "--silent": ("-q",),
        "--stats": ("-v",),
        "--system-prompt": ("-S",),
        "--temp": ("-t",),
        "--token-limit": ("--max-tokens",),
        "--tokens": ("-v",),
        "--url": ("--base-url",),
        "--usage": ("-v",),
        "-o": ("--json",),
    }
)
"""Names of an option in other programs, such as llm and aichat; the first existing one is suggested."""

_COMMANDS_MEANT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "--api-key": "use chatcli config login, or OPENAI_API_KEY",
        "--key": "use chatcli config login, or OPENAI_API_KEY",
        "--list-models": "chatcli models lists them",
        "--list-sessions": "chatcli sessions list lists them",
        "--models": "chatcli models lists them",
    }
)

_NEAR: Final = 0.67
"""Below this similarity, nothing is suggested."""

_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "auth": "chatcli config login",
        "chat": "chatcli",
        "configure": "chatcli config login",
        "continue": "chatcli -c",
        "help": "chatcli --help",
        "history": "chatcli sessions list",
        "init": "chatcli config login",
        "keys": "chatcli config login",
        "list": "chatcli sessions list",
        "login": "chatcli config login",
        "logout": "chatcli config logout",
        "ls": "chatcli sessions list",
        "model": "chatcli models",
        "resume": "chatcli --resume",
        "search": "chatcli sessions search",
        "session": "chatcli sessions list",
        "settings": "chatcli config show",
        "setup": "chatcli local setup",
        "template": "chatcli templates list",
        "update": "uv tool upgrade chatcli, or pip install -U chatcli",
        "upgrade": "uv tool upgrade chatcli, or pip install -U chatcli",
        "version": "chatcli --version",
    }
)
"""Commands of other programs that are questions here, but may be meant as commands."""

OUTPUT_FORMATS = ("text", "markdown", "json", "jsonl")

_EXAMPLES = """\
examples:
  chatcli                                     talk in the terminal
  chatcli "What does EADDRINUSE mean?"        one answer
  git diff | chatcli "Review this change"     a prompt, and data from a pipe
  git diff | chatcli -T review                a template: chatcli templates list
  chatcli -c "And in Python?"                 continue the session used last
  chatcli --resume                            pick a session to continue
  chatcli -s work -f notes.md "Summarize"     a named session, a file attached
  chatcli -o json "Capital of France?" | jq -r .text
  chatcli --schema "name, born int, works list" "Ada Lovelace" | jq .born
  chatcli -x "A shell one-liner to count lines" > count.sh
  chatcli --local "Say hello"                 the embedded model, no key needed
  chatcli --local qwen2.5-coder-0.5b "hello"  a better one: chatcli local models

where answers come from:
  a key kept by chatcli config login or in OPENAI_API_KEY, an endpoint in --base-url or
  OPENAI_BASE_URL, a profile of config.toml; when nothing is configured, the embedded
  model (chatcli local setup). When something does not work: chatcli doctor

A first word that is a command's name starts the command; put -- before a prompt
that may begin with one:  chatcli -- "$QUESTION"
"""


class Parser(argparse.ArgumentParser):
    """An ``ArgumentParser`` that raises ``UsageError`` and suggests the nearest option."""

    def error(self, message: str) -> NoReturn:
        unknown = message.removeprefix("unrecognized arguments: ")
        hint = f"{self.prog} --help lists the options"
        if known := _in_words(message, self.prog):
            raise known
        if unknown != message:
            first = unknown.split()[0].partition("=")[0]
            if first in RESERVED_OPTIONS:
                raise _not_yet(first)
            if not first.startswith("-"):
                raise UsageError(
                    f"unexpected argument {first}", hint=f"{self.prog} --help shows what it takes"
                )
            message = f"unknown option {first}"
            usable = [name for name in self._option_string_actions if name not in RESERVED_OPTIONS]
            hint = option_hint(first, usable) or f"{hint}; put -- before a prompt that begins with -"
        raise UsageError(message, hint=hint)


_CHOICE: Final = lazy_pattern(
    r"argument (?P<argument>.*?): invalid choice: '(?P<given>.*?)' \(choose from (?P<known>.*)\)", re.DOTALL
)
_NO_VALUE: Final = lazy_pattern(r"argument (?P<argument>.*): expected (?:one|at least one) argument\Z")
_VALUE_UNASKED: Final = lazy_pattern(r"argument (?P<argument>.*): ignored explicit argument")
_MISSING: Final = lazy_pattern(r"the following arguments are required: (?P<names>.*)\Z")


def _in_words(message: str, program: str) -> UsageError | None:
    """Return argparse's message about a value in plain words, ``None`` for any other message."""
    if match := _CHOICE.match(message):
        known = [name.strip("'\" ") for name in match["known"].split(",")]
        what = f"there is no {match['argument']} {match['given']}"
        if match["argument"].startswith("-"):
            what = f"{_long(match['argument'])} cannot be {match['given']}"
        elif match["argument"] == "action":
            what = f"there is no {program} {match['given']}"
        return UsageError(what, hint=did_you_mean(match["given"], known, "use one of"))
    if match := _NO_VALUE.match(message):
        return UsageError(
            f"{_long(match['argument'])} needs a value", hint=f"{program} --help shows what it can be"
        )
    if match := _VALUE_UNASKED.match(message):
        return UsageError(f"{_long(match['argument'])} takes no value", hint="leave it out")
    if match := _MISSING.match(message):
        names = match["names"]
        if names.startswith("action"):
            return UsageError("what should be done?", hint=f"{program} --help lists the actions")
        return UsageError(f"{names} is missing", hint=f"{program} --help shows what it takes")
    return None


def _long(option: str) -> str:
    return option.rpartition("/")[2]


def main_parser(commands: str) -> Parser:
    parser = Parser(
        prog="chatcli",
        usage="chatcli [OPTIONS] [PROMPT]...\n       chatcli COMMAND ...",
        description="Chat with OpenAI-compatible models in the terminal. Every conversation is saved.",
        epilog=f"commands:\n{commands}\n\n{_EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("prompt", nargs="*", metavar="PROMPT", help=argparse.SUPPRESS)
    add_model_options(parser).add_argument(
        "--compare",
        metavar="NAME,NAME",
        help="ask these models, or profiles, at the same time; with one, or -m, the model in use as well",
    )
    _add_session_options(parser)
    _add_input_options(parser)
    add_parameter_options(parser)
    _add_output_options(parser)
    add_general_options(parser)
    parser.add_argument(
        *RESERVED_OPTIONS, dest="reserved", action=_Reserved, nargs="?", help=argparse.SUPPRESS
    )
    return parser


class _Reserved(argparse.Action):
    def __call__(
        self, _parser: object, _namespace: object, _values: object, option: str | None = None
    ) -> NoReturn:
        raise _not_yet(option or "")


def _not_yet(option: str) -> UsageError:
    return UsageError(f"{option} comes with a later version", hint="leave it out")


def _add_session_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which conversation")
    group.add_argument("-s", "--session", metavar="NAME|PATH", help="start or resume this session")
    group.add_argument(
        "-c", "--continue", dest="resume_last", action="store_true", help="resume the session used last"
    )
    group.add_argument("--resume", action="store_true", help="choose one from a list, and search them")
    group.add_argument(
        "--all", dest="everywhere", action="store_true", help="with --resume: sessions of all folders"
    )
    group.add_argument(
        "--no-save", dest="save", action="store_false", default=None, help="do not save this conversation"
    )


def _add_input_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the prompt")
    group.add_argument(
        "--prompt", dest="prompt_option", metavar="TEXT", help="a prompt, even if it begins with -"
    )
    add_system_option(group)
    add_template_options(group)
    group.add_argument(
        "-f",
        "--file",
        dest="files",
        metavar="PATH|URL|-",
        action="append",
        help="attach a text file or a web page",
    )
    group.add_argument(
        "--load",
        metavar="FILE",
        action="append",
        help="run the questions and commands of a file, one a line",
    )
    group.add_argument(
        "--no-stdin",
        dest="reads_stdin",
        action="store_false",
        help="leave stdin alone, as in a loop over lines",
    )
    group.add_argument(
        "--encoding", metavar="NAME", help="encoding of stdin and -f files, if the guess is wrong"
    )


def file_of_out(name: str) -> str | None:
    """Return the file of ``--out``, ``None`` for standard output."""
    return None if name == "-" else name


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument("-o", "--output", choices=OUTPUT_FORMATS, help="markdown on a terminal, else text")
    group.add_argument(
        "--out", metavar="FILE", type=file_of_out, help="write the answer to a file; - is stdout"
    )
    group.add_argument(
        "-x", "--extract", action="store_true", help="only the first code block; none: all, exit 10"
    )
    add_schema_options(group)
    group.add_argument("--raw", action="store_true", help="keep control characters in the answer")
    group.add_argument("--dry-run", action="store_true", help="show the request and its tokens, send nothing")
    group.add_argument(
        "--no-stream", dest="stream", action="store_false", default=None, help="show the answer all at once"
    )
    group.add_argument(
        "--plain", action="store_true", default=None, help="plain lines without redrawing, for screen readers"
    )


def add_general_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("general")
    group.add_argument("-q", "--quiet", action="store_true", help="only errors on stderr")
    group.add_argument("-v", "--verbose", action="store_true", help="tokens and times after the answer")
    group.add_argument("--debug", action="store_true", help="tracebacks")
    group.add_argument("--version", action="store_true", help="show the version")
    group.add_argument("-h", "--help", action="store_true", help="show this")


def parse(parser: Parser, arguments: Sequence[str]) -> argparse.Namespace:
    """Parse options and words in any order. Everything after ``--`` is words."""
    words: list[str] = []
    before = list(arguments)
    if "--" in before:
        at = before.index("--")
        before, words = before[:at], before[at + 1 :]
    if LOCAL in before:
        before = join_local_names(before)
    namespace = parser.parse_intermixed_args(_with_any_prompt(before))
    prompt = namespace.prompt or []
    namespace.only_word = (
        prompt[0] if len(prompt) == 1 and not words and namespace.prompt_option is None else ""
    )
    namespace.prompt = [*prompt, *words]
    return namespace


def _with_any_prompt(arguments: Sequence[str]) -> list[str]:
    """Join ``--prompt`` with its argument: argparse would parse ``--prompt "-x ..."`` as two options."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] == "--prompt":
            joined[-1] = f"--prompt={argument}"
        else:
            joined.append(argument)
    return joined


def first_word(parser: Parser, arguments: Sequence[str]) -> int | None:
    """Return the index of the first word that is neither an option nor an option's value."""
    position = 0
    while position < len(arguments):
        argument = arguments[position]
        if argument == "--":
            return None
        if not argument.startswith("-") or argument == "-":
            return position
        position += 2 if _takes_next(parser, argument) else 1
    return None


def given_value(parser: Parser, arguments: Sequence[str], names: Collection[str]) -> str | None:
    """Return the last value of the option with these ``names``, though other arguments may be invalid."""
    value, position = None, 0
    while position < len(arguments) and (argument := arguments[position]) != "--":
        following = arguments[position + 1] if position + 1 < len(arguments) else None
        if argument.startswith("--"):
            name, is_joined, joined = argument.partition("=")
            value = (joined if is_joined else following) if name in names else value
        elif argument.startswith("-"):
            for place, letter in enumerate(argument[1:], start=2):
                if f"-{letter}" in names:
                    value = argument[place:] or following
                if _takes_value(parser, f"-{letter}"):
                    break
        position += 2 if argument.startswith("-") and _takes_next(parser, argument) else 1
    return value


def _takes_value(parser: Parser, name: str) -> bool:
    """Whether the rest of a word of short options is the value of this one, or means nothing."""
    action = parser._option_string_actions.get(name)  # noqa: SLF001 - as below
    return action is None or action.nargs is None


def _takes_next(parser: Parser, argument: str) -> bool:
    """Whether the option's value is the next argument: not ``--seed=1``, not ``-mNAME``."""
    actions = parser._option_string_actions  # noqa: SLF001 - argparse has no public table of its options
    if argument.startswith("--"):
        action = actions.get(argument)
        return action is not None and action.nargs is None
    for place, letter in enumerate(argument[1:], start=1):
        action = actions.get(f"-{letter}")
        if action is None or action.nargs is None:
            return action is not None and place == len(argument) - 1
    return False


def word_hint(word: str) -> str | None:
    """Return a hint for a question of one bare word, ``None`` if it does not resemble a command."""
    meant = _WORDS.get(word)
    return meant and f'"{word}" is sent as a question; for the command, use {meant}'


def option_hint(option: str, usable: Collection[str]) -> str | None:
    """Return a hint that names the nearest of the ``usable`` options, ``None`` if none is near."""
    import difflib  # noqa: PLC0415 -- only a mistake needs it

    if option in _COMMANDS_MEANT:
        return _COMMANDS_MEANT[option]
    meant = next((each for each in _MEANT.get(option, ()) if each.split()[0] in usable), None)
    near = [meant] if meant else difflib.get_close_matches(option, usable, n=1, cutoff=_NEAR)
    return f"did you mean {near[0]}?" if near else None
