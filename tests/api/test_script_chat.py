"""One conversation and several tasks: whose turn it is, and what stops an answer."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys

import pytest

import chatcli
from scripted_server import HOLD, Answer, event_stream, json_answer, serving, text_events

PARIS = Answer(event_stream("Paris."))
HELD = Answer([*text_events("Pa"), HOLD])
SETTINGS = {"context_window": 4096, "retries": 0}
BROKEN = json_answer({"error": {"message": "broken"}}, status=500)


@contextlib.asynccontextmanager
async def chat_at(*answers, **options):
    async with (
        serving(*answers) as server,
        chatcli.open_chat(model="small", base_url=server.base_url, settings=SETTINGS, **options) as chat,
    ):
        yield chat, server


def texts(chat):
    return [message.text for message in chat.messages]


def sent(server):
    return [[message["content"] for message in request.json["messages"]] for request in server.requests]


async def until_text(events):
    async for event in events:
        if isinstance(event, chatcli.TextDelta):
            return event.text
    return None


async def test_a_question_waits_for_a_stream_that_another_task_reads_slowly():
    async with chat_at(Answer(event_stream("P", "a", "ris.")), PARIS) as (chat, _):
        asked = asyncio.Event()

        async def read():
            text = ""
            async for event in chat.stream("one"):
                await asyncio.wait_for(asked.wait(), 20)
                for _ in range(20):
                    await asyncio.sleep(0)
                text += event.text if isinstance(event, chatcli.TextDelta) else ""
            return text

        reading = asyncio.create_task(read())
        await asyncio.sleep(0)
        asking = asyncio.create_task(chat.ask("two"))
        await asyncio.sleep(0)
        asked.set()
        assert (await reading, str(await asking)) == ("Paris.", "Paris.")
        assert texts(chat) == ["one", "Paris.", "two", "Paris."]


async def test_a_question_waits_for_a_stream_whose_every_event_is_waited_for_in_a_task():
    async with chat_at(PARIS, PARIS) as (chat, _):

        async def read():
            events = chat.stream("one")
            seen = [await asyncio.create_task(anext(events))]
            asking = asyncio.create_task(chat.ask("two"))
            with contextlib.suppress(StopAsyncIteration):
                while True:
                    await asyncio.sleep(0)
                    seen.append(await asyncio.create_task(anext(events)))
            return seen[-1], await asking

        end, second = await read()
        assert (end.result.text, second.text) == ("Paris.", "Paris.")


async def test_a_question_is_refused_when_only_its_own_task_could_read_the_stream():
    async with chat_at(HELD) as (chat, _), contextlib.aclosing(chat.stream("one")) as events:
        await until_text(events)
        with pytest.raises(chatcli.UsageError, match="not been read to its end"):
            await chat.ask("two")


async def test_a_question_that_waits_is_refused_once_the_reader_leaves_its_stream():
    async with chat_at(HELD) as (chat, _):
        kept, began, waits = [], asyncio.Event(), asyncio.Event()

        async def read():
            kept.append(chat.stream("one"))
            await until_text(kept[0])
            began.set()
            await waits.wait()

        reading = asyncio.create_task(read())
        await asyncio.wait_for(began.wait(), 20)
        asking = asyncio.create_task(chat.ask("two"))
        await asyncio.sleep(0)
        waits.set()
        await reading
        with pytest.raises(chatcli.UsageError, match="not been read to its end"):
            await asyncio.wait_for(asking, 20)
        await kept[0].aclose()


async def test_closing_ends_the_streams_of_other_tasks_at_once_with_an_error():
    async with serving(HELD) as server:
        async with chatcli.open_chat(model="small", base_url=server.base_url, settings=SETTINGS) as chat:
            began = asyncio.Event()

            async def read():
                async for event in chat.stream("one"):
                    if isinstance(event, chatcli.TextDelta):
                        began.set()

            reading = asyncio.create_task(read())
            waiting = asyncio.create_task(until_text(chat.stream("two")))
            await asyncio.wait_for(began.wait(), 20)
        for task in (reading, waiting):
            with pytest.raises(chatcli.UsageError, match="closed"):
                await asyncio.wait_for(task, 20)
        await server.requests[-1].hung_up()
        assert texts(chat) == ["one", "Pa"]


async def test_closing_stops_a_stream_nobody_is_reading_just_now():
    async with serving(HELD) as server:
        async with chatcli.open_chat(model="small", base_url=server.base_url, settings=SETTINGS) as chat:
            events = chat.stream("one")
            await until_text(events)
        await server.requests[-1].hung_up()
        with pytest.raises(chatcli.UsageError, match="closed"):
            await anext(events)


def test_a_stream_that_is_kept_until_the_loop_ends_says_nothing_whatever_is_kept_with_it():
    script = f"""
import asyncio, sys
sys.path[:0] = {sys.path!r}
import chatcli
from scripted_server import HOLD, Answer, serving_in_thread, text_events
kept = []
async def main(url, keep):
    opened = chatcli.open_chat(model="small", base_url=url, settings={{"context_window": 4096}})
    chat = await opened.__aenter__()
    events = chat.stream("one")
    kept.append((keep(opened, events), chat))
    async for event in events:
        if isinstance(event, chatcli.TextDelta):
            break
with serving_in_thread(Answer([*text_events("Pa"), HOLD])) as server:
    for keep in (lambda *both: both[::-1], lambda *both: both, lambda opened, events: events):
        asyncio.run(main(server.base_url, keep))
print(len(kept))
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "3\n", "")


async def test_a_question_that_failed_is_in_no_later_request():
    async with chat_at(BROKEN, BROKEN, PARIS) as (chat, server):
        for _ in range(2):
            with pytest.raises(chatcli.ServerFailed):
                await chat.ask("Q")
            assert chat.messages == ()
        await chat.ask("Q")
        assert texts(chat) == ["Q", "Paris."]
        assert sent(server) == [["Q"]] * 3


@pytest.mark.parametrize("answer", [Answer([HOLD]), json_answer({"error": {"message": "no"}}, status=400)])
async def test_a_question_without_an_answer_is_taken_back_however_it_ended(answer, tmp_path):
    async with chat_at(PARIS, answer, PARIS, session=tmp_path / "x.jsonl") as (chat, server):
        await chat.ask("one")
        with pytest.raises((TimeoutError, chatcli.RequestRefused)):
            async with asyncio.timeout(0.3):
                await chat.ask("two")
        assert texts(chat) == ["one", "Paris."]
        await chat.ask("three")
        assert sent(server)[-1] == ["one", "Paris.", "three"]
        async with chatcli.open_chat(
            model="small", base_url=server.base_url, session=tmp_path / "x.jsonl"
        ) as again:
            assert texts(again) == ["one", "Paris.", "three", "Paris."]


async def test_what_has_arrived_is_among_the_messages_at_once():
    async with chat_at(HELD, PARIS) as (chat, _):
        async for event in chat.stream("one"):
            if isinstance(event, chatcli.TextDelta):
                assert texts(chat) == ["one", "Pa"]
                break
        assert texts(chat) == ["one", "Pa"]
        await chat.ask("two")
        assert texts(chat) == ["one", "Pa", "two", "Paris."]


async def test_the_last_turn_can_be_taken_back():
    async with chat_at(PARIS) as (chat, server):
        await chat.ask("one")
        await chat.ask("two")
        await chat.undo()
        assert texts(chat) == ["one", "Paris."]
        await chat.ask("three")
        assert sent(server)[-1] == ["one", "Paris.", "three"]
        await chat.undo()
        await chat.undo()
        with pytest.raises(chatcli.UsageError, match="no question"):
            await chat.undo()


async def test_a_conversation_stays_in_its_event_loop():
    async with chat_at(PARIS) as (chat, _):
        with pytest.raises(chatcli.UsageError, match="another event loop"):
            await asyncio.to_thread(lambda: asyncio.run(chat.ask("Hi")))


IMAGE = chatcli.ImagePart("0" * 64, "image/png", "x.png")


@pytest.mark.parametrize(
    "parts",
    [
        (IMAGE,),
        (chatcli.TextPart("see"), IMAGE),
        ("Hi",),
        (chatcli.TextPart(None),),
        (chatcli.TextPart(b"x"),),
        [chatcli.TextPart("Hi")],
        "Hi",
        (chatcli.ReasoningPart("hm"),),
        (chatcli.ToolCallPart("1", "x", "{}"),),
        (chatcli.TextPart("Hi", "model"),),
        (chatcli.TextPart("Hi", None),),
        (chatcli.TextPart(""),),
        (chatcli.TextPart("a\udcffb"),),
        None,
    ],
    ids=repr,
)
async def test_what_cannot_be_sent_is_refused_before_it_is_stored(parts, tmp_path):
    path = tmp_path / "x.jsonl"
    async with chat_at(PARIS, session=path) as (chat, _):
        with pytest.raises(chatcli.UsageError) as raised:
            await chat.ask(chatcli.Message("user", parts))
        assert (raised.value.code, bool(raised.value.hint)) == ("no_prompt", True)
        assert not path.exists()
        assert str(await chat.ask("Hi")) == "Paris."


async def test_an_answer_is_formatted_like_its_text():
    async with chat_at(PARIS) as (chat, _):
        answer = await chat.ask("Capital?")
    assert f"{answer:>8}|{answer}" == "  Paris.|Paris."
