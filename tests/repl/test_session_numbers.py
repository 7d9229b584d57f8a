from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from chatcli.repl.session_numbers import choose_by_number
from repl.fakes import KeptFrontend
from repl.picker_fakes import FakeLibrary, pickable, summary


async def choose(*answers, in_words=False, kept=None):
    frontend = KeptFrontend(*answers)
    kept = kept or [summary("rome", "Night trains"), summary("tea", "Green tea", hours=30, turns=3)]
    chosen = await choose_by_number(frontend, pickable(FakeLibrary(*kept)), in_words=in_words)
    return chosen, frontend


@pytest.mark.parametrize("number", ["0", "3", "99", "-1"])
async def test_a_number_that_is_not_in_the_list_is_reported_to_be_and_asked_for_again(number):
    chosen, frontend = await choose(number, "2")
    assert chosen == "tea"
    assert frontend.output[-1] == (
        f"there is no session {number} in this list; "
        "type a number from 1 to 2, words to search for, or Enter to leave"
    )


async def test_a_year_is_something_to_search_for():
    chosen, _ = await choose("2024", "1", kept=[summary("a", "Taxes of 2024"), summary("b", "Tea")])
    assert chosen == "a"


@pytest.mark.parametrize("answer", ["", " ", None])
async def test_enter_leaves_and_says_so(answer):
    chosen, frontend = await choose(answer)
    assert chosen is None
    assert frontend.output[-1] == "no session chosen"


async def test_read_aloud_each_session_is_a_sentence():
    _, frontend = await choose("", in_words=True)
    assert frontend.output[0].split("\n")[1].startswith("2: Green tea, ")
    assert frontend.output[0].endswith(", 3 turns.")
    assert "  " not in frontend.output[0]


async def test_read_aloud_a_session_is_heard_without_marks():
    kept = [summary("a", "All about *tea*, ~~coffee~~ and [milk](https://m.ilk)"), summary("b", "Tea")]
    _, frontend = await choose("", in_words=True, kept=kept)
    assert "1: All about tea, coffee and milk, " in frontend.output[0]


@pytest.mark.parametrize(
    ("hours", "spoken"), [(1, "1 hour ago"), (5, "5 hours ago"), (0.5, "30 minutes ago")]
)
async def test_read_aloud_an_age_has_a_unit_in_words(hours, spoken):
    now = datetime.now().astimezone()
    kept = [replace(summary("a", "Tea"), last_used=now - timedelta(hours=hours, seconds=20))]
    _, frontend = await choose("", in_words=True, kept=kept)
    assert spoken in frontend.output[0] or "yesterday" in frontend.output[0]
