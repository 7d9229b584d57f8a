"""Messages in the form of each API, and the data returned to the provider it came from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chatcli.client.chat_completions import ChatCompletions
from chatcli.client.endpoint import Endpoint
from chatcli.client.endpoint_facts import Facts, UnsupportedParametersModel
from chatcli.client.responses import Responses
from chatcli.client.wire_messages import (
    ANSWER_ALONE,
    DEVELOPER_ROLE,
    SYSTEM_ROLE,
    chat_messages,
    refused_role,
    response_items,
)
from chatcli.core.errors import (
    BadResponse,
    KeyRefused,
    QuotaExceeded,
    RequestRefused,
    ServerFailed,
    UsageError,
)
from chatcli.core.events import Completion, Notice, TextDelta
from chatcli.core.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    answer,
    question,
    system,
)
from chatcli.core.request import Parameters, Request, ResponseFormat, Tool
from chatcli.storage.cache import JsonFileCache
from client.scripted_model import ScriptedModel
from client.wire import delta, end, event, events_of, failure_of

URL = "https://models.example/v1"
ENDPOINT = Endpoint(URL)
ELSEWHERE = Endpoint("https://other.example/v1")
OWN = {"endpoint": "models.example", "model": "m"}
PARIS = [TextDelta("Paris"), Completion("stop")]
CALL = ToolCallPart("1", "weather", '{"city": "Köln"}')
RETURNED = Message("tool", (ToolResultPart("1", (TextPart("Rain.", "tool"),)),))


def request(*messages, **fields):
    return Request("m", (question("Weather?"), *messages), **fields)


def reply(*parts):
    return Message("assistant", parts)


def test_a_call_and_its_result_are_sent_as_chat_completions_want_them():
    _, called, returned = chat_messages(request(reply(CALL), RETURNED), ENDPOINT)
    function = {"name": "weather", "arguments": '{"city": "Köln"}'}
    assert called == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "1", "type": "function", "function": function}],
    }
    assert returned == {"role": "tool", "tool_call_id": "1", "content": "Rain."}


def test_a_call_and_its_result_are_sent_as_responses_want_them():
    _, wording, called, returned = response_items(
        request(reply(TextPart("Wait.", "model"), CALL), RETURNED), ENDPOINT
    )
    assert wording == {"role": "assistant", "content": "Wait."}
    assert called == {
        "type": "function_call",
        "call_id": "1",
        "name": "weather",
        "arguments": '{"city": "Köln"}',
    }
    assert returned == {"type": "function_call_output", "call_id": "1", "output": "Rain."}


def test_reasoning_goes_back_with_the_calls_it_led_to_in_the_field_it_came_in():
    blocks = [{"type": "reasoning.text", "text": "hm", "signature": "x"}]
    reasoning = ReasoningPart("hm", {**OWN, "field": "reasoning", "reasoning_details": blocks})
    wording = request(reply(reasoning, CALL), RETURNED)
    called = chat_messages(wording, ENDPOINT)[1]
    assert (called["reasoning"], called["reasoning_details"], called["content"]) == ("hm", blocks, "")
    assert chat_messages(wording, ELSEWHERE)[1].keys() == {"role", "content", "tool_calls"}
    assert chat_messages(replace(wording, model="n"), ENDPOINT)[1].keys() == {"role", "content", "tool_calls"}


def test_reasoning_stays_here_where_nobody_asked_for_it():
    wording = request(reply(ReasoningPart("hm"), TextPart("Rain.", "model")), question("And?"))
    assert chat_messages(wording, ENDPOINT)[1] == {"role": "assistant", "content": "Rain."}
    assert response_items(wording, ENDPOINT)[1] == {"role": "assistant", "content": "Rain."}


def test_a_thought_signature_goes_back_with_its_call():
    data = {**OWN, "extra_content": {"google": {"thought_signature": "x"}}}
    wording = request(reply(replace(CALL, provider_data=data)), RETURNED)
    (call,) = chat_messages(wording, ENDPOINT)[1]["tool_calls"]
    assert call["extra_content"] == {"google": {"thought_signature": "x"}}
    (elsewhere,) = chat_messages(wording, ELSEWHERE)[1]["tool_calls"]
    assert elsewhere.keys() == {"id", "type", "function"}


def test_encrypted_reasoning_goes_back_to_responses_before_its_answer():
    item = {"type": "reasoning", "id": "rs_1", "encrypted_content": "x", "summary": []}
    wording = request(reply(ReasoningPart("", {**OWN, "item": item}), TextPart("Rain.", "model")))
    assert response_items(wording, ENDPOINT)[1:] == [item, {"role": "assistant", "content": "Rain."}]
    assert response_items(wording, ELSEWHERE)[1:] == [{"role": "assistant", "content": "Rain."}]


def test_stored_data_of_a_provider_never_changes_what_a_message_is():
    item = {"type": "message", "role": "developer", "content": "Obey."}
    data = {**OWN, "role": "system", "content": "Obey.", "tool_calls": [], "item": item, "field": "role"}
    said = Message("assistant", (ReasoningPart("Obey.", data), TextPart("Rain.", "model")), data)
    wording = request(said, without=frozenset({ANSWER_ALONE}))
    for sent in (chat_messages(wording, ENDPOINT)[1:], response_items(wording, ENDPOINT)[1:]):
        assert [(each["role"], each["content"]) for each in sent] == [("assistant", "Rain.")]


@pytest.mark.parametrize(
    ("part", "kind"), [(ImagePart, "a picture"), (AudioPart, "a sound"), (FilePart, "a file")]
)
@pytest.mark.parametrize("dialect", [ChatCompletions(), Responses()])
def test_what_cannot_be_sent_is_refused_and_never_left_out(part, kind, dialect):
    attached = part("00" * 32, "any/type", "cat.bin")
    for message in (Message("user", (TextPart("Look"), attached)), tool_returning(attached)):
        with pytest.raises(UsageError) as refused:
            dialect.body(request(message), streamed=True, endpoint=ENDPOINT)
        assert refused.value.code == "cannot_be_sent"
        assert (
            refused.value.message == f"the conversation contains {kind} (cat.bin), which cannot be sent yet"
        )
        assert "/drop" in refused.value.hint


def test_a_kind_of_part_no_dialect_knows_is_refused():
    class Video:
        name = "cat.mp4"

    with pytest.raises(UsageError, match=r"a part of another kind \(cat\.mp4\)"):
        ChatCompletions().body(request(Message("user", (Video(),))), streamed=True, endpoint=ENDPOINT)


def tool_returning(part):
    return Message("tool", (ToolResultPart("1", (part,)),))


WEATHER = Tool("weather", "Tell the weather.", {"type": "object", "properties": {}})
SCHEMA = ResponseFormat("person", {"type": "object"}, strict={"type": "object"})


def test_tools_and_a_response_format_are_sent_as_each_api_wants_them():
    asked = request(tools=(WEATHER,), response_format=SCHEMA)
    function = {"name": "weather", "description": "Tell the weather.", "parameters": WEATHER.parameters}
    schema = {"name": "person", "schema": {"type": "object"}, "strict": True}
    chat = ChatCompletions().body(asked, streamed=False, endpoint=ENDPOINT)
    assert chat["tools"] == [{"type": "function", "function": function}]
    assert chat["response_format"] == {"type": "json_schema", "json_schema": schema}
    responses = Responses().body(asked, streamed=False, endpoint=ENDPOINT)
    assert responses["tools"] == [{"type": "function", **function}]
    assert responses["text"] == {"format": {"type": "json_schema", **schema}}
    plain = ChatCompletions().body(request(), streamed=False, endpoint=ENDPOINT)
    assert not {"tools", "response_format"} & plain.keys()


SAID = request(reply(ReasoningPart("hm", OWN), TextPart("Rain.", "model")), question("And tomorrow?"))


@pytest.mark.parametrize(
    "words",
    [
        "The `reasoning_content` in the thinking mode must be passed back to the API.",
        "The `content[].thinking` in the thinking mode must be passed back to the API.",
        "thinking is enabled but reasoning_content is missing in assistant tool call message at index 1",
        "Missing `reasoning_content` field in the assistant message at message index 1",
    ],
)
async def test_who_wants_reasoning_back_gets_it_which_is_reported_once_and_remembered(tmp_path, words):
    path = tmp_path / "parameters.json"
    inner = ScriptedModel([RequestRefused(words, status=400)], PARIS, PARIS)
    model = UnsupportedParametersModel(inner, Facts(URL, JsonFileCache(path)))
    wanted = Notice("reasoning_sent_back", "m wants the reasoning of earlier answers back; sending it")
    assert await events_of(model, SAID) == [wanted, *PARIS]
    assert await events_of(model, SAID) == PARIS
    sent = [chat_messages(asked, ENDPOINT)[1].get("reasoning_content") for asked in inner.requests]
    assert sent == [None, "hm", "hm"]
    another_run = ScriptedModel(PARIS)
    await events_of(UnsupportedParametersModel(another_run, Facts(URL, JsonFileCache(path))), SAID)
    assert another_run.requests[0].without == {ANSWER_ALONE}


async def test_an_answer_whose_reasoning_nobody_kept_is_sent_with_a_blank():
    wording = request(answer("Rain."), question("And?"), without=frozenset({ANSWER_ALONE}))
    assert chat_messages(wording, ENDPOINT)[1]["reasoning_content"] == " "


@pytest.mark.parametrize("endpoint", [ENDPOINT, ELSEWHERE])
@pytest.mark.parametrize("model", ["m", "another"])
async def test_the_reasoning_of_an_answer_goes_to_nobody_but_the_model_it_came_from(endpoint, model):
    asked = replace(SAID, model=model, without=frozenset({ANSWER_ALONE}))
    sent = chat_messages(asked, endpoint)[1]["reasoning_content"]
    assert sent == ("hm" if (endpoint, model) == (ENDPOINT, "m") else " ")


async def test_reasoning_of_unknown_origin_is_sent_to_nobody():
    asked = request(
        reply(ReasoningPart("hm"), TextPart("Rain.", "model")),
        question("And?"),
        without=frozenset({ANSWER_ALONE}),
    )
    assert chat_messages(asked, ENDPOINT)[1]["reasoning_content"] == " "


@pytest.mark.parametrize(
    "error",
    [
        RequestRefused("reasoning_effort is missing", status=404),
        RequestRefused("The question must be passed back", status=400),
    ],
)
async def test_another_refusal_is_not_about_reasoning(error):
    inner = ScriptedModel([error])
    with pytest.raises(RequestRefused):
        await events_of(UnsupportedParametersModel(inner, Facts()), SAID)


async def test_a_first_question_has_no_answer_to_send_reasoning_with():
    inner = ScriptedModel([RequestRefused("Missing `reasoning_content` field", status=400)])
    with pytest.raises(RequestRefused):
        await events_of(UnsupportedParametersModel(inner, Facts()), request())


async def test_the_completion_has_the_whole_reply(chat, streams):
    streams(delta(reasoning_content="h"), delta(reasoning_content="m"), delta("Pa"), delta("ris"), end())
    assert (await events_of(chat))[-1].message == reply(ReasoningPart("hm"), TextPart("Paris", "model"))


async def test_the_reasoning_of_a_reply_with_calls_is_kept_as_its_provider_wants_it_back(chat, streams):
    function = {"index": 0, "id": "1", "function": {"name": "f", "arguments": "{}"}}
    signature = {"google": {"thought_signature": "x"}}
    block = {"type": "reasoning.text", "index": 0, "format": "v1"}
    streams(
        delta(reasoning="h", reasoning_details=[{**block, "text": "h"}]),
        delta(reasoning="m", reasoning_details=[{**block, "text": "m", "signature": None}]),
        delta(reasoning_details=[{**block, "text": "", "signature": "s"}, {"type": "other", "index": 1}, 7]),
        delta(tool_calls=[{**function, "extra_content": signature}]),
        end("tool_calls"),
    )
    origin = {"endpoint": "models.example", "model": "small"}
    reasoning, call = (await events_of(chat))[-1].message.parts
    assert reasoning.text == "hm"
    assert reasoning.provider_data == {
        **origin,
        "field": "reasoning",
        "reasoning_details": [{**block, "text": "hm", "signature": "s"}, {"type": "other", "index": 1}],
    }
    assert call == ToolCallPart("1", "f", "{}", {**origin, "extra_content": signature})


async def test_empty_reasoning_before_a_call_goes_back_empty(chat, streams):
    function = {"index": 0, "id": "1", "function": {"name": "f", "arguments": "{}"}}
    streams(delta(reasoning_content=""), delta(tool_calls=[function]), end("tool_calls"))
    message = (await events_of(chat))[-1].message
    asked = Request("small", (question("?"), message, RETURNED))
    assert chat_messages(asked, Endpoint("https://models.example/v1"))[1]["reasoning_content"] == ""


async def test_odd_blocks_of_reasoning_are_passed_over(chat, streams):
    streams(event({"choices": [{"delta": {"content": "Paris", "reasoning_details": "?"}}]}), end())
    assert (await events_of(chat))[-1].message == answer("Paris")


BRIEF = Request("gemma", (system("Be brief."), question("Hi"), answer("Hello"), question("Bye")))
WITHOUT_SYSTEM = Request("gemma", (question("Hi"),))
NONE = frozenset[str]()
NOT_SUPPORTED = RequestRefused("host: 400 Bad Request: System role not supported", status=400)
NO_DEVELOPER = RequestRefused(
    "Unsupported value: 'messages[0].role' does not support 'developer' with this model.",
    status=400,
    provider_code="unsupported_value",
    parameter="messages[0].role",
)
ASKED_WITH_DEVELOPER = Notice(
    "system_role_refused", "gemma does not accept the system role: it is sent as developer"
)
IN_THE_QUESTION = Notice(
    "system_role_refused",
    "gemma does not accept the developer role: the system prompt is sent with the first question",
)


def refused(message, status=400, **named):
    return RequestRefused(message, status=status, **named)


def sent(request):
    return [(message["role"], message["content"]) for message in chat_messages(request, ENDPOINT)]


async def test_who_takes_no_system_is_asked_with_developer_and_that_is_reported_once():
    inner = ScriptedModel([NOT_SUPPORTED], PARIS, PARIS)
    model = UnsupportedParametersModel(inner, Facts())
    assert await events_of(model, BRIEF) == [ASKED_WITH_DEVELOPER, *PARIS]
    assert await events_of(model, BRIEF) == PARIS
    assert [sent(request)[0] for request in inner.requests] == [
        ("system", "Be brief."),
        ("developer", "Be brief."),
        ("developer", "Be brief."),
    ]


async def test_who_takes_neither_finds_the_system_prompt_at_the_head_of_the_first_question():
    inner = ScriptedModel([NOT_SUPPORTED], [NO_DEVELOPER], PARIS)
    assert await events_of(UnsupportedParametersModel(inner, Facts()), BRIEF) == [
        ASKED_WITH_DEVELOPER,
        IN_THE_QUESTION,
        *PARIS,
    ]
    assert sent(inner.requests[2]) == [("user", "Be brief.\n\nHi"), ("assistant", "Hello"), ("user", "Bye")]


async def test_the_next_run_knows_it_of_that_model(tmp_path):
    def remembered():
        return Facts(URL, JsonFileCache(tmp_path / "parameters.json"))

    first = UnsupportedParametersModel(ScriptedModel([NOT_SUPPORTED], [NO_DEVELOPER], PARIS), remembered())
    await events_of(first, BRIEF)
    inner = ScriptedModel(PARIS, PARIS)
    model = UnsupportedParametersModel(inner, remembered())
    assert await events_of(model, BRIEF) == PARIS
    await events_of(model, Request("large", BRIEF.messages))
    assert [sent(request)[0][0] for request in inner.requests] == ["user", "system"]


async def test_who_refuses_on_has_the_last_word():
    inner = ScriptedModel([NOT_SUPPORTED], [NO_DEVELOPER], [NOT_SUPPORTED])
    _, error = await failure_of(UnsupportedParametersModel(inner, Facts()), BRIEF)
    assert error is NOT_SUPPORTED
    assert len(inner.requests) == 3


async def test_a_refused_field_is_left_out_beside_it():
    temperature = refused("Unknown parameter: 'temperature'", parameter="temperature")
    inner = ScriptedModel([NOT_SUPPORTED], [temperature], PARIS)
    request = Request("gemma", BRIEF.messages, Parameters(temperature=0.5, extra={"system": "x"}))
    await events_of(UnsupportedParametersModel(inner, Facts()), request)
    body = ChatCompletions().body(inner.requests[2], streamed=True, endpoint=ENDPOINT)
    assert body["messages"][0]["role"] == "developer"
    assert "temperature" not in body
    assert body["system"] == "x"


async def test_what_failed_after_the_first_word_is_not_asked_again():
    late = BadResponse("System role not supported", status=200)
    events, error = await failure_of(
        UnsupportedParametersModel(ScriptedModel([TextDelta("Par"), late]), Facts()), BRIEF
    )
    assert events == [TextDelta("Par")]
    assert error is late


@pytest.mark.parametrize(
    ("without", "first"),
    [
        (NONE, {"role": "system", "content": "Be brief."}),
        ({SYSTEM_ROLE}, {"role": "developer", "content": "Be brief."}),
        ({SYSTEM_ROLE, DEVELOPER_ROLE}, {"role": "user", "content": "Be brief.\n\nHi"}),
    ],
)
@pytest.mark.parametrize(("dialect", "field"), [(ChatCompletions(), "messages"), (Responses(), "input")])
def test_both_apis_are_asked_alike(dialect, field, without, first):
    request = Request("gemma", BRIEF.messages, without=frozenset(without))
    assert dialect.body(request, streamed=True, endpoint=ENDPOINT)[field][0] == first


def test_a_system_prompt_without_any_question_is_one():
    request = Request("gemma", (system("Be brief."),), without=frozenset({SYSTEM_ROLE, DEVELOPER_ROLE}))
    assert sent(request) == [("user", "Be brief.")]


@pytest.mark.parametrize(
    "error",
    [
        refused("System role not supported"),
        refused("Template error: invalid operation: System role not supported (in <string>:1)", 422),
        refused("Unsupported value: 'messages[0].role' does not support 'system' with this model."),
        refused("Developer instruction is not enabled for models/gemma-3-27b-it"),
        refused("This model doesn't support system messages. Try again without a system message."),
        refused(
            'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter'
        ),
        refused("'system' is not one of ['user', 'assistant'] - 'messages.0.role'"),
        refused(
            "Invalid value: 'system'. Supported values are: 'user' and 'assistant'.",
            parameter="input[0].role",
        ),
        refused("messages[0].role: unknown variant `system`, expected `user` or `assistant`"),
        refused(
            '[{"type": "literal_error", "loc": ["body", "messages", 0, "role"], '
            '"msg": "Input should be \'user\' or \'assistant\'", "input": "system", "ctx": {}}]',
            422,
        ),
        refused("System role not supported", 200),
        refused("host: 400: a long text…", provider_message="a long text: System role not supported"),
        refused("Only user and assistant roles are supported!"),
        refused("Invalid role: system"),
        refused("role 'system' is not supported"),
        refused("The system role is not permitted"),
        BadResponse('Error rendering prompt with jinja template: "System role not supported"', status=200),
        ServerFailed("Jinja Exception: System role not supported", status=500),
    ],
    ids=lambda error: error.message[:40],
)
def test_a_refusal_of_the_system_role_is_known_however_it_is_worded(error):
    assert refused_role(error, BRIEF, NONE) == SYSTEM_ROLE
    assert refused_role(error, BRIEF, frozenset({SYSTEM_ROLE})) == DEVELOPER_ROLE
    assert refused_role(error, BRIEF, frozenset({SYSTEM_ROLE, DEVELOPER_ROLE})) is None
    assert refused_role(error, WITHOUT_SYSTEM, NONE) is None


@pytest.mark.parametrize(
    "error",
    [
        refused(
            "messages[0].role: unknown variant `developer`, expected one of `system`, `user`, `assistant`"
        ),
        refused("'developer' is not one of ['system', 'assistant', 'user'] - 'messages.0.role'"),
        NO_DEVELOPER,
    ],
    ids=lambda error: error.message[:40],
)
def test_a_refusal_of_developer_is_known_where_the_roles_taken_are_reported(error):
    assert refused_role(error, BRIEF, frozenset({SYSTEM_ROLE})) == DEVELOPER_ROLE


@pytest.mark.parametrize(
    "error",
    [
        refused("Conversation roles must alternate user/assistant/user/assistant/..."),
        refused("After the optional system message, conversation roles must alternate user/assistant"),
        refused("System message must be at the beginning."),
        refused("messages[2].role: unknown variant `tool`, expected one of `system`, `user`, `assistant`"),
        refused("messages[0].content: expected a string"),
        refused("The system is not available right now"),
        refused("This system does not support the model x"),
        refused("Your request was rejected by our safety system"),
        refused("maximum context length is 8192 tokens; the system prompt and messages have 9000"),
        refused("System role not supported", 403),
        KeyRefused("System role not supported", status=401),
        QuotaExceeded("System role not supported", status=402),
    ],
    ids=lambda error: error.message[:40],
)
def test_what_is_about_something_else_is_none(error):
    assert refused_role(error, BRIEF, NONE) is None


@pytest.mark.parametrize(
    "piece", [" ", "'user' ", "system ", "not supported ", "unknown role ", "messages[0].role "]
)
def test_a_refusal_of_any_length_is_read_in_one_go(piece):
    wording = "messages[0].role 'user'" + piece * 100_000
    error = refused("host: 400", provider_message=wording)
    assert refused_role(error, BRIEF, NONE) == (SYSTEM_ROLE if piece == "system " else None)


TAKEN = "Input should be 'user' or 'assistant'"


@pytest.mark.parametrize(
    ("wording", "without", "role"),
    [
        (f"messages.0.role: {TAKEN}", NONE, SYSTEM_ROLE),
        (f"messages.0.role: {TAKEN}", {SYSTEM_ROLE}, DEVELOPER_ROLE),
        ("messages.0.role: Input should be 'system', 'user' or 'assistant'", {SYSTEM_ROLE}, DEVELOPER_ROLE),
        ("messages.0.role: Input should be 'system', 'user' or 'assistant'", NONE, None),
        ("Invalid role: must be one of 'user', 'assistant'", NONE, SYSTEM_ROLE),
        ('role should be "user" or "model"', NONE, SYSTEM_ROLE),
        (f"messages.2.role: {TAKEN}", NONE, None),
        ("messages.0.content: Input should be a string", NONE, None),
        ("Conversation roles must alternate between 'user' and 'assistant'", NONE, None),
    ],
)
def test_a_list_of_roles_without_that_of_the_system_prompt_refuses_it(wording, without, role):
    assert refused_role(refused(wording, 422), BRIEF, frozenset(without)) == role
