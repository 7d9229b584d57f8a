"""The table of import sources."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from chatcli.sessions.exporting import is_document
from chatcli.sessions.importing import chatcli_json, chatgpt, llm
from chatcli.sessions.importing.json_reading import first_value, not_importable, not_readable, read_items
from chatcli.storage.private_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from chatcli.sessions.importing.importer import Item, Progress

_SQLITE_MAGIC: Final = b"SQLite format 3\x00"


@dataclass(frozen=True, slots=True)
class Source:
    """A row of the table.

    ``holds`` recognizes the source by the first entry of a JSON file; databases have their own signature.
    ``read`` takes a path, a progress callback, and the program name for the headers.
    """

    name: str
    title: str
    holds: Callable[[Any], bool]
    read: Callable[[Path, Progress, str], Generator[Item]]


def _read_chatgpt(path: Path, progress: Progress, app: str) -> Generator[Item]:
    return read_items(path, progress, partial(chatgpt.to_conversation, app=app))


def _read_llm(path: Path, progress: Progress, app: str) -> Generator[Item]:
    return llm.read(path, progress, app=app)


def _read_chatcli(path: Path, progress: Progress, _app: str) -> Generator[Item]:
    return read_items(path, progress, chatcli_json.to_conversation)


def _is_no_json(_value: Any) -> bool:
    return False


SOURCES: Final = (
    Source(
        chatgpt.SOURCE,
        "ChatGPT's data export, as it comes or unpacked",
        chatgpt.is_conversation,
        _read_chatgpt,
    ),
    Source(llm.SOURCE, "the logs.db of llm", _is_no_json, _read_llm),
    Source(chatcli_json.SOURCE, "chatcli sessions export --format json", is_document, _read_chatcli),
)
SOURCES_BY_NAME: Final = {source.name: source for source in SOURCES}


def recognize(path: Path) -> Source:
    """Return the source of ``path``; raise ``ConfigurationError`` for an unknown format, or ``LocalIOError``."""
    try:
        with open_regular(path) as file:
            is_database = file.read(len(_SQLITE_MAGIC)) == _SQLITE_MAGIC
    except OSError as error:
        raise not_readable(path, error) from error
    if is_database:
        return SOURCES_BY_NAME[llm.SOURCE]
    value = first_value(path)
    found = next((source for source in SOURCES if value is not None and source.holds(value)), None)
    if found is None:
        raise not_importable(path)
    return found
