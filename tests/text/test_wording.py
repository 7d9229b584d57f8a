from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.text.wording import counted, dollars, is_yes, more_than, number_meant


def test_a_number_has_its_noun_in_the_right_form():
    assert [counted(number, "turn") for number in (0, 1, 2, 1234)] == [
        "0 turns",
        "1 turn",
        "2 turns",
        "1,234 turns",
    ]
    assert [counted(number, "entry", "entries") for number in (1, 2)] == ["1 entry", "2 entries"]


@pytest.mark.parametrize(
    ("usd", "shown"),
    [
        (Decimal(0), "free"),
        (0.0, "free"),
        (Decimal("0.00001"), "under $0.0001"),
        (Decimal("0.0001"), "$0.0001"),
        (Decimal("0.0123"), "$0.0123"),
        (Decimal("0.12"), "$0.12"),
        (0.1, "$0.10"),
        (Decimal(5), "$5.00"),
        (Decimal("1234.5"), "$1,234.50"),
    ],
)
def test_an_amount_is_reported_from_nothing(usd, shown):
    assert dollars(usd) == shown


@pytest.mark.parametrize(
    ("usd", "shown"), [(0.00003, "over $0"), (0.0012, "over $0.0012"), (3, "over $3.00")]
)
def test_an_amount_with_an_unknown_rest_is_more_than_what_is_known(usd, shown):
    assert more_than(usd) == shown


@pytest.mark.parametrize("answer", ["y", "Y", " yes\n", "YES"])
def test_yes_is_a_word_or_its_first_letter(answer):
    assert is_yes(answer)


@pytest.mark.parametrize("answer", [None, "", "n", "no", "yy", "yes, do", "1"])
def test_everything_else_is_a_no(answer):
    assert not is_yes(answer)


@pytest.mark.parametrize("answer", ["2", " 2 ", "2.", "2)", "02", "２"])
def test_a_number_may_be_written_as_in_the_list(answer):
    assert number_meant(answer, 3) == 2


@pytest.mark.parametrize("answer", ["", "0", "4", "-1", "1.5", "two", "2 3", "9" * 5_000])
def test_what_is_not_in_the_list_is_no_number_of_it(answer):
    assert number_meant(answer, 3) is None


@given(st.text(), st.integers(0, 50))
def test_a_number_is_always_one_of_the_list(answer, count):
    assert number_meant(answer, count) in {None, *range(1, count + 1)}
