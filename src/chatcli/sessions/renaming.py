"""Changing the title or the name of a session that no chatcli has open."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from chatcli.core.errors import LocalIOError, UsageError
from chatcli.sessions.folder import attachments_folder, move_attachments
from chatcli.sessions.log import record_file
from chatcli.sessions.records import MarkRecord, new_id
from chatcli.storage import private_files
from chatcli.storage.json_lines import InUse
from chatcli.text.times import timestamp

if TYPE_CHECKING:
    from datetime import datetime

    from chatcli.sessions.log import RecordFile
    from chatcli.sessions.session import Session
    from chatcli.sessions.store import SessionFile


def retitle(file: SessionFile, session: Session, title: str, *, now: datetime) -> None:
    """Set the title of ``session``, read from ``file``; its time of last use is kept.

    Raise ``UsageError`` for an empty title, or if another chatcli has the session open.
    """
    if not title.strip():
        raise UsageError("a title cannot be empty", hint="give one", code="empty_title")
    records = _held(file)
    try:
        before = file.path.stat()
        records.append_records([MarkRecord(new_id(), session.head, timestamp(now), "title", title)])
        # It was not continued, so it keeps its place in the list.
        os.utime(file.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    except InUse as error:
        raise _in_use(file) from error
    except OSError as error:
        raise _not_moved(file, error) from error
    finally:
        records.close()


def move(file: SessionFile, new: SessionFile) -> None:
    """Move a session with its attachments to an unused place.

    Raise ``UsageError`` if the place is taken or another chatcli has the session open, else ``LocalIOError``.
    """
    # Windows cannot move an open file: this checks for other users of it, and closes it.
    _held(file).close()
    if os.path.lexists(attachments_folder(new.path)):
        raise _exists(new)
    try:
        private_files.make_folder(new.path.parent)
        # Created first, so that no file created there meanwhile is overwritten.
        private_files.create(new.path, b"")
    except FileExistsError as error:
        raise _exists(new) from error
    except OSError as error:
        raise _not_moved(file, error) from error
    try:
        move_attachments(file.path, new.path)
        try:
            file.path.replace(new.path)
        except OSError:
            move_attachments(new.path, file.path)
            raise
    except OSError as error:
        new.path.unlink(missing_ok=True)
        raise _not_moved(file, error) from error


def _held(file: SessionFile) -> RecordFile:
    records = record_file(file)
    if not records.hold():
        raise _in_use(file)
    return records


def _in_use(file: SessionFile) -> UsageError:
    return UsageError(
        f"the session {file.name} is open in another chatcli",
        hint="rename it there, or quit it first",
        code="session_in_use",
    )


def _exists(new: SessionFile) -> UsageError:
    return UsageError(
        f"a session {new.name} already exists",
        hint="use another name; nothing is ever overwritten",
        code="session_exists",
    )


def _not_moved(file: SessionFile, error: OSError) -> LocalIOError:
    return LocalIOError(
        f"cannot rename the session {file.path}: {error.strerror or error}",
        hint="check the permissions of its folder",
        code="session_not_renamed",
    )
