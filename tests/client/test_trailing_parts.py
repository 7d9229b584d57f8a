"""Parts beside the text of an answer, in the chunks of the providers' documentation."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.trailing_parts import MOST_CALLS, AnswerMedia, Citations, TrailingParts
from chatcli.core.events import CitedSource, Completion, Notice, TextDelta
from chatcli.core.messages import Message, ToolCallPart, answer, question
from chatcli.core.request import Parameters, Request
from client.wire import QUESTION, asked, completion, delta, end, event, events_of

WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
NOT_OFFERED = Notice("tool_calls", "the model tried to call a tool that was not offered: get_weather")


def call(index, *, identity=None, name=None, arguments=""):
    function = {"name": name, "arguments": arguments} if name else {"arguments": arguments}
    begun = {"id": identity, "type": "function"} if identity else {}
    return {"index": index, **begun, "function": function}


async def test_a_refusal_is_no_answer_but_said_and_in_the_completion(chat, streams):
    # https://platform.openai.com/docs/guides/structured-outputs#refusals-with-structured-outputs
    streams(
        delta(role="assistant", refusal=None),
        delta(refusal="I'm sorry, "),
        delta(refusal="I cannot help with that."),
        end(),
    )
    refusal = "I'm sorry, I cannot help with that."
    events = await events_of(chat)
    assert events == [
        Notice("refusal", f"the model refused to answer: {refusal}"),
        Completion("stop", "small-1"),
    ]
    assert events[-1].message == answer("", refusal)


@pytest.mark.parametrize("content", [None, "", [{"type": "refusal", "refusal": "No."}]])
async def test_a_refusal_in_one_piece_reads_the_same(unstreamed, completions, content):
    whole = completion("")
    refusal = {} if content else {"refusal": "No."}
    whole["choices"][0]["message"] = {"role": "assistant", "content": content, **refusal}
    completions.respond(json=whole)
    events = await events_of(unstreamed)
    assert events[0] == Notice("refusal", "the model refused to answer: No.")
    assert events[-1].message == answer("", "No.")


async def test_what_came_before_a_refusal_is_the_answer_as_far_as_it_came(chat, streams):
    streams(delta("Well, "), delta(refusal="no."), end())
    events = await events_of(chat)
    assert events[0] == TextDelta("Well, ")
    assert events[-1].message == answer("Well, ", "no.")


async def test_the_deltas_of_calls_are_joined_by_their_index(chat, streams):
    # https://platform.openai.com/docs/guides/function-calling#streaming
    streams(
        delta(role="assistant", tool_calls=[call(0, identity="call_1", name="get_weather")]),
        delta(tool_calls=[call(0, arguments='{"city"')]),
        delta(tool_calls=[call(1, identity="call_2", name="get_weather", arguments='{"city":')]),
        delta(tool_calls=[call(0, arguments=':"Paris"}'), call(1, arguments='"Rome"}')]),
        end("tool_calls"),
    )
    calls = (
        ToolCallPart("call_1", "get_weather", '{"city":"Paris"}'),
        ToolCallPart("call_2", "get_weather", '{"city":"Rome"}'),
    )
    events = await events_of(chat)
    assert events == [NOT_OFFERED, Completion("tool_calls", "small-1")]
    assert events[-1].message == Message("assistant", calls)


@pytest.mark.parametrize("place", [{"index": 0}, {}])
async def test_calls_that_share_a_place_are_reported_apart_by_their_ids(chat, streams, place):
    # Gemini's compatible API: https://ai.google.dev/gemini-api/docs/openai#function-calling
    def whole(identity, city):
        return {
            **place,
            "id": identity,
            "type": "function",
            "function": {"name": "get_weather", "arguments": city},
        }

    streams(delta(tool_calls=[whole("a", "{}")]), delta(tool_calls=[whole("b", "[]")]), end("tool_calls"))
    assert (await events_of(chat))[-1].message.tool_calls == (
        ToolCallPart("a", "get_weather", "{}"),
        ToolCallPart("b", "get_weather", "[]"),
    )


async def test_the_older_function_call_is_one_as_well(chat, streams):
    streams(
        delta(function_call={"name": "get_weather", "arguments": ""}),
        delta(function_call={"arguments": '{"city":'}),
        delta(function_call={"arguments": '"Paris"}'}),
        end("function_call"),
    )
    events = await events_of(chat)
    assert events == [NOT_OFFERED, Completion("function_call", "small-1")]
    assert events[-1].message.tool_calls == (ToolCallPart("", "get_weather", '{"city":"Paris"}'),)


async def test_arguments_that_are_an_object_become_its_json(unstreamed, completions):
    whole = completion("")
    function = {"name": "get_weather", "arguments": {"city": "Köln"}}
    whole["choices"][0]["message"]["tool_calls"] = [{"id": "1", "type": "function", "function": function}]
    completions.respond(json=whole)
    (called,) = (await events_of(unstreamed))[-1].message.tool_calls
    assert called == ToolCallPart("1", "get_weather", '{"city": "Köln"}')


@pytest.mark.parametrize("tools", [{"tools": [WEATHER]}, {"functions": [WEATHER["function"]]}])
async def test_a_call_of_a_tool_that_was_offered_is_reported_to_be_that(chat, streams, tools):
    streams(delta(tool_calls=[call(0, identity="1", name="get_weather")]), end("tool_calls"))
    assert (await events_of(chat, asked(extra=tools)))[0] == Notice(
        "tool_calls", "the model called a tool, which chatcli does not run: get_weather"
    )
    other = {"tools": [{"type": "function", "function": {"name": "other"}}]}
    assert (await events_of(chat, asked(extra=other)))[0] == NOT_OFFERED


async def test_calls_are_reported_in_a_line_however_many_and_long(chat, streams):
    again = [{"function": {"name": "search"}}] * 2000
    others = [{"index": number, "function": {"name": f"{number}" * 9000}} for number in range(2000)]
    streams(delta(tool_calls=again), delta(tool_calls=others), end("tool_calls"))
    notice, completion = await events_of(chat)
    assert notice.message.count("search") == 1
    assert len(notice.message) < 1000
    assert len(completion.message.tool_calls) == MOST_CALLS
    assert all(len(called.name) <= 1000 for called in completion.message.tool_calls)


async def test_a_tool_without_a_name_is_reported_too(chat, streams):
    streams(delta(tool_calls=[None, {"function": "?"}, {"function": {"arguments": "{}"}}]), end("tool_calls"))
    notice, completion = await events_of(chat)
    assert notice == Notice("tool_calls", "the model tried to call a tool that was not offered")
    assert completion.message.tool_calls == (ToolCallPart("", "", "{}"),)


@given(st.lists(st.tuples(st.integers(0, 3), st.text(max_size=5)), max_size=20))
def test_however_the_arguments_of_calls_are_mixed_each_call_gets_its_own(deltas):
    trailing, expected = TrailingParts(QUESTION), {}
    for index, arguments in deltas:
        trailing.call(index, identity=f"call_{index}", name="f", arguments=arguments)
        expected[index] = expected.get(index, "") + arguments
    assert trailing.completing(Completion("stop")).message.tool_calls == tuple(
        ToolCallPart(f"call_{index}", "f", arguments) for index, arguments in expected.items()
    )


async def test_half_a_character_in_a_refusal_or_in_arguments_can_be_written(chat, streams):
    def escaped(**fields):
        return b"data: " + json.dumps({"choices": [{"index": 0, "delta": fields}]}).encode() + b"\n\n"

    streams(
        escaped(refusal="No \ud83d"),
        escaped(refusal="\ude00."),
        escaped(tool_calls=[call(0, name="f", arguments="\ud83d")]),
        end(),
    )
    completion = (await events_of(chat))[-1]
    assert completion.message.refusal == "No \N{GRINNING FACE}."
    assert completion.message.tool_calls == (ToolCallPart("", "f", "\N{REPLACEMENT CHARACTER}"),)


@pytest.mark.parametrize("odd", [None, 3, "?", {}, [None], [3], {"data": 3, "transcript": 4}])
async def test_fields_of_an_unexpected_shape_are_passed_over(chat, streams, odd):
    fields = ("refusal", "tool_calls", "function_call", "images", "audio", "annotations", "citations")
    beside = {name: odd for name in fields if (name, odd) != ("refusal", "?")}
    streams(event({"citations": odd, "search_results": odd}), delta("Paris", **beside), end())
    events = await events_of(chat)
    assert events[0] == TextDelta("Paris")
    assert events[-1].message.refusal is None
    assert events[-1].sources == ()


def test_what_was_offered_may_have_any_shape():
    for odd in (None, 3, [None, 3, {"function": None}, {"function": {"name": 4}}]):
        request = Request("small", (question("Hi"),), Parameters(extra={"tools": odd, "functions": odd}))
        trailing = TrailingParts(request)
        trailing.call(0, name="f")
        assert [notice.code for notice in trailing.rest()] == ["tool_calls"]


PARIS, FRANCE = "https://en.wikipedia.org/wiki/Paris", "https://example.com/france"


def citation(url, title, **fields):
    return {"type": "url_citation", "url_citation": {"url": url, "title": title, **fields}}


def chunk(**fields):
    return event({"model": "small-1", "choices": [{"index": 0, "delta": {"content": "x"}}], **fields})


async def test_annotations_beside_the_content_are_numbered_in_their_order(chat, streams):
    # https://platform.openai.com/docs/guides/tools-web-search?api-mode=chat, and as OpenRouter streams them:
    # https://openrouter.ai/docs/guides/features/plugins/web-search
    streams(
        delta("Paris."),
        delta(annotations=[citation(PARIS, "Paris - Wikipedia", start_index=0, end_index=6)]),
        delta(annotations=[citation(FRANCE, "France"), citation(PARIS, "Paris again")]),
        end(),
    )
    assert (await events_of(chat))[-1].sources == (
        CitedSource(1, "Paris - Wikipedia", PARIS),
        CitedSource(2, "France", FRANCE),
    )


async def test_annotations_of_a_whole_answer_are_read(unstreamed, completions):
    whole = completion("Paris.")
    whole["choices"][0]["message"]["annotations"] = [citation(PARIS, "Paris")]
    completions.respond(json=whole)
    assert (await events_of(unstreamed))[-1].sources == (CitedSource(1, "Paris", PARIS),)


async def test_perplexitys_lists_in_every_chunk_give_the_numbers_the_answer_names(chat, streams):
    # https://docs.perplexity.ai/api-reference/chat-completions-post
    lists = {
        "citations": [FRANCE, PARIS],
        "search_results": [
            {"title": "Paris - Wikipedia", "url": PARIS, "date": "2026-01-01"},
            {"title": "France", "url": FRANCE, "date": None},
        ],
    }
    streams(chunk(**lists), chunk(**lists), chunk(**lists), end())
    assert (await events_of(chat))[-1].sources == (
        CitedSource(1, "France", FRANCE),
        CitedSource(2, "Paris - Wikipedia", PARIS),
    )


async def test_search_results_alone_are_sources(chat, streams):
    streams(chunk(search_results=[{"title": "Paris", "url": PARIS}]), end())
    assert (await events_of(chat))[-1].sources == (CitedSource(1, "Paris", PARIS),)


async def test_a_list_that_grows_or_comes_last_is_read(chat, streams):
    # xAI sends its list with the last chunk: https://docs.x.ai/docs/guides/live-search#returning-citations
    streams(chunk(), chunk(citations=[PARIS]), chunk(citations=[PARIS, FRANCE]), end())
    assert [source.url for source in (await events_of(chat))[-1].sources] == [PARIS, FRANCE]


async def test_the_grounding_of_gemini_is_read(chat, streams):
    # https://docs.litellm.ai/docs/providers/vertex#grounding
    metadata = [{"groundingChunks": [{"web": {"uri": PARIS, "title": "wikipedia.org"}}, {"maps": {}}, None]}]
    streams(chunk(vertex_ai_grounding_metadata=metadata), end())
    assert (await events_of(chat))[-1].sources == (CitedSource(1, "wikipedia.org", PARIS),)


async def test_the_references_of_mistrals_connectors_are_read(chat, streams):
    # https://docs.mistral.ai/agents/connectors/websearch
    part = {"type": "tool_reference", "tool": "web_search", "title": "Paris", "url": PARIS}
    streams(delta([{"type": "text", "text": "Paris."}, part]), end())
    assert (await events_of(chat))[-1].sources == (CitedSource(1, "Paris", PARIS),)


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "file:///etc/passwd", "", None, 3, "https://x.example/" + "y" * 3000]
)
def test_what_is_no_address_of_the_web_is_no_source(url):
    citations = Citations()
    citations.read({"citations": [url], "annotations": [citation(url, "x")]})
    assert citations.sources() == ()


def test_a_file_is_a_source_by_its_name():
    # https://platform.openai.com/docs/guides/tools-file-search
    citations = Citations()
    citations.annotate(
        [{"type": "file_citation", "index": 9, "file_id": "file-1", "filename": "deep.pdf"}] * 2
    )
    assert citations.sources() == (CitedSource(1, "deep.pdf", path="deep.pdf"),)


ADDRESSES = st.integers(0, 150).map("https://example.com/{}".format)
LISTS = st.sampled_from(["citations", "annotations", "search_results"])


@given(st.lists(st.tuples(LISTS, st.lists(ADDRESSES, max_size=40)), max_size=6))
def test_whatever_is_listed_each_source_is_there_once_with_a_number_of_its_own(lists):
    citations = Citations()
    for name, urls in lists:
        entries = {
            "citations": urls,
            "annotations": [citation(url, "") for url in urls],
            "search_results": [{"url": url} for url in urls],
        }
        citations.read({name: entries[name]})
    sources = citations.sources()
    named = {url for _, urls in lists for url in urls}
    assert len({source.url for source in sources}) == len(sources) == min(100, len(named))
    numbers = [source.n for source in sources]
    assert numbers == sorted(set(numbers))
    assert all(number >= 1 for number in numbers)


def test_a_title_of_any_length_is_one_short_line():
    citations = Citations()
    citations.annotate(citation(PARIS, "a\nb\t" * 1000))
    (source,) = citations.sources()
    assert "\n" not in source.title
    assert len(source.title) <= 300


def test_a_source_is_one_line_whatever_its_address_or_file_is():
    citations = Citations()
    citations.annotate(citation(" https://example.com/a b\n\n# c", ""))
    citations.annotate({"type": "file_citation", "filename": "a\n\n# b.pdf"})
    assert [source.line for source in citations.sources()] == [
        "[1] https://example.com/a%20b%20#%20c",
        "[2] a # b.pdf",
    ]


PICTURE = base64.b64encode(bytes(12_345)).decode()
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}


async def test_a_picture_beside_the_content_is_reported_with_its_type_and_size(chat, streams):
    # https://openrouter.ai/docs/guides/overview/multimodal/image-generation
    streams(delta("Here: "), delta(images=[IMAGE]), end())
    assert await events_of(chat) == [
        TextDelta("Here: "),
        Notice(
            "media_not_shown", "the answer contains a picture (image/png, 12.3 kB), which cannot be shown"
        ),
        Completion("stop", "small-1"),
    ]


async def test_a_picture_among_the_parts_of_the_content_is_reported_by_its_address(chat, streams):
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    streams(delta([{"type": "text", "text": "Here"}, image, image]), end())
    assert (await events_of(chat))[1] == Notice(
        "media_not_shown", "the answer contains a picture (https://example.com/a.png), which cannot be shown"
    )


async def test_the_words_of_a_sound_are_the_answer_and_the_sound_is_reported(chat, streams):
    # https://platform.openai.com/docs/guides/audio
    data = base64.b64encode(bytes(3_000)).decode()
    streams(
        delta(audio={"id": "audio_1", "transcript": "Par"}),
        delta(audio={"transcript": "is."}),
        delta(audio={"data": data}),
        delta(audio={"data": data, "expires_at": 1}),
        end(),
    )
    request = asked(extra={"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "pcm16"}})
    assert await events_of(chat, request) == [
        TextDelta("Par"),
        TextDelta("is."),
        Notice("media_not_shown", "the answer contains a sound (audio/pcm16, 6.0 kB), which cannot be shown"),
        Completion("stop", "small-1"),
    ]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 999, 1_000, 2_500_000])
def test_the_size_is_that_of_the_picture_and_not_of_its_letters(size):
    media = AnswerMedia()
    media.picture_at(f"data:image/webp;base64,{base64.b64encode(bytes(size)).decode()}")
    size_text = {999: "999 bytes", 1_000: "1.0 kB", 2_500_000: "2.5 MB"}.get(size, f"{size} bytes")
    assert media.words() == f"a picture (image/webp, {size_text})"


def test_many_pictures_are_counted_and_a_few_described():
    media = AnswerMedia()
    for number in range(1_000):
        media.picture_at({"url": f"https://example.com/{number}{'x' * 900}"})
    assert media.words().startswith("1,000 pictures (https://example.com/0xxx")
    assert media.words().endswith("and 996 more)")
    assert len(media.words()) < 1_000


@pytest.mark.parametrize("odd", [None, 3, "", {}, {"url": None}, ["https://example.com/a.png"]])
def test_what_is_no_picture_is_not_reported_to_be_one(odd):
    media = AnswerMedia()
    media.picture_at(odd)
    media.sound(odd)
    assert not media or odd == ""
