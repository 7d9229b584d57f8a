"""The error tree, compared with the picture in the docstring."""

from __future__ import annotations

import re
from textwrap import dedent

import pytest

from chatcli.core import errors
from chatcli.core.errors import (
    ChatcliError,
    EndpointError,
    ExitCode,
    NetworkError,
    RateLimited,
    ServerFailed,
    TimedOut,
    UsageError,
)

_LINE = re.compile(r"(?P<branch>[│ ]*(?:├── |└── )?)(?P<name>[A-Z]\w+)(?: +(?P<exit_code>\d+)(?: |$))?")

ABSTRACT = {ChatcliError, EndpointError}
"""Never raised themselves, so they have no exit code worth drawing."""


def drawn_tree():
    """Return the name of every class in the docstring with that of its parent and its exit code."""
    _, _, picture = errors.__doc__.partition("::\n\n")
    picture, _, _ = picture.partition("\n\n")
    path: list[str] = []
    tree = {}
    for line in dedent(picture).splitlines():
        found = _LINE.match(line)
        depth = len(found["branch"]) // 4
        path[depth:] = [found["name"]]
        exit_code = found["exit_code"] and int(found["exit_code"])
        tree[found["name"]] = (path[depth - 1] if depth else "Exception", exit_code)
    return tree


def classes():
    return [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, ChatcliError)
    ]


def test_the_docstring_draws_the_tree_of_classes():
    assert {name: parent for name, (parent, _) in drawn_tree().items()} == {
        kind.__name__: kind.__base__.__name__ for kind in classes()
    }


def test_the_docstring_tells_the_exit_code_of_every_error_that_is_raised():
    assert {name: code for name, (_, code) in drawn_tree().items() if code is not None} == {
        kind.__name__: kind.exit_code for kind in classes() if kind not in ABSTRACT
    }


def test_every_error_has_a_code_of_its_own():
    assert len({kind.code for kind in classes()}) == len(classes())


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
def test_an_error_says_what_happened_then_what_to_do(kind):
    error = kind("it rained", hint="take an umbrella")
    assert (str(error), error.message, error.hint, error.code) == (
        "it rained",
        "it rained",
        "take an umbrella",
        kind.code,
    )


def test_a_code_may_be_narrower_than_its_class():
    assert ChatcliError("no key", code="no_key").code == "no_key"
    assert ChatcliError.code == "error"


def test_an_endpoint_error_tells_what_the_server_said():
    error = RateLimited("slow down", status=429, request_id="req_1", retry_after_s=7.0)
    assert (error.status, error.request_id, error.retry_after_s) == (429, "req_1", 7.0)


def test_a_line_of_its_own_about_a_failed_call_names_the_call():
    assert ServerFailed("It is down.").of_call("c-1a2b3c4d").traceable == "It is down (call c-1a2b3c4d)"
    assert ServerFailed("It is down.").traceable == "It is down."
    assert UsageError("It cannot be.").traceable == "It cannot be."


def test_whether_to_ask_again_follows_from_the_class_unless_said_otherwise():
    assert NetworkError("gone").retryable
    assert TimedOut("late").retryable
    assert not EndpointError("no").retryable
    assert EndpointError("408", retryable=True).retryable
    assert not RateLimited("never", retryable=False).retryable


def test_the_exit_codes_scripts_depend_on_stay_as_they_are():
    assert {code.name: code.value for code in ExitCode} == {
        "DONE": 0,
        "BUG": 1,
        "USAGE": 2,
        "CONFIGURATION": 3,
        "KEY_REFUSED": 4,
        "PROVIDER_REFUSED": 5,
        "NETWORK": 6,
        "INCOMPLETE": 7,
        "LOCAL_IO": 8,
        "BUDGET": 9,
        "NOTHING_TO_EXTRACT": 10,
        "ALERT": 11,
        "BATCH_ROWS_FAILED": 12,
        "DOCTOR": 13,
        "HANG_UP": 129,
        "INTERRUPTED": 130,
        "CLOSED_PIPE": 141,
        "TERMINATED": 143,
    }


@pytest.mark.parametrize("words", [{"message": "b"}, {"hint": "do"}, {"message": "b", "hint": "do"}, {}])
def test_an_error_in_other_words_is_another_one_that_says_the_rest_as_before(words):
    error = RateLimited("a", hint="wait", status=429, retry_after_s=7.0, retryable=False, request_id="r")
    other = error.reworded(words.get("message"), hint=words.get("hint"))
    assert (error.message, error.hint, str(error)) == ("a", "wait", "a")
    assert other is not error
    assert (other.message, other.hint) == (words.get("message", "a"), words.get("hint", "wait"))
    assert str(other) == other.message
    assert (type(other), other.status, other.retry_after_s) == (RateLimited, 429, 7.0)
    assert (other.retryable, other.request_id) == (False, "r")


def test_an_error_without_keys_is_the_same_one_and_one_with_a_key_is_a_copy():
    def redact(text):
        return text.replace("sk-1", "[key]")

    harmless = EndpointError("it is busy", hint="wait", status=503)
    assert harmless.redacted(redact) is harmless
    error = EndpointError(
        "sk-1 is wrong", hint="replace sk-1", request_id="sk-1", provider_message="sk-1!", status=401
    ).with_partial("the answer has sk-1")
    other = error.redacted(redact)
    assert (other.message, other.hint, other.request_id, other.provider_message) == (
        "[key] is wrong",
        "replace [key]",
        "[key]",
        "[key]!",
    )
    assert str(other) == "[key] is wrong"
    assert (other.status, other.partial) == (401, "the answer has sk-1")
    assert error.message == "sk-1 is wrong"
