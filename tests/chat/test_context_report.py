"""The context of a model, by the turn numbers that the person sees."""

from __future__ import annotations

from contextlib import aclosing, closing
from dataclasses import replace

import pytest

from chatcli.chat import Conversation
from chatcli.chat.context_report import LeftOutTurns
from chatcli.chat.resolved_model import ResolvedModel
from chatcli.client.endpoint import Endpoint
from chatcli.core.errors import RequestRefused
from chatcli.core.events import Completion, TextDelta, Usage
from chatcli.core.messages import question
from chatcli.core.request import Parameters, ResponseFormat
from chatcli.cost.pricing import Pricing
from chatcli.sessions.log import SessionLog
from chatcli.sessions.store import SessionStore
from conversation.fakes import ScriptedModel

ENDPOINT = Endpoint("http://127.0.0.1:1/v1", loopback=True)
ANSWER = (TextDelta("so"), Completion("stop", "small", Usage(100, 5, cached_tokens=40)))


def target(*, window_tokens=4096, context="truncate", name="small"):
    return ResolvedModel(
        ScriptedModel(*[ANSWER] * 9),
        name,
        window_tokens,
        Parameters(),
        ENDPOINT,
        pricing=Pricing("127.0.0.1", is_free=False, own={"small": {"input": 1.0, "output": 2.0}}),
        context=context,
    )


@pytest.fixture
def chat(tmp_path):
    with closing(Conversation(SessionLog(None, app="x"), SessionStore(tmp_path))) as chat:
        chat.turns.connect(target())
        yield chat


async def ask(chat, *texts):
    for text in texts:
        async with aclosing(chat.turns.send(question(text))) as events:
            async for _ in events:
                pass


async def test_turns_are_named_by_their_numbers_in_the_whole_conversation(chat):
    await ask(chat, "one")
    chat.memory.clear()
    await ask(chat, "two", "three", "four")
    chat.memory.drop(3)
    chat.memory.pin(4)
    chat.memory.note("I am Ada.")
    seen = chat.turns.report()
    assert [(part.kind, part.turn, part.text) for part in seen.parts] == [
        ("note", None, "Keep in mind: I am Ada."),
        ("turn", 2, "two"),
        ("pinned", 4, "four"),
        ("question", None, ""),
    ]
    assert seen.left_out == (
        LeftOutTurns((1,), "from before /clear"),
        LeftOutTurns((3,), "dropped; /drop -N restores one"),
    )
    assert seen.free_tokens == seen.budget_tokens - seen.sent_tokens
    assert seen.parts[1].cost_usd == pytest.approx(seen.parts[1].tokens / 1e6)


async def test_the_schema_of_the_answer_takes_room_as_soon_as_it_is_set(chat):
    before, usage = chat.turns.report(), chat.manager.context_usage()
    chat.turns.response_format = ResponseFormat("it", {}, words="Answer with JSON alone. " * 50)
    seen = chat.turns.report()
    part = seen.parts[0]
    assert (part.kind, part.cost_usd) == ("schema", pytest.approx(part.tokens / 1e6))
    assert part.tokens > 100
    assert seen.free_tokens == before.free_tokens - part.tokens
    assert chat.manager.context_usage().free_tokens == usage.free_tokens - part.tokens
    chat.turns.response_format = None
    assert chat.turns.report() == before


async def test_refused_questions_are_reported_with_the_reason_and_how_to_ask_them_again(chat):
    refused = RequestRefused("models.example: 400 Bad Request: " + "too many pictures " * 9, status=400)
    await ask(chat, "one")
    for number in ("two", "three"):
        chat.turns.connect(replace(target(), model=ScriptedModel((refused,))))
        await ask(chat, number)
    gaps = [(gap.turns, gap.reason) for gap in chat.turns.report().left_out]
    assert [turns for turns, _ in gaps] == [(2,), (3,)]
    (_, earlier), (_, newest) = gaps
    assert earlier.startswith("refused (models.example: 400 Bad Request: too many pictures too many")
    assert earlier.endswith("…), /edit 2 asks it again")
    assert newest.endswith("…), /retry asks it again")
    chat.memory.drop(3)
    assert [gap.reason[:7] for gap in chat.turns.report().left_out] == ["dropped", "refused"]


async def test_what_another_target_would_see_is_reported_without_changing_anything(chat):
    await ask(chat, "one " * 400, "two " * 400, "three " * 400)
    before = chat.turns.report()
    tiny = chat.turns.report(target(window_tokens=1400, name="tiny"))
    assert (tiny.model_name, tiny.turns) == ("tiny", {3})
    (gap,) = tiny.left_out
    assert (gap.turns, gap.reason) == ((1, 2), "does not fit")
    assert tiny.parts[0].cost_usd is None
    assert chat.turns.report() == before


async def test_what_the_provider_had_cached_is_added_up(chat):
    assert chat.opened.cached_tokens() == (0, 0)
    await ask(chat, "one", "two")
    assert chat.opened.cached_tokens() == (200, 80)
