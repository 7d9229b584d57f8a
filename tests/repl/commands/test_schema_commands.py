"""``/schema``: answers in JSON that fits."""

from __future__ import annotations

from dataclasses import replace

from chatcli.repl.answer_schema import read_form
from repl.test_repl_session import completions, messages
from repl.test_repl_session import start_repl as start_repl  # noqa: PLC0414 - a fixture
from scripted_server import Answer, event_stream, json_answer, serving

ANN = Answer(event_stream('{"name":', '"Ann"}'))
PARIS = Answer(event_stream("Paris."))


def serve(request):
    if not request.path.endswith("/chat/completions"):
        return json_answer({"data": []})
    return ANN if "response_format" in request.json else PARIS


def forms(server):
    """Return of each question whether its answer was to fit a schema."""
    asked = [request for request in server.requests if request.path.endswith("/chat/completions")]
    return ["response_format" in request.json for request in asked]


async def test_the_following_questions_are_answered_in_json_that_is_laid_out(start_repl):
    async with serving(choose=serve) as server:
        repl = start_repl(server)
        await repl.take("/schema name str")
        await repl.take("Who?")
        await repl.take("/retry")
        await repl.take("/btw Where?")
        await repl.take("/schema off")
        await repl.take("Where?")
        assert forms(server) == [True, True, False, False]
        assert "answers are JSON: name str (/schema off ends it)" in repl.frontend.text
        assert '{\n  "name": "Ann"\n}' in "".join(repl.frontend.output)
        assert repl.chat.session.context()[1].message.text == '{"name":"Ann"}'
        await repl.connection.close()


async def test_what_is_no_schema_changes_nothing(start_repl):
    repl = start_repl()
    await repl.take("/schema age itn")
    await repl.take("/schema off")
    assert "did you mean int?" in repl.frontend.text
    assert "there is no schema" in repl.frontend.text
    assert repl.chat.turns.response_format is None
    await repl.connection.close()


async def test_schemas_of_the_folder_are_listed_completed_and_used_by_name(start_repl, tmp_path):
    folder = tmp_path / "CONFIG" / "schemas"
    folder.mkdir(parents=True)
    (folder / "person.txt").write_text("name")
    async with serving(Answer(event_stream('{"items": []}'))) as server:
        repl = start_repl(server)
        await repl.take("/schema")
        assert "person.txt" in repl.frontend.text
        assert ("person", "person.txt") in await completions(repl, "/schema ")
        await repl.take("/schema multi person")
        assert ("off", "answers of any form") in await completions(repl, "/schema ")
        await repl.take("/schema")
        assert "answers are JSON with: items" in repl.frontend.text
        await repl.take("All")
        sent = server.requests[-1].json["response_format"]["json_schema"]["schema"]
        assert sent["properties"]["items"]["items"]["properties"] == {"name": {"type": "string"}}
        await repl.connection.close()


async def test_a_template_names_the_schema_of_its_question_alone(start_repl, tmp_path):
    folder = tmp_path / "CONFIG" / "templates"
    folder.mkdir(parents=True)
    (folder / "who.md").write_text('+++\nschema = "name str"\n+++\nWho is {{ input }}?')
    async with serving(choose=serve) as server:
        repl = start_repl(server)
        await repl.take("/t who she")
        await repl.take("Where?")
        assert forms(server) == [True, False]
        await repl.connection.close()


async def test_a_resumed_conversation_keeps_its_schema(start_repl):
    async with serving(choose=serve) as server:
        repl = start_repl(server)
        await repl.take("/schema name str")
        await repl.take("Who?")
        name = repl.chat.opened.name
        await repl.take("/new")
        assert repl.chat.turns.response_format is None
        await repl.take(f"/session {name}")
        assert repl.frontend.text.count("answers are JSON: name str (/schema off ends it)") == 2
        assert any('{\n  "name": "Ann"\n}' in text for text in repl.frontend.output[-4:])
        await repl.take("Who again?")
        await repl.take("/schema off")
        await repl.take("/new")
        await repl.take(f"/session {name}")
        await repl.take("Where?")
        assert forms(server) == [True, True, False]
        assert messages(server)[-1] == ("user", "Where?")
        await repl.connection.close()


async def test_a_conversation_that_begins_with_a_schema_keeps_it_and_the_next_one_has_none(start_repl):
    async with serving(choose=serve) as server:
        repl = start_repl(server)
        repl.options = replace(
            repl.options, response_format=read_form(repl.context.paths.config, "name str", is_list=False)
        )
        repl.resume_schema()
        await repl.take("Who?")
        name = repl.chat.opened.name
        await repl.take("/new")
        await repl.take("Where?")
        await repl.take(f"/session {name}")
        await repl.take("Who again?")
        assert forms(server) == [True, False, True]
        assert repl.frontend.text.count("answers are JSON: name (/schema off ends it)") == 2
        await repl.connection.close()


async def test_an_answer_that_never_fits_stays_with_the_error(start_repl):
    async with serving(PARIS, PARIS) as server:
        repl = start_repl(server)
        await repl.take("/schema name str")
        await repl.take("Who?")
        assert "the answer does not fit the schema: it is not JSON" in repl.frontend.text
        assert repl.chat.session.context()[1].message.text == "Paris."
        await repl.connection.close()
