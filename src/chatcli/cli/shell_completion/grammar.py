"""The grammar of the command line: commands, options and the values of both."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from chatcli.app.model_lists import ModelLists
from chatcli.attachments.encodings import COMMON_ENCODINGS
from chatcli.cli.commands import COMMANDS, actions_of
from chatcli.cli.options import Parser, add_general_options, main_parser
from chatcli.config.config_file import FILE_NAME as CONFIG_FILE
from chatcli.config.config_file import read_config_file
from chatcli.config.paths import find_paths
from chatcli.core.errors import ChatcliError
from chatcli.local.own_models import own_models
from chatcli.local.weights import MODELS as EMBEDDED_MODELS
from chatcli.schemas.schema_source import FOLDER as SCHEMA_FOLDER
from chatcli.schemas.schema_source import SchemaFolder
from chatcli.sessions.folder import SUFFIX
from chatcli.sessions.store import SessionStore
from chatcli.templates.template_store import FOLDER, TemplateStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from chatcli.cli.commands import CommandModule
    from chatcli.config.paths import Paths


FILES: Final = "files"
FILES_AFTER_AT: Final = "files after @"
SESSIONS: Final = "sessions"
LOCAL_MODELS: Final = "local-models"
PROFILES: Final = "profiles"
MODELS: Final = "models"
MODEL_LISTS: Final = "model-lists"
"""Names of models with commas between."""
TEMPLATES: Final = "templates"
SCHEMAS: Final = "schemas"
ANYTHING: Final = "anything"
_BY_DESTINATION: Final = {
    "session": SESSIONS,
    "sessions": SESSIONS,
    "profile": PROFILES,
    "model": MODELS,
    "compare": MODEL_LISTS,
    "template": TEMPLATES,
    "templates": TEMPLATES,
    "local": LOCAL_MODELS,
    "local_model": LOCAL_MODELS,
    "schema": SCHEMAS,
    "schema_multi": SCHEMAS,
}
_CHOICES: Final = re.compile(r"[a-z0-9]+(?:\|[a-z0-9]+)+")


@dataclass(frozen=True, slots=True)
class Values:
    """The values of a place: one of ``choices`` (pairs of a word and its help), or those of ``kind``."""

    kind: str = ANYTHING
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """``names`` are its spellings; ``values`` is ``None`` for a flag, ``metavar`` the name of a value, in brackets if it may be left out."""

    names: tuple[str, ...]
    help: str
    values: Values | None
    metavar: str = ""


@dataclass(frozen=True, slots=True)
class Level:
    """What can be typed after ``path``: nothing, a command, or a command and its action.

    ``words`` are the values of each positional word, ``word_names`` what they are called; ``repeats_last`` allows the
    last of them more than once.
    """

    path: str
    options: tuple[Option, ...]
    words: tuple[Values, ...]
    repeats_last: bool
    word_names: tuple[str, ...] = ()

    @property
    def below(self) -> tuple[str, ...]:
        """The words that lead to a sublevel, if there are any."""
        return tuple(word for word, _ in self.words[0].choices) if self.words else ()


def read_levels() -> tuple[Level, ...]:
    """Return every level: the program's own, each command's, each action's."""
    return tuple(_levels())


def _levels() -> Iterator[Level]:
    commands = [command for command in COMMANDS if not command.is_reserved]
    first = Values(choices=tuple((command.name, command.help or "") for command in commands))
    yield Level("", tuple(_options(main_parser(""))), (first,), repeats_last=False)
    for command in commands:
        module = command.module()
        actions = actions_of(module)
        if not actions:
            yield _level(command.name, module)
            continue
        words = Values(choices=tuple((name, action.help) for name, action in actions.items()))
        yield Level(command.name, tuple(_options(_parser(module))), (words,), repeats_last=False)
        for name, action in actions.items():
            yield _level(f"{command.name} {name}", action)


def _level(path: str, module: CommandModule) -> Level:
    parser = _parser(module)
    words = [action for action in _shown(parser) if not action.option_strings]
    return Level(
        path,
        tuple(_options(parser)),
        tuple(_values(action) for action in words),
        repeats_last=bool(words) and words[-1].nargs in {"*", "+"},
        word_names=tuple(map(_metavar, words)),
    )


def _parser(module: CommandModule) -> Parser:
    parser = Parser(add_help=False, allow_abbrev=False)
    module.add_arguments(parser)
    add_general_options(parser)
    return parser


def _options(parser: Parser) -> Iterator[Option]:
    for action in _shown(parser):
        if action.option_strings:
            values = None if action.nargs == 0 else _values(action)
            metavar = "" if values is None else _metavar(action)
            shown = f"[{metavar}]" if metavar and action.nargs == "?" else metavar
            yield Option(tuple(action.option_strings), action.help or "", values, shown)


def _metavar(action: argparse.Action) -> str:
    if isinstance(action.metavar, str):
        return action.metavar
    return "|".join(map(str, action.choices)) if action.choices else action.dest.upper()


def _shown(parser: Parser) -> Iterator[argparse.Action]:
    # argparse has no public table of its options.
    actions = parser._actions  # noqa: SLF001
    return (action for action in actions if action.help != argparse.SUPPRESS)


def _values(action: argparse.Action) -> Values:
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    if action.choices is not None:
        return Values(choices=tuple((str(choice), "") for choice in action.choices))
    if action.dest in _BY_DESTINATION:
        return Values(_BY_DESTINATION[action.dest])
    if action.dest == "encoding":
        return Values(choices=tuple((name, "") for name in COMMON_ENCODINGS))
    if _CHOICES.fullmatch(metavar):
        return Values(choices=tuple((word, "") for word in metavar.split("|")))
    if "@FILE" in metavar:
        return Values(FILES_AFTER_AT)
    return Values(FILES if "FILE" in metavar or "PATH" in metavar else ANYTHING)


def values(kind: str, environment: Mapping[str, str]) -> list[str]:
    """Return the values of ``kind``, none if they cannot be determined: completion shows no errors.

    Values that would not fit on a line are left out.
    """
    reader = _READERS.get(kind)
    if reader is None:  # requested by the script of another version
        return []
    try:
        found = reader(find_paths(environment))
        return sorted(value for value in found if value.isprintable())
    except (ChatcliError, OSError):
        return []


def _sessions(paths: Paths) -> Iterable[str]:
    # Names only: opening files would make completion slow.
    return [path.stem for path in SessionStore(paths.data).folder.glob(f"*{SUFFIX}")]


def _profiles(paths: Paths) -> Iterable[str]:
    return read_config_file(paths.config / CONFIG_FILE).profiles


def _models(paths: Paths) -> Iterable[str]:
    """Return the aliases, and the models that endpoints listed: which endpoint is asked may depend on the line."""
    file = read_config_file(paths.config / CONFIG_FILE)
    tables = (table.get("aliases") for table in (file.settings, *file.profiles.values()))
    aliases = {alias for table in tables if isinstance(table, dict) for alias in table}
    return aliases | ModelLists(paths.cache).every_name()


def _templates(paths: Paths) -> Iterable[str]:
    return [entry.name for entry in TemplateStore(paths.config / FOLDER).entries()]


def _schemas(paths: Paths) -> Iterable[str]:
    return SchemaFolder(paths.config / SCHEMA_FOLDER).paths()


def _local_models(paths: Paths) -> Iterable[str]:
    return [weights.name for weights in (*EMBEDDED_MODELS, *own_models(paths.local))]


_READERS: Final[Mapping[str, Callable[[Paths], Iterable[str]]]] = {
    SESSIONS: _sessions,
    PROFILES: _profiles,
    MODELS: _models,
    TEMPLATES: _templates,
    LOCAL_MODELS: _local_models,
    SCHEMAS: _schemas,
}
