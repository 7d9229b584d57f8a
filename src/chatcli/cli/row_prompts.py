"""What the rows of a batch are asked with: ``--prompt``, a prompt template whose variables are columns, or nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatcli.app.row_templates import filled_by_columns, words_of_all_rows
from chatcli.batching.row_requests import read_row_template
from chatcli.cli.questions import variable_values
from chatcli.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatcli.batching.input_rows import InputRecords
    from chatcli.batching.row_requests import RowTemplate
    from chatcli.core.request import ResponseFormat
    from chatcli.templates.template import Template


class RowPrompt(NamedTuple):
    """The ``text`` of ``--prompt``, or the ``template`` of ``-T`` with its ``variables``, each ``NAME=VALUE``.

    With it goes the ``system`` prompt, and the ``form`` of the answers.
    """

    text: str | None
    template: Template | None
    variables: Sequence[str]
    system: str | None = None
    form: ResponseFormat | None = None

    @property
    def words(self) -> str:
        """What all rows are asked with."""
        return words_of_all_rows(self.text, self.template, self.variables, self.system, self.form)

    def row_template(self, records: InputRecords) -> RowTemplate | None:
        """Return the template of the rows, ``None`` if each says what it asks. Raise ``UsageError`` if it does not fit."""
        if self.template is not None:
            return filled_by_columns(
                self.template, variable_values(self.template, self.variables), records.columns
            )
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
