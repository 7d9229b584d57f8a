from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatcli.config.credentials import bind, choose
from chatcli.config.endpoints import origin_of
from chatcli.config.secret import Secret

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
