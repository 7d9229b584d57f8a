"""What only the program knows: the names of sessions, profiles and templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.cli.shell_completion.grammar import PROFILES, SESSIONS, TEMPLATES
from chatcli.config.config_file import FILE_NAME, read_config_file
from chatcli.config.paths import find_paths
from chatcli.core.errors import ChatcliError
from chatcli.sessions.names import SUFFIX
from chatcli.sessions.store import SessionStore
from chatcli.templates.template_store import FOLDER, TemplateStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from chatcli.config.paths import Paths


def values(kind: str, environment: Mapping[str, str]) -> list[str]:
    """Return the values of ``kind``, none where they cannot be found out: a half-typed line is no place for errors.

    One that would not fit on a line is left out.
    """
    reader = _READERS.get(kind)
    if reader is None:  # asked for by the script of another version
        return []
    try:
        found = reader(find_paths(environment))
        return sorted(value for value in found if value.isprintable())
    except (ChatcliError, OSError):
        return []


def _sessions(paths: Paths) -> Iterable[str]:
    # The names alone: no file is opened while somebody waits for a word.
    return [path.stem for path in SessionStore(paths.data).folder.glob(f"*{SUFFIX}")]


def _profiles(paths: Paths) -> Iterable[str]:
    return read_config_file(paths.config / FILE_NAME).profiles


def _templates(paths: Paths) -> Iterable[str]:
    return [entry.name for entry in TemplateStore(paths.config / FOLDER).entries()]


_READERS: Final[Mapping[str, Callable[[Paths], Iterable[str]]]] = {
    SESSIONS: _sessions,
    PROFILES: _profiles,
    TEMPLATES: _templates,
}
