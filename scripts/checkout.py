"""What the scripts that write into the checkout say if it cannot be written: one line and a hint."""

from __future__ import annotations

import errno
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HINT = "→ run it in a checkout that you can write to, such as a clone of this one"
_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def writing() -> Iterator[None]:
    """End the program with exit code 1 if something cannot be written; every other error is its caller's."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NOT_WRITABLE:
            raise
        name, place = Path(sys.argv[0]).stem, error.filename or Path.cwd()
        print(f"{name}: cannot write {place}: {error.strerror}\n{HINT}", file=sys.stderr)
        raise SystemExit(1) from None
