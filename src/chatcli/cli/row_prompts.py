"""What the rows of a batch are asked with: ``--prompt``, a prompt template whose variables are columns, or nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.batching.row_requests import Column, RowTemplate, joined, read_row_template
from chatcli.cli.questions import variable_values
from chatcli.core.errors import UsageError
from chatcli.templates.template import INPUT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chatcli.batching.input_rows import InputRecords
    from chatcli.templates.template import Placeholder, Template

_INPUT_COLUMNS: Final = (INPUT, "prompt", "text")
"""The columns that may be the input, the first one that a row has."""


class RowPrompt(NamedTuple):
    """The ``text`` of ``--prompt``, or the ``template`` of ``-T`` with its ``variables``, each ``NAME=VALUE``."""

    text: str | None
    template: Template | None
    variables: Sequence[str]

    @property
    def words(self) -> str:
        """What all rows are asked with: with other words they are other rows."""
        if self.template is None:
            return self.text or ""
        return repr((self.template.segments, self.template.matter.defaults, self.variables))

    def row_template(self, records: InputRecords) -> RowTemplate | None:
        """Return the template of the rows, ``None`` if each says what it asks. Raise ``UsageError`` if it does not fit."""
        if self.template is not None:
            return filled_by_columns(self.template, self.variables, records.columns)
        if self.text is not None:
            return read_row_template(self.text, records.columns)
        if records.columns is None:
            return None
        if records.format == "text":
            return read_row_template("", records.columns, origin="person")
        if "prompt" not in records.columns:
            raise UsageError(
                "INPUT has no column called prompt",
                hint=f"--prompt says what to ask, as in --prompt 'Translate: {{{records.columns[0]}}}'",
            )
        return None


def filled_by_columns(
    template: Template, variables: Sequence[str], columns: Sequence[str] | None
) -> RowTemplate:
    """Return ``template`` with columns for what ``variables``, each ``NAME=VALUE``, leave open.

    ``columns`` are those of the input, ``None`` if its rows have keys of their own. The input of a template that has no
    place for it follows its text. Raise ``UsageError`` if a place gets no value in any row.
    """
    given = variable_values(template, variables)
    segments = [
        segment if isinstance(segment, str) else _filled(template, segment, given, columns)
        for segment in template.segments
    ]
    if not any(isinstance(segment, Column) for segment in segments):
        segments.append(_input(template, columns))
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
