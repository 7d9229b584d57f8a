"""Structured output with the real program, against servers that take it each in their own way."""

from __future__ import annotations

import json

import pytest

from e2e.program import PATIENT
from scripted_server import Answer, event_stream, json_answer, serving_in_thread

FIELDS = "name, age? int, tags list: the words on the label"
ANN = {"name": "Ann", "age": 5, "tags": ["a", "b"]}
WRITTEN = json.dumps(ANN)


def streamed(*texts):
    return Answer(event_stream(*texts))


def refusal(message, status=400, **fields):
    return json_answer(
        {"error": {"message": message, "type": "invalid_request_error", **fields}}, status=status
    )


def tool_call(name, *arguments, text=""):
    deltas = [{"content": text}] if text else []
    for place, chunk in enumerate(arguments):
        function = {"arguments": chunk, **({"name": name} if not place else {})}
        deltas.append(
            {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]}
        )
    chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    lines = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks]
    return Answer([*lines, b"data: [DONE]\n\n"])


def schemas_in(value):
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from schemas_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from schemas_in(each)


def objects_in(schema):
    return [each for each in schemas_in(schema) if each.get("type") == "object"]


def openai(request):
    """https://platform.openai.com/docs/guides/structured-outputs: every property required, no others."""
    form = request.json["response_format"]["json_schema"]
    for each in objects_in(form["schema"]):
        if each.get("additionalProperties") is not False or each["required"] != list(each["properties"]):
            return refusal(
                f"Invalid schema for response_format '{form['name']}': 'additionalProperties' is required to be "
                "supplied and to be false.",
                param="response_format",
            )
    assert form["strict"] is True
    return streamed(json.dumps({**ANN, "age": None}))


def responses(request):
    assert request.json["text"]["format"]["type"] == "json_schema"
    assert request.json["text"]["format"]["strict"] is True
    deltas = [{"type": "response.output_text.delta", "output_index": 0, "delta": each} for each in WRITTEN]
    end = {"type": "response.completed", "response": {"status": "completed", "output": []}}
    return Answer([b"data: " + json.dumps(each).encode() + b"\n\n" for each in [*deltas, end]])


def responses_in_json_mode(request):
    body = request.json
    if body.get("text", {}).get("format", {}).get("type") == "json_schema":
        return refusal(
            "Invalid parameter: 'text.format' of type 'json_schema' is not supported with this model."
        )
    assert body["text"]["format"] == {"type": "json_object"}
    assert "tools" not in body
    assert "JSON" in body["input"][-1]["content"]
    end = {"status": "completed", "output": [{"type": "message", "content": [{"text": WRITTEN}]}]}
    return json_answer(end)


def json_mode(request):
    """DeepSeek, and OpenAI's models before structured outputs."""
    body = request.json
    if "tools" in body:
        return refusal("this model does not support tools", param="tools")
    if body.get("response_format", {}).get("type") == "json_schema":
        return refusal("This response_format type is unavailable now")
    if body["response_format"] != {"type": "json_object"} or "JSON" not in body["messages"][-1]["content"]:
        return refusal("'messages' must contain the word 'json' in some form, to use 'response_format'.")
    return streamed(WRITTEN)


def forced_tool(request):
    body = request.json
    if "response_format" in body:
        return refusal("Unrecognized request argument supplied: response_format")
    name = body["tools"][0]["function"]["name"]
    assert body["tool_choice"] == {"type": "function", "function": {"name": name}}
    return tool_call(name, WRITTEN[:10], WRITTEN[10:], text="I will note this.")


def words_only(request):
    body = request.json
    if "response_format" in body:
        detail = [
            {
                "loc": ["body", "response_format"],
                "msg": "Extra inputs are not permitted",
                "type": "extra_forbidden",
            }
        ]
        return json_answer({"detail": detail}, status=422)
    if "tools" in body:
        return refusal("small does not support tools")
    assert '"properties"' in body["messages"][-1]["content"]
    return streamed("Sure!\n\n```json\n", WRITTEN, "\n```\n")


def gemini(request):
    """https://ai.google.dev/gemini-api/docs/openai: keywords it does not know are unknown fields."""
    schema = request.json["response_format"]["json_schema"]["schema"]
    known = {"type", "properties", "items", "description", "required", "enum", "anyOf"}
    names = set(schema.get("properties", ()))
    for each in schemas_in(schema):
        for unknown in each.keys() - known - names:
            words = f"Invalid JSON payload received. Unknown name \"{unknown}\" at 'generation_config.response_schema'"
            return json_answer(
                [{"error": {"code": 400, "message": words, "status": "INVALID_ARGUMENT"}}], status=400
            )
    return streamed(WRITTEN)


def grammar(request):
    """llama.cpp, whose grammars know no such pattern; vLLM words it otherwise."""
    schema = request.json["response_format"]["json_schema"]["schema"]
    if "additionalProperties" in schema:
        return refusal("JSON schema conversion failed:\nUnrecognized schema", status=500)
    return streamed(WRITTEN)


DIALECTS = {
    "OpenAI, strict": (openai, 1, {}),
    "Responses": (responses, 1, {"CHATCLI_API": "responses"}),
    "Responses in JSON mode": (responses_in_json_mode, 2, {"CHATCLI_API": "responses"}),
    "JSON mode": (json_mode, 3, {}),
    "a forced tool": (forced_tool, 2, {}),
    "words alone": (words_only, 4, {}),
    "Gemini": (gemini, 2, {}),
    "a grammar": (grammar, 2, {"CHATCLI_RETRIES": "0"}),
    "Claude behind a gateway": (forced_tool, 1, {"CHATCLI_MODEL": "claude-sonnet-4"}),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_endpoint_gets_the_schema_as_it_takes_it_and_that_is_learned(program, dialect):
    serve, requests, environment = DIALECTS[dialect]
    with serving_in_thread(choose=serve) as server:
        first = program.run("--schema", FIELDS, "-o", "json", "Ann", server=server, **environment)
        assert (first.exit_code, json.loads(first.stdout)["error"]) == (0, None)
        data = json.loads(first.stdout)["data"]
        assert data == (ANN if serve is not openai else {"name": "Ann", "tags": ["a", "b"]})
        assert len(server.requests) == requests
        second = program.run("--schema", FIELDS, "Ann", server=server, **environment)
        assert second.exit_code == 0
        assert len(server.requests) == requests + 1
        assert "does not take" not in second.stderr


def test_the_text_is_the_json_as_received(program):
    with serving_in_thread(Answer(event_stream('{"name":', ' "Ann"}'))) as server:
        ended = program.run("--schema", "name str", "Ann", server=server)
    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, '{"name": "Ann"}\n', "")


def test_a_pipe_and_a_file_get_the_value_without_the_words_around_it(program):
    answer = Answer(event_stream('Sure!\n```json\n{"name": "Ann", "age": null}\n```\n', "Anything else?"))
    with serving_in_thread(answer) as server:
        asked = ("--schema", "name, age? int", "Ann")
        piped = program.run(*asked, server=server)
        written = program.run("--out", "ann.json", *asked, server=server)
        told = json.loads(program.run("-o", "json", *asked, server=server).stdout)
    assert (piped.exit_code, json.loads(piped.stdout)) == (0, {"name": "Ann"})
    assert (written.exit_code, written.stdout) == (0, "")
    assert json.loads((program.working_folder / "ann.json").read_bytes()) == {"name": "Ann"}
    assert told["data"] == {"name": "Ann"}
    assert told["text"].startswith("Sure!")


def test_an_answer_that_does_not_fit_is_asked_for_once_more_with_the_error(program):
    with serving_in_thread(streamed('{"name": 1}'), streamed('{"name": "Ann"}')) as server:
        ended = program.run("--schema", "name str", "-o", "json", "Ann", server=server)
        again = server.requests[1].json["messages"]
    result = json.loads(ended.stdout)
    assert (ended.exit_code, result["text"], result["data"]) == (0, '{"name": "Ann"}', {"name": "Ann"})
    assert result["attempts"] == 2
    assert result["usage"]["output_tokens"] >= 8
    assert [message["role"] for message in again] == ["user", "assistant", "user"]
    assert again[1]["content"] == '{"name": 1}'
    assert "name: 1 is not of type 'string'" in again[2]["content"]
    assert (
        "the answer does not fit the schema (name: 1 is not of type 'string'); asking once more"
        in ended.stderr
    )


def counted(text):
    usage = {"prompt_tokens": 1_000, "completion_tokens": 100}
    chunk = b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n"
    return Answer([*event_stream(text)[:-1], chunk, b"data: [DONE]\n\n"])


def test_tokens_and_cost_of_both_answers_count(program):
    (program.config_folder / "config.toml").write_text("[prices.small]\ninput = 1\noutput = 10\n")
    with serving_in_thread(counted("no"), counted('{"name": "Ann"}')) as server:
        ended = program.run("--schema", "name str", "-o", "json", "Ann", server=server)
    result = json.loads(ended.stdout)
    assert (result["usage"]["input_tokens"], result["usage"]["output_tokens"]) == (2_000, 200)
    assert result["cost_usd"] == pytest.approx(0.004)


def test_a_budget_that_leaves_nothing_for_a_second_answer_leaves_the_first(program):
    (program.config_folder / "config.toml").write_text("[prices.small]\ninput = 1\noutput = 10\n")
    with serving_in_thread(counted("no"), counted('{"name": "Ann"}')) as server:
        ended = program.run("--max-cost", "0.0021", "--schema", "name str", "Ann", server=server)
        assert len(server.requests) == 1
    assert (ended.exit_code, ended.stdout) == (10, "no\n")
    assert "asking once more failed" in ended.stderr


def test_an_answer_that_never_fits_is_printed_with_exit_code_10(program):
    with serving_in_thread(streamed("no idea"), streamed('{"nome": "Ann"}')) as server:
        ended = program.run("--schema", "name str", "Ann", server=server)
    assert (ended.exit_code, ended.stdout) == (10, '{"nome": "Ann"}\n')
    assert "the answer does not fit the schema: " in ended.stderr


def test_the_error_and_no_data_are_in_the_json_of_an_answer_that_never_fits(program):
    with serving_in_thread(streamed("no"), streamed("no")) as server:
        ended = program.run("--schema", "name str", "-o", "json", "Ann", server=server)
    result = json.loads(ended.stdout)
    assert (ended.exit_code, result["text"], result["data"]) == (10, "no", None)
    assert result["error"]["code"] == "schema_mismatch"
    assert list(result)[-1] == "data"


def test_where_asking_once_more_fails_the_first_answer_stands(program):
    with serving_in_thread(streamed("no"), refusal("nothing more today")) as server:
        ended = program.run("--schema", "name str", "Ann", server=server)
    assert (ended.exit_code, ended.stdout) == (10, "no\n")
    assert "asking once more failed" in ended.stderr


def test_partial_values_come_while_it_streams(program):
    chunks = ('{"name": "A', 'nn", "tags": [', '"a", "b"', "]}")
    with serving_in_thread(streamed(*chunks)) as server:
        ended = program.run("--schema", "name, tags list", "-o", "jsonl", "Ann", server=server)
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    partial = [event["data"] for event in events if event["type"] == "partial_data"]
    assert partial[0] == {"name": "A"}
    assert {"name": "Ann", "tags": []} in partial
    assert partial[-1] == events[-1]["data"] == {"name": "Ann", "tags": ["a", "b"]}


def test_a_list_has_items(program):
    with serving_in_thread(streamed('{"items": [{"name": "Ann"}]}')) as server:
        ended = program.run("--schema-multi", "name str", "-o", "json", "all", server=server)
    assert json.loads(ended.stdout)["data"] == {"items": [{"name": "Ann"}]}


def test_a_schema_of_the_folder_is_named_and_a_template_names_one(program):
    folder = program.config_folder / "schemas"
    folder.mkdir()
    (folder / "person.txt").write_text("name\nage? int")
    templates = program.config_folder / "templates"
    templates.mkdir()
    (templates / "who.md").write_text('+++\nschema_multi = "person"\n+++\nWho is in {{ input }}?')
    with serving_in_thread(streamed('{"name": "Ann"}'), streamed('{"items": []}')) as server:
        assert program.run("--schema", "person", "Ann", server=server).exit_code == 0
        assert server.requests[0].json["response_format"]["json_schema"]["name"] == "person"
        ended = program.run("-T", "who", "Paris", server=server)
    assert (ended.exit_code, ended.stdout) == (0, '{"items": []}\n')


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--schema", "age itn"), "did you mean int?"),
        (("--schema", "persn"), "there is no schema persn"),
        (("--schema", "a", "--schema-multi", "b"), "cannot be combined"),
        (("--schema", "a str", "-x"), "cannot be combined"),
        (("--schema", '{"$ref": "http://127.0.0.1:9/x"}'), "refers to another document"),
    ],
)
def test_what_is_no_schema_is_exit_2_before_anything_is_sent(program, arguments, words):
    with serving_in_thread() as server:
        ended = program.run(*arguments, "Ann", server=server)
        assert (ended.exit_code, server.requests) == (2, [])
    assert words in ended.stderr


def test_a_cut_answer_is_incomplete_and_not_repaired(program):
    with serving_in_thread(Answer(event_stream('{"name": "A', finish_reason="length"))) as server:
        ended = program.run("--schema", "name str", "-o", "json", "Ann", server=server)
        assert len(server.requests) == 1
    assert (ended.exit_code, json.loads(ended.stdout)["data"]) == (7, None)


def test_a_cut_answer_that_is_continued_is_checked_whole(program):
    cut, rest = Answer(event_stream('{"name": "A', finish_reason="length")), streamed('nn", "age": 5}')
    with serving_in_thread(cut, rest) as server:
        ended = program.run(
            "--schema", "name, age int", "-o", "json", "Ann", server=server, CHATCLI_AUTO_CONTINUE="1"
        )
        assert "response_format" not in server.requests[1].json
    assert (ended.exit_code, json.loads(ended.stdout)["data"]) == (0, {"name": "Ann", "age": 5})


def test_a_dry_run_shows_the_schema(program):
    with serving_in_thread() as server:
        ended = program.run("--schema", "name str", "--dry-run", "Ann", server=server)
    shown = json.loads(ended.stdout)
    assert shown["request"]["response_format"]["type"] == "json_schema"
    schema, question = shown["parts"]
    assert schema["kind"] == "schema"
    assert shown["sent_tokens"] >= schema["tokens"] + question["tokens"] > 30


def test_another_schema_is_another_answer_for_the_cache(program):
    with serving_in_thread(streamed('{"name": "Ann"}'), streamed('{"age": 5}')) as server:
        for fields in ("name str", "age int", "name str"):
            ended = program.run("--cache", "--schema", fields, "-o", "json", "Ann", server=server, **PATIENT)
        assert len(server.requests) == 2
    assert json.loads(ended.stdout)["data"] == {"name": "Ann"}
    assert json.loads(ended.stdout)["cached"] is True


def test_an_answer_that_does_not_fit_is_not_kept_in_the_cache(program):
    with serving_in_thread(streamed("no"), streamed("no"), streamed('{"name": "Ann"}')) as server:
        assert program.run("--cache", "--schema", "name str", "Ann", server=server, **PATIENT).exit_code == 10
        assert program.run("--cache", "--schema", "name str", "Ann", server=server, **PATIENT).exit_code == 0
        assert len(server.requests) == 3


def test_an_endpoint_that_ignores_the_schema_is_asked_in_another_way_from_then_on(program):
    with serving_in_thread(
        streamed("Ann is five."), streamed('{"name": "Ann"}'), tool_call("answer", '{"name": "Ann"}')
    ) as server:
        assert program.run("--schema", "name str", "Ann", server=server).exit_code == 0
        assert program.run("--schema", "name str", "Ann", server=server).exit_code == 0
        assert "response_format" in server.requests[0].json
        assert "tools" in server.requests[2].json


def test_rows_of_a_batch_have_data_or_an_error(program):
    (program.working_folder / "who.txt").write_text("Ann\nBob\n")

    def serve(request):
        is_ann = "Ann" in request.json["messages"][0]["content"]
        return json_answer(
            {
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": '{"name": "Ann"}' if is_ann else "Bob?"},
                        "finish_reason": "stop",
                    }
                ]
            }
        )

    with serving_in_thread(choose=serve) as server:
        ended = program.run("batch", "who.txt", "--schema", "name str", "--out", "o.jsonl", server=server)
        assert len(server.requests) == 3
    ann, bob = map(json.loads, (program.working_folder / "o.jsonl").read_text().splitlines())
    assert ended.exit_code == 12
    assert (ann["data"], ann["error"], ann["attempts"]) == ({"name": "Ann"}, None, 1)
    assert (bob["data"], bob["error"]["code"], bob["text"]) == (None, "schema_mismatch", "Bob?")
    assert bob["attempts"] == 2
