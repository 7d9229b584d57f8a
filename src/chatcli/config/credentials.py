"""Keys: the endpoint of each, and the person's stored keys.

A key is only ever sent to the endpoint it was configured with. Stored keys, one per endpoint, are listed in
``keys.json`` in the configuration folder. In format 1 a key is either in the keyring of the operating system
(macOS Keychain, Windows Credential Locker, Secret Service, KWallet; service ``chatcli``, user name the
endpoint) or in the file::

    {"format": 1, "keys": {"https://api.openai.com": {"place": "keyring"},
                           "https://llm.example.com": {"place": "file", "key": "…"}}}
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import field
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from chatcli.config.endpoints import OPENAI_URL, EndpointOrigin, origin_of, refuse_quotes
from chatcli.config.paths import changing, write_private_file
from chatcli.core.errors import ChatcliError, ConfigurationError, LocalIOError
from chatcli.core.frozen import frozen
from chatcli.storage.private_files import close_to_others, read_regular
from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from keyring.backend import KeyringBackend

SERVICE = "chatcli"

_LEAST_PRIORITY = 1
"""The least priority of a safe backend, as recommended by keyring's documentation."""

KEYS_FILE_NAME = "keys.json"
IN_KEYRING = "system keyring"
IN_FILE = KEYS_FILE_NAME
SOURCES = (IN_KEYRING, IN_FILE)

_MOST_BYTES = 10_000_000
_REPLACED_BY = "run chatcli config login in a terminal: it offers to replace the file and keeps the old one"
_LONG_ENOUGH_TO_SHOW_ENDS = 20
_KEY = lazy_pattern(r"[!-~]+")


@frozen
class Secret:
    """A key, or a callable that fetches it once, when needed, and may raise a ``ChatcliError``.

    ``str`` is masked like ``sk-…abcd``; only ``reveal`` returns the value. ``repr`` fetches nothing. ``command`` is
    the program that prints the key, which is never run for ``str``; empty for every other key.
    """

    _source: str | Callable[[], str] = field(repr=False)
    command: str = ""
    _fetched: list[str] = field(default_factory=list, repr=False, compare=False)

    def reveal(self) -> str:
        if isinstance(self._source, str):
            return self._source
        # Called once: a keyring may ask the person each time.
        if not self._fetched:
            self._fetched.append(self._source())
        return self._fetched[0]

    def revealed(self) -> str | None:
        """Return the value if it is already known; fetch nothing."""
        return self._source if isinstance(self._source, str) else next(iter(self._fetched), None)

    def __str__(self) -> str:
        if self.command and self.revealed() is None:
            return f"printed by {self.command}, which is run when a request needs it"
        try:
            return _masked(self.reveal())
        except ChatcliError as error:
            return f"… ({error.clause})"

    def __repr__(self) -> str:
        return f"Secret({_masked(self._source) if isinstance(self._source, str) else '…'})"


def _masked(value: str) -> str:
    # The ends of a short key would be most of it.
    if len(value) < _LONG_ENOUGH_TO_SHOW_ENDS:
        return "…"
    return f"{value[:3]}…{value[-4:]}"


def parsed_key(value: object) -> Secret:
    """Return a key; error messages never repeat it."""
    if isinstance(value, str):
        refuse_quotes(value.strip())
    if not isinstance(value, str) or not _KEY.fullmatch(value.strip()):
        raise ValueError("must be a key: ASCII characters without spaces")
    return Secret(value.strip())


@frozen
class Credential:
    """A key, its endpoint, and its origin (``environment OPENAI_API_KEY``)."""

    secret: Secret
    endpoint_origin: EndpointOrigin
    source: str

    @property
    def name(self) -> str:
        """The key's name for display."""
        return f"the key from {self.source}"

    @property
    def withheld_notice(self) -> str:
        return f"{self.name} was not sent: it belongs to {self.endpoint_origin}"


def bind(secret: Secret, base_url: str | None, source: str) -> Credential:
    """Bind a key to the URL it was configured with, or to OpenAI's without one."""
    return Credential(secret, origin_of(base_url or OPENAI_URL), source)


def choose(
    credentials: Sequence[Credential], base_url: str | None
) -> tuple[Credential | None, tuple[Credential, ...]]:
    """Return the first credential of the endpoint, and all those of other endpoints."""
    if not credentials:
        return None, ()
    endpoint = None if base_url is None else origin_of(base_url)
    own = (credential for credential in credentials if credential.endpoint_origin == endpoint)
    foreign = (credential for credential in credentials if credential.endpoint_origin != endpoint)
    return next(own, None), tuple(foreign)


class KeyringFailed(Exception):
    """A keyring failed, with the reason. The message never contains a key."""


class Keyring(Protocol):
    """Keys by user name, under the service ``chatcli``.

    Every method raises ``KeyringFailed``, and may wait for the person to unlock the keyring.
    """

    def get(self, user: str) -> str | None: ...

    def set(self, user: str, key: str) -> None: ...

    def delete(self, user: str) -> None:
        """Remove the key; a missing one is no error."""
        ...


FindKeyring: TypeAlias = Callable[[], Keyring | None]


def system_keyring() -> Keyring | None:
    """Return the system's keyring, ``None`` unless it is safer than a private file."""
    try:
        # Imported late: it takes 90 ms and only stored keys need it.
        import keyring  # noqa: PLC0415
        from keyring.backends.chainer import ChainerBackend  # noqa: PLC0415

        chosen = keyring.get_keyring()
        # A chain also contains backends that store keys in plain text.
        candidates = chosen.backends if isinstance(chosen, ChainerBackend) else [chosen]
        backend = next(filter(_is_real, candidates), None)
    except Exception:  # noqa: BLE001 -- third-party code may raise anything
        return None
    return None if backend is None else SystemKeyring(backend)


class SystemKeyring:
    """A backend of the library as a ``Keyring``."""

    def __init__(self, backend: KeyringBackend) -> None:
        self._backend = backend

    def get(self, user: str) -> str | None:
        with _translated():
            return self._backend.get_password(SERVICE, user)

    def set(self, user: str, key: str) -> None:
        with _translated():
            self._backend.set_password(SERVICE, user, key)

    def delete(self, user: str) -> None:
        with _translated():
            if self._backend.get_password(SERVICE, user) is not None:
                self._backend.delete_password(SERVICE, user)


def _is_real(backend: KeyringBackend) -> bool:
    kind = type(backend)
    name = f"{kind.__module__}.{kind.__qualname__}".lower()
    return backend.priority >= _LEAST_PRIORITY and "plaintext" not in name


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # Only the error's type: its text might contain what the backend was given.
        raise KeyringFailed(type(error).__name__) from error


_Keys: TypeAlias = "dict[EndpointOrigin, Secret | None]"
"""The stored keys by endpoint, ``None`` for one in the system keyring."""


class StoredKeys(NamedTuple):
    """The keys in ``folder``. The keyring is only opened to store, remove or reveal a key.

    Every method raises ``ConfigurationError`` if the file cannot be read.
    """

    folder: Path
    find_keyring: FindKeyring = system_keyring

    def credentials(self) -> tuple[Credential, ...]:
        """Return every stored key, bound to its endpoint; those in the keyring are fetched when revealed."""
        return tuple(self._credential(origin, secret) for origin, secret in _read(self._path).items())

    def store(self, origin: EndpointOrigin, key: str) -> str:
        """Store the only key of an endpoint; return ``IN_KEYRING`` or ``IN_FILE``. Raise ``LocalIOError``."""
        kept = self._put_into_keyring(origin, key)
        # After the keyring, which may have waited for the person.
        with changing(self._path):
            self._write({**_read(self._path), origin: None if kept else Secret(key)})
        return IN_KEYRING if kept else IN_FILE

    def remove(self, origin: EndpointOrigin) -> bool:
        """Remove the key of an endpoint; return whether there was one. Raise ``LocalIOError``."""
        keys = _read(self._path)
        if origin not in keys:
            return False
        if keys[origin] is None:
            self._take_out_of_keyring(origin)
        with changing(self._path):
            self._write({other: secret for other, secret in _read(self._path).items() if other != origin})
        return True

    def set_aside(self) -> Path:
        """Rename an unreadable file to make room for a new one, and return its new path.

        Whatever is in its place is only renamed. Raise ``LocalIOError``.
        """
        names = (self._path.with_name(f"{KEYS_FILE_NAME}.damaged{n if n > 1 else ''}") for n in count(1))
        kept = next(path for path in names if not os.path.lexists(path))
        try:
            self._path.rename(kept)
        except OSError as error:
            raise LocalIOError(
                f"cannot rename {self._path}: {error.strerror or error}",
                hint="check its permissions, or move it away",
            ) from error
        return kept

    @property
    def _path(self) -> Path:
        return self.folder / KEYS_FILE_NAME

    def _credential(self, origin: EndpointOrigin, secret: Secret | None) -> Credential:
        if secret is not None:
            return Credential(secret, origin, IN_FILE)
        return Credential(Secret(partial(_fetched, self.find_keyring, origin)), origin, IN_KEYRING)

    def _put_into_keyring(self, origin: EndpointOrigin, key: str) -> bool:
        keyring = self.find_keyring()
        if keyring is None:
            return False
        try:
            keyring.set(str(origin), key)
            # Some backends fail without a message.
            return keyring.get(str(origin)) == key
        except KeyringFailed:
            return False

    def _take_out_of_keyring(self, origin: EndpointOrigin) -> None:
        keyring = self.find_keyring()
        if keyring is None:
            return
        try:
            keyring.delete(str(origin))
        except KeyringFailed as error:
            raise ConfigurationError(
                f"the system keyring did not remove the key for {origin}: {error}",
                hint="unlock the keyring and try again",
            ) from error

    def _write(self, keys: _Keys) -> None:
        entries = {
            str(origin): {"place": "keyring"} if secret is None else {"place": "file", "key": secret.reveal()}
            for origin, secret in keys.items()
        }
        document = {"format": 1, "keys": entries}
        write_private_file(self._path, json.dumps(document, indent=2).encode() + b"\n")


def _read(path: Path) -> _Keys:
    try:
        content = read_regular(path, most_bytes=_MOST_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {path}: {error.strerror or error}",
            hint=f"check its permissions; {_REPLACED_BY}",
        ) from error
    close_to_others(path)
    try:
        return _keys(json.loads(content))
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"{path} is not a file of keys: {error}",
            hint=_REPLACED_BY,
        ) from error


def _keys(document: Any) -> _Keys:
    """Return the keys of a format 1 document; raise ``ValueError``, without any key, for anything else."""
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
            return parsed_key(key)
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
