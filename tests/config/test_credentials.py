from __future__ import annotations

import keyring
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyring.backend import KeyringBackend
from keyring.backends import chainer, fail, null
from keyring.errors import PasswordDeleteError

from chatcli.config.credentials import KeyringFailed, Secret, bind, choose, system_keyring
from chatcli.config.endpoints import origin_of
from chatcli.core.errors import ConfigurationError

URLS = st.sampled_from(
    [
        "https://api.openai.com/v1",
        "https://API.OpenAI.com:443",
        "http://api.openai.com/v1",
        "https://api.openai.com:8443/v1",
        "https://evil.example/v1",
        "http://localhost:11434/v1",
    ]
)
CREDENTIALS = st.lists(st.builds(bind, st.builds(Secret, st.text()), st.none() | URLS, st.text()))


@given(CREDENTIALS, URLS)
def test_a_key_is_only_ever_chosen_for_the_origin_it_is_bound_to(credentials, url):
    credential, withheld = choose(credentials, url)
    assert credential is None or credential.endpoint_origin == origin_of(url)
    assert all(one.endpoint_origin != origin_of(url) for one in withheld)


@given(CREDENTIALS, URLS)
def test_the_first_fitting_key_is_chosen(credentials, url):
    fitting = [one for one in credentials if one.endpoint_origin == origin_of(url)]
    assert choose(credentials, url)[0] == (fitting[0] if fitting else None)


@given(CREDENTIALS)
def test_without_an_endpoint_every_key_is_withheld(credentials):
    assert choose(credentials, None) == (None, tuple(credentials))


def test_a_withheld_key_says_where_it_belongs():
    credential = bind(Secret("sk-0123456789abcdefghijkl"), None, "environment OPENAI_API_KEY")
    assert credential.withheld_notice == (
        "the key from environment OPENAI_API_KEY was not sent: it belongs to https://api.openai.com"
    )


def test_a_credential_does_not_show_its_key():
    assert "0123456789" not in repr(bind(Secret("sk-0123456789abcdefghijkl"), None, "here"))


KEY = "sk-proj-0123456789abcdefghij"


def test_a_key_shows_only_its_ends():
    assert str(Secret(KEY)) == "sk-…ghij"
    assert repr(Secret(KEY)) == "Secret(sk-…ghij)"
    assert f"{Secret(KEY)}" == "sk-…ghij"


def test_a_short_key_shows_nothing():
    assert str(Secret("ollama")) == "…"


def test_of_twenty_characters_the_ends_may_be_shown_and_of_fewer_not():
    assert str(Secret("abcdefghijklmnopqrst")) == "abc…qrst"
    assert str(Secret("abcdefghijklmnopqrs")) == "…"


def test_only_reveal_gives_the_value():
    assert Secret(KEY).reveal() == KEY


def test_secrets_compare_by_value():
    assert Secret(KEY) == Secret(KEY)
    assert Secret(KEY) != Secret("another")


@given(st.text(min_size=1))
def test_no_representation_tells_more_than_seven_characters(value):
    shown = str(Secret(value)).split("…")
    assert sum(map(len, shown)) <= min(7, len(value) // 2)


# One that is fetched when it is needed.


def locked() -> str:
    raise ConfigurationError("the keyring is locked")


def test_a_key_is_fetched_when_it_is_revealed_or_shown():
    assert Secret(lambda: KEY).reveal() == KEY
    assert str(Secret(lambda: KEY)) == "sk-…ghij"


def test_a_key_is_not_fetched_for_a_representation():
    assert repr(Secret(locked)) == "Secret(…)"


def test_a_key_that_cannot_be_fetched_says_why_instead_of_raising():
    assert str(Secret(locked)) == "… (the keyring is locked)"


def test_what_fetches_a_value_is_called_once_and_only_to_reveal_it():
    calls = []
    secret = Secret(lambda: calls.append(1) or "sk-0123456789")
    assert (secret.revealed(), calls) == (None, [])
    assert [secret.reveal(), secret.reveal(), secret.revealed()] == ["sk-0123456789"] * 3
    assert calls == [1]


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
