"""Changing one setting of config.toml, with its comments and its order left as they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatcli.config.config_file import file_text, not_toml
from chatcli.config.paths import write_private_file

if TYPE_CHECKING:
    from pathlib import Path

    from tomlkit import TOMLDocument

_HEADER = re.compile(r"\A(?:[ \t]*#[^\n]*\n)+\s*\n")


def set_setting(path: Path, name: str, value: str | float | bool) -> None:
    """Set a setting of the top level, making the file if need be.

    Raises ``ConfigurationError`` for a file that is not TOML, ``LocalIOError`` for one that cannot be written.
    """
    text = file_text(path) or ""
    document = _document(path, text)
    if name in document:
        document[name] = value
        text = document.as_string()
    else:
        text = _with_new_setting(text, name, value)
    write_private_file(path, text.encode())


def unset_setting(path: Path, name: str) -> bool:
    """Take a setting of the top level away; tell whether it was there. Raises like ``set_setting``."""
    document = _document(path, file_text(path) or "")
    if name not in document:
        return False
    del document[name]
    write_private_file(path, document.as_string().encode())
    return True


def _document(path: Path, text: str) -> TOMLDocument:
    # 30 ms that only those wait for who change a setting.
    import tomlkit  # noqa: PLC0415
    from tomlkit.exceptions import TOMLKitError  # noqa: PLC0415

    try:
        return tomlkit.parse(text)
    except (TOMLKitError, ValueError, RecursionError) as error:
        raise not_toml(path, text, error) from error


def _with_new_setting(text: str, name: str, value: str | float | bool) -> str:
    import tomlkit  # noqa: PLC0415 -- as above

    # Left to tomlkit, it would come between the first table and the comment above that table.
    header = _HEADER.match(text)
    at = header.end() if header else 0
    return text[:at] + tomlkit.dumps({name: value}) + text[at:]
