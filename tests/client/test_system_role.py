"""Endpoints that know no system role."""

from __future__ import annotations

import pytest

from chatcli.client.chat_completions import ChatCompletions
from chatcli.client.endpoint import Endpoint
from chatcli.client.endpoint_facts import Facts
from chatcli.client.responses import Responses
from chatcli.client.system_role import DEVELOPER_ROLE, SYSTEM_ROLE, refused_role
from chatcli.client.unsupported_parameters import UnsupportedParametersModel
from chatcli.client.wire_messages import chat_messages
from chatcli.core.errors import BadResponse, KeyRefused, QuotaExceeded, RequestRefused, ServerFailed
from chatcli.core.events import Completion, Notice, TextDelta
from chatcli.core.messages import answer, question, system
from chatcli.core.request import Parameters, Request
from client.scripted_model import ScriptedModel
from client.wire import events_of, failure_of

URL = "https://models.example/v1"
ENDPOINT = Endpoint(URL)
BRIEF = Request("gemma", (system("Be brief."), question("Hi"), answer("Hello"), question("Bye")))
WITHOUT_SYSTEM = Request("gemma", (question("Hi"),))
NONE = frozenset[str]()
PARIS = [TextDelta("Paris"), Completion("stop")]
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


async def test_who_takes_no_system_is_asked_with_developer_and_that_is_said_once():
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
        return Facts(URL, tmp_path / "parameters.json")

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
def test_a_refusal_of_developer_is_known_where_the_roles_taken_are_told(error):
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
    said = "messages[0].role 'user'" + piece * 100_000
    error = refused("host: 400", provider_message=said)
    assert refused_role(error, BRIEF, NONE) == (SYSTEM_ROLE if piece == "system " else None)


TAKEN = "Input should be 'user' or 'assistant'"


@pytest.mark.parametrize(
    ("said", "without", "role"),
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
def test_a_list_of_roles_without_that_of_the_system_prompt_refuses_it(said, without, role):
    assert refused_role(refused(said, 422), BRIEF, frozenset(without)) == role
