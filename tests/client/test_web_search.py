"""How each provider is asked to search the web."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.chat_completions import ChatCompletions
from chatcli.client.endpoint import Endpoint
from chatcli.client.endpoint_facts import Facts, UnsupportedParametersModel
from chatcli.client.responses import ResponseReader, Responses
from chatcli.client.web_search import OPTIONS, PLUGIN, SEARCH_FORMS, TOOL, refused_search, search_forms
from chatcli.core.errors import RequestRefused, UsageError
from chatcli.core.events import CitedSource, Completion, Notice, TextDelta, Usage
from chatcli.core.messages import question
from chatcli.core.request import Parameters, Request, Tool
from client.scripted_model import ScriptedModel
from client.wire import events_of

PARIS = [TextDelta("Paris"), Completion("stop")]
DIALECTS = {"chat": ChatCompletions, "responses": Responses}
OPENROUTER, GATEWAY = "https://openrouter.ai/api/v1", "https://gateway.example/v1"


def asked(model="small", *, chosen="auto", **fields):
    return Request(model, (question("News?"),), Parameters(web_search=chosen), **fields)


def added(url, api, request):
    """Return the fields that the search adds to the body."""
    endpoint, dialect = Endpoint(url), DIALECTS[api]()
    plain = Request(request.model, request.messages, tools=request.tools, without=request.without)
    body = dialect.body(request, streamed=True, endpoint=endpoint)
    before = dialect.body(plain, streamed=True, endpoint=endpoint)
    return {name: value for name, value in body.items() if before.get(name) != value}


@pytest.mark.parametrize(
    ("url", "api", "model", "expected"),
    [
        ("https://api.openai.com/v1", "responses", "gpt-5", {"tools": [{"type": "web_search"}]}),
        ("https://api.openai.com/v1", "chat", "gpt-5-search-api", {"web_search_options": {}}),
        ("https://api.openai.com/v1", "chat", "gpt-4o-search-preview", {"web_search_options": {}}),
        (OPENROUTER, "chat", "anthropic/claude-sonnet-4.5", {"plugins": [{"id": "web"}]}),
        (OPENROUTER, "responses", "openai/gpt-5", {"plugins": [{"id": "web"}]}),
        ("https://api.perplexity.ai", "chat", "sonar", {}),
        ("https://api.perplexity.ai/v1", "responses", "openai/gpt-5", {"tools": [{"type": "web_search"}]}),
        ("https://api.x.ai/v1", "responses", "grok-4", {"tools": [{"type": "web_search"}]}),
    ],
)
def test_each_provider_is_asked_as_it_documents(url, api, model, expected):
    assert added(url, api, asked(model)) == expected


@pytest.mark.parametrize(
    ("url", "api", "model", "hint"),
    [
        ("https://api.openai.com/v1", "chat", "gpt-5", "--api responses"),
        ("https://api.openai.com/v1", "chat", "research-1", "--api responses"),
        ("https://api.x.ai/v1", "chat", "grok-4", "--api responses"),
        ("https://api.anthropic.com/v1", "chat", "claude-sonnet-4-5", "through OpenRouter"),
        (
            "https://generativelanguage.googleapis.com/v1beta/openai",
            "chat",
            "gemini-3-pro",
            "through OpenRouter",
        ),
        (GATEWAY, "chat", "small", "set web_search to options, tool or plugin"),
    ],
)
def test_where_nobody_knows_how_it_is_refused_with_what_to_do(url, api, model, hint):
    with pytest.raises(UsageError, match="has no web search") as refused:
        added(url, api, asked(model))
    assert hint in refused.value.hint


@pytest.mark.parametrize("api", DIALECTS)
def test_a_model_of_this_machine_has_no_web(api):
    for endpoint in (
        Endpoint("http://127.0.0.1:11434/v1", runs_models=True),
        Endpoint("http://127.0.0.1:1/v1", embedded=True),
    ):
        with pytest.raises(UsageError, match="has no web search"):
            search_forms(endpoint, api, "small", "auto")


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("options", {"web_search_options": {}}),
        ("plugin", {"plugins": [{"id": "web"}]}),
        ("tool", {"tools": [{"type": "web_search"}]}),
    ],
)
def test_the_form_can_be_chosen(chosen, expected):
    assert added(GATEWAY, "chat", asked(chosen=chosen)) == expected


@pytest.mark.parametrize("api", DIALECTS)
def test_the_search_goes_beside_other_tools(api):
    look = Tool("look", "Look.", {"type": "object"})
    tools = added(GATEWAY, api, asked(chosen="tool", tools=(look,)))["tools"]
    assert [tool["type"] for tool in tools] == ["function", "web_search"]


@pytest.mark.parametrize("api", DIALECTS)
def test_the_rest_of_an_answer_is_asked_for_without_another_search(api):
    assert added(GATEWAY, api, asked(chosen="tool", is_continuation=True)) == {}


REFUSALS = [
    ("Unknown parameter: 'web_search_options'.", OPTIONS),
    ("plugins: Extra inputs are not permitted", PLUGIN),
    ("Hosted tool 'web_search' is not supported with gpt-4.1-nano.", TOOL),
    ("Invalid value: 'web_search'. Supported values are: 'function'.", TOOL),
    ('[{"loc": ["body", "tools", 0, "type"], "msg": "Input should be \'function\'"}]', TOOL),
    ("Rate limit of the model", None),
]


@pytest.mark.parametrize(("wording", "form"), REFUSALS)
def test_a_refusal_is_recognized(wording, form):
    error = RequestRefused(wording, status=400)
    assert refused_search(error, asked(), frozenset()) == (frozenset({form}) if form else frozenset())
    plain = Request("small", (question("Hi"),))
    assert refused_search(error, plain, frozenset()) == frozenset()


def test_a_refusal_of_another_tool_is_not_taken_for_one_of_the_search():
    error = RequestRefused("tools.0.function.name: invalid", status=400)
    look = Tool("look", "Look.", {"type": "object"})
    assert refused_search(error, asked(tools=(look,)), frozenset()) == frozenset()
    assert refused_search(error, asked(), frozenset()) == {TOOL}


@given(st.text(max_size=60), st.sets(st.sampled_from(sorted(SEARCH_FORMS))))
def test_no_form_is_refused_twice(wording, known):
    error = RequestRefused(f"{wording} web_search_options plugins web_search", status=400)
    found = refused_search(error, asked(), frozenset(known))
    assert len(found) <= 1
    assert not found & known


async def test_after_a_refusal_the_next_form_is_sent_and_that_is_remembered():
    inner = ScriptedModel([RequestRefused("Unknown field: plugins", status=400)], PARIS, PARIS)
    model = UnsupportedParametersModel(inner, Facts())
    request = asked()
    assert await events_of(model, request) == [
        Notice("web_search_refused", "small does not take the web search plugin"),
        *PARIS,
    ]
    assert await events_of(model, request) == PARIS
    bodies = [
        ChatCompletions().body(each, streamed=True, endpoint=Endpoint(OPENROUTER)) for each in inner.requests
    ]
    assert [list({"plugins", "tools"} & body.keys()) for body in bodies] == [
        ["plugins"],
        ["tools"],
        ["tools"],
    ]
    assert bodies[1]["tools"] == [{"type": "openrouter:web_search"}]


def test_a_model_that_takes_no_form_is_not_asked():
    with pytest.raises(UsageError, match="does not take web search"):
        added(GATEWAY, "responses", asked(without=frozenset({TOOL})))


def responses_of(*output, **usage):
    reader = ResponseReader(asked())
    answer = {
        "status": "completed",
        "output": list(output),
        "usage": {"input_tokens": 9, "output_tokens": 2, **usage},
    }
    list(reader.read_whole(answer))
    return reader.completion()


def test_searches_of_a_response_are_counted_and_pages_that_are_opened_are_not():
    done = responses_of(
        {"type": "web_search_call", "action": {"type": "search", "query": "news"}},
        {"type": "web_search_call", "action": {"type": "open_page", "url": "https://a.example"}},
        {"type": "web_search_call"},
        {
            "type": "message",
            "content": [
                {
                    "type": "output_text",
                    "text": "News.",
                    "annotations": [{"type": "url_citation", "url": "https://a.example", "title": "A"}],
                }
            ],
        },
    )
    assert done.usage == Usage(9, 2, searches=2)
    assert done.sources == (CitedSource(1, "A", "https://a.example"),)


def test_the_results_and_the_cost_of_perplexitys_responses_are_read():
    results = [
        {"id": 1, "title": "A", "url": "https://a.example"},
        {"title": "B", "url": "https://b.example"},
    ]
    done = responses_of(
        {"type": "search_results", "results": results},
        {"type": "message", "content": [{"type": "output_text", "text": "News [1]."}]},
        cost={"currency": "USD", "total_cost": 0.006},
    )
    assert [(source.n, source.title) for source in done.sources] == [(1, "A"), (2, "B")]
    assert done.cost_usd == 0.006
