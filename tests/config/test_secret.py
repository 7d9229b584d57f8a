from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatcli.config.secret import Secret
from chatcli.core.errors import ConfigurationError

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
