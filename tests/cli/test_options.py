from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.cli.commands import COMMANDS, actions_of, summary
from chatcli.cli.options import (
    _MEANT,
    RESERVED_OPTIONS,
    Parser,
    first_word,
    given_value,
    main_parser,
    option_hint,
    parse,
    word_hint,
)
from chatcli.core.errors import UsageError


@pytest.fixture(scope="module")
def parser():
    return main_parser(summary())


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], None),
        (["config", "show"], "config"),
        (["-q", "config"], "config"),
        (["-m", "config", "hi"], "hi"),
        (["-mconfig", "hi"], "hi"),
        (["--model", "config", "hi"], "hi"),
        (["--model=config", "hi"], "hi"),
        (["-qm", "config", "hi"], "hi"),
        (["-qmconfig", "hi"], "hi"),
        (["-xq", "config"], "config"),
        (["--unknown", "config"], "config"),
        (["--", "config"], None),
        (["-f", "-", "config"], "config"),
        (["-"], "-"),
        (["-m"], None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_first_word_is_neither_an_option_nor_its_value(parser, arguments, word):
    at = first_word(parser, arguments)
    assert (None if at is None else arguments[at]) == word


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["login"], "chatcli config login"),
        (["-q", "help"], "chatcli --help"),
        (["--", "login"], None),
        (["how", "login"], None),
        (["--prompt", "login"], None),
        (["Rome"], None),
    ],
    ids=str,
)
def test_one_bare_word_that_people_mean_as_a_command_is_reported_to_be_a_question(parser, arguments, meant):
    hint = word_hint(parse(parser, arguments).only_word)
    assert hint == (meant and f'"{arguments[-1]}" is sent as a question; for the command, use {meant}')


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["-o", "jsn"], "--output cannot be jsn", "did you mean json?"),
        (["-m"], "--model needs a value", "chatcli --help shows what it can be"),
        (["--quiet=3"], "--quiet takes no value", "leave it out"),
        (
            ["--foo=bar"],
            "unknown option --foo",
            "chatcli --help lists the options; put -- before a prompt that begins with -",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistaken_value_is_reported_in_words(parser, arguments, message, hint):
    with pytest.raises(UsageError) as caught:
        parse(parser, arguments)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_options_and_words_may_stand_in_any_order(parser):
    options = parse(parser, ["what", "-t", "1", "is", "--raw", "this"])
    assert (options.prompt, options.temperature, options.raw) == (["what", "is", "this"], "1", True)


def test_everything_after_two_dashes_is_the_prompt(parser):
    options = parse(parser, ["-q", "explain", "--", "-t", "--", "stats"])
    assert options.prompt == ["explain", "-t", "--", "stats"]
    assert options.temperature is None


def test_a_prompt_given_as_one_may_begin_with_a_dash(parser):
    options = parse(parser, ["--prompt", "-x marks the spot", "-q"])
    assert (options.prompt_option, options.quiet) == ("-x marks the spot", True)


def test_options_are_never_abbreviated(parser):
    with pytest.raises(UsageError) as caught:
        parse(parser, ["--temp", "1"])
    assert caught.value.message == "unknown option --temp"


def test_an_unknown_option_names_the_nearest_one(parser):
    with pytest.raises(UsageError) as caught:
        parse(parser, ["--sytem=x", "hi"])
    assert caught.value.message == "unknown option --sytem"
    assert caught.value.hint == "did you mean --system?"


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("--json", "did you mean -o json?"),
        ("--attach", "did you mean -f?"),
        ("-u", "did you mean -v?"),
        ("--usage=yes", "did you mean -v?"),
        ("--url", "did you mean --base-url?"),
        ("--key", "use chatcli config login, or OPENAI_API_KEY"),
    ],
)
def test_an_unknown_option_names_what_other_programs_call_so(parser, option, hint):
    with pytest.raises(UsageError) as caught:
        parse(parser, [option, "hi"])
    assert caught.value.hint == hint


@given(st.sampled_from(RESERVED_OPTIONS), st.integers(2, 12), st.sampled_from("abxyz-"))
def test_what_does_nothing_yet_is_never_named(option, at, letter):
    mistyped = option[:at] + letter + option[at:]
    usable = [name for name in main_parser("")._option_string_actions if name not in RESERVED_OPTIONS]
    hint = option_hint(mistyped, usable) or ""
    assert hint.removeprefix("did you mean ").rstrip("?").split(" ")[0] not in RESERVED_OPTIONS


def test_every_option_that_may_be_meant_is_there(parser):
    usable = [*parser._option_string_actions, "--json", "--limit"]
    for option, meant in _MEANT.items():
        assert all(each.split()[0] in usable for each in meant), option


def test_a_setting_without_its_flag_stays_open(parser):
    options = parse(parser, [])
    assert {name: getattr(options, name) for name in ("stream", "save", "plain", "model", "options")} == {
        "stream": None,
        "save": None,
        "plain": None,
        "model": None,
        "options": None,
    }


def test_a_negative_number_is_a_value(parser):
    assert parse(parser, ["--seed", "-1", "hi"]).seed == "-1"


def test_help_names_every_command_that_does_something(parser):
    help_text = parser.format_help()
    assert all(f"\n  {command.name} " in help_text for command in COMMANDS if command.help)
    assert "\n  voice " not in help_text


WORDS = st.text(st.characters(exclude_characters="-", exclude_categories=["Cs"]), min_size=1)


@given(st.lists(WORDS), st.lists(st.text()))
def test_words_come_back_as_they_were_typed(words, after):
    assert parse(main_parser(""), [*words, "--", *after]).prompt == [*words, *after]


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (["-o", "json"], "json"),
        (["-ojson", "hi"], "json"),
        (["-qo", "json"], "json"),
        (["-qojson"], "json"),
        (["--output", "json"], "json"),
        (["--output=json", "--unknown"], "json"),
        (["-t", "hot", "-o", "json"], "json"),
        (["-o", "text", "-o", "json"], "json"),
        (["hi", "-o"], None),
        (["--", "-o", "json"], None),
        (["-m", "-o", "json"], None),
        (["-mo", "json"], None),
        (["--prompt", "-o"], None),
        (["json"], None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_value_of_an_option_is_found_beside_invalid_ones(parser, arguments, value):
    assert given_value(parser, arguments, ("-o", "--output")) == value


@given(st.lists(st.text() | st.sampled_from(["-o", "--output", "-", "--", "json"])))
def test_looking_for_a_value_never_fails_and_takes_it_from_the_arguments(arguments):
    value = given_value(main_parser(""), arguments, ("-o", "--output"))
    assert value is None or any(value in argument for argument in arguments)


@given(st.lists(st.text()))
def test_looking_for_the_first_word_never_fails(arguments):
    at = first_word(main_parser(""), arguments)
    assert at is None or arguments[at] == "-" or not arguments[at].startswith("-")


def every_parser():
    """Return the parsers of the program, of its commands and of their actions."""
    parsers = [main_parser("")]
    for command in COMMANDS:
        if command.is_reserved:
            continue
        module = command.module()
        for each in (module, *actions_of(module).values()):
            made = Parser(prog=command.name, add_help=False)
            each.add_arguments(made)
            parsers.append(made)
    return parsers


def test_no_option_takes_a_key():
    options = {name for each in every_parser() for name in each._option_string_actions}
    assert len(options) > 60
    words = {word for name in options for word in name.strip("-").split("-")}
    assert not words & {"key", "apikey", "token", "secret", "password", "authorization", "bearer", "header"}


@pytest.mark.parametrize("option", ["--api-key", "--key"])
def test_an_option_for_a_key_that_other_programs_have_is_refused_without_the_key(parser, option):
    with pytest.raises(UsageError) as caught:
        parse(parser, [option, "sk-12345678", "Hi"])
    assert "sk-12345678" not in f"{caught.value.message} {caught.value.hint}"
    assert "chatcli config login" in caught.value.hint
