"""Import of templates of other programs: fabric patterns and ``llm`` templates, as template files of chatcli.

A fabric pattern is a folder with ``system.md`` and perhaps ``user.md``
(https://github.com/danielmiessler/fabric); for ``llm`` see ``llm_templates``. Nothing in them is run, no link inside a
folder is followed, and what cannot be taken over is said.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.core.errors import ChatcliError, ConfigurationError, LocalIOError, UsageError
from chatcli.storage.private_files import read_regular
from chatcli.templates.foreign_template import ForeignTemplate, described
from chatcli.templates.template import INPUT, Placeholder
from chatcli.templates.template_store import is_template_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from chatcli.templates.template import Segment

_SYSTEM_FILE: Final = "system.md"
_USER_FILE: Final = "user.md"
_YAML: Final = (".yaml", ".yml")
_MOST_ENTRIES: Final = 5_000
_LONGEST_BYTES: Final = 200_000
_VARIABLE: Final = re.compile(r"[^\W\d][\w-]*")
_FABRIC_PLACE: Final = re.compile(r"\{\{(?P<name>[^{}\n]*)\}\}")


class ForeignFile(NamedTuple):
    """A pattern's folder or a template's file, and its name."""

    name: str
    path: Path

    def read(self) -> ForeignTemplate:
        """Return the template. Raise a ``ChatcliError`` if it cannot be read."""
        if not is_template_name(self.name):
            raise ConfigurationError(f"{self.name!r} is not a template name", hint="rename it")
        if self.path.suffix in _YAML:
            from chatcli.templates.llm_templates import read_llm_template  # noqa: PLC0415 - fabric needs no YAML

            return read_llm_template(self.name, read_foreign_text(self.path))
        return _pattern(self)


def foreign_files(path: Path) -> list[ForeignFile]:
    """Return what there is to import at ``path``: a file, a pattern's folder, or a folder of either.

    Raise ``UsageError`` if there is nothing, ``LocalIOError`` if it cannot be read.
    """
    try:
        found = _found(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    if not found:
        raise UsageError(
            f"nothing to import at {path}",
            hint="name a file NAME.yaml of llm, a fabric pattern (a folder with system.md), or a folder of these",
        )
    return found


def _found(path: Path) -> list[ForeignFile]:
    if path.is_file():
        if path.suffix in _YAML:
            return [ForeignFile(path.stem, path)]
        if path.name not in {_SYSTEM_FILE, _USER_FILE}:
            return []
        path = path.absolute().parent
    if _is_pattern(path):
        return [ForeignFile(path.absolute().name, path)]
    return sorted(_inside(path))


def _inside(folder: Path) -> Iterator[ForeignFile]:
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            if number == _MOST_ENTRIES:
                raise UsageError(
                    f"{folder} has more than {_MOST_ENTRIES:,} entries",
                    hint="name one of its templates, or a smaller folder",
                )
            inner = folder / entry.name
            # A link could lead to a file that is not part of the template.
            if entry.is_symlink():
                continue
            if entry.is_dir() and _may_be_pattern(inner):
                yield ForeignFile(entry.name, inner)
            elif entry.is_file() and inner.suffix in _YAML:
                yield ForeignFile(inner.stem, inner)


def _is_pattern(folder: Path) -> bool:
    return any(_is_file(folder / name) for name in (_SYSTEM_FILE, _USER_FILE))


def _may_be_pattern(folder: Path) -> bool:
    """Return also whether that cannot be found out: then reading it says why, and the others are imported."""
    try:
        return _is_pattern(folder)
    except OSError:
        return True


def _is_file(path: Path) -> bool:
    """Raise ``OSError`` if that cannot be found out, which ``Path.is_file`` does not do in every version of Python."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def read_foreign_text(path: Path) -> str:
    """Return a file's text. Raise ``ConfigurationError`` if it is too long, a link or not UTF-8, ``LocalIOError`` if it cannot be read."""
    try:
        if path.is_symlink():
            raise ConfigurationError(f"{path} is a link", hint="copy the file it leads to")
        return read_regular(path, most_bytes=_LONGEST_BYTES).decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8", hint="save it as UTF-8") from error
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise ConfigurationError(
                f"{path} is too long", hint=f"a file may have {_LONGEST_BYTES:,} bytes"
            ) from error
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> LocalIOError:
    return LocalIOError(
        f"cannot read {path}: {error.strerror or error}", hint="check the path and its permissions"
    )


def _pattern(file: ForeignFile) -> ForeignTemplate:
    paths = [file.path / name for name in (_SYSTEM_FILE, _USER_FILE)]
    try:
        paths = [path for path in paths if _is_file(path)]
    except OSError as error:
        raise _unreadable(file.path, error) from error
    text = "\n\n".join(filter(None, (read_foreign_text(path).strip() for path in paths)))
    left_out: list[str] = []
    segments = list(_fabric_segments(text, left_out))
    if not any(isinstance(segment, Placeholder) and segment.name == INPUT for segment in segments):
        segments += ["\n\n", Placeholder(INPUT)]
    return ForeignTemplate(file.name, tuple(segments), described(text), {}, tuple(dict.fromkeys(left_out)))


def _fabric_segments(text: str, left_out: list[str]) -> Iterator[Segment]:
    at = 0
    for match in _FABRIC_PLACE.finditer(text):
        name = match["name"].strip()
        yield text[at : match.start()]
        at = match.end()
        if _VARIABLE.fullmatch(name):
            yield Placeholder(name)
        else:
            yield match[0]
            left_out.append(f"{match[0]} stays as it is")
    yield text[at:]


class ImportOutcome(NamedTuple):
    """What became of one template: the template, or the error."""

    name: str
    template: ForeignTemplate | None
    error: ChatcliError | None = None


def read_foreign(files: Sequence[ForeignFile]) -> Iterator[ImportOutcome]:
    """Yield each template, or why it cannot be imported."""
    for file in files:
        try:
            template = file.read()
            template.text()  # raises if chatcli could not read it
            yield ImportOutcome(file.name, template)
        except ChatcliError as error:
            yield ImportOutcome(file.name, None, error)
