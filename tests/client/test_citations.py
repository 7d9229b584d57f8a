"""What an answer cites, in the chunks that providers' documents show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.citations import Citations
from chatcli.core.events import CitedSource
from client.wire import completion, delta, end, event, events_of

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
