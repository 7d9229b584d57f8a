from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.cli.option_groups import join_local_names
from chatcli.cli.options import main_parser, parse
from chatcli.core.errors import UsageError

NAME = "qwen2.5-coder-0.5b"


def is_model(word):
    return word == NAME or word.endswith(".gguf")


@pytest.fixture(scope="module")
def parser():
    return main_parser("")


@pytest.mark.parametrize(
    ("arguments", "embedded", "local", "prompt"),
    [
        (["hello"], False, None, ["hello"]),
        (["--local"], True, None, []),
        (["--local", "Say hello"], True, None, ["Say hello"]),
        (["--local", "hello"], True, None, ["hello"]),
        (["--local", NAME, "hello"], True, NAME, ["hello"]),
        (["--local", "./own.gguf", "hello"], True, "./own.gguf", ["hello"]),
        (["hello", "--local", NAME], True, NAME, ["hello"]),
        (["hello", "--local"], True, None, ["hello"]),
        (["--local=mine", "hello"], True, "mine", ["hello"]),
        (["--local=none", "hello"], False, "none", ["hello"]),
        (["--local", NAME, NAME], True, NAME, [NAME]),
        (["--local", "--", NAME], True, None, [NAME]),
        (["--", "--local", NAME], False, None, ["--local", NAME]),
        (["--local", "-q", NAME], True, None, [NAME]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_only_the_name_of_a_model_belongs_to_local(parser, arguments, embedded, local, prompt):
    options = parse(parser, join_local_names(arguments, is_model))
    assert (options.embedded, options.local, options.prompt) == (embedded, local, prompt)


def test_the_text_of_prompt_is_never_an_option(parser):
    options = parse(parser, join_local_names(["--prompt", "--local", NAME], is_model))
    assert (options.prompt_option, options.embedded, options.prompt) == ("--local", False, [NAME])


@given(st.lists(st.sampled_from(["--local", "--local=x", NAME, "hello", "-q", "a b.gguf", "--"])))
def test_joining_loses_no_word_and_is_done_once(arguments):
    joined = join_local_names(arguments, is_model)
    before = arguments.index("--") if "--" in arguments else len(arguments)
    assert joined[len(joined) - (len(arguments) - before) :] == arguments[before:]
    assert join_local_names(joined, is_model) == joined
    assert "".join(joined).replace("\0", "").replace("=", "") == "".join(arguments).replace("=", "")


def test_a_name_that_is_empty_is_refused():
    with pytest.raises(UsageError, match="names no model"):
        parse(main_parser(""), join_local_names(["--local=", "hello"], is_model))


@given(st.text(min_size=1).filter(lambda text: not text.startswith("-") and not is_model(text)))
def test_a_question_behind_local_stays_a_question(question):
    options = parse(main_parser(""), join_local_names(["--local", question], is_model))
    assert (options.embedded, options.local, options.prompt) == (True, None, [question])
