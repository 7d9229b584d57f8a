"""Prompt templates whose variables are columns of the rows of a batch, and the words that all rows are asked with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from chatcli.batching.row_requests import Column, RowTemplate, joined
from chatcli.core.errors import UsageError
from chatcli.templates.template import INPUT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chatcli.core.request import ResponseFormat
    from chatcli.templates.template import Placeholder, Template

_INPUT_COLUMNS: Final = (INPUT, "prompt", "text")
"""The columns that may be the input, the first one that a row has."""


def words_of_all_rows(
    text: str | None,
    template: Template | None,
    variables: Sequence[str],
    system: str | None,
    form: ResponseFormat | None,
) -> str:
    """Return what all rows are asked with: with other words they are other rows, and so are those whose answers have another form.

    ``variables`` are those of the ``template``, each ``NAME=VALUE``. The digests in files of results depend on every letter of this.
    """
    words = text or ""
    if template is not None:
        words = repr((template.segments, template.matter.defaults, variables))
    if system is None and form is None:
        return words
    return repr((words, system, None if form is None else json.dumps(form.schema)))


def filled_by_columns(
    template: Template, given: Mapping[str, str], columns: Sequence[str] | None
) -> RowTemplate:
    """Return ``template`` with columns for the variables that are not ``given``.

    ``columns`` are those of the input, ``None`` if its rows have keys of their own. The input of a template that has no
    place for it follows its text; beside other columns only one called ``input`` is. Raise ``UsageError`` if a place gets no value in any row.
    """
    segments = [
        segment if isinstance(segment, str) else _filled(template, segment, given, columns)
        for segment in template.segments
    ]
    if not any(isinstance(segment, Column) for segment in segments):
        segments.append(_input(template, columns))
    elif not template.takes_input and (columns is None or INPUT in columns):
        segments.append(Column(INPUT, default=""))
    return RowTemplate(tuple(joined(segments)))


def _filled(
    template: Template, place: Placeholder, given: Mapping[str, str], columns: Sequence[str] | None
) -> str | Column:
    if place.name in given:
        return given[place.name]
    if place.name == INPUT:
        return _input(template, columns)
    if place.position is not None:
        raise UsageError(
            f"the template {template.name} takes words, which the rows of a batch do not have",
            hint=f"name its places: {{{{ language }}}} instead of {{{{ {place.name} }}}}",
        )
    default = template.default(place.name)
    if columns is None or place.name in columns:
        return Column(place.name, default=default)
    if default is None:
        raise UsageError(
            f"the template {template.name} needs {place.name}, and the input has no such column",
            hint=f"give it with --var {place.name}=VALUE; columns: {', '.join(columns)}",
        )
    return default


def _input(template: Template, columns: Sequence[str] | None) -> Column:
    default = template.default(INPUT)
    if columns is None:
        return Column(_INPUT_COLUMNS[0], _INPUT_COLUMNS[1:], default)
    known = [name for name in _INPUT_COLUMNS if name in columns]
    found = [*known, *(columns if len(columns) == 1 else ())]
    if not found:
        raise UsageError(
            f"the template {template.name} does not say which column is its input",
            hint=f"call one input, or name it in the template; columns: {', '.join(columns)}",
        )
    return Column(found[0], default=default)
