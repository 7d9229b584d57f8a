"""The form of answers in a conversation with a person.

A conversation keeps its schema as a mark, so that questions after a resume are answered in the same form. A one-shot call
takes its form from its own options alone: a script must not get another one by what was typed elsewhere.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import ChatcliError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from chatcli.chat import Conversation
    from chatcli.chat.turns import Turns
    from chatcli.core.request import ResponseFormat
    from chatcli.repl.frontend import Frontend
    from chatcli.schemas.schema_source import SchemaFolder

_LONGEST_SHOWN: Final = 60


def schema_folder(config: Path) -> SchemaFolder:
    """Return the folder of the person's schemas in the configuration folder."""
    from chatcli.schemas.schema_source import FOLDER, SchemaFolder  # noqa: PLC0415 - most conversations have no schema

    return SchemaFolder(config / FOLDER)


def read_form(config: Path, given: str, *, is_list: bool) -> ResponseFormat:
    """Return the form of answers that ``given`` names or describes; raise ``UsageError``."""
    from chatcli.schemas.wire_forms import read_response_format  # noqa: PLC0415 - jsonschema takes time to import

    return read_response_format(given, schema_folder(config), is_list=is_list)


def use_schema(chat: Conversation, wanted: ResponseFormat, given: str, *, is_list: bool) -> str:
    """Have answers fit ``wanted`` from here on, and return the line that says so."""
    chat.turns.response_format = wanted
    chat.opened.mark("schema", {"given": given, "multi": is_list, "form": dict(wanted.schema)})
    return _line(given, is_list=is_list)


def resume_schema(chat: Conversation, frontend: Frontend, begins_with: ResponseFormat | None) -> None:
    """Have answers fit the schema that the conversation begins with, or else had when it was left, if any."""
    kept = chat.session.schema
    if begins_with is not None:
        fields = ", ".join(map(str, begins_with.schema.get("properties", {})))
        frontend.remark(use_schema(chat, begins_with, fields, is_list=False))
        return
    if kept is None:
        return
    from chatcli.schemas.schema_source import NamedSchema, checked_schema  # noqa: PLC0415 - as above
    from chatcli.schemas.wire_forms import response_format  # noqa: PLC0415 - as above

    try:
        schema = checked_schema(kept.get("form"), "the schema of this conversation")
        chat.turns.response_format = response_format(NamedSchema("answer", schema))
    except ChatcliError as error:
        frontend.remark(f"not used: {error.clause}")
        return
    frontend.remark(_line(str(kept.get("given", "")), is_list=kept.get("multi") is True))


@contextmanager
def answers_in(turns: Turns, wanted: ResponseFormat | None) -> Iterator[None]:
    """Have the next question answered in the form ``wanted``, if it is one."""
    before = turns.response_format
    if wanted is not None:
        turns.response_format = wanted
    try:
        yield
    finally:
        turns.response_format = before


def _line(given: str, *, is_list: bool) -> str:
    shown = " ".join(given.split())
    shown = shown if len(shown) <= _LONGEST_SHOWN else f"{shown[: _LONGEST_SHOWN - 1]}…"
    return f"answers are JSON: {'a list of ' if is_list else ''}{shown} (/schema off ends it)"
