"""Models by a part of their name, by an alias, and for one question."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.repl.commands.model_choice import models_meant
from repl.fakes import KeptFrontend
from repl.test_repl_session import completions, messages
from repl.test_repl_session import start_repl as start_repl  # noqa: PLC0414 - a fixture
from scripted_server import Answer, event_stream, json_answer, serving, text_events

PARIS = Answer(event_stream("Paris."))
FROM_MINI = Answer(event_stream("Madrid.", model="gpt-5-mini"))
NAMES = (
    "vendor/claude-sonnet-4.5",
    "vendor/claude-haiku-4.5",
    "gpt-5-mini",
    "gpt-5",
    "qwen3:latest",
    "GPT 4 turbo",
)
LISTED = json_answer({"data": [{"id": name} for name in NAMES]})
ALIASES = {"fast": "gpt-5-mini", "far": "unlisted-model"}


def answer(request):
    return LISTED if request.path == "/v1/models" else PARIS


def asked(server):
    return [request.json["model"] for request in server.requests if request.method == "POST"]


@pytest.fixture
def repl_with(start_repl):
    """Return a function that opens a conversation with aliases, and ``answers`` to what is asked."""

    def start(server, *answers, **flags):
        given = {"context_window": 4096, "aliases": ALIASES, **flags}
        return start_repl(server, frontend=KeptFrontend(*answers), **given)

    return start


@pytest.mark.parametrize(
    ("written", "model"),
    [
        ("sonn", "vendor/claude-sonnet-4.5"),
        ("HAIKU", "vendor/claude-haiku-4.5"),
        ("fast", "gpt-5-mini"),
        ("fas", "gpt-5-mini"),
        ("unlis", "unlisted-model"),
        ("gpt-5", "gpt-5"),
        ("Gpt-5", "gpt-5"),
        ("GPT 4 turbo", "GPT 4 turbo"),
        ("qwen3", "qwen3"),
        ("claude-haiku-4.5", "claude-haiku-4.5"),
        ("gemini", "gemini"),
    ],
)
async def test_a_name_an_alias_and_a_part_of_one_model_choose_it(repl_with, written, model):
    async with serving(choose=answer) as server:
        repl = repl_with(server)
        await repl.take(f"/model {written}")
        await repl.take("Hi")
        assert f"model: {model}" in repl.frontend.output
        assert not repl.frontend.asked
        await repl.connection.close()
    assert asked(server) == [model]


async def test_a_part_of_several_lists_them_by_number_and_the_person_chooses(repl_with):
    async with serving(choose=answer) as server:
        repl = repl_with(server, "7", "2")
        await repl.take("/model claude")
        await repl.take("Hi")
        await repl.connection.close()
    assert "claude is a part of 2 names:" in repl.frontend.output
    assert "1  vendor/claude-sonnet-4.5\n2  vendor/claude-haiku-4.5" in repl.frontend.output
    assert "type a number from 1 to 2" in repl.frontend.output
    assert asked(server) == ["vendor/claude-haiku-4.5"]


@pytest.mark.parametrize("declined", ["", None])
@pytest.mark.parametrize("line", ["/model claude", "/model claude Why?", "/retry claude"])
async def test_where_nothing_is_chosen_nothing_changes_and_nothing_is_asked(repl_with, line, declined):
    async with serving(choose=answer) as server:
        repl = repl_with(server, declined)
        await repl.take("Hi")
        await repl.take(line)
        assert repl.chat.turns.connected.model_name == "small"
        assert not repl.was_completed
        if line.startswith("/model"):
            assert repl.frontend.drafted == line
        await repl.connection.close()
    assert asked(server) == ["small"]


@pytest.mark.parametrize(
    "line", ["/model sonn", "/model claude", "/model sonn Why?", "/retry sonn", "/compare sonn Hi"]
)
async def test_a_script_is_refused_a_part_of_a_name(repl_with, line):
    async with serving(choose=answer) as server:
        repl = repl_with(server)
        repl.frontend.can_ask = False
        await repl.take("Hi")
        await repl.take(line)
        assert repl.failure.code == "part_of_a_name"
        assert "lists no model" in repl.failure.message
        assert "vendor/claude-sonnet-4.5" in repl.failure.message
        await repl.take("/model fast")
        assert repl.chat.turns.connected.model_name == "gpt-5-mini"
        await repl.connection.close()
    assert asked(server) == ["small"]


async def test_aliases_are_listed_among_the_numbers(repl_with):
    async with serving(choose=answer) as server:
        repl = repl_with(server, "gpt-5-mini")
        await repl.take("/model gp")
        await repl.connection.close()
    assert "1  gpt-5-mini   fast\n2  gpt-5\n3  GPT 4 turbo" in repl.frontend.output
    assert repl.chat.turns.connected.model_name == "gpt-5-mini"


async def test_only_the_first_of_many_are_listed(repl_with):
    many = json_answer({"data": [{"id": f"model-{number}"} for number in range(30)]})
    async with serving(many) as server:
        repl = repl_with(server, None)
        await repl.take("/model odel-")
        await repl.connection.close()
    assert "odel- is a part of 30 names:" in repl.frontend.output
    assert "and 10 more: write more of the name" in repl.frontend.output


async def test_one_question_is_asked_of_another_model_and_the_conversation_goes_on_with_its_own(repl_with):
    def by_model(request):
        is_mini = request.method == "POST" and request.json["model"] == "gpt-5-mini"
        return FROM_MINI if is_mini else answer(request)

    async with serving(choose=by_model) as server:
        repl = repl_with(server)
        await repl.take("Capital of France?")
        await repl.take("/model fast And of Spain?")
        assert repl.chat.turns.connected.model_name == "small"
        await repl.take("And of Italy?")
        await repl.connection.close()
    assert asked(server) == ["small", "gpt-5-mini", "small"]
    assert "asking gpt-5-mini this question" in repl.frontend.output
    # The other model sees what was said, and the own one what the other said.
    assert [text for _, text in messages(server, 1)] == ["Capital of France?", "Paris.", "And of Spain?"]
    assert len(messages(server, 2)) == 5
    replies = [record.reply for record in repl.chat.session.path() if record.role == "assistant"]
    assert [reply.model for reply in replies] == ["small", "gpt-5-mini", "small"]
    assert repl.chat.session.model == "small"


async def test_a_question_to_another_model_that_fails_leaves_the_conversation_its_own(repl_with):
    def refused(request):
        if request.method == "POST" and request.json["model"] == "gpt-5":
            return json_answer({"error": {"message": "no"}}, status=404)
        return answer(request)

    async with serving(choose=refused) as server:
        repl = repl_with(server)
        await repl.take("/model gpt-5 Hi")
        assert "error" in repl.frontend.text
        assert repl.chat.turns.connected.model_name == "small"
        await repl.take("Hi again")
        await repl.connection.close()
    assert asked(server) == ["gpt-5", "small"]
    assert repl.chat.session.model == "small"


async def test_a_question_to_a_model_that_cannot_be_asked_is_offered_again(repl_with):
    repl = repl_with(None, base_url="https://api.openai.com/v1")
    await repl.take("/model fast Why?")
    assert repl.frontend.drafted == "/model fast Why?"
    await repl.connection.close()


async def test_an_answer_is_asked_for_again_by_a_part_of_a_name(repl_with):
    async with serving(choose=answer) as server:
        repl = repl_with(server)
        await repl.take("Hi")
        await repl.take("/retry sonn")
        assert repl.chat.turns.connected.model_name == "small"
        await repl.connection.close()
    assert asked(server) == ["small", "vendor/claude-sonnet-4.5"]


async def test_aliases_and_models_are_completed_with_what_they_are(repl_with):
    async with serving(choose=answer) as server:
        repl = repl_with(server)
        assert await completions(repl, "/model fas") == [("fast", "gpt-5-mini")]
        offered = dict(await completions(repl, "/model "))
        assert list(offered) == ["fast", "far", *NAMES]
        assert offered["gpt-5-mini"].startswith("fast, ")
        await repl.take("/model")
        await repl.connection.close()
    rows = [row.split() for row in repl.frontend.text.split("\n")]
    assert any(row[:2] == ["gpt-5-mini", "fast,"] for row in rows)
    assert ["unlisted-model", "far"] in rows


async def test_aliases_are_completed_where_the_endpoint_lists_nothing(repl_with):
    async with serving(json_answer({}, status=404)) as server:
        repl = repl_with(server)
        assert await completions(repl, "/model fa") == [("fast", "gpt-5-mini"), ("far", "unlisted-model")]
        await repl.connection.close()


async def test_a_list_of_an_earlier_run_is_enough_while_there_is_no_connection(repl_with):
    async with serving(choose=answer) as server:
        repl = repl_with(server)
        await repl.take("/model")
        await repl.connection.close()
        # Names of the command line are whole, so this one cannot be connected.
        again = repl_with(server, model="claude")
        await again.take("Hi")
        assert "lists no model claude, but vendor/claude-sonnet-4.5" in again.frontend.text
        await again.take("/model sonn")
        await again.take("Hi")
        await again.connection.close()
    assert asked(server) == ["vendor/claude-sonnet-4.5"]


async def test_the_price_and_the_window_of_the_other_model_count(repl_with):
    listed = json_answer(
        {"data": [{"id": "small", "context_length": 4096}, {"id": "tiny", "context_length": 128}]}
    )
    prices = {
        "small": {"input": 0, "output": 0},
        "tiny": {"input": 0, "output": 0},
        "dear": {"input": 1e6, "output": 1e6},
    }
    async with serving(choose=lambda r: listed if r.path == "/v1/models" else PARIS) as server:
        repl = repl_with(server, None, context_window=None, prices=prices, max_cost=0.01)
        await repl.take("/model dear Hi")
        assert "budget" in repl.frontend.text
        await repl.take("/model tiny " + "word " * 300)
        assert "room for 96" in repl.frontend.text
        await repl.take("word " * 300)
        await repl.connection.close()
    assert asked(server) == ["small"]


SHORT = st.text("abA-", min_size=1, max_size=4)


@given(SHORT, st.lists(SHORT, unique=True), st.dictionaries(SHORT, SHORT, max_size=3))
def test_a_whole_name_and_an_alias_always_win_and_a_part_means_only_what_contains_it(
    written, listed, aliases
):
    meant = models_meant(written, listed, aliases)
    assert meant
    if written in aliases or written in listed:
        assert meant == (written,)
        return
    # What an alias hides could not be chosen: it would mean another model.
    hidden = {alias for alias, model in aliases.items() if alias != model}
    assert hidden.isdisjoint(meant) or meant == (written,)
    for name in meant:
        names = (name, *(alias for alias, model in aliases.items() if model == name))
        assert name == written or any(written.casefold() in each.casefold() for each in names)
    # One of several is never picked, unless it is the same but for its case.
    fitting = {
        name for name in (*listed, *aliases.values()) if written.casefold() in name.casefold()
    } - hidden
    if len(meant) == 1 and len(fitting) > 1:
        assert meant[0].casefold() == written.casefold() or meant == (written,)


async def test_a_question_to_another_model_that_is_stopped_leaves_the_conversation_its_own(repl_with):
    def slow(request):
        is_slow = request.method == "POST" and request.json["model"] == "gpt-5"
        return Answer([*text_events("Madr"), 30.0]) if is_slow else answer(request)

    async with serving(choose=slow) as server:
        repl = repl_with(server)
        await repl.take("Hi")
        asking = asyncio.create_task(repl.take("/model gpt-5 And of Spain?"))
        while len(asked(server)) < 2 or repl.chat.turns.connected.model_name != "gpt-5":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.wait({asking})
        assert repl.chat.turns.connected.model_name == "small"
        await repl.take("Hi again")
        await repl.connection.close()
    assert asked(server) == ["small", "gpt-5", "small"]
    assert repl.chat.session.model == "small"
