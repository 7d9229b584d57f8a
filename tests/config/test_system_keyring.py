from __future__ import annotations

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import chainer, fail, null
from keyring.errors import PasswordDeleteError

from chatcli.config.system_keyring import KeyringFailed, system_keyring


class Kept(KeyringBackend):
    """A backend like that of an operating system."""

    priority = 5

    def __init__(self) -> None:
        super().__init__()
        self.passwords: dict[tuple[str, str], str] = {}

    def get_password(self, service, username):
        return self.passwords.get((service, username))

    def set_password(self, service, username, password):
        self.passwords[service, username] = password

    def delete_password(self, service, username):
        if self.passwords.pop((service, username), None) is None:
            raise PasswordDeleteError("not found")


class Broken(Kept):
    def get_password(self, service, username):
        raise RuntimeError("no bus, and here is sk-0123")


class PlaintextKept(Kept):
    pass


class Weak(Kept):
    priority = 0.5


class Chain(chainer.ChainerBackend):
    backends = (PlaintextKept(), Weak(), Kept())


@pytest.fixture
def chosen():
    """Return what makes a backend the one of this system."""
    before = keyring.get_keyring()
    yield keyring.set_keyring
    keyring.set_keyring(before)


@pytest.mark.parametrize("backend", [fail.Keyring(), null.Keyring(), PlaintextKept(), Weak()])
def test_what_keeps_no_key_or_keeps_it_in_plain_text_is_no_keyring(chosen, backend):
    chosen(backend)
    assert system_keyring() is None


def test_a_key_is_kept_under_the_name_of_the_program(chosen):
    backend = Kept()
    chosen(backend)
    found = system_keyring()
    found.set("https://host.example", "k")
    assert backend.passwords == {("chatcli", "https://host.example"): "k"}
    assert found.get("https://host.example") == "k"
    found.delete("https://host.example")
    assert found.get("https://host.example") is None


def test_removing_what_is_not_there_is_no_failure(chosen):
    chosen(Kept())
    system_keyring().delete("https://host.example")


def test_whatever_a_backend_raises_becomes_one_error_that_repeats_nothing(chosen):
    chosen(Broken())
    with pytest.raises(KeyringFailed) as caught:
        system_keyring().get("https://host.example")
    assert str(caught.value) == "RuntimeError"


def test_of_a_chain_the_first_real_keyring_is_used(chosen):
    chosen(Chain())
    system_keyring().set("https://host.example", "k")
    assert [len(backend.passwords) for backend in Chain.backends] == [0, 0, 1]


def test_tests_never_reach_the_keyring_of_the_machine_they_run_on():
    assert system_keyring() is None
