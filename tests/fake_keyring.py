"""A keyring in memory."""

from __future__ import annotations

from chatcli.config.credentials import KeyringFailed


class FakeKeyring:
    """``failing`` names the methods that raise ``KeyringFailed``; ``asked`` are all calls so far."""

    def __init__(self, *failing: str, **keys: str) -> None:
        self.keys = keys
        self.failing = set(failing)
        self.asked: list[str] = []

    def get(self, user: str) -> str | None:
        self._called("get")
        return self.keys.get(user)

    def set(self, user: str, key: str) -> None:
        self._called("set")
        self.keys[user] = key

    def delete(self, user: str) -> None:
        self._called("delete")
        self.keys.pop(user, None)

    def _called(self, name: str) -> None:
        self.asked.append(name)
        if name in self.failing:
            raise KeyringFailed("KeyringLocked")
