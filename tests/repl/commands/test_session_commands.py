"""``/title``: shown, set, and generated."""

from __future__ import annotations

import asyncio

import pytest

from e2e.program import records_of
from repl.test_repl_session import completions, messages
from repl.test_repl_session import start_repl as start_repl  # noqa: PLC0414 - a fixture
from scripted_server import HOLD, Answer, event_stream, reasoning_events, serving, text_events

PARIS = Answer(event_stream("Paris."))

REFUSED = Answer([b'{"error": {"message": "no such model"}}'], 404, {"content-type": "application/json"})


def marks(repl):
    return [
        record["value"] for record in records_of(repl.chat.opened.file.path) if record.get("kind") == "title"
    ]


async def test_the_title_is_shown_and_set(start_repl):
    async with serving(PARIS) as server:
        repl = start_repl(server, context_window=4096)
        await repl.take("/title")
        assert "no title yet" in repl.frontend.output[-1]
        await repl.take("Capital of France?")
        await repl.take("/title")
        assert repl.frontend.output[-1] == "title: Capital of France?"
        await repl.take("/title Capitals")
        assert repl.frontend.output[-1] == "title: Capitals"
        assert marks(repl) == ["Capitals"]
        assert await completions(repl, "/title Cap") == [("Capitals", "the current one")]
        await repl.connection.close()


async def test_the_model_is_asked_beside_the_conversation(start_repl):
    named = Answer(
        [*reasoning_events("They ask for capitals. " * 50), *event_stream('"Capitals of Europe."')]
    )
    async with serving(PARIS, named, PARIS) as server:
        repl = start_repl(server, context_window=4096)
        await repl.take("Capital of France?")
        await repl.take("/title auto")
        assert repl.frontend.output[-1] == "title: Capitals of Europe"
        (_, system), (_, question) = messages(server)
        assert "at most six words" in system
        assert "Person: Capital of France?\n\nAssistant: Paris." in question
        await repl.take("And of Spain?")
        assert [text for _, text in messages(server)] == ["Capital of France?", "Paris.", "And of Spain?"]
        assert marks(repl) == ["Capitals of Europe"]
        await repl.connection.close()


async def test_a_title_has_nothing_of_what_the_model_thought(start_repl):
    known = Answer(event_stream("hm", "\n</think>\n\n", "Paris."))
    named = Answer(event_stream("They ask\n", " for capitals", "\n</think>\n\n", "Capitals of Europe"))
    async with serving(known, named) as server:
        repl = start_repl(server, context_window=4096)
        await repl.take("Capital of France?")
        await repl.take("/title auto")
        assert marks(repl) == ["Capitals of Europe"]
        await repl.connection.close()


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (Answer(event_stream("<think>hm</think>")), "error: the model sent no title"),
        (REFUSED, "no such model"),
    ],
)
async def test_where_no_title_comes_it_stays_and_the_reason_is_reported(start_repl, named, message):
    async with serving(PARIS, named) as server:
        repl = start_repl(server, context_window=4096)
        await repl.take("Capital of France?")
        await repl.take("/title auto")
        assert message in repl.frontend.text
        assert repl.chat.opened.title == "Capital of France?"
        assert marks(repl) == []
        await repl.connection.close()


async def test_before_anything_was_asked_there_is_nothing_to_name(start_repl):
    repl = start_repl()
    await repl.take("/title auto")
    assert "nothing has been asked yet" in repl.frontend.text


async def test_it_can_be_stopped(start_repl):
    async with serving(PARIS, Answer([*text_events("Capit"), HOLD])) as server:
        repl = start_repl(server, context_window=4096)
        await repl.take("Capital of France?")
        asking = asyncio.ensure_future(repl.take("/title auto"))
        async with asyncio.timeout(20):
            while len(server.requests) < 2:  # noqa: ASYNC110 - there is nothing else to wait for
                await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.wait([asking])
        assert "stopped; the title is unchanged" in repl.frontend.text
        assert repl.chat.opened.title == "Capital of France?"
        await repl.connection.close()
