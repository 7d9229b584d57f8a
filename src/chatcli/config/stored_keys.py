"""The keys a person gave to chatcli, one for each endpoint: ``keys.json`` in the configuration folder.

Format 1, where a key is either in the system keyring (service ``chatcli``, user name the endpoint) or in the file::

    {"format": 1, "keys": {"https://api.openai.com": {"place": "keyring"},
                           "https://llm.example.com": {"place": "file", "key": "…"}}}
"""

from __future__ import annotations

import json
import os
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias

from chatcli.config import parsers
from chatcli.config.credentials import Credential
from chatcli.config.endpoints import EndpointOrigin, origin_of
from chatcli.config.paths import write_private_file
from chatcli.config.secret import Secret
from chatcli.config.system_keyring import KeyringFailed, system_keyring
from chatcli.core.errors import ConfigurationError, LocalIOError
from chatcli.storage.private_files import close_to_others, read_regular

if TYPE_CHECKING:
    from pathlib import Path

    from chatcli.config.system_keyring import FindKeyring

FILE_NAME = "keys.json"
IN_KEYRING = "system keyring"
IN_FILE = FILE_NAME
SOURCES = (IN_KEYRING, IN_FILE)

_MOST_BYTES = 10_000_000
_REPLACED_BY = "run chatcli config login in a terminal: it offers to replace the file and keeps the old one"

_Keys: TypeAlias = "dict[EndpointOrigin, Secret | None]"
"""The stored keys by endpoint, ``None`` for one that is in the system keyring."""


class StoredKeys:
    """The keys of one configuration folder. The keyring is looked for only to store, remove or reveal a key.

    Every method raises ``ConfigurationError`` for a file that cannot be read.
    """

    def __init__(self, folder: Path, find_keyring: FindKeyring = system_keyring) -> None:
        self._path = folder / FILE_NAME
        self._find_keyring = find_keyring

    def credentials(self) -> tuple[Credential, ...]:
        """Return every stored key, bound to its endpoint; those in the keyring are fetched when revealed."""
        return tuple(self._credential(origin, secret) for origin, secret in self._read().items())

    def store(self, origin: EndpointOrigin, key: str) -> str:
        """Keep the only key of an endpoint; return ``IN_KEYRING`` or ``IN_FILE``. Raises ``LocalIOError``."""
        kept = self._put_into_keyring(origin, key)
        # Read late: a keyring may have waited for the person.
        self._write({**self._read(), origin: None if kept else Secret(key)})
        return IN_KEYRING if kept else IN_FILE

    def remove(self, origin: EndpointOrigin) -> bool:
        """Forget the key of an endpoint; tell whether there was one. Raises ``LocalIOError``."""
        keys = self._read()
        if origin not in keys:
            return False
        if keys.pop(origin) is None:
            self._take_out_of_keyring(origin)
        self._write(keys)
        return True

    def set_aside(self) -> Path:
        """Make room for a new file where the old one is unreadable, and return where the old one is kept.

        Whatever stands in its place is only renamed. Raises ``LocalIOError``.
        """
        names = (self._path.with_name(f"{FILE_NAME}.damaged{n if n > 1 else ''}") for n in count(1))
        kept = next(path for path in names if not os.path.lexists(path))
        try:
            self._path.rename(kept)
        except OSError as error:
            raise LocalIOError(
                f"cannot rename {self._path}: {error.strerror or error}",
                hint="check its permissions, or move it away",
            ) from error
        return kept

    def _credential(self, origin: EndpointOrigin, secret: Secret | None) -> Credential:
        if secret is not None:
            return Credential(secret, origin, IN_FILE)
        return Credential(Secret(partial(_fetched, self._find_keyring, origin)), origin, IN_KEYRING)

    def _put_into_keyring(self, origin: EndpointOrigin, key: str) -> bool:
        keyring = self._find_keyring()
        if keyring is None:
            return False
        try:
            keyring.set(str(origin), key)
            # Some backends fail without a word.
            return keyring.get(str(origin)) == key
        except KeyringFailed:
            return False

    def _take_out_of_keyring(self, origin: EndpointOrigin) -> None:
        keyring = self._find_keyring()
        if keyring is None:
            return
        try:
            keyring.delete(str(origin))
        except KeyringFailed as error:
            raise ConfigurationError(
                f"the system keyring did not remove the key for {origin}: {error}",
                hint="unlock the keyring and try again",
            ) from error

    def _read(self) -> _Keys:
        try:
            content = read_regular(self._path, most_bytes=_MOST_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise ConfigurationError(
                f"cannot read {self._path}: {error.strerror or error}",
                hint=f"check its permissions; {_REPLACED_BY}",
            ) from error
        close_to_others(self._path)
        try:
            return _keys(json.loads(content))
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(
                f"{self._path} is not a file of keys: {error}",
                hint=_REPLACED_BY,
            ) from error

    def _write(self, keys: _Keys) -> None:
        entries = {
            str(origin): {"place": "keyring"} if secret is None else {"place": "file", "key": secret.reveal()}
            for origin, secret in keys.items()
        }
        document = {"format": 1, "keys": entries}
        write_private_file(self._path, json.dumps(document, indent=2).encode() + b"\n")


def _keys(document: Any) -> _Keys:
    """Return what a document of format 1 holds; ``ValueError`` for any other, which never repeats a key."""
    match document:
        case {"format": 1, "keys": dict(entries)}:
            return {origin_of(text): _entry(text, entry) for text, entry in entries.items()}
        case {"format": int(number)} if number > 1:
            raise ValueError("it was written by a newer chatcli")
        case _:
            raise ValueError("it is not of format 1")


def _entry(endpoint: str, entry: Any) -> Secret | None:
    match entry:
        case {"place": "keyring"}:
            return None
        case {"place": "file", "key": key}:
            return parsers.key(key)
        case _:
            raise ValueError(f"the place of the key for {endpoint} is unknown")


def _fetched(find_keyring: FindKeyring, origin: EndpointOrigin) -> str:
    hint = "store it again: chatcli config login (with --base-url URL unless it is OpenAI's)"
    keyring = find_keyring()
    if keyring is None:
        raise ConfigurationError(f"the system keyring with the key for {origin} is not available", hint=hint)
    try:
        key = keyring.get(str(origin))
    except KeyringFailed as error:
        raise ConfigurationError(
            f"the system keyring did not return the key for {origin}: {error}",
            hint=f"unlock the keyring; {hint}",
        ) from error
    if not key:
        raise ConfigurationError(f"the system keyring no longer has the key for {origin}", hint=hint)
    return key
