"""The answers to parts, kept so that interrupted work goes on where it was.

One file an answer, named by the SHA-256 of the model, the instructions and the part, which only the owner can read. They
can be deleted at any time; what cannot be read or written is asked for again.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from chatcli.storage.private_files import make_folder, read_regular, replace

if TYPE_CHECKING:
    from pathlib import Path

_DAY_S: Final = 86_400
KEPT_FOR_S: Final = 7 * _DAY_S
MOST_BYTES: Final = 50_000_000
MOST_FILES: Final = 20_000

_SUFFIX: Final = ".json"


def key_of(*texts: str) -> str:
    """Return the name of an answer: a hash of all it depends on."""
    digest = hashlib.sha256()
    for text in texts:
        content = text.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(content))
        digest.update(content)
    return digest.hexdigest()


class KeptParts:
    """Answers in ``folder``, for ``KEPT_FOR_S`` seconds and within limits. Without a folder nothing is kept."""

    def __init__(
        self, folder: Path | None, *, most_files: int = MOST_FILES, most_bytes: int = MOST_BYTES
    ) -> None:
        self._folder = folder
        self._most_files = most_files
        self._most_bytes = most_bytes

    @property
    def is_on(self) -> bool:
        return self._folder is not None

    def recall(self, key: str) -> str | None:
        if self._folder is None:
            return None
        try:
            kept = json.loads(read_regular(self._folder / f"{key}{_SUFFIX}", most_bytes=MOST_BYTES))
        except (OSError, ValueError, RecursionError):
            return None
        text = kept.get("text") if isinstance(kept, dict) else None
        return text if isinstance(text, str) else None

    def keep(self, key: str, text: str) -> bool:
        """Keep an answer; return whether it is kept."""
        if self._folder is None:
            return False
        try:
            make_folder(self._folder)
            # Escaped: half a surrogate pair, which a model may send, has no UTF-8.
            replace(self._folder / f"{key}{_SUFFIX}", json.dumps({"text": text}).encode())
        except OSError:
            return False
        return True

    def prune(self, *, now_s: float) -> None:
        """Delete what is too old and, the oldest first, what is too much. ``now_s`` is in seconds since the epoch."""
        if self._folder is None:
            return
        found: list[tuple[float, int, Path]] = []
        with suppress(OSError):
            for path in self._folder.iterdir():
                with suppress(OSError):
                    state = path.stat()
                    found.append((state.st_mtime, state.st_size, path))
        found.sort(key=lambda file: file[0], reverse=True)
        kept_bytes = 0
        for number, (changed_s, size_bytes, path) in enumerate(found):
            kept_bytes += size_bytes
            is_too_much = kept_bytes > self._most_bytes or number >= self._most_files
            if is_too_much or now_s - changed_s > KEPT_FOR_S:
                with suppress(OSError):
                    path.unlink()
