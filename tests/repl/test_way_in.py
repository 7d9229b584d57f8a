"""The menu of ways to a model: any answer is survived, and it ends in a state that is said."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatcli.repl.way_in import choose_way_in
from repl.fakes import KeptSurface
from repl.test_talk import MODELS, PARIS
from repl.test_talk import talking as talking  # noqa: PLC0414 - a fixture
from scripted_server import json_answer, serving

KEY = "sk-1234567890"
ONE = json_answer({"data": [{"id": "small"}]})
NEVER_ANSWERS = "127.0.0.1:1"


def first_run(talking, *answers, **flags):
    return talking(surface=KeptSurface(*answers), base_url=None, model=None, **flags)


def config_of(talk):
    file = talk.world.paths.config / "config.toml"
    return file.read_text("utf-8") if file.exists() else ""


@pytest.mark.parametrize(
    "answers",
    [
        ("",),
        ("0", "99", "-1"),
        ("\u00b2", "\uff11\uff12", "1e9"),
        ("rubbish", "more rubbish", "\x1b[31m"),
        (NEVER_ANSWERS, ""),
        ("localhost:1", "", "http://127.0.0.1:1/v1", "", "2", "localhost:1", ""),
        ("2", "ftp://x", "2", "two words", "2", "999.999.1.1"),
        ("1", "", "1", "no key at all", "1", "  "),
        ("2", "", "2", None),
        ("2", NEVER_ANSWERS, None),
        ("9" * 500, "1" * 500),
        (KEY,),
    ],
)
async def test_any_answer_is_survived_and_nothing_is_written(talking, answers):
    talk = first_run(talking, *answers)
    assert not await choose_way_in(talk)
    assert talk.surface.said[-1].startswith("nothing was set up; /login brings this menu back")
    assert config_of(talk) == ""
    await talk.connection.close()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(max_size=20).filter(lambda text: "." not in text and ":" not in text), max_size=4))
async def test_no_text_is_more_than_a_wrong_answer(talking, answers):
    numbers = {"1", "2", "3", "4", "5", "6"}
    kept = [answer for answer in answers if answer.strip().rstrip(".)") not in numbers and "/" not in answer]
    talk = first_run(talking, *kept, None)
    await choose_way_in(talk)
    assert config_of(talk) == ""


async def test_three_wrong_answers_end_it(talking):
    talk = first_run(talking, "x", "y", "z", "1")
    assert not await choose_way_in(talk)
    assert len(talk.surface.asked) == 3


async def test_commands_are_run_and_do_not_count(talking):
    talk = first_run(talking, "/help", "?", "/nonsense", "/help edit", "/keys", None)
    assert not await choose_way_in(talk)
    assert len(talk.surface.asked) == 6
    assert "questions and answers" in talk.surface.text
    assert "error: there is no command /nonsense" in talk.surface.text


@pytest.mark.parametrize("farewell", ["exit", "quit", "/exit", "/quit"])
async def test_a_farewell_leaves(talking, farewell):
    talk = first_run(talking, farewell)
    assert not await choose_way_in(talk)
    assert talk.is_leaving


async def test_an_address_alone_is_taken_for_one_and_is_completed(talking):
    found = {"/v1/models": ONE, "/v1/chat/completions": PARIS}

    def answer(request):
        return found.get(request.path, json_answer("404 page not found", status=404))

    async with serving(choose=answer) as server:
        talk = first_run(talking, f"localhost:{server.port}", "")
        assert await choose_way_in(talk)
        assert config_of(talk) == f'base_url = "http://localhost:{server.port}/v1"\n'
        await talk.take("Capital of France?")
        assert "Paris." in talk.surface.text
        await talk.connection.close()


@pytest.mark.parametrize(
    ("answer", "model"), [("2", "large"), ("large", "large"), ("", "small"), (None, "small"), ("9", "small")]
)
async def test_of_several_models_one_is_chosen_after_the_key_was_checked(talking, answer, model):
    async with serving(MODELS, MODELS, PARIS) as server:
        talk = first_run(talking, "2", server.base_url, KEY, answer)
        assert await choose_way_in(talk)
        assert talk.chat.turns.connected.model_name == model
        await talk.take("Capital of France?")
        await talk.connection.close()
    assert [secret for label, secret in talk.surface.asked] == [
        False,
        False,
        True,
        *[False] * (2 if answer == "9" else 1),
    ]
    assert talk.surface.asked[3][0] == "Which model? [1-2 or a name, Enter = 1] "
    assert server.requests[-1].json["model"] == model
    assert f'model = "{model}"' in config_of(talk)


async def test_a_model_for_something_else_is_not_what_enter_takes(talking):
    models = json_answer({"data": [{"id": "nomic-embed-text"}, {"id": "llama"}]})
    async with serving(models, models) as server:
        talk = first_run(talking, server.base_url, "", "")
        assert await choose_way_in(talk)
        assert talk.chat.turns.connected.model_name == "llama"
        await talk.connection.close()


async def test_a_model_of_another_server_is_not_asked_for_here(talking):
    async with serving(ONE, ONE) as server:
        talk = first_run(talking, server.base_url, "")
        talk.world.paths.config.mkdir(parents=True, exist_ok=True)
        (talk.world.paths.config / "config.toml").write_text('model = "gone"\n')
        await talk.take("/config theme dark")
        assert await choose_way_in(talk)
        assert talk.chat.turns.connected.model_name == "small"
        await talk.connection.close()


async def test_a_key_typed_in_the_open_is_not_used(talking):
    talk = first_run(talking, KEY, None)
    await choose_way_in(talk)
    assert "error: that looks like a key" in talk.surface.text
    assert not (talk.world.paths.config / "keys.json").exists()


async def test_what_comes_first_all_the_same_is_said(talking):
    async with serving(ONE, ONE) as server:
        talk = talking(surface=KeptSurface(server.base_url, ""), base_url="http://127.0.0.1:1/v1")
        assert await choose_way_in(talk)
        assert talk.surface.said[-1] == "flag --base-url comes first: base_url = http://127.0.0.1:1/v1"
        await talk.connection.close()


@pytest.mark.parametrize(("answer", "is_replaced"), [("y", True), ("", False)])
async def test_stored_keys_that_cannot_be_read_are_replaced_only_where_the_person_says_so(
    talking, answer, is_replaced
):
    async with serving(ONE, ONE) as server:
        talk = first_run(talking, server.base_url, KEY, answer)
        folder = talk.world.paths.config
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "keys.json").write_text("{broken")
        await talk.take("/config theme dark")
        assert await choose_way_in(talk) is is_replaced
        assert (folder / "keys.json.damaged").exists() is is_replaced
        assert (KEY in (folder / "keys.json").read_text()) is is_replaced
        await talk.connection.close()
