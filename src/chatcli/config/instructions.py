"""Standing instructions to the model: the person's own, and those of the working folder if it is trusted."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.config.env_files import TrustedFolders
from chatcli.core.errors import ConfigurationError
from chatcli.storage.private_files import read_regular

if TYPE_CHECKING:
    from pathlib import Path

    from chatcli.config.paths import Paths

PERSONAL_FILE: Final = "instructions.md"
FOLDER_FILE: Final = "AGENTS.md"

_MOST_BYTES: Final = 32_768
"""About 8,000 tokens, which every question costs."""


class Instructions(NamedTuple):
    """The ``text`` of a file, and the SHA-256 of the bytes that were read."""

    path: Path
    text: str
    sha256: str


def personal_instructions(paths: Paths) -> Instructions | None:
    """Return the person's instructions, ``None`` without any.

    Raise ``ConfigurationError`` if the file cannot be read, is too large or is not text.
    """
    return read_instructions(paths.config / PERSONAL_FILE)


def folder_instructions(folder: Path, paths: Paths) -> tuple[Instructions | None, bool]:
    """Return the instructions of a working folder, ``None`` without any, and whether this text is trusted.

    Raise ``ConfigurationError`` as ``personal_instructions`` does.
    """
    found = read_instructions(folder / FOLDER_FILE)
    return found, found is not None and TrustedFolders.of(paths).trusts(found.path, found.sha256)


def read_instructions(path: Path) -> Instructions | None:
    try:
        content = read_regular(path, most_bytes=_MOST_BYTES)
        text = content.decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError as error:
        raise _unusable(path, "it is not text in UTF-8") from error
    except (OSError, ValueError) as error:
        raise _unusable(path, getattr(error, "strerror", None) or str(error)) from error
    if "\0" in text:
        raise _unusable(path, "it is not text in UTF-8")
    return Instructions(path, text.strip(), hashlib.sha256(content).hexdigest()) if text.strip() else None


def _unusable(path: Path, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"cannot use {path}: {reason}",
        hint=f"make it a text file of at most {_MOST_BYTES:,} bytes, or move it away",
        code="bad_instructions",
    )
