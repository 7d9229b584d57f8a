"""``/profile``: using a set of settings for this run."""

from __future__ import annotations

import pytest

from repl.test_repl_session import completions, messages
from repl.test_repl_session import start_repl as start_repl  # noqa: PLC0414 - a fixture
from scripted_server import Answer, event_stream, json_answer, serving

PARIS = Answer(event_stream("Paris."))


@pytest.fixture
def profiles(tmp_path):
    """Return a function that writes config.toml with two profiles: one at ``server``, one nearly empty."""

    def write(server=None):
        (tmp_path / "CONFIG").mkdir()
        url = server.base_url if server else "http://127.0.0.1:1/v1"
        (tmp_path / "CONFIG" / "config.toml").write_text(
            'system = "Outside."\n'
            f'[profiles.desk]\nmodel = "qwen3"\nbase_url = "{url}"\nsystem = "Be brief."\ntemperature = 0\n'
            "[profiles.warm]\ntemperature = 1.5\n",
            encoding="utf-8",
        )

    return write


async def test_model_endpoint_and_system_prompt_follow_and_come_back(start_repl, profiles):
    async with serving(PARIS) as first, serving(PARIS) as second:
        profiles(second)
        repl = start_repl(first)
        await repl.take("/profile desk")
        await repl.take("Hi")
        await repl.take("/profile none")
        await repl.take("Hi again")
        await repl.connection.close()
    at_desk, outside = second.requests[-1].json, first.requests[-1].json
    assert (at_desk["model"], at_desk["temperature"]) == ("qwen3", 0)
    assert messages(second)[0] == ("system", "Be brief.")
    assert f"model: qwen3 at 127.0.0.1:{second.port} (profile desk)" in repl.frontend.output
    assert outside["model"] == "small"
    assert "temperature" not in outside
    assert messages(first)[0] == ("system", "Outside.")


async def test_models_and_settings_are_shown_and_completed_without_keys(start_repl):
    listed = json_answer({"data": [{"id": "m-gateway-key-0815"}, {"id": "small"}]})
    async with serving(listed) as server:
        repl = start_repl(server)
        repl.context.redactor.add_key("gateway-key-0815")
        await repl.take("/model")
        assert "m-[key]" in repl.frontend.text
        assert "m-[key]" in dict(await completions(repl, "/model "))
        await repl.change(base_url=f"{server.base_url}/gateway-key-0815")
        await repl.take("/config base_url")
        await repl.take("/config")
        assert repl.frontend.text.count("/[key]") == 2
        assert repl.frontend.text.count("gateway-key-0815") == 0
        await repl.connection.close()


async def test_what_was_said_last_counts(start_repl, profiles):
    async with serving(PARIS) as server:
        profiles(server)
        repl = start_repl(server)
        await repl.take("/model large")
        await repl.take("/profile desk")
        assert repl.chat.turns.connected.model_name == "qwen3"
        await repl.take("/config temperature 1")
        assert repl.settings.temperature == 1
        await repl.take("/model large")
        assert repl.chat.turns.connected.model_name == "large"
        await repl.connection.close()


async def test_the_model_of_the_session_stays_where_the_profile_names_none(start_repl, profiles):
    async with serving(PARIS) as server:
        profiles(server)
        repl = start_repl(server)
        await repl.take("/model large")
        await repl.take("Hi")
        await repl.take("/profile warm")
        assert (repl.chat.turns.connected.model_name, repl.settings.temperature) == ("large", 1.5)
        await repl.connection.close()


async def test_a_system_prompt_of_the_conversation_stays_where_the_profile_has_none(start_repl, profiles):
    async with serving(PARIS) as server:
        profiles(server)
        repl = start_repl(server)
        await repl.take("/system Talk like a pirate.")
        await repl.take("/profile warm")
        assert repl.chat.opened.system == "Talk like a pirate."
        await repl.connection.close()


async def test_where_it_fails_everything_is_as_it_was(start_repl, profiles, tmp_path):
    async with serving(PARIS) as server:
        profiles(server)
        path = tmp_path / "CONFIG" / "config.toml"
        path.write_text(
            path.read_text("utf-8")
            + '[profiles.keyless]\nbase_url = "https://api.openai.com/v1"\nmodel = "m"\nsystem = "No."\n'
            + "[profiles.wrong]\ntemperature = 9\n",
            encoding="utf-8",
        )
        repl = start_repl(server)
        await repl.take("Hi")
        for name in ("keyless", "wrong"):
            await repl.take(f"/profile {name}")
        assert "error: no key is set for api.openai.com" in repl.frontend.text
        assert "temperature must be" in repl.frontend.text
        assert (repl.settings.profile, repl.chat.turns.connected.model_name) == (None, "small")
        assert repl.chat.opened.system == "Outside."
        await repl.take("Hi again")
        assert repl.frontend.output[-1] == "Paris."
        await repl.connection.close()


async def test_a_profile_taken_as_a_setting_brings_its_system_prompt_too(start_repl, profiles):
    async with serving(PARIS) as server:
        profiles(server)
        repl = start_repl(server)
        await repl.take("/config profile desk")
        assert (repl.settings.profile, repl.chat.opened.system) == ("desk", "Be brief.")
        await repl.connection.close()


async def test_an_unknown_profile_names_the_nearest(start_repl, profiles):
    profiles()
    repl = start_repl()
    await repl.take("/profile dsek")
    assert "error: there is no profile dsek" in repl.frontend.output
    assert "→ did you mean desk?" in repl.frontend.output


async def test_profiles_are_listed_and_completed(start_repl, profiles):
    profiles()
    repl = start_repl(profile="desk")
    await repl.take("/profile")
    assert "→  desk  qwen3  127.0.0.1:1  Be brief.\n   warm" in repl.frontend.output
    assert await completions(repl, "/profile ") == [
        ("desk", "qwen3 at 127.0.0.1:1"),
        ("warm", ""),
        ("none", "settings outside all profiles"),
    ]


async def test_without_profiles_the_way_to_one_is_reported(start_repl):
    repl = start_repl()
    await repl.take("/profile")
    assert "a table [profiles.NAME] in " in repl.frontend.output[-1]
    assert await completions(repl, "/profile ") == []


async def test_web_search_is_turned_on_where_the_model_has_it_and_asked_for_with_each_question(start_repl):
    async with serving(PARIS) as server:
        repl = start_repl(server, api="responses")
        await repl.take("/web")
        await repl.take("/web on")
        await repl.take("Hi")
        await repl.take("/web off")
        await repl.take("/web maybe")
        await repl.connection.close()
    assert server.requests[-1].json["tools"] == [{"type": "web_search"}]
    assert [line for line in repl.frontend.output if line.startswith("web search:")] == [
        "web search: off (it answers without searching)",
        "web search: on (the provider searches the web)",
        "web search: off (it answers without searching)",
    ]
    assert "/web cannot be maybe" in repl.frontend.text


async def test_web_search_stays_off_where_nobody_knows_how_to_ask_for_it(start_repl):
    async with serving(PARIS) as server:
        repl = start_repl(server)
        await repl.take("/web on")
        await repl.take("Hi")
        await repl.connection.close()
    assert "has no web search" in repl.frontend.text
    assert repl.settings.web_search == "off"
    assert server.requests[-1].json["messages"][-1]["content"] == "Hi"
