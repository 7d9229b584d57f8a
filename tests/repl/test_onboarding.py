"""The login menu: any answer is accepted, and the outcome is reported."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatcli.repl.onboarding import onboard
from chatcli.text.wording import number_meant
from repl.fakes import KeptFrontend
from repl.test_repl_session import MODELS, PARIS
from repl.test_repl_session import start_repl as start_repl  # noqa: PLC0414 - a fixture
from scripted_server import json_answer, serving

KEY = "sk-1234567890"
ONE = json_answer({"data": [{"id": "small"}]})
NEVER_ANSWERS = "127.0.0.1:1"


def first_run(start_repl, *answers, **flags):
    return start_repl(frontend=KeptFrontend(*answers), base_url=None, model=None, **flags)


def config_of(repl):
    file = repl.context.paths.config / "config.toml"
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
async def test_any_answer_is_survived_and_nothing_is_written(start_repl, answers):
    repl = first_run(start_repl, *answers)
    assert not await onboard(repl)
    assert repl.frontend.output[-1].startswith("nothing was set up; /login brings this menu back")
    assert config_of(repl) == ""
    await repl.connection.close()


async def test_commands_are_named_as_the_person_started_the_program(start_repl):
    repl = first_run(start_repl, None)
    repl.context = replace(repl.context, environment={"_CHATCLI_COMMAND": "scripts/chat"})
    await onboard(repl)
    assert repl.frontend.output[-1].endswith("scripts/chat --help shows other ways")
    await repl.connection.close()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(max_size=20).filter(lambda text: "." not in text and ":" not in text), max_size=4))
async def test_arbitrary_text_at_the_menu_saves_nothing(start_repl, answers):
    kept = [answer for answer in answers if number_meant(answer, 6) is None and "/" not in answer]
    repl = first_run(start_repl, *kept, None)
    await onboard(repl)
    assert config_of(repl) == ""


async def test_three_wrong_answers_end_it(start_repl):
    repl = first_run(start_repl, "x", "y", "z", "1")
    assert not await onboard(repl)
    assert len(repl.frontend.asked) == 3


async def test_commands_are_run_and_do_not_count(start_repl):
    repl = first_run(start_repl, "/help", "?", "/nonsense", "/help edit", "/keys", None)
    assert not await onboard(repl)
    assert len(repl.frontend.asked) == 6
    assert "questions and answers" in repl.frontend.text
    assert "error: there is no command /nonsense" in repl.frontend.text


@pytest.mark.parametrize("farewell", ["exit", "quit", "/exit", "/quit"])
async def test_a_farewell_leaves(start_repl, farewell):
    repl = first_run(start_repl, farewell)
    assert not await onboard(repl)
    assert repl.is_leaving


async def test_an_address_alone_is_taken_for_one_and_is_completed(start_repl):
    found = {"/v1/models": ONE, "/v1/chat/completions": PARIS}

    def answer(request):
        return found.get(request.path, json_answer("404 page not found", status=404))

    async with serving(choose=answer) as server:
        repl = first_run(start_repl, f"localhost:{server.port}", "")
        assert await onboard(repl)
        assert config_of(repl) == f'base_url = "http://localhost:{server.port}/v1"\n'
        await repl.take("Capital of France?")
        assert "Paris." in repl.frontend.text
        await repl.connection.close()


@pytest.mark.parametrize(
    ("answer", "model"), [("2", "large"), ("large", "large"), ("", "small"), (None, "small"), ("9", "small")]
)
async def test_of_several_models_one_is_chosen_after_the_key_was_checked(start_repl, answer, model):
    async with serving(MODELS, MODELS, PARIS) as server:
        repl = first_run(start_repl, "2", server.base_url, KEY, answer)
        assert await onboard(repl)
        assert repl.chat.turns.connected.model_name == model
        await repl.take("Capital of France?")
        await repl.connection.close()
    assert [secret for label, secret in repl.frontend.asked] == [
        False,
        False,
        True,
        *[False] * (2 if answer == "9" else 1),
    ]
    assert repl.frontend.asked[3][0] == "Which model? [1-2 or a name, Enter = 1] "
    assert server.requests[-1].json["model"] == model
    assert f'model = "{model}"' in config_of(repl)


async def test_enter_does_not_choose_an_embedding_model(start_repl):
    models = json_answer({"data": [{"id": "nomic-embed-text"}, {"id": "llama"}]})
    async with serving(models, models) as server:
        repl = first_run(start_repl, server.base_url, "", "")
        assert await onboard(repl)
        assert repl.chat.turns.connected.model_name == "llama"
        await repl.connection.close()


async def test_a_model_of_another_server_is_not_asked_for_here(start_repl):
    async with serving(ONE, ONE) as server:
        repl = first_run(start_repl, server.base_url, "")
        repl.context.paths.config.mkdir(parents=True, exist_ok=True)
        (repl.context.paths.config / "config.toml").write_text('model = "gone"\n')
        await repl.take("/config theme dark")
        assert await onboard(repl)
        assert repl.chat.turns.connected.model_name == "small"
        await repl.connection.close()


async def test_a_key_typed_in_the_open_is_not_used(start_repl):
    repl = first_run(start_repl, KEY, None)
    await onboard(repl)
    assert "error: that looks like a key" in repl.frontend.text
    assert not (repl.context.paths.config / "keys.json").exists()


async def test_a_setting_that_overrides_the_choice_is_named(start_repl):
    async with serving(ONE, ONE) as server:
        repl = start_repl(frontend=KeptFrontend(server.base_url, ""), base_url="http://127.0.0.1:1/v1")
        assert await onboard(repl)
        assert repl.frontend.output[-1] == "flag --base-url comes first: base_url = http://127.0.0.1:1/v1"
        await repl.connection.close()


@pytest.mark.parametrize(("answer", "is_replaced"), [("y", True), ("", False)])
async def test_stored_keys_that_cannot_be_read_are_replaced_only_where_the_person_says_so(
    start_repl, answer, is_replaced
):
    async with serving(ONE, ONE) as server:
        repl = first_run(start_repl, server.base_url, KEY, answer)
        folder = repl.context.paths.config
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "keys.json").write_text("{broken")
        await repl.take("/config theme dark")
        assert await onboard(repl) is is_replaced
        assert (folder / "keys.json.damaged").exists() is is_replaced
        assert (KEY in (folder / "keys.json").read_text()) is is_replaced
        await repl.connection.close()
