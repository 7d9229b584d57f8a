from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chatcli.text.key_shapes import pasted_keys, shapes_in, values_in_headers
from chatcli.text.redaction import MARK, Redactor, without

REPOSITORY = Path(__file__).resolve().parent.parent.parent
DOCUMENTS = [
    *REPOSITORY.glob("*.md"),
    *REPOSITORY.glob("docs/**/*.md"),
    REPOSITORY / ".env.example",
]

MADE_UP = re.compile(r"(.)\1{4}|12345678|01234567|abcdefgh", re.IGNORECASE)
_LETTERS_AND_DIGITS = string.ascii_letters + string.digits
_URL_SAFE = _LETTERS_AND_DIGITS + "-_"
_HEX = "0123456789abcdef"

# prefix, alphabet, length behind it
SHAPES = [
    ("sk-", _LETTERS_AND_DIGITS, 48),
    ("sk-", _HEX, 32),
    ("sk-proj-", _URL_SAFE, 156),
    ("sk-svcacct-", _URL_SAFE, 156),
    ("sk-admin-", _URL_SAFE, 120),
    ("sk-ant-api03-", _URL_SAFE, 95),
    ("sk-ant-oat01-", _URL_SAFE, 95),
    ("sk-or-v1-", _HEX, 64),
    ("gsk_", _LETTERS_AND_DIGITS, 52),
    ("csk-", string.ascii_lowercase + string.digits, 48),
    ("xai-", _LETTERS_AND_DIGITS, 80),
    ("pplx-", _LETTERS_AND_DIGITS, 48),
    ("nvapi-", _URL_SAFE, 64),
    ("r8_", _LETTERS_AND_DIGITS, 37),
    ("tvly-dev-", _LETTERS_AND_DIGITS, 32),
    ("hf_", string.ascii_letters, 34),
    ("AIza", _URL_SAFE, 35),
    ("AKIA", string.ascii_uppercase + "234567", 16),
    ("ghp_", _LETTERS_AND_DIGITS, 36),
    ("github_pat_11ABCDEFG0abcdefghijkl_", _LETTERS_AND_DIGITS, 59),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.", _URL_SAFE, 43),
]


@st.composite
def keys(draw):
    prefix, alphabet, length = draw(st.sampled_from(SHAPES))
    body = draw(st.text(st.sampled_from(alphabet), min_size=length, max_size=length))
    assume(len(set(body.lower())) >= 8)
    return prefix + body


AROUND = st.sampled_from(["", " ", "\n", '"', "'", "key=", "(", "…", "\\n", ":", "http://h/?key=", "漢"])


def redact(text):
    return Redactor().redact(text)


@given(keys(), AROUND, st.sampled_from(["", " ", "\n", '"', "'", ")", "…", ",", "漢"]))
def test_the_key_of_a_well_known_provider_is_taken_out_though_this_run_never_saw_it(key, before, after):
    for spelling in (key, key.lower(), key.upper()):
        assert redact(f"{before}{spelling}{after}") == f"{before}{MARK}{after}"


@given(keys(), st.integers(20, 30), st.sampled_from(["…", "..."]))
def test_the_beginning_of_a_key_that_was_shortened_is_taken_out(key, length, mark):
    shortened = key[:length]
    assume(not key.startswith(("AKIA", "eyJ", "github_pat_")) and any(map(str.isdigit, shortened[8:])))
    assume(not MADE_UP.search(shortened) and len(set(shortened.lower())) >= 8)
    assert redact(f"About {shortened}{mark}") == f"About {MARK}{mark}"
    assert pasted_keys(f"About {shortened}{mark}".lower()) == []


@given(keys())
def test_an_escaped_key_of_a_well_known_provider_is_taken_out(key):
    for spelling in (
        key.replace("-", "\\u002d").replace("_", "\\u005f"),
        "".join(f"%{ord(character):02X}" for character in key),
        "".join(f"&#x{ord(character):x};" for character in key),
        "".join(f"\\\\x{ord(character):02x}" for character in key),
    ):
        assert redact(f" {spelling} ") == f" {MARK} "


@pytest.mark.parametrize(
    "text",
    [
        "sk-…, sk-..., sk-xxxx, sk-your-key and sk-proj-",
        "sk-" + "x" * 48,
        "sk-proj-" + "*" * 40 + "wxyz",
        "a task-0123456789abcdef0123456789abcdef and a disk-0123456789abcdef0123456789abcdef",
        "hf_hub_download, gsk_, xai-grok, r8_cache, AIzawa, Akia is a name, eyJ",
        "the commit 3f342917d1e0a1b2c3d4e5f60718293a4b5c6d7e",
        "Bearer token, a Bearer scheme, bearer of news; use Bearer authentication.",
        "Authorization: Bearer $OPENAI_API_KEY, Authorization: Bearer <key>, api-key: …",
        "the key is sent in the api-key header; --api-key is not an option",
        "x-api-key",
    ],
)
def test_what_is_no_key_is_left_as_it_is(text):
    assert redact(text) == text


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_nothing_in_the_documents_is_taken_for_a_key(path):
    text = path.read_text()
    assert redact(text) == text
    assert Redactor().keys_in(text) == []


@given(
    st.sampled_from(
        [
            "Authorization: Bearer {}",
            "authorization: Basic {}",
            "Proxy-Authorization: Basic {}",
            "x-api-key: {}",
            "api-key = {}",
            "{{'Authorization': 'Bearer {}'}}",
            '{{"x-api-key": "{}"}}',
            '{{\\"api-key\\": \\"{}\\"}}',
            "[(b'authorization', b'Bearer {}')]",
            "('x-api-key', '{}')",
        ]
    ),
    st.text(st.sampled_from("abcdefgh12345._~+/=-"), min_size=1, max_size=30),
)
def test_a_value_in_a_header_for_keys_is_taken_out_whatever_it_is(header, value):
    assume(not value.startswith("."))
    assert redact(f"< {header.format(value)} >") == f"< {header.format(MARK)} >"


def test_a_value_behind_bearer_alone_is_taken_out_unless_it_is_a_word():
    assert redact("sent Bearer hunter2 there") == f"sent Bearer {MARK} there"
    assert redact("sent Bearer correcthorsebatterystaple") == f"sent Bearer {MARK}"


@pytest.mark.parametrize(
    "text",
    [
        "OPENAI_API_KEY=sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "api_key = sk-your-key-here-0123456789abcdef0123456789abcdef",
        "sk-1234567890abcdef1234567890abcdef",
        "sk-proj-EXAMPLEexampleEXAMPLEexampleEXAMPLEexample0",
        "AKIAIOSFODNN7EXAMPLE",
        "YOUR_KEY",
    ],
)
def test_a_placeholder_of_documentation_is_not_taken_for_a_pasted_key(text):
    assert pasted_keys(text.lower()) == []


@given(keys(), st.data())
def test_a_pasted_key_is_found_though_a_page_broke_it_into_lines_or_put_marks_into_it(key, data):
    assume(not MADE_UP.search(key) and pasted_keys(key.lower()) == [(0, len(key))])
    line = data.draw(st.integers(20, 80))
    lines = [key[at : at + line] for at in range(0, len(key), line)]
    assume(all(len(one) >= 12 and any(map(str.isdigit, one)) for one in lines[1:]) and key[-1] not in "-_.")
    assume(all(one[-1] != "." and one[0] != "." for one in lines))
    broken = data.draw(st.sampled_from(["\n", "\n  ", "\u200b", "\u00ad\u2060"])).join(lines)
    text = f"Is this key right? {broken}\nThank you"
    assert Redactor().keys_in(text)[-1][1] == text.index("\nThank you")
    assert without(text, Redactor().keys_in(text), mark=MARK) == f"Is this key right? {MARK}\nThank you"


VALUE = "Zq7vLm3Xw9Rt2Yp8Kd4Nc6Bh1Jf5"


@pytest.mark.parametrize(
    "before",
    [
        "curl -H 'Authorization: Bearer ",
        "x-api-key: ",
        "export MISTRAL_API_KEY=",
        "WORK_TOKEN='",
        "a\n  client_secret=",
        '{"api_key": "',
        '{\\"apiKey\\": \\"',
        "api_key = '",
        "secret_access_key: ",
        "https://host.example/v1?api_key=",
    ],
)
def test_a_value_that_is_pasted_with_a_name_for_keys_is_found_whatever_its_shape(before):
    text = f"{before}{VALUE}' and more"
    assert Redactor().keys_in(text) == [(len(before), len(before) + len(VALUE))]


@pytest.mark.parametrize(
    "text",
    [
        "api_key = os.environ['OPENAI_API_KEY_2024_OF_THE_WORK']",
        "Authorization: Bearer $TOKEN_OF_2024_AND_MORE_TO_COME",
        "the key=value pairs, the token: see https://host.example/docs/2024/tokens-and-keys",
        f"primary_key: {VALUE}",
        "api_key: the-one-you-were-given-by-mail",
        "password=hunter22",
    ],
)
def test_what_is_only_named_like_a_key_is_no_pasted_key(text):
    assert Redactor().keys_in(text) == []


@given(st.text())
def test_spans_lie_within_any_text_and_are_not_empty(text):
    lower = text.lower()
    for start, end in [*shapes_in(lower), *values_in_headers(lower), *pasted_keys(lower)]:
        assert 0 <= start < end <= len(lower)
