from __future__ import annotations

import base64
import json
import string
import sys
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chatcli.text.redaction import MARK, PART_CHARACTERS, Redactor

BODY = "Ab3dEf6hIj9lMn2pQr5tUv8x"
KEY = f"sk-proj-{BODY}"

# Letters and digits that no sentence around a key holds, so that what is left over is seen.
BODIES = st.text(st.sampled_from("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"), min_size=PART_CHARACTERS, max_size=60)
PREFIXES = st.sampled_from(["", "sk-", "sk-proj-", "sk-ant-api03-", "sk-or-v1-", "gsk_", "xai-", "hf_"])
AROUND = st.text(st.sampled_from(" \n\t.:;()[]{}\"'=,äöü漢\u202e\x1b"), max_size=20)


def redact(text, *keys):
    redactor = Redactor()
    for key in keys:
        redactor.add_key(key)
    return redactor.redact(text)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"Bearer {KEY}", f"Bearer {MARK}"),
        (f"b'{KEY}' and {KEY}", f"b'{MARK}' and {MARK}"),
        (f"key={KEY.lower()}", f"key={MARK}"),
        (f"… {BODY[5:17]} …", f"… {MARK} …"),
        (f"… {BODY[5:16]} …", f"… {BODY[5:16]} …"),
        ("sk-proj- and sk-", "sk-proj- and sk-"),
        ("Incorrect API key provided: sk-proj-Ab3d***tUv8x.", f"Incorrect API key provided: {MARK}."),
        ("sk-proj-************************************Uv8x", MARK),
        ("sk-pr...Uv8x; sk-proj-Ab…; ****tUv8x", f"{MARK}; {MARK}; {MARK}"),
        ("wait ... for 8x", "wait ... for 8x"),
        ("http://ada:hunter2@proxy:3128/ and a@b", f"http://{MARK}@proxy:3128/ and a@b"),
        ("", ""),
    ],
)
def test_a_key_is_taken_out_whole_in_part_and_masked(text, left):
    assert redact(text, KEY) == left


def test_a_short_key_is_taken_out_as_a_whole_only():
    assert redact("sk-short1 sk-shor short1 sk-sh***rt1", "sk-short1") == f"{MARK} sk-shor short1 sk-sh***rt1"
    assert redact("ollama ollamas", "ollama") == f"{MARK} ollamas"
    assert redact("none of them", "none") == "none of them"


def test_spellings_of_a_key_with_signs_are_taken_out():
    key = 'a"b\\c/d+e=='
    assert redact(f"{key} {quote(key, safe='')} {json.dumps(key)}", key) == f'{MARK} {MARK} "{MARK}"'


def test_a_key_that_is_fetched_later_is_known_from_then_on():
    fetched = []
    redactor = Redactor()
    redactor.add_source(lambda: fetched[0] if fetched else None)
    assert redactor.redact(KEY) == KEY
    fetched.append(KEY)
    assert redactor.redact(KEY) == MARK


def test_variables_named_like_keys_are_keys_whichever_program_they_are_for():
    redactor = Redactor()
    redactor.add_variables(
        {
            "WORK_API_KEY": KEY,
            "GH_TOKEN": "ghp_0123",
            "KEYBOARD": "qwertzui",
            "DB_PASSWORD": "hunter22",
            "A_KEY": "true",
        }
    )
    assert redactor.redact(f"{KEY} ghp_0123 qwertzui hunter22 true") == f"{MARK} {MARK} qwertzui {MARK} true"


def test_an_environment_is_read_when_a_text_is_redacted():
    environment = {}
    redactor = Redactor()
    redactor.add_environment(environment)
    environment["WORK_API_KEY"] = "hunter22"
    assert redactor.redact("hunter22") == MARK


@given(PREFIXES, BODIES, AROUND, AROUND, st.data())
def test_no_part_of_twelve_characters_is_ever_left(prefix, body, before, after, data):
    start = data.draw(st.integers(0, len(body) - PART_CHARACTERS))
    end = data.draw(st.integers(start + PART_CHARACTERS, len(body)))
    left = redact(f"{before}{body[start:end]}{after}", prefix + body)
    assert body[start:end] not in left
    assert not set(left.replace(MARK, "")) & set(string.ascii_uppercase + string.digits)


def base64_spellings(text):
    content = text.encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(content).decode()
        yield encode(content).decode().rstrip("=")


def escapings(text):
    yield quote(text, safe="")
    yield "".join(f"%{ord(c):02X}" for c in text)
    yield "".join(f"%{ord(c):02x}" if at % 3 else c for at, c in enumerate(text))
    yield "".join(f"\\u{ord(c):04x}" for c in text)
    yield "".join(f"\\u{ord(c):04X}" if at % 2 else c for at, c in enumerate(text))
    yield "".join(f"\\x{ord(c):02x}" for c in text)
    yield "".join(f"\\u{{{ord(c):x}}}" for c in text)
    yield "".join(f"&#{ord(c)};" for c in text)
    yield "".join(f"&#x{ord(c):x};" for c in text)
    yield "".join(f"&#{ord(c):09}" for c in text)
    yield "".join(f"&amp#x{ord(c):04X}" for c in text)
    yield json.dumps(text)[1:-1].replace("/", "\\/")


def spellings(key):
    """Return the forms in which servers, proxies and programs repeat a key."""
    encoded = [
        key.encode().hex(),
        key.encode().hex().upper(),
        *base64_spellings(key),
        *base64_spellings(f"Bearer {key}"),
        *base64_spellings(f"ada:{key}"),
        *base64_spellings(f'{{"k":"{key}"}}'),
    ]
    once = [key, key.lower(), key.upper(), *encoded]
    escaped = [spelling for text in (key, *encoded) for spelling in escapings(text)]
    twice = [json.dumps(spelling)[1:-1] for spelling in escaped] + [quote(text) for text in escaped]
    return [*once, *escaped, *twice]


def percent(text):
    return "".join(f"%{ord(c):02X}" for c in text)


def in_json(text):
    return "".join(f"\\u{ord(c):04x}" for c in text)


def in_html(text):
    return "".join(f"&#{ord(c)};" for c in text)


ESCAPES = [percent, in_json, in_html, lambda text: json.dumps(text)[1:-1], lambda text: quote(text, safe="")]
PUBLIC = ["sk-proj-", "sk-ant-api03-", "sk-or-v1-", "sk-", "gsk_", "xai-", "hf_", ""]

SIGNED_KEYS = st.builds(
    str.__add__,
    PREFIXES,
    st.text(st.sampled_from(string.ascii_letters + string.digits + "+/=_-."), min_size=8),
)


@given(SIGNED_KEYS, AROUND, AROUND, st.data())
def test_no_spelling_of_a_key_is_left(key, before, after, data):
    assume(not before.endswith("=") and not after.startswith(("=", ";")))
    spelling = data.draw(st.sampled_from(spellings(key)))
    assert redact(f"{before} {spelling} {after}", key) == f"{before} {MARK} {after}"


@given(SIGNED_KEYS, st.text(max_size=30), st.text(max_size=30), st.data())
def test_no_twelve_characters_of_a_secret_survive_whatever_is_around_them(key, before, after, data):
    spelling = key
    for escape in data.draw(st.lists(st.sampled_from(ESCAPES), max_size=3)):
        spelling = escape(spelling)
    left = redact(before + spelling + after, key).lower()
    secret = key.lower().removeprefix(next(p for p in PUBLIC if key.startswith(p)))
    inside = (before + after).lower()
    for at in range(len(secret) - PART_CHARACTERS + 1):
        assert secret[at : at + PART_CHARACTERS] not in left or secret[at : at + PART_CHARACTERS] in inside
    for escape in ESCAPES:
        assert escape(key).lower() not in left


def calls_of(work):
    """Return how many functions ``work`` calls, those of the standard library in C included."""
    calls = 0

    def count(_frame, event, _argument):
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize(
    "line",
    [
        "reading 12 of 40: connection reset by peer, retrying\n",
        "a" * 60,
        "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo",
    ],
)
def test_a_long_text_takes_no_more_steps_than_a_short_one(line):
    redactor = Redactor()
    redactor.add_key(KEY)
    short, long = line * 20, line * 20_000
    redactor.redact(short)
    # Whatever grows with the text is done by searches in C, which are one step each.
    assert calls_of(lambda: redactor.redact(long)) < calls_of(lambda: redactor.redact(short)) + 100


def test_keys_a_person_pasted_are_found_whole_and_ordinary_words_are_none():
    redactor = Redactor()
    redactor.add_key(KEY)
    redactor.add_key("workstation")
    redactor.add_key("gateway-key-7")
    text = f"my {KEY} at the workstation, gateway-key-7, {BODY[:14]}"
    assert [text[start:end] for start, end in redactor.keys_in(text)] == [KEY, "gateway-key-7"]


@given(PREFIXES, BODIES, st.data())
def test_a_long_part_of_a_key_is_found_in_every_encoding(prefix, body, data):
    start = data.draw(st.integers(0, len(body) - PART_CHARACTERS))
    # At both ends base64 mixes a character with what is beside it.
    part = body[start : data.draw(st.integers(min(len(body), start + PART_CHARACTERS + 2), len(body)))]
    assume(len(part) >= PART_CHARACTERS + 2)
    spelling = data.draw(st.sampled_from([*base64_spellings(part), part.encode().hex(), *escapings(part)]))
    assert redact(f"key {spelling}", prefix + body) == f"key {MARK}"


def test_what_is_encoded_otherwise_stays():
    words = "the quick brown fox jumps over the lazy dog"
    text = f"{words} {words.encode().hex()} {next(base64_spellings(words))} {quote(words)} %zz \\u12 &#300; &nope;"
    assert redact(text, KEY) == text


GAPS = [
    "\n",
    "\r\n    ",
    " ",
    "\u200b",
    "\u00ad",
    "\x00",
    "\x1b[31m",
    "\u241b[1;31m",
    "<U+200B>",
    "\u2400",
    "\u3000",
]


@given(PREFIXES, BODIES, st.lists(st.sampled_from(GAPS), min_size=1, max_size=8), AROUND, st.data())
def test_a_whole_key_is_found_whatever_a_line_end_or_a_display_puts_into_it(prefix, body, gaps, before, data):
    assume(any(map(str.isdigit, body)))
    key = prefix + body
    places = sorted(data.draw(st.sets(st.integers(1, len(key) - 1), min_size=1, max_size=len(gaps))))
    pieces = [key[start:end] for start, end in zip([0, *places], [*places, len(key)], strict=True)]
    broken = pieces[0] + "".join(gap + piece for gap, piece in zip(gaps * 8, pieces[1:], strict=False))
    assert redact(f"{before} {broken} ö", key) == f"{before} {MARK} ö"
    redactor = Redactor()
    redactor.add_key(key)
    assert (len(before), len(before) + len(broken)) in redactor.keys_in(
        f"{before}{broken}"
    ) or "<U+" in broken


@given(PREFIXES, BODIES, AROUND, AROUND)
def test_a_whole_key_leaves_nothing_but_the_mark(prefix, body, before, after):
    assert redact(f"{before} {prefix}{body} {after}", prefix + body) == f"{before} {MARK} {after}"


@given(
    PREFIXES.filter(bool),
    BODIES,
    st.integers(0, 11),
    st.integers(0, 11),
    st.sampled_from(["**", "***", "…", "....", "XXXX"]),
)
def test_a_masked_key_leaves_nothing(prefix, body, beginning, end, mask):
    assume(mask != "XXXX" or not (body[:beginning].endswith("X") or body[-end:].startswith("X")))
    assume(len(prefix) + beginning + end > 3)  # less is nobody's key
    shown = f"{prefix}{body[:beginning]}{mask}{body[len(body) - end :]}"
    assert redact(f"key: {shown} ", prefix + body) == f"key: {MARK} "


@given(st.text(max_size=200), st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=80))
def test_any_text_is_taken(text, key):
    left = redact(text, key)
    assert len(key) < PART_CHARACTERS or key.lower() not in left.lower().replace(MARK, "")


@given(st.text(st.characters(), min_size=8, max_size=40), st.text(st.characters(), max_size=40))
def test_a_variable_of_any_characters_is_a_key(value, text):
    redactor = Redactor()
    redactor.add_variables({"WORK_API_KEY": value})
    assert value not in redactor.redact(f"{text} {value} {text}")
    redactor.keys_in(text)


def test_the_bytes_of_a_variable_that_is_no_text_are_found_encoded():
    content = b"sk-\xff\xfe Ab3dEf6hIj9lMn2pQr5tUv8x"
    key = content.decode("utf-8", "surrogateescape")
    assert redact(f"{quote(content, safe='')} {content.hex()}", key) == f"{MARK} {MARK}"


@given(st.text(st.sampled_from("abc *.x"), max_size=60))
def test_text_without_a_key_is_left_as_it_is(text):
    assert redact(text, KEY) == text


def test_the_words_a_hint_has_for_a_name_and_a_password_stay():
    hint = "put them into HTTPS_PROXY: http://user:password@host:port"
    assert Redactor().redact(hint) == hint


SECRETS = st.sampled_from(
    [
        KEY,
        BODY[5:17],
        f"sk-pr...{BODY[-4:]}",
        "x-api-key",
        "Authorization:",
        "Bearer",
        f"Bearer {BODY}",
        "$KEY",
        "a word",
    ]
)


@given(st.lists(st.tuples(AROUND, SECRETS, AROUND).map("".join) | AROUND, max_size=6))
def test_texts_that_are_searched_together_lose_what_each_would_lose_alone(texts):
    redactor = Redactor()
    redactor.add_key(KEY)
    assert list(redactor.redact_all(texts)) == [redactor.redact(text) for text in texts]


def test_texts_without_a_key_are_searched_at_once(monkeypatch):
    redactor, searched = Redactor(), []
    monkeypatch.setattr(redactor, "redact", lambda text: searched.append(text) or text)
    assert redactor.redact_all(["nothing", "to", "hide"]) == ["nothing", "to", "hide"]
    assert len(searched) == 1
