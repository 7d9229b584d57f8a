from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.overlap import OverlapRemover, open_fence


def joined(so_far: str, *pieces: str) -> str:
    seam = OverlapRemover(so_far)
    return so_far + "".join([seam.join(piece) for piece in pieces]) + seam.rest()


@pytest.mark.parametrize(
    ("so_far", "rest", "whole"),
    [
        ("The capital of ", "France is Paris.", "The capital of France is Paris."),
        ("The capi", "tal is Paris.", "The capital is Paris."),
        ("The capi", "capital is Paris.", "The capital is Paris."),
        ("The capital of France", "The capital of France is Paris.", "The capital of France is Paris."),
        (
            "Once. The capital of France",
            "capital of France is Paris.",
            "Once. The capital of France is Paris.",
        ),
        ("a = 1\nfoo(", "foo(bar)\n", "a = 1\nfoo(bar)\n"),
        ("今天天气很好我们", "今天天气很好我们去公园", "今天天气很好我们去公园"),
        ("明天。今天天气很好", "今天天气很好我们去公园", "明天。今天天气很好我们去公园"),
        ("See:\n```python\nx = 1\n", "```python\ny = 2\n```\n", "See:\n```python\nx = 1\ny = 2\n```\n"),
        ("See:\n```python\nx = 1\n", "```\nDone.", "See:\n```python\nx = 1\n```\nDone."),
        ("    }\n", "}\n", "    }\n}\n"),
        ("ha", "ha", "ha"),
        ("10", "10", "10"),
        ("It is 10", "10", "It is 1010"),
        ("1, 2, 3, ", "3.5", "1, 2, 3, 3.5"),
        ("So:\n1. ", "1. Wash", "So:\n1. 1. Wash"),
        ("So:\n12.", "12. Wash", "So:\n12. Wash"),
        ("天天", "天向上", "天天天向上"),
        ("", "Hello", "Hello"),
    ],
)
def test_what_was_said_already_is_not_said_again(so_far, rest, whole):
    assert joined(so_far, rest) == whole
    assert joined(so_far, *rest) == whole


@given(st.text(), st.lists(st.text()))
def test_however_it_is_cut_the_rest_joins_the_same(so_far, pieces):
    assert joined(so_far, *pieces) == joined(so_far, "".join(pieces))


@given(st.text(), st.lists(st.text()))
def test_only_the_beginning_of_the_rest_can_be_taken_away(so_far, pieces):
    rest = "".join(pieces)
    assert rest.endswith(joined(so_far, *pieces)[len(so_far) :])


@given(st.text(alphabet="abc \n", min_size=20, max_size=200), st.integers(12, 200), st.text(alphabet="xyz"))
def test_a_long_repetition_is_always_found(so_far, length, more):
    repeated = so_far[-length:]
    if len(repeated.strip()) >= 10:
        assert joined(so_far, repeated + "!" + more) == so_far + "!" + more


@pytest.mark.parametrize(
    ("text", "fence"),
    [
        ("", None),
        ("a\n```python\nb", "```python\n"),
        ("a\n```python\nb\n```\n", None),
        ("~~~\n```\n", "~~~\n"),
        ("```a\n```\n  ```b\nc", "```b\n"),
        ("a `x` ``` b", None),
    ],
)
def test_the_line_that_opened_a_block_is_known_while_it_is_open(text, fence):
    assert open_fence(text) == fence
