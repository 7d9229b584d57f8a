"""The operating system's own place for keys: macOS Keychain, Windows Credential Locker, Secret Service, KWallet."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyring.backend import KeyringBackend

SERVICE = "chatcli"

_LEAST_PRIORITY = 1
"""What keyring's own documentation recommends as the least of a backend that is safe to use."""


class KeyringFailed(Exception):
    """A keyring did not do what it was asked, and why. The message never holds a key."""


class Keyring(Protocol):
    """Keys by user name, under the service ``chatcli``.

    Every method raises ``KeyringFailed``, and may wait for the person to unlock the keyring.
    """

    def get(self, user: str) -> str | None: ...

    def set(self, user: str, key: str) -> None: ...

    def delete(self, user: str) -> None:
        """Remove the key; one that is not there is no failure."""
        ...


FindKeyring: TypeAlias = Callable[[], Keyring | None]


def system_keyring() -> Keyring | None:
    """Return the keyring of this system, or ``None`` without one that keeps a key better than a private file."""
    try:
        # 90 ms that only those wait for whose key is there.
        import keyring  # noqa: PLC0415
        from keyring.backends.chainer import ChainerBackend  # noqa: PLC0415

        chosen = keyring.get_keyring()
        # A chain also holds backends that keep keys in plain text.
        candidates = chosen.backends if isinstance(chosen, ChainerBackend) else [chosen]
        backend = next(filter(_is_real, candidates), None)
    except Exception:  # noqa: BLE001 -- somebody else's code, chosen by the machine, may fail in any way
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
        # Only the kind: the text might repeat what the backend was given.
        raise KeyringFailed(type(error).__name__) from error
