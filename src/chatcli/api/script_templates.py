"""Prompt templates as scripts name them: by name, path, or several; filled with a prompt and variables."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from chatcli.api.script_words import error_for_script, shown
from chatcli.app.threads import in_thread
from chatcli.config.settings import TemplateSettings
from chatcli.core.errors import ChatcliError, UsageError
from chatcli.core.events import Notice
from chatcli.core.messages import TextPart

if TYPE_CHECKING:
    from chatcli.batching.row_requests import RowTemplate
    from chatcli.core.messages import Message
    from chatcli.schemas.python_types import TypedFormat
    from chatcli.templates.template import Template
    from chatcli.templates.template_store import TemplateEntry, TemplateStore

TemplateForScript: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""The name or path of a template, names joined by ``+``, or several of these."""

NO_FOLDER: Final = Path("/nonexistent")
"""Stands for the configuration folder where it is not read."""
_HOW: Final = 'as in template="translate" or template="prompts/review.md"'


class TemplateSchema(NamedTuple):
    """The schema of a template, as it is written there; ``is_list``: the answer is a list of such values."""

    text: str
    is_list: bool


class UsedTemplate(NamedTuple):
    """A template with the values of its ``variables``; ``files`` are where it is written."""

    template: Template
    variables: Mapping[str, str]
    files: str
    notices: tuple[Notice, ...] = ()

    @property
    def settings(self) -> TemplateSettings:
        name = f"template {self.template.name}"
        return TemplateSettings(name, self.template.matter.settings, f"edit {self.files}")

    @property
    def schema(self) -> TemplateSchema | None:
        matter = self.template.matter
        return None if matter.schema is None else TemplateSchema(matter.schema, matter.is_schema_of_items)

    def question(self, prompt: Message | None) -> Message:
        """Return the question that the template makes of ``prompt``. Raise ``UsageError`` if a value is missing."""
        from chatcli.templates.template import INPUT, Filling  # noqa: PLC0415 - most questions use no template

        parts = () if prompt is None else prompt.parts
        by_origin: dict[str, list[str]] = {"person": [], "document": []}
        for part in parts:
            if isinstance(part, TextPart):
                by_origin[part.origin].append(part.text)
        *words, typed = _split("\n\n".join(by_origin["person"]), self.template.words_taken)
        filling = Filling(words, typed, self.variables, by_origin["document"])
        if missing := self.template.missing(filling):
            needs_prompt = missing[0] == INPUT or missing[0].isdecimal()
            raise UsageError(
                f"the template {self.template.name} needs {', '.join(missing)}",
                hint="pass a prompt" if needs_prompt else f'pass variables={{"{missing[0]}": "…"}}',
                code="missing_variable",
            )
        return self.template.question(filling)


def row_words(
    used: UsedTemplate | None, system: str | None, form: TypedFormat | None
) -> tuple[RowTemplate | None, str]:
    """Return the template for the rows of a batch, whose keys are the variables that have no value yet, and the words of all rows."""
    from chatcli.app.row_templates import (  # noqa: PLC0415 - most questions are no rows
        filled_by_columns,
        words_of_all_rows,
    )

    response_format = None if form is None else form.response_format
    if used is None:
        return None, words_of_all_rows(None, None, (), system, response_format)
    # As the command is given them, so that its files can be gone on with.
    given = [f"{name}={value}" for name, value in used.variables.items()] or ()
    words = words_of_all_rows(None, used.template, given, system, response_format)
    return filled_by_columns(used.template, used.variables, None), words


async def used_template(
    template: TemplateForScript | None,
    variables: Mapping[str, str] | None,
    config: Path | None,
    *,
    in_conversation: bool = False,
) -> UsedTemplate | None:
    """Return the template that a call names, ``None`` if it names none.

    ``config`` is the configuration folder, ``None`` if it is not read: then only built-in templates have names.
    ``in_conversation``: its system prompt stands above its text, and its other settings do not count. Raise a ``ChatcliError`` if it
    cannot be used.
    """
    values = _checked_variables(variables)
    if template is None:
        if values:
            raise UsageError("variables are those of a template, and none is named", hint=_HOW)
        return None
    names = _names(template)
    try:
        used = await in_thread(lambda: _read(names, values, config))
    except ChatcliError as error:
        if (worded := error_for_script(error, str)) is error:
            raise
        raise worded from None
    return _in_conversation(used) if in_conversation else used


def _read(names: Sequence[str], values: Mapping[str, str], config: Path | None) -> UsedTemplate:
    from chatcli.templates.combining import combined  # noqa: PLC0415 - most questions use no template
    from chatcli.templates.template_store import FOLDER, TemplateStore  # noqa: PLC0415 - as above

    entries = _found(TemplateStore((config or NO_FOLDER) / FOLDER), names, reads_config=config is not None)
    conflicts: list[str] = []
    template = combined([entry.template() for entry in entries], conflicts.append)
    template.refuse_unknown(values)
    files = " or ".join(str(entry.path) for entry in entries)
    return UsedTemplate(
        template, values, files, tuple(Notice("template_conflict", each) for each in conflicts)
    )


def _found(store: TemplateStore, names: Sequence[str], *, reads_config: bool) -> list[TemplateEntry]:
    try:
        return store.find_all(names)
    except UsageError as error:
        if reads_config:
            raise
        # Nobody sees which names count here.
        hint = f"{error.hint}; those of your own need config=True"
        raise error.reworded(error.message, hint=hint) from None


def _in_conversation(used: UsedTemplate) -> UsedTemplate:
    from chatcli.templates.combining import in_conversation  # noqa: PLC0415 - as above

    template = in_conversation(used.template)
    notices = used.notices
    if unused := ", ".join(template.matter.settings):
        message = f"the conversation keeps its own {unused}; that of a template counts in chatcli.ask"
        notices = (*notices, Notice("template_settings", message))
    return used._replace(template=template, notices=notices)


def _names(template: object) -> list[str]:
    given = [template] if isinstance(template, str | os.PathLike) else template
    if not isinstance(given, Sequence) or isinstance(given, bytes) or not given:
        raise _no_template(template)
    names = []
    for each in given:
        name = os.fspath(each) if isinstance(each, str | os.PathLike) else None
        if not isinstance(name, str):
            raise _no_template(template)
        # A path without a folder looks like a name.
        is_bare = not isinstance(each, str) and len(Path(name).parts) == 1
        names.append(str(Path(name).absolute()) if is_bare else name)
    return names


def _no_template(template: object) -> UsageError:
    return UsageError(f"template must be a name or a path, or several, not {shown(template)}", hint=_HOW)


def _checked_variables(variables: object) -> Mapping[str, str]:
    if variables is None:
        return {}
    if not isinstance(variables, Mapping) or not all(
        isinstance(each, str) for pair in variables.items() for each in pair
    ):
        raise UsageError(
            f"variables must be texts by name, not {shown(variables)}",
            hint='as in variables={"to": "French"}',
        )
    return dict(variables)


def _split(typed: str, words_taken: int) -> list[str]:
    """Return the first words of ``typed``, as many as are taken, and behind them the rest."""
    if not words_taken:
        return [typed if typed.strip() else ""]
    words = typed.split(None, words_taken)
    return [*words[:words_taken], " ".join(words[words_taken:])]
