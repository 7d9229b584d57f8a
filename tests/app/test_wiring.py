"""From settings and options to a conversation."""

from __future__ import annotations

import subprocess
import sys
from contextlib import AsyncExitStack, aclosing, closing
from dataclasses import replace

import pytest

from chatcli.app.run_context import ChatOptions, RunContext, Shared
from chatcli.app.wiring import open_chat, open_session
from chatcli.config.paths import Paths
from chatcli.config.resolve import resolve
from chatcli.conversation.play import play
from chatcli.core.errors import ConfigurationError, UsageError
from chatcli.core.events import TurnFinished, Waiting
from chatcli.core.messages import question
from chatcli.cost.ledger import FILE_NAME, Ledger
from chatcli.sessions.store import SessionStore
from scripted_server import Answer, event_stream, json_answer, serving

HELLO = Answer(event_stream("Hello"))


@pytest.fixture
def context(tmp_path):
    paths = Paths(
        config=tmp_path / "config",
        data=tmp_path / "data",
        cache=tmp_path / "cache",
        local=tmp_path / "local",
    )
    return RunContext({}, paths)


@pytest.fixture
def settings(context, tmp_path):
    """Settle settings from flags, as typed."""

    def settle(**flags):
        return resolve(flags, context.environment, context.paths, tmp_path)

    return settle


def pointed(server, **flags):
    return {"base_url": server.base_url, "model": "small", "context_window": 4096, **flags}


async def ask(settings, options, context, text="Hi"):
    async with open_chat(settings, options, context, lambda notice: None) as chat:
        assert isinstance(await play(chat.turns.send(question(text))), TurnFinished)
        return chat.opened.file


def texts(context, file):
    return [record.message.text for record in SessionStore(context.paths.data).load(file).path()]


class TestASession:
    def test_is_opened_without_a_model_and_without_a_file(self, context, settings):
        with closing(open_session(settings(), ChatOptions(), context)) as chat:
            assert (chat.resolved, len(chat.session.questions)) == (None, 0)
            assert chat.opened.file.path.parent == context.paths.data / "sessions"
        assert not context.paths.data.exists()

    @pytest.mark.parametrize(
        ("flags", "options"),
        [
            ({"save": False}, ChatOptions()),
            ({}, ChatOptions(dry=True)),
            ({"save": False}, ChatOptions(session="a")),
        ],
    )
    def test_that_is_not_to_be_kept_has_no_file(self, context, settings, flags, options):
        with closing(open_session(settings(**flags), options, context)) as chat:
            assert (chat.opened.file, chat.opened.name) == (None, None)

    def test_is_opened_by_its_name(self, context, settings):
        with closing(open_session(settings(), ChatOptions(session="trip"), context)) as chat:
            assert chat.opened.name == "trip"

    @pytest.mark.parametrize(
        ("options", "error"),
        [(ChatOptions(session=".."), UsageError), (ChatOptions(resume_last=True), ConfigurationError)],
    )
    def test_that_cannot_be_opened_says_so(self, context, settings, options, error):
        with pytest.raises(error) as caught:
            open_session(settings(), options, context)
        assert caught.value.hint

    def test_loads_no_library(self, tmp_path):
        script = """
import sys
from pathlib import Path
from chatcli.app.wiring import open_session
from chatcli.client.pool import Pool
from chatcli.client.rate_limit import RateLimits
from chatcli.config.paths import Paths
from chatcli.config.resolve import resolve
from chatcli.app.run_context import ChatOptions, RunContext
folder = Path(sys.argv[1])
paths = Paths(folder, folder, folder, folder)
chat = open_session(resolve({}, {}, paths, folder), ChatOptions(session="trip"), RunContext({}, paths))
chat.opened.set_title("T")
chat.close()
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
        run = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
        )
        assert not {"openai", "httpx2", "tiktoken", "keyring", "rich", "prompt_toolkit"} & set(
            run.stdout.split()
        )


class TestAConversation:
    async def test_is_kept_and_resumed_as_the_one_used_last(self, context, settings):
        async with serving(HELLO) as server:
            file = await ask(settings(**pointed(server)), ChatOptions(), context)
            again = await ask(settings(**pointed(server)), ChatOptions(resume_last=True), context, "Ho")
        assert again == file
        assert texts(context, file) == ["Hi", "Hello", "Ho", "Hello"]
        assert len(server.requests[1].json["messages"]) == 3

    async def test_that_is_resumed_keeps_its_system_prompt_unless_another_is_given(self, context, settings):
        async with serving(HELLO) as server:
            for prompt in ("Rhyme.", None, "Be brief."):
                await ask(settings(**pointed(server, system=prompt)), ChatOptions(session="trip"), context)
        sent = [request.json["messages"][0]["content"] for request in server.requests]
        assert sent == ["Rhyme.", "Rhyme.", "Be brief."]

    async def test_of_which_nothing_is_kept_writes_nothing(self, context, settings):
        async with serving(HELLO) as server:
            assert await ask(settings(**pointed(server, save=False)), ChatOptions(), context) is None
        assert not context.paths.data.exists()

    async def test_counts_exactly_where_that_is_wished(self, context, settings):
        async with (
            serving(HELLO) as server,
            open_chat(settings(**pointed(server)), ChatOptions(count_exactly=True), context, print) as chat,
        ):
            assert not chat.manager.context_usage().estimated

    async def test_that_finds_no_model_writes_nothing(self, context, settings):
        flags = {"base_url": "https://api.openai.com/v1", "system": "Be brief."}
        with pytest.raises(ConfigurationError, match="no key"):
            await ask(settings(**flags), ChatOptions(session="trip"), context)
        assert not context.paths.data.exists()


PRICES = {"small": {"input": 1_000_000, "output": 1_000_000}}  # a dollar a token


class TestTwoConversationsAtOneEndpoint:
    @pytest.fixture
    def together(self, context):
        """Return a run of its own."""
        return replace(context, shared=Shared())

    async def test_share_its_limits(self, together, settings):
        async with serving(HELLO) as server, AsyncExitStack() as stack:
            flags = pointed(server, requests_per_minute=1)
            chats = [await stack.enter_async_context(opened(settings(**flags), together)) for _ in range(2)]
            assert isinstance(await play(chats[0].turns.send(question("Hi"))), TurnFinished)
            async with aclosing(chats[1].turns.send(question("Ho"))) as events:
                waits = (event.reason async for event in events if isinstance(event, Waiting))
                assert (await anext(waits)).startswith("rate limit of 1 requests a minute (")
        assert len(server.requests) == 1

    async def test_use_one_connection_and_close_it_with_the_last(self, together, settings):
        async with serving(HELLO) as server, opened(settings(**pointed(server)), together) as first:
            async with opened(settings(**pointed(server)), together) as second:
                await play(second.turns.send(question("Hi")))
            await play(first.turns.send(question("Hi")))
            async with together.shared.pool.entry(first.turns.connected.endpoint, {}).meter.call(
                "models"
            ) as call:
                client = await call.client()
        assert client.is_closed()

    async def test_learn_from_each_other_what_it_refuses(self, together, settings):
        refused = json_answer(
            {"error": {"message": "Unsupported parameter", "code": "unsupported_parameter", "param": "seed"}},
            status=400,
        )
        async with serving(refused, HELLO) as server, AsyncExitStack() as stack:
            for _ in range(2):
                flags = pointed(server, seed=7, save=False)
                chat = await stack.enter_async_context(opened(settings(**flags), together))
                assert isinstance(await play(chat.turns.send(question("Hi"))), TurnFinished)
        assert ["seed" in request.json for request in server.requests] == [True, False, False]

    async def test_each_pay_for_themselves(self, together, settings):
        async with serving(HELLO) as server, AsyncExitStack() as stack:
            flags = pointed(server, prices=PRICES)
            names = ("first", "second")
            chats = [
                await stack.enter_async_context(opened(settings(**flags), together, session=name))
                for name in names
            ]
            for chat, text in zip(chats, ("Hi", "a long question " * 9), strict=True):
                await play(chat.turns.send(question(text)))
            await play(chats[0].turns.send(question("Hi")))
            costs = [chat.session.cost_usd for chat in chats]
        booked = Ledger(together.paths.data / FILE_NAME).expenses()
        assert [expense.session for expense in booked] == ["first", "second", "first"]
        for name, cost_usd in zip(names, costs, strict=True):
            of_it = [float(expense.cost_usd) for expense in booked if expense.session == name]
            assert sum(of_it) == pytest.approx(cost_usd)

    async def test_each_ask_their_own_person_about_their_own_budget(self, together, settings):
        asked = []

        def approving(name, answer):
            async def approve(message):
                asked.append((name, "this session's" in message))
                return answer

            return approve

        async with serving(HELLO) as server, AsyncExitStack() as stack:
            flags = pointed(server, prices=PRICES, budget={"session": 1.0})
            for name, answer in (("first", True), ("second", False)):
                chat = await stack.enter_async_context(
                    opened(settings(**flags), together, session=name, approve=approving(name, answer))
                )
                end = await play(chat.turns.send(question("Hi")))
                assert isinstance(end, TurnFinished) is answer
        assert asked == [("first", True), ("second", True)]
        assert len(server.requests) == 1


def opened(settings, context, *, session=None, approve=None):
    return open_chat(settings, ChatOptions(session=session), context, lambda notice: None, approve=approve)
