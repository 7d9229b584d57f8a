"""Where what was attached to a conversation lies: beside its file, each under the SHA-256 of its bytes.

::

    NAME.jsonl
    NAME.files/<sha256>
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from chatcli.sessions.names import SUFFIX

if TYPE_CHECKING:
    from pathlib import Path

_SUFFIX: Final = ".files"


def attachments_folder(session: Path) -> Path:
    """Return the folder of a session's attachments, which is only there if it has any."""
    return session.with_name(session.name.removesuffix(SUFFIX) + _SUFFIX)


def move_attachments(session: Path, new_session: Path) -> None:
    """Have the attachments follow a session to its new place; raise ``OSError`` where they cannot.

    A link in place of the folder moves as the link it is.
    """
    folder = attachments_folder(session)
    if folder.is_symlink() or folder.is_dir():
        folder.rename(attachments_folder(new_session))


def remove_attachments(session: Path) -> None:
    """Remove the attachments of a session; raise ``OSError`` where they cannot be.

    Of a link in place of the folder only the link is removed: what it leads to is somebody else's.
    """
    folder = attachments_folder(session)
    if folder.is_symlink():
        folder.unlink()
    elif _is_junction(folder):
        folder.rmdir()
    elif folder.is_dir():
        shutil.rmtree(folder)


def _is_junction(folder: Path) -> bool:
    # Windows links folders without special rights; Python tells since 3.12, and before takes them for folders.
    try:
        tag = getattr(folder.lstat(), "st_reparse_tag", 0)
    except OSError:
        return False
    return bool(tag)
