"""Env files: ``NAME=value`` lines, of which only ``CHATCLI_*`` and ``OPENAI_*`` count."""

from __future__ import annotations

import contextlib
import io
import re
from typing import TYPE_CHECKING

from chatcli.core.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

_PREFIXES = ("CHATCLI_", "OPENAI_")
_OUR_LINE = re.compile(r"^[ \t]*(?:export[ \t]+)?((?:CHATCLI|OPENAI)_\w*)[ \t]*=", re.MULTILINE)


def env_file_of(folder: Path) -> Path | None:
    """Return the ``.env`` of a folder, if it has one that can be looked at."""
    path = folder / ".env"
    with contextlib.suppress(OSError):
        if path.is_file():
            return path
    return None


def read_env_file(path: Path) -> dict[str, str]:
    """Return the variables of a file in the syntax of python-dotenv, without interpolation.

    Raises ``ConfigurationError`` for a file that cannot be read, or a line of ours that cannot.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"cannot read {path}: {_reason(error)}", hint="It must be a UTF-8 text file of NAME=value lines."
        ) from error
    return _parse(path, content)


def _parse(path: Path, content: str) -> dict[str, str]:
    import logging  # noqa: PLC0415 -- with dotenv 13 ms that a folder without an env file does not need

    import dotenv  # noqa: PLC0415 -- as above

    # A line that python-dotenv cannot read may be another program's; it would be logged to stderr.
    logger = logging.getLogger("dotenv")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    values = dotenv.dotenv_values(stream=io.StringIO(content), interpolate=False)
    for line in _OUR_LINE.finditer(content):
        if line[1] not in values:
            number = content.count("\n", 0, line.start(1)) + 1
            raise ConfigurationError(
                f"{path}, line {number}: cannot read the value of {line[1]}", hint="Check its quotes."
            )
    return {name: value for name, value in values.items() if value and name.startswith(_PREFIXES)}


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "it is not UTF-8"
