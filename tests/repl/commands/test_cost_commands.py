"""``/cost``: spending and prices."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from decimal import Decimal

import pytest

from chatcli.cost.ledger import FILE_NAME, Expense, Ledger
from chatcli.repl.commands import named
from chatcli.text.times import local_now
from repl.fakes import KeptFrontend
from repl.test_repl_session import start_repl  # noqa: F401 - a fixture
from scripted_server import Answer, event_stream, serving

PARIS = Answer(event_stream("Paris."))
PRICES = {"small": {"input": 1_000_000, "output": 1_000_000}}


@pytest.fixture
def repl(start_repl):  # noqa: F811
    return start_repl


async def shown(repl):
    repl.frontend.output.clear()
    await repl.take("/cost")
    return [line for said in repl.frontend.output[1:] for line in said.splitlines()]


async def test_before_anything_was_spent_it_says_so(repl):
    assert await shown(repl()) == ["this session  nothing", "today         nothing", "this month    nothing"]


async def test_it_tells_of_this_answer_the_session_the_day_the_month_and_the_model(repl):
    async with serving(PARIS) as server:
        there = repl(server, prices=PRICES, budget={"day": 100.0}, max_cost=200.0)
        there.frontend._answers += ["y"] * 2
        await there.take("Capital?")
        lines = await shown(there)
        await there.connection.close()
    spent = there.chat.session.cost_usd
    amount = f"${spent:,.2f}"
    assert lines == [
        f"this answer   {amount}",
        f"this session  {amount}",
        f"this run      {amount}  of $200.00",
        f"today         {amount}  of $100.00",
        f"this month    {amount}",
        f"small         {amount}  this month",
        "price of small: $1,000,000.00 in, unknown cached, $1,000,000.00 out per million tokens (config.toml)",
    ]


async def test_with_a_limit_of_the_session_it_counts_all_that_the_session_asked(repl):
    async with serving(PARIS) as server:
        there = repl(server, prices=PRICES, budget={"session": 900.0})
        there.frontend._answers += ["y"] * 2
        await there.take("Capital?")
        name, spent = there.chat.opened.name, there.chat.session.cost_usd
        aside = Expense(local_now(), "small", "e", Decimal(7), name)
        there.context.shared.spending.book(aside, Ledger(there.context.paths.data / FILE_NAME))
        lines = await shown(there)
        await there.connection.close()
    assert lines[1] == f"this session  ${spent + 7:,.2f}  of $900.00"


async def test_what_nobody_knows_is_named_and_never_nothing(repl):
    there = repl()
    ledger = Ledger(there.context.paths.data / FILE_NAME)
    for cost_usd in (Decimal("0.25"), None, None):
        ledger.append(Expense(local_now(), "dear", "models.example", cost_usd))
    ledger.append(Expense(local_now(), "other", "models.example", None))
    ledger.append(Expense(local_now() - timedelta(days=40), "old", "models.example", Decimal(9)))
    lines = await shown(there)
    assert lines[1:] == [
        "today           $0.25  3 requests at an unknown price",
        "this month      $0.25  3 requests at an unknown price",
        "dear            $0.25  this month, 2 requests at an unknown price",
        "other         unknown  this month, 1 request at an unknown price",
    ]


async def test_what_is_free_is_reported_to_be(repl):
    async with serving(PARIS) as server:
        there = repl(server, prices={"small": {"input": 0, "cached": 0, "output": 0}})
        await there.take("Capital?")
        lines = await shown(there)
        await there.connection.close()
    assert lines[:2] == ["this answer      free", "this session     free"]
    assert lines[-1] == "price of small: free in, free cached, free out per million tokens (config.toml)"


@pytest.mark.parametrize(
    ("read", "written", "row"),
    [
        (500, 100, "prompt cache saved $400.00 500 tokens read, 100 written"),
        (0, 100, "prompt cache saved -$25.00 100 tokens written"),
        (0, 0, None),
        (9_000_000, 0, None),
    ],
)
async def test_what_the_providers_cache_of_prompts_saved_is_a_row(repl, read, written, row):
    usage = {
        "prompt_tokens": 1_000,
        "completion_tokens": 1,
        "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
    }
    *words, done = event_stream("Paris.")
    chunk = json.dumps({"object": "chat.completion.chunk", "model": "small", "choices": [], "usage": usage})
    prices = {"small": {"input": 1_000_000, "cached": 150_000, "output": 1_000_000}}
    async with serving(Answer([*words, f"data: {chunk}\n\n".encode(), done])) as server:
        there = repl(server, prices=prices)
        await there.take("Capital?")
        lines = await shown(there)
        await there.connection.close()
    found = [re.sub(r" +", " ", line) for line in lines if line.startswith("prompt cache")]
    assert found == ([] if row is None else [row])


async def test_a_ledger_that_cannot_be_read_is_reported(repl):
    there = repl()
    (there.context.paths.data / FILE_NAME).mkdir(parents=True)
    lines = await shown(there)
    assert "cannot read" in lines[0]
    assert lines[1:] == ["this session  nothing"]


def test_it_is_a_row_of_the_table_of_commands():
    assert named("cost").usage == "/cost"


@pytest.mark.parametrize("columns", [30, 40, 80, 200])
async def test_it_fits_the_terminal_and_nothing_but_the_beginning_of_a_long_name_is_lost(start_repl, columns):  # noqa: F811
    there = start_repl(frontend=KeptFrontend(columns=columns), budget={"month": 100.0})
    ledger = Ledger(there.context.paths.data / FILE_NAME)
    for model in ("a-vendor/with-a-long-name/large-2026-11-01", "small"):
        for cost_usd in (Decimal("12345.25"), None):
            ledger.append(Expense(local_now(), model, "models.example", cost_usd))
    lines = await shown(there)
    assert all(len(line) <= columns for line in lines)
    text = " ".join(" ".join(lines).split())
    assert "2 requests at an unknown price" in text
    assert "$24,690.50" in text
    assert "large-2026-11-01" in text


CACHED = {"cache": "memory", "cache_patience_ms": 10_000, "context_window": 4096}


async def said(repl, line):
    repl.frontend.output.clear()
    await repl.take(line)
    return repl.frontend.text


@pytest.mark.parametrize("draws", [True, False])
async def test_a_cached_answer_is_marked_in_the_status_line_or_else_by_a_line(repl, draws):
    async with serving(PARIS) as server:
        opened = repl(server, KeptFrontend(draws=draws), **CACHED)
        await opened.take("Capital?")
        assert not opened.has_cached_answer
        await opened.take("/clear")
        text = await said(opened, "Capital?")
        assert opened.has_cached_answer
        assert ("from the cache" in text) is not draws
        await opened.connection.close()
    assert len(server.requests) == 1


async def test_edit_and_a_side_question_are_asked_and_not_cached(repl):
    async with serving(PARIS) as server:
        opened = repl(server, **CACHED)
        await opened.take("Capital?")
        for line in ("/btw Capital?", "/edit 1", "Capital of where?", "/retry"):
            await opened.take(line)
        assert len(server.requests) == 4
        assert "answers  1" in await said(opened, "/cache")
        await opened.connection.close()


async def test_cache_shows_what_it_holds_and_clears_it(repl):
    async with serving(PARIS) as server:
        opened = repl(server, **CACHED)
        await opened.take("Capital?")
        text = await said(opened, "/cache stats")
        assert "in memory, until this run ends" in text
        assert "hits     0 of 1 question (0%)" in text
        assert "cleared 1 cached answer" in await said(opened, "/cache clear")
        assert "answers  0" in await said(opened, "/cache")
        assert "/cache does not know empty" in await said(opened, "/cache empty")
        await opened.connection.close()


async def test_a_cache_that_is_off_says_how_to_turn_it_on(repl):
    async with serving(PARIS) as server:
        opened = repl(server, context_window=4096)
        assert "/config cache on" in await said(opened, "/cache")
        await opened.take("/config cache on")
        await opened.take("/config cache_patience_ms 10000")
        await opened.take("Capital?")
        assert "answers  1" in await said(opened, "/cache")
        await opened.connection.close()


async def test_a_cache_that_cannot_be_used_is_an_error_of_the_command_alone(repl):
    async with serving(PARIS) as server:
        opened = repl(server, **{**CACHED, "cache": "redis://127.0.0.1:1/0"})
        assert "the cache of answers cannot be used: Redis: " in await said(opened, "/cache")
        text = await said(opened, "Capital?")
        assert "the cache of answers is not used: Redis: " in text
        assert "Paris." in text
        await opened.connection.close()
