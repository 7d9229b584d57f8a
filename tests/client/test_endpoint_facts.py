from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.answer_forms import BASIC_SCHEMA, JSON_MODE, SCHEMA, TOOL
from chatcli.client.endpoint import Endpoint
from chatcli.client.endpoint_facts import (
    LARGEST_SHARE,
    Facts,
    LearnedCounts,
    UnsupportedParametersModel,
    UsageCalibrationModel,
)
from chatcli.client.refused_fields import refused_field
from chatcli.core.errors import ContextOverflow, RequestRefused
from chatcli.core.events import Completion, Notice, TextDelta, Usage
from chatcli.core.messages import question
from chatcli.core.request import Parameters, Request, ResponseFormat
from chatcli.storage.cache import KEPT_FOR_S, MOST_ENTRIES, JsonFileCache
from client.wire import events_of, failure_of
from conversation.fakes import ScriptedModel

URL = "http://127.0.0.1:8080/v1"
NOW_S = 1_795_000_000.0


def facts_at(path, now_s, url=URL) -> Facts:
    """Return the facts another run reads at that time."""
    return Facts(url, JsonFileCache(path, clock_s=lambda: now_s))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "windows.json"


@pytest.fixture
def facts(path) -> Facts:
    return facts_at(path, NOW_S)


def test_nothing_is_known_before_anything_was_remembered(facts):
    assert facts.recall("small") == (False, None)


@pytest.mark.parametrize("tokens", [8192, None])
def test_what_an_endpoint_said_is_recalled_even_that_it_did_not_know(facts, path, tokens):
    facts.remember("small", tokens)
    assert facts_at(path, NOW_S + KEPT_FOR_S - 1).recall("small") == (True, tokens)


def test_it_is_recalled_for_that_model_at_that_endpoint_only(facts, path):
    facts.remember("small", 8192)
    assert facts.recall("large") == (False, None)
    assert facts_at(path, NOW_S, "https://models.example/v1").recall("small") == (False, None)


def test_the_last_word_counts(facts):
    facts.remember("small", 8192)
    facts.remember("small", 4096)
    assert facts.recall("small") == (True, 4096)


@pytest.mark.parametrize("later_s", [KEPT_FOR_S, -1])
def test_after_a_week_or_a_clock_set_back_the_endpoint_is_asked_again(facts, path, later_s):
    facts.remember("small", 8192)
    later = facts_at(path, NOW_S + later_s)
    assert later.recall("small") == (False, None)
    later.remember("large", 100)
    assert list(json.loads(path.read_bytes())) == [f"{URL} large"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"[]", b"null", b'{"http://127.0.0.1:8080/v1 small": 8192}'],
)
def test_a_broken_file_counts_as_empty_and_is_replaced(facts, path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    assert facts.recall("small") == (False, None)
    facts.remember("small", 8192)
    assert facts_at(path, NOW_S).recall("small") == (True, 8192)


@pytest.mark.parametrize("value", ["8192", -1, {"a": [1]}, None])
def test_any_json_value_is_kept_as_it_is(facts, path, value):
    facts.remember("small", value)
    assert facts_at(path, NOW_S).recall("small") == (True, value)


def test_a_folder_that_cannot_be_made_is_no_reason_to_fail(tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be", encoding="utf-8")
    facts = facts_at(tmp_path / "cache" / "windows.json", NOW_S)
    facts.remember("small", 8192)
    assert facts.recall("small") == (True, 8192)
    assert facts_at(tmp_path / "cache" / "windows.json", NOW_S).recall("small") == (False, None)


def test_nothing_is_left_beside_the_file(facts, path):
    facts.remember("small", 8192)
    assert list(path.parent.iterdir()) == [path]


def test_only_the_newest_entries_are_kept(path):
    for number in range(3):
        facts_at(path, NOW_S + number).remember(f"model {number}", number)
    entries = json.loads(path.read_bytes())
    many = {f"{URL} old {number}": {"value": 1, "at": NOW_S - 60} for number in range(MOST_ENTRIES)}
    path.write_text(json.dumps(many | entries))
    facts_at(path, NOW_S + 3).remember("model 3", 3)
    kept = facts_at(path, NOW_S + 3)
    assert len(json.loads(path.read_bytes())) == MOST_ENTRIES
    assert [kept.recall(f"model {number}") for number in range(4)] == [(True, number) for number in range(4)]


def test_what_is_known_already_is_written_once_a_run(facts, path):
    facts.remember("small", 8192)
    path.unlink()
    facts.remember("small", 8192)
    assert not path.exists()
    facts.remember("small", 4096)
    assert facts_at(path, NOW_S).recall("small") == (True, 4096)


def test_where_nothing_is_to_be_kept_the_run_knows_it_all_the_same(facts, path):
    facts.remember("small", 8192)
    unkept = Facts(URL, JsonFileCache(path, clock_s=lambda: NOW_S), is_kept=False)
    assert unkept.recall("small") == (True, 8192)
    unkept.remember("small", 4096)
    assert unkept.recall("small") == (True, 4096)
    assert facts_at(path, NOW_S).recall("small") == (True, 8192)


def test_a_larger_share_counts_at_once_and_a_smaller_one_is_come_to_in_steps():
    counts = LearnedCounts()
    assert counts.share("small") == 0
    counts.learn("small", 1000, 1200)
    assert counts.share("small") == 0.2
    counts.learn("small", 1000, 1100)
    assert counts.share("small") == 0.175
    assert counts.share("large") == 0


@pytest.mark.parametrize(
    ("counted", "reported", "share"), [(200, 300, 0.5), (1000, 2000, 1.0)], ids=["the shortest", "the most"]
)
def test_the_shortest_prompt_and_the_largest_share_count(counted, reported, share):
    counts = LearnedCounts()
    counts.learn("small", counted, reported)
    assert counts.share("small") == share


@pytest.mark.parametrize(
    ("counted", "reported"),
    [(199, 300), (1000, 2001), (1000, 10**12), (1000, 0), (1000, 900), (1000, 1000)],
    ids=["short", "too much", "absurd", "nothing", "less", "the same"],
)
def test_what_makes_no_sense_or_no_difference_changes_nothing(counted, reported):
    counts = LearnedCounts()
    counts.learn("small", counted, reported)
    assert counts.share("small") == 0


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**7))))
def test_the_share_is_never_negative_nor_beyond_the_largest(reported):
    counts = LearnedCounts()
    for pair in reported:
        counts.learn("small", *pair)
        assert 0 <= counts.share("small") <= LARGEST_SHARE


def test_what_was_learned_is_known_to_the_next_run(tmp_path):
    path = tmp_path / "counts.json"
    LearnedCounts(facts_at(path, NOW_S)).learn("small", 1000, 1250)
    assert LearnedCounts(facts_at(path, NOW_S)).share("small") == 0.25


@pytest.mark.parametrize("value", ["1", None, -0.5, 7.0, float("nan"), [], True])
def test_a_file_that_says_something_else_counts_as_nothing(tmp_path, value):
    path = tmp_path / "counts.json"
    facts_at(path, NOW_S).remember("small", value)
    assert LearnedCounts(facts_at(path, NOW_S)).share("small") == 0


ENDPOINT = Endpoint("http://127.0.0.1:8080/v1", loopback=True)


def answered(usage, *, cached=False):
    return (TextDelta("Hi"), Completion("stop", "small", usage, cached=cached))


def asking(counted_tokens, **request):
    return Request("small", (question("Hi"),), counted_tokens=counted_tokens, **request)


async def events_from(model, request):
    async with aclosing(model.stream(request)) as events:
        return [event async for event in events]


async def test_a_prompt_of_which_the_server_read_far_less_is_reported_of_once():
    model = ScriptedModel(*[answered(Usage(4096, 5))] * 2)
    measuring = UsageCalibrationModel(model, ENDPOINT, LearnedCounts(), Facts())
    _, notice, completion = await events_from(measuring, asking(7900))
    assert isinstance(completion, Completion)
    assert notice.code == "prompt_cut_by_server"
    assert "4,096" in notice.message
    assert "7,900" in notice.message
    assert "num_ctx" in notice.message
    assert not any(isinstance(event, Notice) for event in await events_from(measuring, asking(7900)))


@pytest.mark.parametrize(
    ("counted", "usage", "cached"),
    [
        (None, Usage(10, 5), False),
        (900, Usage(500, 5), False),
        (2000, Usage(1300, 5), False),
        (2000, Usage(1200, 5), False),
        (1000, Usage(500, 5), False),
        (2000, Usage(100, 5, cached_tokens=1800), False),
        (2000, Usage(100, 5, estimated=True), False),
        (2000, Usage(100, 5), True),
        (2000, Usage(None, 5), False),
        (2000, None, False),
    ],
    ids=["not counted", "few", "another vocabulary", "just as many", "just as few", "cached apart", "counted here", "kept answer", "not told", "none"],
)  # fmt: skip
async def test_what_can_be_explained_otherwise_is_not_reported(counted, usage, cached):
    measuring = UsageCalibrationModel(
        ScriptedModel(answered(usage, cached=cached)), ENDPOINT, LearnedCounts(), Facts()
    )
    assert [type(event) for event in await events_from(measuring, asking(counted))] == [TextDelta, Completion]


@pytest.mark.parametrize(("counted", "read"), [(2000, 1199), (1000, 499)])
async def test_the_least_that_is_far_less_is_reported(counted, read):
    model = ScriptedModel(answered(Usage(read, 5)))
    _, notice, _ = await events_from(
        UsageCalibrationModel(model, ENDPOINT, LearnedCounts(), Facts()), asking(counted)
    )
    assert notice.code == "prompt_cut_by_server"


async def test_what_the_server_counts_beyond_the_vocabulary_is_learned():
    counts = LearnedCounts()
    await events_from(
        UsageCalibrationModel(ScriptedModel(answered(Usage(1100, 5))), ENDPOINT, counts, Facts()),
        asking(1000),
    )
    assert counts.share("small") == 0.1


async def test_of_the_rest_of_an_answer_nothing_is_learned():
    counts = LearnedCounts()
    measuring = UsageCalibrationModel(ScriptedModel(answered(Usage(1900, 5))), ENDPOINT, counts, Facts())
    await events_from(measuring, asking(1000, partial_answer="Paris is"))
    assert counts.share("small") == 0


async def test_a_window_that_a_refusal_names_is_remembered(tmp_path):
    windows = Facts(ENDPOINT.base_url, JsonFileCache(tmp_path / "windows.json"))
    error = ContextOverflow("too long")
    error.window_tokens = 4096
    measuring = UsageCalibrationModel(
        ScriptedModel((error,), (ContextOverflow("too long"),)),
        ENDPOINT,
        LearnedCounts(),
        windows,
    )
    for _ in range(2):
        with pytest.raises(ContextOverflow):
            await events_from(measuring, asking(5000))
    assert Facts(ENDPOINT.base_url, JsonFileCache(tmp_path / "windows.json")).recall("small") == (True, 4096)


MODELS_URL = "https://models.example/v1"
REQUEST = Request(
    "small",
    (question("Hi"),),
    Parameters(temperature=0.5, max_tokens=9, seed=1, verbosity="low", extra={"top_k": 4, "model": "x"}),
)
PARIS = [TextDelta("Paris"), Completion("stop")]


def refusal(
    message: str,
    code: str | None = None,
    parameter: str | None = None,
    status: int = 400,
    full: str | None = None,
) -> RequestRefused:
    return RequestRefused(
        message, status=status, provider_code=code, parameter=parameter, provider_message=full
    )


TEMPERATURE = refusal(
    "Unsupported value: 'temperature' does not support 0.5 with this model.",
    "unsupported_value",
    "temperature",
)


async def test_a_refused_field_is_left_out_and_that_is_reported():
    inner = ScriptedModel([TEMPERATURE], PARIS)
    events = await events_of(UnsupportedParametersModel(inner, Facts()), REQUEST)
    assert events == [
        Notice("parameter_dropped", "small does not accept temperature; retried without it"),
        *PARIS,
    ]
    assert [request.without for request in inner.requests] == [frozenset(), frozenset({"temperature"})]


async def test_what_was_learned_is_not_tried_again_nor_said_again():
    inner = ScriptedModel([TEMPERATURE], PARIS, PARIS)
    model = UnsupportedParametersModel(inner, Facts())
    await events_of(model, REQUEST)
    assert await events_of(model, REQUEST) == PARIS
    assert inner.requests[2].without == {"temperature"}


async def test_what_was_learned_is_known_to_the_next_run_for_that_model_only(tmp_path):
    def remembered() -> Facts:
        return Facts(MODELS_URL, JsonFileCache(tmp_path / "parameters.json"))

    await events_of(UnsupportedParametersModel(ScriptedModel([TEMPERATURE], PARIS), remembered()), REQUEST)
    inner = ScriptedModel(PARIS, PARIS)
    model = UnsupportedParametersModel(inner, remembered())
    await events_of(model, REQUEST)
    await events_of(model, Request("large", REQUEST.messages))
    assert [request.without for request in inner.requests] == [{"temperature"}, frozenset()]


FORMED = Request("small", (question("Who?"),), response_format=ResponseFormat("person", {"type": "object"}))
NO_SCHEMA = refusal("response_format is not supported")
NO_TOOLS = refusal("tools are not supported")
JSON = [TextDelta("{}"), Completion("stop")]


async def test_refused_forms_of_answers_are_remembered_once_another_one_is_answered():
    inner = ScriptedModel([NO_SCHEMA], [NO_TOOLS], JSON, JSON)
    model = UnsupportedParametersModel(inner, Facts())
    await events_of(model, FORMED)
    assert await events_of(model, FORMED) == JSON
    assert inner.requests[3].without == {SCHEMA, BASIC_SCHEMA, TOOL}


NOT_THIS_SCHEMA = refusal("Invalid schema for response_format 'person': 'minLength' is not permitted")
OTHERWISE_FORMED = replace(
    FORMED, response_format=ResponseFormat("person", {"type": "object", "required": []})
)


async def test_a_form_refused_for_what_one_schema_contains_is_sent_with_others(tmp_path):
    def layer(inner):
        return UnsupportedParametersModel(inner, Facts(MODELS_URL, JsonFileCache(tmp_path / "facts.json")))

    inner = ScriptedModel([NOT_THIS_SCHEMA], JSON, JSON, JSON)
    model = layer(inner)
    await events_of(model, FORMED)
    assert await events_of(model, FORMED) == JSON
    assert await events_of(model, OTHERWISE_FORMED) == JSON
    assert [request.without for request in inner.requests[2:]] == [{SCHEMA}, frozenset()]
    later = ScriptedModel(JSON, JSON)
    for request in (FORMED, OTHERWISE_FORMED):
        await events_of(layer(later), request)
    assert [request.without for request in later.requests] == [{SCHEMA}, frozenset()]


async def test_a_model_that_takes_no_schema_at_all_is_not_asked_with_another_one():
    inner = ScriptedModel([NOT_THIS_SCHEMA], [NO_SCHEMA], JSON, JSON)
    model = UnsupportedParametersModel(inner, Facts())
    await events_of(model, FORMED)
    assert await events_of(model, OTHERWISE_FORMED) == JSON
    assert inner.requests[-1].without == {SCHEMA, BASIC_SCHEMA}


async def test_what_one_schema_is_refused_for_is_not_learned_with_a_refused_field():
    inner = ScriptedModel([NOT_THIS_SCHEMA], JSON, [TEMPERATURE], JSON, JSON)
    model = UnsupportedParametersModel(inner, Facts())
    warm = Parameters(temperature=1.0)
    for request in (FORMED, replace(FORMED, parameters=warm), replace(OTHERWISE_FORMED, parameters=warm)):
        await events_of(model, request)
    assert inner.requests[3].without == {SCHEMA, "temperature"}
    assert inner.requests[4].without == {"temperature"}


async def test_where_every_form_is_refused_something_else_is_wrong_and_nothing_is_learned():
    inner = ScriptedModel([NO_SCHEMA], [NO_TOOLS], [NO_SCHEMA], [NO_SCHEMA], JSON)
    model = UnsupportedParametersModel(inner, Facts())
    _, error = await failure_of(model, FORMED)
    assert error is NO_SCHEMA
    await events_of(model, FORMED)
    assert inner.requests[-1].without == frozenset()


async def test_a_form_that_is_not_taken_together_with_a_search_is_given_up_and_not_the_search():
    inner = ScriptedModel([refusal("Web Search cannot be used with JSON mode.")], JSON)
    searching = replace(
        FORMED, parameters=Parameters(web_search="tool"), without=frozenset({SCHEMA, BASIC_SCHEMA})
    )
    await events_of(UnsupportedParametersModel(inner, Facts()), searching)
    assert inner.requests[-1].without == {SCHEMA, BASIC_SCHEMA, JSON_MODE}


@pytest.mark.parametrize(
    "answer",
    [
        [TextDelta("\ufeff"), *JSON],
        [TextDelta("I cannot"), Completion("content_filter")],
        [TextDelta("Well, "), Completion("length")],
    ],
)
async def test_only_a_whole_answer_in_words_shows_that_a_form_is_ignored(answer):
    inner = ScriptedModel(answer, JSON, [TextDelta("Well."), Completion("stop")], JSON)
    model = UnsupportedParametersModel(inner, Facts())
    for _ in range(4):
        await events_of(model, FORMED)
    assert [request.without for request in inner.requests[1:]] == [frozenset()] * 2 + [{SCHEMA, BASIC_SCHEMA}]


async def test_what_requests_learn_at_the_same_time_is_all_remembered():
    waits = asyncio.Event()
    inner = ScriptedModel([TEMPERATURE], [waits, refusal("Unknown parameter: 'seed'")], PARIS, PARIS, PARIS)
    model = UnsupportedParametersModel(inner, Facts())
    first = asyncio.create_task(events_of(model, REQUEST))
    second = asyncio.create_task(events_of(model, REQUEST))
    await first
    waits.set()
    await second
    await events_of(model, REQUEST)
    assert inner.requests[-1].without == {"temperature", "seed"}


async def test_a_limit_is_spelled_otherwise_before_it_is_left_out():
    inner = ScriptedModel(
        [refusal("'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.")],
        [refusal("Unrecognized request argument supplied: max_completion_tokens")],
        [refusal("Unrecognized request argument supplied: max_output_tokens")],
        PARIS,
    )
    reported = [
        event.message
        for event in await events_of(UnsupportedParametersModel(inner, Facts()), REQUEST)
        if isinstance(event, Notice)
    ]
    assert reported == [
        "small does not accept max_tokens; retried with max_completion_tokens",
        "small does not accept max_completion_tokens; retried with max_output_tokens",
        "small does not accept max_output_tokens; retried without it",
    ]


async def test_a_field_that_is_refused_again_is_a_failure():
    _, error = await failure_of(
        UnsupportedParametersModel(ScriptedModel([TEMPERATURE], [TEMPERATURE]), Facts()), REQUEST
    )
    assert error is TEMPERATURE


@pytest.mark.parametrize(
    ("error", "field"),
    [
        (refusal("No.", "unsupported_parameter", "temperature"), "temperature"),
        (refusal("Unrecognized request argument supplied: stream_options"), "stream_options"),
        (refusal("Unknown field 'top_k'"), "top_k"),
        (refusal("stream_options.include_usage is not supported", status=422), "stream_options"),
        (refusal('[{"type": "extra_forbidden", "loc": ["body", "seed"]}]', status=422), "seed"),
        (refusal("Unknown parameter: 'store'.", "unknown_parameter", "store"), "store"),
        (refusal("Use max_output_tokens; max_tokens is not supported"), "max_tokens"),
        (refusal("You cannot use max_tokens: not supported"), "max_tokens"),
        (refusal("Model grok does not support parameter topP."), None),
        (refusal("Model grok does not support parameter topK."), "top_k"),
        (refusal("invalid temperature: only 1 is allowed for this model"), "temperature"),
        (refusal("seed: Extra inputs are not permitted", status=200), "seed"),
        (refusal("No.", "extra_forbidden", "stream_options.include_usage", 422), "stream_options"),
        (
            refusal(
                "Unsupported value: 'low' is not supported with the 'gpt-4o' model. Supported values are: 'medium'.",
                "unsupported_value",
                "text.verbosity",
            ),
            "verbosity",
        ),
        (refusal('Unknown name "verbosity": Cannot find field.'), "verbosity"),
        (refusal("x" * 300 + "…", full="x" * 300 + " is wrong: unknown field 'top_k'"), "top_k"),
        (refusal("temperature is not supported", status=403), None),
        (refusal("temperature must be at most 2"), None),
        (refusal("The model 'x' is not supported"), None),
        (refusal("Unsupported value: this model has no reasoning and no top_p"), None),
        (refusal("Unsupported parameter: 'messages'", "unsupported_parameter", "messages"), None),
        (refusal("No."), None),
    ],
)
def test_the_field_is_found_however_the_server_names_it(error, field):
    assert refused_field(error, REQUEST, frozenset()) == field


STREAMED = Request("small", (question("Hi"),))


@pytest.mark.parametrize(
    "error",
    [
        refusal("Streaming is not supported for this model"),
        refusal("stream: Input should be False", parameter="stream", status=422),
        refusal("stream: Extra inputs are not permitted", status=422, parameter="stream"),
        refusal("Unsupported value: 'stream' does not support true with this model.", parameter="stream"),
    ],
)
async def test_who_does_not_stream_is_asked_for_the_whole_answer_and_that_is_reported_once(error, tmp_path):
    path = tmp_path / "parameters.json"
    inner = ScriptedModel([error], PARIS, PARIS, PARIS)
    model = UnsupportedParametersModel(inner, Facts(MODELS_URL, JsonFileCache(path)))
    notice = Notice("parameter_dropped", "small does not stream its answers: they come whole")
    assert await events_of(model, STREAMED) == [notice, *PARIS]
    assert await events_of(model, STREAMED) == PARIS
    assert (
        await events_of(UnsupportedParametersModel(inner, Facts(MODELS_URL, JsonFileCache(path))), STREAMED)
        == PARIS
    )
    assert [request.without for request in inner.requests] == [frozenset(), *[{"stream"}] * 3]


def test_a_refused_option_of_streaming_is_not_taken_for_streaming():
    error = refusal("stream_options is not supported when stream is true")
    assert refused_field(error, STREAMED, frozenset()) == "stream_options"
