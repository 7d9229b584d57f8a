"""Template files: the person's own folder, and those shipped with the program."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import ChatcliError, ConfigurationError, LocalIOError, UsageError
from chatcli.core.typed_paths import typed_path
from chatcli.storage import private_files
from chatcli.storage.private_files import read_regular_or_pipe
from chatcli.templates.template import NAME, TemplateText, read_template
from chatcli.text.hints import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chatcli.templates.template import Template

FOLDER: Final = "templates"
"""The folder's name in the configuration folder."""

PLUS: Final = "+"
"""Between the names of several templates."""

SUFFIXES: Final = (".md", ".txt")

_SHIPPED: Final = Path(__file__).parent / "shipped"
_NAME: Final = re.compile(NAME)
_LONGEST_BYTES: Final = 1_000_000
_PATIENCE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class TemplateEntry:
    """A template by its name; ``is_shipped`` marks the program's, ``overrides`` one that replaces such.

    ``find`` returns the templates it includes by their names.
    """

    name: str
    path: Path
    is_shipped: bool
    find: Callable[[str], TemplateEntry] = field(compare=False, repr=False)
    overrides: bool = False

    def text(self) -> str:
        """Return the file's text. Raise ``LocalIOError``, or ``ConfigurationError`` if it is no text."""
        return _text_of(self.path)

    def template(self) -> Template:
        """Read the template. Raise as ``text``, and ``ConfigurationError`` if it is invalid."""
        return read_template(self.name, self.text(), str(self.path), find=self._source)

    def summary(self) -> str:
        """Return its description in a line, or why it is invalid."""
        try:
            return self.template().matter.description
        except ChatcliError as error:
            return f"cannot be used: {error.message}"

    def _source(self, name: str) -> TemplateText:
        included = self.find(name)
        return TemplateText(name, included.text(), str(included.path))


class TemplateStore:
    """All templates: the files of ``folder``, which need not exist, before the shipped ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._summaries: dict[Path, tuple[int, int, str]] = {}

    def entries(self) -> list[TemplateEntry]:
        """Return every template by name. Raise ``LocalIOError`` if the folder cannot be read."""
        shipped = _files(_SHIPPED)
        own = _files(self.folder)
        found = [
            TemplateEntry(name, path, is_shipped=False, find=self._called, overrides=name in shipped)
            for name, path in own.items()
        ]
        found += [
            TemplateEntry(name, path, is_shipped=True, find=self._called)
            for name, path in shipped.items()
            if name not in own
        ]
        return sorted(found, key=lambda entry: entry.name)

    def summary(self, entry: TemplateEntry) -> str:
        """Return ``entry.summary()``, read once for each state of the file."""
        try:
            found = entry.path.stat()
        except OSError:
            return entry.summary()
        known = self._summaries.get(entry.path)
        if known is None or known[:2] != (found.st_mtime_ns, found.st_size):
            known = self._summaries[entry.path] = (found.st_mtime_ns, found.st_size, entry.summary())
        return known[2]

    def find(self, name: str) -> TemplateEntry:
        """Return the template ``name``, a name or a path. Raise ``UsageError`` if there is none."""
        if not name.strip():
            raise UsageError("no template was named", hint="chatcli templates list shows the names")
        if _is_path(name):
            path = typed_path(name)
            return TemplateEntry(path.stem, path, is_shipped=False, find=self._called)
        return self._called(name)

    def find_all(self, names: Iterable[str]) -> list[TemplateEntry]:
        """Return the templates called ``names``, each a name, names joined by ``+``, or a path; as ``find`` does."""
        single = (each for name in names for each in ([name] if _is_path(name) else name.split(PLUS)))
        return [self.find(name) for name in single]

    def path_for(self, name: str) -> Path:
        """Return the path of the person's template ``name``, existing or not.

        Raise ``UsageError`` for an invalid name.
        """
        if not is_template_name(name):
            raise UsageError(
                f"{name!r} is not a template name",
                hint="use letters, digits, and dashes or dots between them",
            )
        # Not looked up among all files: an import asks for thousands of names.
        paths = [self.folder / f"{name}{suffix}" for suffix in SUFFIXES]
        return next((path for path in paths if path.is_file()), paths[0])

    def save(self, name: str, text: str) -> Path:
        """Write one of the person's templates; return its path. Raise ``LocalIOError``.

        Links are followed: they are the person's own, and lead to where they keep such files.
        """
        path = self.path_for(name)
        try:
            private_files.replace(path.resolve(), text.encode("utf-8", "replace"))
        except OSError as error:
            raise _failed("write", path, error) from error
        return path

    def remove(self, name: str) -> Path:
        """Remove one of the person's templates; return its path. Raise ``UsageError`` if there is none."""
        # By name only: files named by a path are not the program's to remove.
        entry = self._called(name)
        if entry.is_shipped:
            raise UsageError(
                f"the template {name} is built in",
                hint="a template of yours with the same name replaces it",
            )
        try:
            entry.path.unlink()
        except OSError as error:
            raise _failed("remove", entry.path, error) from error
        return entry.path

    def _called(self, name: str) -> TemplateEntry:
        entries = {entry.name: entry for entry in self.entries()}
        if name not in entries:
            raise UsageError(
                f"there is no template {name}",
                hint=did_you_mean(name, entries, "templates"),
            )
        return entries[name]


def is_template_name(name: str) -> bool:
    """Whether a template of the person's can be called ``name``."""
    return _NAME.fullmatch(name) is not None and not name.endswith(SUFFIXES)


def _files(folder: Path) -> dict[str, Path]:
    """Return the files of a folder by template name; the first of the suffixes wins."""
    try:
        with os.scandir(folder) as found:
            paths = sorted(folder / each.name for each in found if each.is_file())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise _failed("read", folder, error) from error
    by_suffix = (path for suffix in reversed(SUFFIXES) for path in paths if path.suffix == suffix)
    return {path.stem: path for path in by_suffix if _NAME.fullmatch(path.stem)}


def _is_path(name: str) -> bool:
    separators = filter(None, ("/", os.sep, os.altsep))
    return name.endswith(SUFFIXES) or any(separator in name for separator in separators)


def _text_of(path: Path) -> str:
    try:
        content = read_regular_or_pipe(path, most_bytes=_LONGEST_BYTES, patience_s=_PATIENCE_S)
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) == errno.EFBIG:
            raise ConfigurationError(
                f"{path} is too long for a template", hint="attach what is to be read: -f PATH"
            ) from error
        raise LocalIOError(
            f"cannot read the template {path}: {getattr(error, 'strerror', None) or error}",
            hint="check the path and its permissions",
        ) from error
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8", hint="save it as UTF-8") from error


def _failed(action: str, path: Path, error: OSError) -> LocalIOError:
    hint = "check the path, its permissions and the disk" if action == "write" else "check its permissions"
    return LocalIOError(f"cannot {action} {path}: {error.strerror or error}", hint=hint)
