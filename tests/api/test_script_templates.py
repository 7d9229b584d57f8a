"""Prompt templates from a script."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

import chatcli
from scripted_server import Answer, event_stream, json_answer, serving_in_thread

OF_SETTINGS = '+++\nmodel = "large"\nsystem = "Be kind."\ntemperature = 0.5\n+++\nPraise {{ input }}.'
OF_SCHEMA = '+++\nschema = "name, age int"\n+++\nWho is in this? {{ input }}'


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    for kind in ("CONFIG", "DATA", "CACHE", "LOCAL"):
        monkeypatch.setenv(f"CHATCLI_{kind}_DIR", str(tmp_path / kind.lower()))
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "CHATCLI_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(name, text, *, folder=None):
    path = Path(folder or ".", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def echo(request):
    """Answer with the question, in the form that is asked for."""
    body = request.json
    if "response_format" in body:
        text = '{"items": [{"name": "Ada", "age": 36}]}'
        if "items" not in json.dumps(body["response_format"]):
            text = '{"name": "Ada", "age": 36}'
    else:
        text = f"<{body['messages'][-1]['content']}>"
    if body.get("stream"):
        return Answer(event_stream(text, model=body["model"]))
    message = {"role": "assistant", "content": text}
    return json_answer({"model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})


@pytest.fixture
def server():
    with serving_in_thread(choose=echo) as server:
        yield server


def options(server, **others):
    settings = {"retries": 0, "context_window": 4096}
    return {"model": "small", "base_url": server.base_url, "settings": settings, **others}


def sent(server):
    return [request.json for request in server.requests if request.method == "POST"]


def test_a_template_by_its_path_is_filled_with_the_prompt_and_variables(server):
    path = written("prompts/greet.md", 'Greet {{ who }} in {{ tongue = "Latin" }}: {{ input }}')
    answer = chatcli.ask("Salve", template=path, variables={"who": "Ada"}, **options(server))
    assert str(answer) == "<Greet Ada in Latin: Salve>"
    answer = chatcli.ask("Hi", template=str(path), variables={"who": "A", "tongue": "B"}, **options(server))
    assert str(answer) == "<Greet A in B: Hi>"


def test_a_path_without_a_folder_is_no_name(server):
    written("review", "Mine: {{ input }}")
    assert str(chatcli.ask("x", template=Path("review"), **options(server))) == "<Mine: x>"
    assert "Mine" not in str(chatcli.ask("x", template="review", **options(server)))


def test_a_path_may_begin_at_home(server, folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    written("mine.md", "Mine: {{ input }}", folder=folder / "prompts")
    for template in ("~/prompts/mine.md", Path("~/prompts/mine.md")):
        assert str(chatcli.ask("x", template=template, **options(server))) == "<Mine: x>"


def test_a_prompt_follows_a_template_that_has_no_place_for_it_and_may_be_left_out(server):
    written("joke.md", "Tell a joke.")
    assert str(chatcli.ask("On cats", template="joke.md", **options(server))) == "<Tell a joke.\n\nOn cats>"
    assert str(chatcli.ask(template="joke.md", **options(server))) == "<Tell a joke.>"


def test_numbered_places_take_the_first_words_of_the_prompt(server):
    written("words.md", "{{ 2 }} {{ 1 }}: {{ input }}")
    assert str(chatcli.ask("a b c  d", template="words.md", **options(server))) == "<b a: c  d>"


def test_documents_of_a_message_stay_documents(server):
    written("check.md", "Check this: {{ input }}")
    document = chatcli.TextPart("what somebody wrote", "document")
    message = chatcli.Message("user", (chatcli.TextPart("Look twice."), document))
    chatcli.ask(message, template="check.md", **options(server))
    content = json.dumps(sent(server)[0]["messages"][-1]["content"])
    assert content.index("Check this") < content.index("somebody wrote") < content.index("Look twice")


def test_settings_of_a_template_count_where_the_call_has_none(server):
    written("praise.md", OF_SETTINGS)
    given = options(server)
    chatcli.ask("Ada", template="praise.md", **given)
    del given["model"]
    chatcli.ask("Ada", template="praise.md", system="Be short.", **given)
    first, second = sent(server)
    assert (first["model"], first["temperature"]) == ("small", 0.5)
    assert first["messages"][0]["content"] == "Be kind."
    assert (second["model"], second["messages"][0]["content"]) == ("large", "Be short.")


def test_several_templates_are_one_question_and_a_conflict_is_a_notice(server):
    written("praise.md", OF_SETTINGS)
    written("short.md", "+++\ntemperature = 0\n+++\nBe short.")
    answer = chatcli.ask("Ada", template=["praise.md", Path("short.md")], **options(server))
    assert str(answer) == "<Praise Ada.\n\nBe short.>"
    assert sent(server)[0]["temperature"] == 0
    conflicts = [each.message for each in answer.notices if each.code == "template_conflict"]
    assert conflicts == ["temperature comes from the template short, not from praise"]


def test_names_are_those_of_the_configuration_only_where_it_is_read(server, folder):
    written("warm.md", "Warmly: {{> tone }} {{ input }}", folder=folder / "config/templates")
    written("tone.md", "Nicely.", folder=folder / "config/templates")
    answer = chatcli.ask("Hi", template="warm", config=True, **options(server))
    assert str(answer) == "<Warmly: Nicely. Hi>"
    assert "French" in str(
        chatcli.ask("Hi", template="translate", variables={"to": "French"}, **options(server))
    )
    with pytest.raises(chatcli.UsageError, match="there is no template warm") as raised:
        chatcli.ask("Hi", template="warm", **options(server))
    assert raised.value.hint.endswith("; those of your own need config=True")


def test_the_schema_of_a_template_is_the_form_of_the_answer(server):
    written("people.md", OF_SCHEMA)
    written("list.md", OF_SCHEMA.replace("schema", "schema_multi"))
    assert chatcli.ask("Ada", template="people.md", **options(server)).data == {"name": "Ada", "age": 36}
    found = chatcli.ask("Ada", template="list.md", **options(server)).data
    assert found == {"items": [{"name": "Ada", "age": 36}]}


def test_a_schema_of_the_call_wins(server):
    @dataclass
    class Person:
        name: str
        age: int

    written("people.md", OF_SCHEMA.replace("age int", "shoe_size int"))
    answer = chatcli.ask("Ada", template="people.md", schema=Person, **options(server))
    assert answer.data == Person("Ada", 36)


async def test_a_conversation_keeps_its_settings_and_says_so(server):
    written("praise.md", OF_SETTINGS)
    async with chatcli.open_chat(**options(server, system="Be honest.")) as chat:
        answer = await chat.ask("Ada", template="praise.md")
        await chat.ask("And Bob?")
    first, second = sent(server)
    assert [each["content"] for each in first["messages"]] == ["Be honest.", "Be kind.\n\nPraise Ada."]
    assert "temperature" not in first
    assert second["messages"][-1]["content"] == "And Bob?"
    assert [each.message for each in answer.notices] == [
        "the conversation keeps its own model, temperature; that of a template counts in chatcli.ask"
    ]


async def test_a_stream_takes_a_template_and_its_schema(server):
    written("people.md", OF_SCHEMA)
    async with chatcli.open_chat(**options(server)) as chat:
        events = [event async for event in chat.stream("Ada", template="people.md")]
        answer = await chat.ask("Ada")
    assert events[-1].result.data == {"name": "Ada", "age": 36}
    assert answer.data is None


async def test_models_are_compared_with_a_template(server):
    written("praise.md", OF_SETTINGS)
    given = options(server)
    del given["model"]
    answers = await asyncio.to_thread(chatcli.compare, "Ada", ["a", "b"], template="praise.md", **given)
    assert [str(each) for each in answers] == ["<Praise Ada.>"] * 2
    assert sorted(body["model"] for body in sent(server)) == ["a", "b"]


async def test_keys_of_rows_are_variables_of_a_template(server):
    written("review.md", '+++\nsystem = "Be fair."\n+++\nIs {{ what }} good? {{ tongue }}: {{ input }}')
    rows = [
        {"id": 7, "what": "tea", "input": "Hot."},
        {"what": "ice", "input": "Cold.", "tongue": "Dutch"},
        {"input": "?"},
    ]
    results = chatcli.batch(rows, template="review.md", variables={"tongue": "English"}, **options(server))
    found = [result async for result in results]
    assert found[0].id == 7
    assert [word in found[0].text for word in ("tea", "Hot.", "English")] == [True] * 3
    assert "English" in found[1].text
    assert found[2].error.message == "row 2 has no 'what', which the prompt names"
    assert found[2].error.hint == 'add it to the row: {"what": "…"}'
    assert all("Be fair." in json.dumps(body["messages"]) for body in sent(server))


async def test_a_prompt_is_the_input_of_a_template_for_rows(server):
    written("french.md", 'Into {{ tongue = "French" }}.')
    message = chatcli.Message("user", (chatcli.TextPart("dog"),))
    results = chatcli.batch(["cat", message], template="french.md", **options(server))
    texts = [result.text async for result in results]
    assert [word in text for text, word in zip(texts, ("cat", "dog"), strict=True)] == [True, True]


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({"template": "revew"}, "there is no template revew", "review"),
        ({"template": "gone.md"}, "cannot read the template gone.md", "check the path"),
        ({"template": "greet.md"}, "the template greet needs who, input", 'variables={"who": "…"}'),
        ({"template": "greet.md", "variables": {"who": "Ada"}}, "the template greet needs input", "a prompt"),
        (
            {"template": "greet.md", "variables": {"whom": "A"}},
            "the template greet has no variable whom",
            "who",
        ),
        ({"template": "greet.md", "variables": {"who": 1}}, "variables must be texts by name", "French"),
        ({"template": "greet.md", "variables": ["who=a"]}, "variables must be texts by name", "French"),
        ({"variables": {"who": "A"}}, "variables are those of a template", 'template="translate"'),
        ({"template": 5}, "template must be a name or a path", "prompts/review.md"),
        ({"template": []}, "template must be a name or a path", "prompts/review.md"),
        ({"template": ["greet.md", b"x.md"]}, "template must be a name or a path", "prompts/review.md"),
        ({"template": ""}, "no template was named", "chatcli templates list shows the names"),
        ({"template": "bad.md"}, "bad.md: unknown key", "keys"),
        ({"template": "hot.md"}, "template hot temperature", "edit hot.md"),
        ({"template": "desk.md"}, "the profile of the template desk is part of", "config=True"),
    ],
)
async def test_a_wrong_call_says_what_is_wrong(server, given, message, hint):
    written("greet.md", "Greet {{ who }}: {{ input }}")
    written("bad.md", '+++\nbase_url = "http://a"\n+++\nx')
    written("hot.md", '+++\ntemperature = "hot"\n+++\nx')
    written("desk.md", '+++\nprofile = "desk"\n+++\nx')
    with pytest.raises(chatcli.ChatcliError, match=message) as raised:
        await asyncio.to_thread(chatcli.ask, **given, **options(server))
    assert hint in raised.value.hint
    assert "--" not in f"{raised.value} {raised.value.hint}"
    if not message.startswith(("template hot", "the profile")):  # the conversation has settings of its own
        async with chatcli.open_chat(**options(server)) as chat:
            with pytest.raises(chatcli.ChatcliError, match=message):
                await chat.ask(**given)
            assert chat.messages == ()
    assert sent(server) == []


def test_a_template_that_cannot_be_filled_has_a_code(server):
    written("greet.md", "Greet {{ who }}")
    with pytest.raises(chatcli.UsageError) as raised:
        chatcli.ask("x", template="greet.md", **options(server))
    assert raised.value.code == "missing_variable"
