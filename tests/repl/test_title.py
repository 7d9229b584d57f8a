"""``/title``: shown, set, and asked for."""

from __future__ import annotations

import asyncio

import pytest

from e2e.program import records_of
from repl.test_talk import completions, messages
from repl.test_talk import talking as talking  # noqa: PLC0414 - a fixture
from scripted_server import HOLD, Answer, event_stream, reasoning_events, serving, text_events

PARIS = Answer(event_stream("Paris."))
REFUSED = Answer([b'{"error": {"message": "no such model"}}'], 404, {"content-type": "application/json"})


def marks(talk):
    return [
        record["value"] for record in records_of(talk.chat.opened.file.path) if record.get("kind") == "title"
    ]


async def test_the_title_is_shown_and_set(talking):
    async with serving(PARIS) as server:
        talk = talking(server, context_window=4096)
        await talk.take("/title")
        assert "no title yet" in talk.surface.said[-1]
        await talk.take("Capital of France?")
        await talk.take("/title")
        assert talk.surface.said[-1] == "title: Capital of France?"
        await talk.take("/title Capitals")
        assert talk.surface.said[-1] == "title: Capitals"
        assert marks(talk) == ["Capitals"]
        assert await completions(talk, "/title Cap") == [("Capitals", "the current one")]
        await talk.connection.close()


async def test_the_model_is_asked_beside_the_conversation(talking):
    named = Answer(
        [*reasoning_events("They ask for capitals. " * 50), *event_stream('"Capitals of Europe."')]
    )
    async with serving(PARIS, named, PARIS) as server:
        talk = talking(server, context_window=4096)
        await talk.take("Capital of France?")
        await talk.take("/title auto")
        assert talk.surface.said[-1] == "title: Capitals of Europe"
        (_, system), (_, question) = messages(server)
        assert "at most six words" in system
        assert "Person: Capital of France?\n\nAssistant: Paris." in question
        await talk.take("And of Spain?")
        assert [text for _, text in messages(server)] == ["Capital of France?", "Paris.", "And of Spain?"]
        assert marks(talk) == ["Capitals of Europe"]
        await talk.connection.close()


async def test_a_title_has_nothing_of_what_the_model_thought(talking):
    known = Answer(event_stream("hm", "\n</think>\n\n", "Paris."))
    named = Answer(event_stream("They ask\n", " for capitals", "\n</think>\n\n", "Capitals of Europe"))
    async with serving(known, named) as server:
        talk = talking(server, context_window=4096)
        await talk.take("Capital of France?")
        await talk.take("/title auto")
        assert marks(talk) == ["Capitals of Europe"]
        await talk.connection.close()


@pytest.mark.parametrize(
    ("named", "told"),
    [
        (Answer(event_stream("<think>hm</think>")), "error: the model sent no title"),
        (REFUSED, "no such model"),
    ],
)
async def test_where_no_title_comes_it_stays_and_the_reason_is_told(talking, named, told):
    async with serving(PARIS, named) as server:
        talk = talking(server, context_window=4096)
        await talk.take("Capital of France?")
        await talk.take("/title auto")
        assert told in talk.surface.text
        assert talk.chat.opened.title == "Capital of France?"
        assert marks(talk) == []
        await talk.connection.close()


async def test_before_anything_was_asked_there_is_nothing_to_name(talking):
    talk = talking()
    await talk.take("/title auto")
    assert "nothing has been asked yet" in talk.surface.text


async def test_it_can_be_stopped(talking):
    async with serving(PARIS, Answer([*text_events("Capit"), HOLD])) as server:
        talk = talking(server, context_window=4096)
        await talk.take("Capital of France?")
        asking = asyncio.ensure_future(talk.take("/title auto"))
        await asyncio.wait([asking], timeout=0.5)
        assert len(server.requests) == 2
        asking.cancel()
        await asyncio.wait([asking])
        assert "stopped; the title is unchanged" in talk.surface.text
        assert talk.chat.opened.title == "Capital of France?"
        await talk.connection.close()
