from __future__ import annotations

import pytest

from chatcli.conversation.long_input.long_question import Plan
from chatcli.core.errors import InputTooLong
from chatcli.core.strategy_table import LONG_INPUT_STRATEGIES
from chatcli.repl.long_choice import choices, choose_strategy
from repl.fakes import KeptFrontend


class Planned:
    """A question whose plans are known."""

    numbers = "20,000 tokens, room for 1,500"

    def plans(self):
        return [
            Plan(strategy, 20_000, (), 14 if strategy in {"map-reduce", "refine"} else 1, 21_500, 900)
            for strategy in LONG_INPUT_STRATEGIES
        ]


async def choice(*answers, cost_usd=0.05):
    frontend = KeptFrontend(*answers)
    strategy = await choose_strategy(
        Planned(), say=frontend.say, ask=frontend.ask, cost_of=lambda plan: cost_usd, columns=200
    )
    return strategy, frontend


@pytest.mark.parametrize(
    ("answer", "strategy"),
    [("", "map-reduce"), ("2", "refine"), (" TAIL ", "tail"), ("5", "middle-out"), (None, None)],
)
async def test_a_way_is_chosen_by_number_or_name_and_enter_takes_the_first(answer, strategy):
    chosen, frontend = await choice(answer)
    assert chosen == strategy
    assert frontend.output[0] == "This question is too long: 20,000 tokens, room for 1,500."
    assert len(frontend.output) == 1 + len(LONG_INPUT_STRATEGIES)


@pytest.mark.parametrize("answer", ["0", "6", "all of it", "²"])
async def test_anything_else_is_asked_again(answer):
    chosen, frontend = await choice(answer, "1")
    assert chosen == "map-reduce"
    assert frontend.output[-1] == "type a number from 1 to 5"


async def test_enter_takes_nothing_where_the_cost_is_unknown():
    chosen, frontend = await choice("", "1", cost_usd=None)
    assert chosen == "map-reduce"
    assert frontend.output[-1] == "type a number from 1 to 5"
    assert [label for label, _ in frontend.asked] == ["Which? [1-5, Ctrl-C cancels] "] * 2
    _, frontend = await choice("", cost_usd=0.0)
    assert [label for label, _ in frontend.asked] == ["Which? [1-5, Enter = 1, Ctrl-C cancels] "]


def test_on_a_narrow_terminal_a_way_hangs_under_its_beginning():
    rows = choices(Planned().plans(), lambda plan: None, 40)
    assert all(len(row) <= 40 for row in rows)
    assert all(row[:15].strip() == "" or row.startswith(f" {row[1]} ") for row in rows)


def test_what_a_way_takes_is_reported_in_a_line():
    plans = Planned().plans()
    first, *_, last = choices(plans, lambda plan: None, 200)
    assert (
        first
        == " 1 map-reduce  at most 14 requests, 21.5k tokens, cost unknown: reads everything, in parallel"
    )
    assert last == " 5 middle-out  1 request, 21.5k tokens, cost unknown: only the beginning and the end"
    assert "$0.05:" in choices(plans, lambda plan: 0.05, 200)[0]
    assert "free:" in choices(plans, lambda plan: 0.0, 200)[0]


async def test_where_there_is_no_way_that_is_raised():
    class Hopeless(Planned):
        def plans(self):
            raise InputTooLong("no room")

    with pytest.raises(InputTooLong):
        await choose_strategy(
            Hopeless(), say=print, ask=KeptFrontend().ask, cost_of=lambda plan: None, columns=80
        )
