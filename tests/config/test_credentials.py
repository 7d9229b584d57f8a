"""Keys: their endpoints, and the stored ones."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import keyring
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyring.backend import KeyringBackend
from keyring.backends import chainer, fail, null
from keyring.errors import PasswordDeleteError

from chatcli.config.credentials import (
    IN_FILE,
    IN_KEYRING,
    KeyringFailed,
    Secret,
    StoredKeys,
    bind,
    choose,
    system_keyring,
)
from chatcli.config.endpoints import OPENAI_URL, EndpointOrigin, origin_of
from chatcli.core.errors import ConfigurationError
from fake_keyring import FakeKeyring

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


# A key that is fetched when needed.


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
    """A backend like an operating system's."""

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
    """Return a function that makes a backend the system's."""
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


OPENAI = origin_of(OPENAI_URL)
HOST = origin_of("https://host.example/v1")
ORIGINS = st.builds(
    EndpointOrigin, st.sampled_from(["http", "https"]), st.just("h.example"), st.integers(1, 9)
)
KEYS = st.from_regex(r"[!#-&(-_a-~]([!-~]*[!#-&(-_a-~])?", fullmatch=True)
"""Keys, which neither begin nor end with a quote."""


@pytest.fixture
def stored(tmp_path):
    """Return a function that makes the keys of a folder, with or without a keyring."""
    return lambda keyring=None: StoredKeys(tmp_path, lambda: keyring)


def revealed(keys: StoredKeys) -> dict[EndpointOrigin, tuple[str, str]]:
    return {one.endpoint_origin: (one.secret.reveal(), one.source) for one in keys.credentials()}


def test_without_a_file_there_are_no_keys(stored):
    assert stored().credentials() == ()


def test_without_a_keyring_a_key_is_kept_in_the_file(stored, tmp_path):
    assert stored().store(OPENAI, KEY) == IN_FILE
    assert revealed(stored()) == {OPENAI: (KEY, "keys.json")}
    assert json.loads((tmp_path / "keys.json").read_text(encoding="utf-8")) == {
        "format": 1,
        "keys": {"https://api.openai.com": {"place": "file", "key": KEY}},
    }


def test_with_a_keyring_a_key_is_kept_there_and_the_file_only_says_so(stored, tmp_path):
    keyring = FakeKeyring()
    assert stored(keyring).store(OPENAI, KEY) == IN_KEYRING
    assert keyring.keys == {"https://api.openai.com": KEY}
    assert revealed(stored(keyring)) == {OPENAI: (KEY, "system keyring")}
    assert KEY not in (tmp_path / "keys.json").read_text(encoding="utf-8")


class Forgetful(FakeKeyring):
    def set(self, user: str, key: str) -> None:
        pass


@pytest.mark.parametrize(
    "keyring", [FakeKeyring("set"), FakeKeyring("get"), Forgetful()], ids=["set", "get", "forgetful"]
)
def test_a_keyring_that_does_not_keep_the_key_leaves_it_to_the_file(stored, keyring):
    assert stored(keyring).store(OPENAI, KEY) == IN_FILE
    assert revealed(stored()) == {OPENAI: (KEY, "keys.json")}


def test_a_key_takes_the_place_of_the_older_one_of_its_endpoint_only(stored):
    stored().store(OPENAI, "old")
    stored().store(HOST, "other")
    stored(FakeKeyring()).store(OPENAI, "new")
    assert [(one.endpoint_origin, one.source) for one in stored().credentials()] == [
        (OPENAI, "system keyring"),
        (HOST, "keys.json"),
    ]


@pytest.mark.parametrize("keyring", [None, FakeKeyring()], ids=["file", "keyring"])
def test_a_removed_key_is_nowhere(stored, tmp_path, keyring):
    stored(keyring).store(OPENAI, KEY)
    assert stored(keyring).remove(OPENAI) is True
    assert stored(keyring).remove(OPENAI) is False
    assert stored(keyring).credentials() == ()
    assert KEY not in (tmp_path / "keys.json").read_text(encoding="utf-8")
    assert keyring is None or keyring.keys == {}


def test_a_key_the_keyring_does_not_let_go_stays_stored(stored):
    keyring = FakeKeyring("delete")
    stored(keyring).store(OPENAI, KEY)
    with pytest.raises(ConfigurationError, match="did not remove the key") as caught:
        stored(keyring).remove(OPENAI)
    assert "unlock" in caught.value.hint
    assert revealed(stored(keyring)) == {OPENAI: (KEY, "system keyring")}


def test_a_key_of_a_keyring_that_is_gone_can_be_removed(stored):
    stored(FakeKeyring()).store(OPENAI, KEY)
    assert stored().remove(OPENAI) is True


def test_the_keyring_is_asked_once_and_not_before_a_key_is_revealed(stored):
    keyring = FakeKeyring()
    stored(keyring).store(OPENAI, KEY)
    keyring.asked.clear()
    (credential,) = stored(keyring).credentials()
    assert keyring.asked == []
    assert KEY not in repr(credential)
    assert [credential.secret.reveal(), str(credential.secret)] == [KEY, "sk-…ghij"]
    assert keyring.asked == ["get"]


@pytest.mark.parametrize(
    ("keyring", "message"),
    [
        (None, "is not available"),
        (FakeKeyring(), "no longer has the key"),
        (FakeKeyring("get"), "KeyringLocked"),
    ],
    ids=["gone", "lost", "locked"],
)
def test_a_keyring_that_cannot_give_the_key_is_reported_with_the_way_out(stored, keyring, message):
    stored(FakeKeyring()).store(OPENAI, KEY)
    (credential,) = stored(keyring).credentials()
    with pytest.raises(ConfigurationError, match=message) as caught:
        credential.secret.reveal()
    assert "chatcli config login" in caught.value.hint


def test_reading_keys_does_not_load_the_keyring():
    program = "import sys, chatcli.config.resolve; sys.exit('keyring' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"format": 1, "keys": []}',
        b'{"format": 2, "keys": {}}',
        b'{"format": 1, "keys": {"api.openai.com": {"place": "keyring"}}}',
        b'{"format": 1, "keys": {"https://h.example": {"place": "moon", "key": "geheim"}}}',
        b'{"format": 1, "keys": {"https://h.example": {"place": "file", "key": "geheim nis"}}}',
        b'{"format": 1, "keys": {"https://h.example": "geheim"}}',
    ],
)
def test_a_broken_file_is_named_with_the_way_out_and_left_alone(stored, tmp_path, content):
    path = tmp_path / "keys.json"
    path.write_bytes(content)
    for use in (stored().credentials, lambda: stored().store(OPENAI, KEY), lambda: stored().remove(OPENAI)):
        with pytest.raises(ConfigurationError, match=r"keys\.json is not a file of keys") as caught:
            use()
        assert "chatcli config login" in caught.value.hint
        assert "geheim" not in caught.value.message
    assert path.read_bytes() == content


def test_a_file_that_cannot_be_read_is_a_clear_error(stored, tmp_path):
    (tmp_path / "keys.json").mkdir()
    with pytest.raises(ConfigurationError, match=r"cannot read .*keys\.json"):
        stored().credentials()


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps the rights of the user's profile")
def test_a_file_others_could_read_is_closed_to_them(stored, tmp_path):
    path = tmp_path / "keys.json"
    stored().store(OPENAI, KEY)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    assert revealed(stored()) == {OPENAI: (KEY, "keys.json")}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@given(st.dictionaries(ORIGINS, st.tuples(KEYS, st.booleans())))
def test_every_key_is_read_back_for_the_endpoint_it_was_stored_for(tmp_path_factory, keys):
    folder, keyring = tmp_path_factory.mktemp("config"), FakeKeyring()
    for origin, (key, in_keyring) in keys.items():
        StoredKeys(folder, lambda found=in_keyring: keyring if found else None).store(origin, key)
    assert revealed(StoredKeys(folder, lambda: keyring)) == {
        origin: (key, IN_KEYRING if in_keyring else IN_FILE) for origin, (key, in_keyring) in keys.items()
    }


def test_keys_stored_and_removed_at_the_same_time_are_all_kept_and_all_removed(stored):
    there, new = [[origin_of(f"https://{n}.{kind}.example") for n in range(8)] for kind in ("there", "new")]
    for origin in there:
        stored().store(origin, KEY)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda origin: stored().store(origin, KEY), new))
        list(pool.map(lambda origin: stored().remove(origin), [*there[::2], *new[::2]]))
    assert set(revealed(stored())) == {*there[1::2], *new[1::2]}


def test_a_pipe_in_the_place_of_the_file_is_a_clear_error(stored, tmp_path):
    os.mkfifo(tmp_path / "keys.json")
    with pytest.raises(ConfigurationError, match=r"keys\.json: it is a pipe, not a file"):
        stored().credentials()
