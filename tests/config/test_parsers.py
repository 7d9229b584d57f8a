from __future__ import annotations

import datetime as dt
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.config import parsers
from chatcli.config.credentials import Secret, parsed_key
from chatcli.config.endpoints import MistypedValue

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
ANYTHING = JSON | st.floats() | st.binary() | st.dates()


@pytest.mark.parametrize("word", ["1", "true", "TRUE", "Yes", "on", " on ", True])
def test_a_switch_is_on(word):
    assert parsers.switch(word) is True


@pytest.mark.parametrize("word", ["0", "false", "No", "off", False])
def test_a_switch_is_off(word):
    assert parsers.switch(word) is False


@pytest.mark.parametrize("word", ["", "2", "maybe", 1, 0, 1.0, None, []])
def test_anything_else_is_no_switch(word):
    with pytest.raises(ValueError, match="must be true or false"):
        parsers.switch(word)


@given(st.integers(3, 9))
def test_a_whole_number_in_its_range_is_taken_as_text_or_number(number):
    parse = parsers.whole_number(3, 9)
    assert parse(number) == parse(str(number)) == number


@pytest.mark.parametrize("value", [2, 10, "2", "3.5", 3.0, "", "many", True, None, "9" * 5000, 10**400])
def test_any_other_value_is_no_whole_number(value):
    with pytest.raises(ValueError, match="must be a whole number from 3 to 9, not"):
        parsers.whole_number(3, 9)(value)


def test_a_whole_number_may_be_open_above():
    assert parsers.whole_number(1)("1000000000000") == 10**12
    with pytest.raises(ValueError, match="of at least 1, not 0"):
        parsers.whole_number(1)(0)
    with pytest.raises(ValueError, match="from 1 to 9223372036854775807, not 1000"):
        parsers.whole_number(1)(10**400)


@given(st.floats(0, 2))
def test_a_number_in_its_range_is_taken_as_text_or_number(number):
    parse = parsers.number(0, 2)
    assert parse(number) == parse(repr(number)) == number


@pytest.mark.parametrize(
    "value", [-0.1, 2.1, "nan", math.nan, math.inf, "-inf", "", "warm", True, None, 10**400]
)
def test_any_other_value_is_no_number(value):
    with pytest.raises(ValueError, match="must be a number from 0 to 2, not"):
        parsers.number(0, 2)(value)


def test_a_choice_names_what_is_allowed():
    with pytest.raises(ValueError, match="must be red or green, not 'blue'"):
        parsers.choice("red", "green")("blue")


def test_a_choice_refuses_what_is_no_word():
    with pytest.raises(ValueError, match="must be chat"):
        parsers.choice("chat")(["chat"])


def test_a_text_may_be_empty_but_a_name_may_not():
    assert parsers.text("") == ""
    with pytest.raises(ValueError, match="must be a name"):
        parsers.name("  ")


@pytest.mark.parametrize("value", ["a, b", ["a", "b"], ("a", "b"), "a,,b,"])
def test_names_are_a_list_or_a_text_with_commas(value):
    assert parsers.names(value) == ("a", "b")


@pytest.mark.parametrize("value", [3, None, [1], ["a", " "]])
def test_anything_else_is_no_list_of_names(value):
    with pytest.raises(ValueError, match="must be"):
        parsers.names(value)


def test_a_text_in_a_broken_encoding_is_refused():
    with pytest.raises(ValueError, match="encoding"):
        parsers.text("caf\udce9")


@pytest.mark.parametrize("value", ["sk-1 2", "sk-geheimnis\x1b", "schlüssel-geheimnis", "", 7, None])
def test_a_bad_key_is_refused_without_repeating_it(value):
    with pytest.raises(ValueError, match="must be a key") as caught:
        parsed_key(value)
    assert "geheimnis" not in str(caught.value)


def test_a_key_loses_the_line_end_a_file_gave_it():
    assert parsed_key("sk-1\n") == Secret("sk-1")


def test_repeated_assignments_become_body_values():
    given_options = ["top_k=40", "stop=###", 'bias={"50256": -100}', "name=a=b", "top_k=41", "empty="]
    assert parsers.body_values(given_options) == {
        "top_k": 41,
        "stop": "###",
        "bias": {"50256": -100},
        "name": "a=b",
        "empty": "",
    }


def test_a_value_that_is_almost_json_stays_text():
    assert parsers.body_values(["a=NaN", "b=[1", "c=" + "[" * 100_000])["a"] == "NaN"


@pytest.mark.parametrize(
    "value",
    ["[1]", "text", 3, ["no equals sign"], ["=3"], [3], {"a": math.nan}, {"a": dt.date(2026, 1, 1)}],
)
def test_what_json_cannot_hold_is_no_body_value(value):
    with pytest.raises(ValueError, match="must"):
        parsers.body_values(value)


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=3))
def test_a_table_of_json_values_is_kept_as_it_is(table):
    assert parsers.body_values(table) == table


def test_a_long_bad_value_is_shortened():
    with pytest.raises(ValueError, match="must be true or false") as caught:
        parsers.switch("x" * 10_000)
    assert len(str(caught.value)) < 120


@given(ANYTHING)
def test_a_bad_value_is_never_anything_but_a_value_error(value):
    for parse in (
        parsers.text,
        parsers.name,
        parsers.url,
        parsed_key,
        parsers.switch,
        parsers.body_values,
        parsers.choice("a"),
        parsers.names,
        parsers.whole_number(0),
        parsers.number(0, 1),
    ):
        try:
            parse(value)
        except ValueError as error:
            assert str(error).startswith("must ")  # noqa: PT017 -- most values pass, the message is what counts


@pytest.mark.parametrize(
    "quoted", ['"sk-0123456789"', "'sk-0123456789'", "'sk-0123456789", '  "sk-0123456789" ']
)
def test_quotes_around_a_key_are_named_and_the_key_is_not(quoted):
    with pytest.raises(MistypedValue, match="must not have quotes around it") as caught:
        parsed_key(quoted)
    assert "remove the quotes" in caught.value.hint
    assert "0123" not in f"{caught.value}{caught.value.hint}"


@pytest.mark.parametrize("mangled", ["C:\temp\\ca.pem", "C:\new", "a\rb"])
def test_a_path_whose_backslashes_became_something_else_wants_single_quotes(mangled):
    with pytest.raises(MistypedValue, match="must be a path without tabs and line breaks") as caught:
        parsers.path(mangled)
    assert "single quotes" in caught.value.hint
    assert parsers.path(r" C:\temp\ca.pem ") == r"C:\temp\ca.pem"


@pytest.mark.parametrize("amount", [0, 0.01, 1_000_000])
def test_an_amount_of_money_may_be_up_to_a_million_dollars(amount):
    assert parsers.amount_usd(amount) == amount


@pytest.mark.parametrize("amount", [-0.01, 1_000_000.01, math.inf, math.nan])
def test_what_is_no_amount_of_money_is_refused(amount):
    with pytest.raises(ValueError, match="dollars"):
        parsers.amount_usd(amount)


@pytest.mark.parametrize(
    "written",
    [
        "api_key=geheim",
        "api-key=geheim",
        " apikey = geheim",
        "openai_api_key=geheim",
        "azure-api-key=geheim",
        "Authorization=geheim",
        "access_token=geheim",
        "user=sk-proj-aB3dE5gH7jK9mN2pQ4rS6tU8vW0xY1zA3bC5dE7fG9hJ1kL3",
        'extra={"a": "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"}',
    ],
)
def test_a_key_among_the_options_of_the_command_line_is_refused_without_repeating_it(written):
    with pytest.raises(ValueError, match="must not hold a key") as caught:
        parsers.body_values([written])
    assert caught.value.hint
    assert not {"geheim", "aB3d"} & set(str(caught.value).split())


@pytest.mark.parametrize("name", ["max_tokens", "eos_token", "prompt_cache_key", "stop_token_ids", "key"])
def test_a_field_of_a_request_that_only_sounds_like_a_key_is_taken(name):
    assert parsers.body_values([f"{name}=1"]) == {name: 1}


@pytest.mark.parametrize(
    ("written", "time_s"),
    [("90", 90), ("90s", 90), ("30m", 1_800), ("12h", 43_200), ("7d", 604_800), ("1.5 h", 5_400), (60, 60)],
)
def test_a_time_may_have_a_unit(written, time_s):
    assert parsers.duration(1, 604_800)(written) == time_s


@pytest.mark.parametrize("written", ["", "0", "8d", "2w", "-1", "1e999", "nan", "d", None, True, [1]])
def test_a_time_out_of_range_is_refused(written):
    with pytest.raises(ValueError, match="must be a time from 1 s to 7 d, like 30m, 12h or 7d, not"):
        parsers.duration(1, 604_800)(written)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("off", "off"),
        ("OFF", "off"),
        (False, "off"),
        ("0", "off"),
        ("on", "on"),
        (True, "on"),
        (" sqlite ", "sqlite"),
        ("memory", "memory"),
        *(
            (url, url)
            for url in ("redis://127.0.0.1", "rediss://me:pass@cache.example:6380/2", "redis://[::1]:1/0")
        ),
    ],
)
def test_a_cache_is_a_word_or_a_server(written, value):
    assert parsers.cache(written) == value


@pytest.mark.parametrize(
    "written",
    [
        "redis://",
        "redis://host:0",
        "redis://host:99999",
        "redis://host/x",
        "redis://me:secret@host/0?socket_timeout=100",
        "redis://me:secret@host/0#1",
        "http://me:secret@host",
        "redis://me:secret@host name",
        "redis://me:secret@h\u00f6st",
        "redis://me:sec\x1bret@host",
    ],
)
def test_a_wrong_address_of_a_cache_is_refused_without_its_password(written):
    with pytest.raises(ValueError, match="or a URL like redis://") as raised:
        parsers.cache(written)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("written", ["process", "", None, 1, "redis://:secret@", "http://:secret@host"])
def test_a_wrong_place_for_limits_is_refused_without_its_password(written):
    with pytest.raises(ValueError, match="must be machine, or a URL like redis://") as raised:
        parsers.limits(written)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("written", ["disk", "", None, 1, ["redis://:secret@host"], ":secret@host"])
def test_any_other_value_is_no_cache_and_is_not_repeated(written):
    with pytest.raises(ValueError, match="must be off, memory, sqlite, or a URL") as raised:
        parsers.cache(written)
    assert "secret" not in str(raised.value)
