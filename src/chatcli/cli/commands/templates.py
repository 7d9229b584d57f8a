"""``chatcli templates``: manage prompt templates."""

from __future__ import annotations

import asyncio
import json
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from typing import TYPE_CHECKING, Final

from chatcli.attachments.encodings import as_typed
from chatcli.attachments.texts import read_pipe
from chatcli.cli.actions import Action, Family
from chatcli.cli.questions import hints_of, template_store_of
from chatcli.cli.setup import run_context
from chatcli.core.errors import ChatcliError, ExitCode, LocalIOError, UsageError
from chatcli.core.typed_paths import typed_path
from chatcli.render.text_columns import table
from chatcli.repl.editor import Editor
from chatcli.schemas.schema_source import FOLDER as SCHEMAS
from chatcli.schemas.schema_source import SchemaFolder
from chatcli.storage import private_files
from chatcli.text.sanitizer import sanitize, sanitize_line

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Mapping
    from typing import Any

    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.templates.template_store import TemplateEntry, TemplateStore


_LONGEST_SCHEMA_NAME: Final = 60
_STARTER: Final = """\
+++
description = ""
+++
Say what is to be done with this, for {{ reader = "an experienced engineer" }}.

{{ input }}
"""


def _list_arguments(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="as a JSON list")


def _list(options: Namespace, store: TemplateStore, terminal: Terminal) -> ExitCode:
    entries = store.entries()
    if options.json:
        listed = [_described(entry) for entry in entries]
        terminal.stdout.write(json.dumps(listed, ensure_ascii=False, indent=2) + "\n")
        return ExitCode.DONE
    rows = [(entry.name, "shipped" if entry.is_shipped else "yours", entry.summary()) for entry in entries]
    terminal.stdout.write(table(rows, terminal.listing_columns()) + "\n")
    if not options.quiet:
        report_hidden([entry.name for entry in entries], terminal)
    return ExitCode.DONE


def _described(entry: TemplateEntry) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": entry.name,
        "path": str(entry.path),
        "shipped": entry.is_shipped,
        "overrides": entry.overrides,
    }
    try:
        template = entry.template()
    except ChatcliError as error:
        return {**described, "description": None, "places": [], "error": error.message}
    places = [place.name for place in template.places]
    return {**described, "description": template.matter.description, "places": places, "error": None}


def _show_arguments(parser: Parser) -> None:
    add_template_argument(parser, metavar="NAME|PATH")


def _show(options: Namespace, store: TemplateStore, terminal: Terminal) -> ExitCode:
    text = store.find(named_template(options, "show")).text()
    terminal.stdout.write(sanitize(text) if text.endswith("\n") else f"{sanitize(text)}\n")
    return ExitCode.DONE


def _new_arguments(parser: Parser) -> None:
    add_template_argument(parser)


def _new(options: Namespace, store: TemplateStore, terminal: Terminal) -> ExitCode:
    name = named_template(options, "new")
    store.path_for(name)
    if any(entry.name == name for entry in store.entries()):
        raise UsageError(f"the template {name} already exists", hint=f"chatcli templates edit {name}")
    if terminal.stdin is not None and not terminal.stdin_is_terminal:
        piped = read_pipe(terminal.stdin, terminal.warn, hints=hints_of(terminal)).text
        if piped.strip():
            return keep(name, piped, store, terminal)
    return write_in_editor(name, _STARTER, store, terminal)


def _edit_arguments(parser: Parser) -> None:
    add_template_argument(parser)


def _edit(options: Namespace, store: TemplateStore, terminal: Terminal) -> ExitCode:
    name = named_template(options, "edit")
    store.path_for(name)
    return write_in_editor(name, store.find(name).text(), store, terminal)


def _remove_arguments(parser: Parser) -> None:
    add_template_argument(parser)


def _remove(options: Namespace, store: TemplateStore, terminal: Terminal) -> ExitCode:
    name = named_template(options, "rm")
    terminal.warn(f"removed {sanitize_line(str(store.remove(name)))}")
    if any(entry.name == name and entry.is_shipped for entry in store.entries()):
        terminal.warn(f"{sanitize_line(name)} is the built-in one again")
    return ExitCode.DONE


def _import_arguments(parser: Parser) -> None:
    parser.add_argument(
        "source", nargs="?", metavar="PATH", help="a file of llm, a fabric pattern, or a folder"
    )
    parser.add_argument(
        "--replace", action="store_true", help="replace templates of yours that are there already"
    )


def _import(options: Namespace, store: TemplateStore, terminal: Terminal) -> ExitCode:
    from chatcli.templates.foreign_files import foreign_files, read_foreign  # noqa: PLC0415 - only here

    if not options.source:
        raise UsageError(
            "import what? chatcli templates import PATH",
            hint="a file NAME.yaml of llm, a fabric pattern, or a folder of these",
        )
    schemas = SchemaFolder(run_context(terminal).paths.config / SCHEMAS)
    before = {entry.name: entry for entry in store.entries()}
    outcomes = list(read_foreign(foreign_files(typed_path(as_typed(options.source)))))
    imported: list[str] = []
    for name, template, error in outcomes:
        known = before.get(name)
        if template is None:
            lines = [f"{name}: not imported: {error.message}" if error is not None else name]
        elif name in imported:
            lines = [f"{name}: not imported: another one of this name was"]
        elif known is not None and not known.is_shipped and not options.replace:
            lines = [f"{name}: there already (--replace replaces it)"]
        else:
            schema = None if template.schema is None else keep_schema(schemas, name, template.schema)
            store.save(name, template.text(schema=schema))
            imported.append(name)
            instead = " (it replaces the built-in one)" if known is not None and known.is_shipped else ""
            lines = [f"{name}: imported{instead}", *(f"  left out: {each}" for each in template.left_out)]
        terminal.stdout.write("".join(f"{sanitize_line(line)}\n" for line in lines))
    if not options.quiet:
        report_hidden(imported, terminal)
    failures = [error for _, _, error in outcomes if error is not None]
    first = failures[0] if len(failures) == len(outcomes) else None
    hints = {error.hint for error in failures if error.hint} - {first.hint if first is not None else None}
    for hint in () if options.quiet else sorted(filter(None, hints)):
        terminal.warn(f"→ {sanitize_line(hint)}")
    if first is not None:
        raise first
    return ExitCode.DONE


def keep_schema(folder: SchemaFolder, name: str, schema: Mapping[str, Any]) -> str:
    """Save a schema under a name that no other one has, and return that. Raise ``LocalIOError``."""
    content = (json.dumps(schema, ensure_ascii=False, indent=2) + "\n").encode("utf-8", "replace")
    stem = name[:_LONGEST_SCHEMA_NAME].rstrip(".-")
    for number in count(1):
        free = stem if number == 1 else f"{stem}-{number}"
        path = folder.folder / f"{free}.json"
        try:
            if path.exists() and path.read_bytes() == content:
                return free
            if not path.exists() and free not in folder.paths():
                private_files.replace(path, content)
                return free
        except OSError as error:
            raise LocalIOError(
                f"cannot write {path}: {error.strerror or error}",
                hint="check the path, its permissions and the disk",
            ) from error
    raise AssertionError  # numbers do not end


def _path(_: Namespace, store: TemplateStore, terminal: Terminal) -> ExitCode:
    terminal.stdout.write(f"{store.folder}\n")
    return ExitCode.DONE


def add_template_argument(parser: Parser, *, metavar: str = "NAME") -> None:
    parser.add_argument("template", nargs="?", metavar=metavar, help="which template")


def named_template(options: Namespace, action: str) -> str:
    """Return the name given; raise ``UsageError`` if there is none."""
    if not options.template:
        raise UsageError(
            f"which template? chatcli templates {action} NAME",
            hint="chatcli templates list shows the names",
        )
    return as_typed(options.template)


def write_in_editor(name: str, before: str, store: TemplateStore, terminal: Terminal) -> ExitCode:
    """Let the person edit ``before`` and save the result, unless it is unchanged."""
    before = before.removesuffix("\n")
    after = asyncio.run(Editor(terminal.environment).edit(before))
    if after == before:
        terminal.warn("nothing changed, nothing written")
        return ExitCode.DONE
    return keep(name, f"{after}\n", store, terminal)


def keep(name: str, text: str, store: TemplateStore, terminal: Terminal) -> ExitCode:
    """Save a template. An unusable one is saved as well, since it was work to write, and reported."""
    path = store.save(name, text)
    terminal.warn(f"written: {sanitize_line(str(path))}")
    report_hidden([name], terminal)
    store.find(name).template()
    return ExitCode.DONE


def report_hidden(names: Iterable[str], terminal: Terminal) -> None:
    """Mention the templates that are no slash command, because a command has that name."""
    from chatcli.repl.commands import named  # noqa: PLC0415 - most actions need no command

    for name in names:
        if named(name) is not None:
            shown = sanitize_line(name)
            terminal.warn(
                f"/{shown} is a command in conversations; the template {shown} is used by /t {shown}"
            )


def _template_store(terminal: Terminal) -> AbstractContextManager[TemplateStore]:
    return nullcontext(template_store_of(run_context(terminal)))


_FAMILY: Final = Family(
    "templates",
    (
        Action("list", "list templates, yours and the built-in ones", _list, _list_arguments),
        Action("show", "print a template's file", _show, _show_arguments),
        Action("new", "write a new template in your editor, or read it from stdin", _new, _new_arguments),
        Action("edit", "edit a template; a built-in one is copied first", _edit, _edit_arguments),
        Action("rm", "remove one of your templates", _remove, _remove_arguments),
        Action("import", "take over templates of llm and patterns of fabric", _import, _import_arguments),
        Action("path", "print the folder of your templates", _path),
    ),
    "list",
    _template_store,
)
actions = _FAMILY.actions
add_arguments = _FAMILY.add_arguments
run = _FAMILY.run
