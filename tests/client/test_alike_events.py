"""Events that differ only in their text are read as if each were parsed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.alike_events import AlikeEvents
from chatcli.client.chat_completions import CompletionReader
from chatcli.client.openai_model import _json
from client.wire import QUESTION

TEXTS = st.one_of(
    st.text(min_size=1, max_size=6),
    st.sampled_from(
        ["", '"', "\\", '\\"', '"}', "天气", "\U0001f600", "\0", '{"content": "x"}', ' "content":"y" ']
    ),
)
DELTAS = (
    lambda text: {"content": text},
    lambda text: {"role": "assistant", "content": text, "reasoning_content": None, "tool_calls": None},
    lambda text: {"content": text, "reasoning_content": ""},
    lambda text: {"reasoning": text, "content": None},
    lambda text: {"content": text, "reasoning": text},
    lambda text: {"content": text, "refusal": text},
    lambda text: {"content": text, "annotations": None},
    lambda text: {"content": [{"type": "text", "text": text}]},
    lambda text: {"content": {"content": text}},
    lambda text: {"extra_content": {"content": text}, "content": text},
    lambda text: {"audio": {"data": "", "transcript": text}},
)
AROUND = (
    lambda delta: {"model": "one", "choices": [{"index": 0, "delta": delta}]},
    lambda delta: {"model": "two", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
    lambda delta: {"content": "other", "choices": [{"delta": delta}], "usage": None},
    lambda delta: {"choices": [{"delta": delta}], "usage": {"prompt_tokens": 3, "completion_tokens": 1}},
    lambda delta: {"choices": [{"delta": delta}], "x_groq": {"usage": {"prompt_tokens": 4}}},
    lambda delta: {"choices": [{"delta": delta, "usage": {"prompt_tokens": 5}}]},
    lambda delta: {"choices": [{"delta": delta, "finish_reason": "stop"}]},
    lambda delta: {"choices": [{"index": 1, "delta": delta}, {"index": 0, "delta": {"content": "first"}}]},
    lambda delta: {"choices": [{"index": 1, "delta": {"content": "second"}}, {"index": 0, "delta": delta}]},
    lambda delta: {"choices": [{"delta": delta}], "citations": ["https://example.org"]},
    lambda delta: {"choices": [{"message": delta}]},
    lambda delta: {"choices": [{"text": delta.get("content")}]},
)


def spelled(event, how):
    """Return ``event`` as one server or another writes it."""
    return json.dumps(event, ensure_ascii=how < 2, separators=(",", ":") if how % 2 else None).encode(
        "utf-8", "surrogatepass"
    )


RAW = st.sampled_from(
    [
        b'{"choices":[{"delta":{"content":"a"}}],"x":"b"}',
        b'{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}],"x":"b"}',
        b'{"choices":[{"delta":{"content":"a","content":"b"}}]}',
        b'{"choices":[{"delta":{"content":"a"}}],"choices":[{"delta":{"content":"c"}}]}',
        b'{"choices":[{"delta":{"content":"\\ud83d"}}]}',
        b'{"choices":[{"delta":{"content":"\\ude00"}}]}',
        b'{"choices":[{"delta":{"content":"\xff"}}]}',
        b'{"choices":[{"delta":{"content":"good"}}]}',
        b'{"choices":[{"delta":{"content":"\\u0067ood"}}]}',
    ]
)
EVENTS = st.lists(
    st.tuples(
        st.one_of(
            RAW,
            st.builds(
                lambda around, delta, text, how: spelled(around(delta(text)), how),
                st.sampled_from(AROUND),
                st.sampled_from(DELTAS),
                TEXTS,
                st.integers(0, 3),
            ),
            st.builds(lambda text: spelled(AROUND[0]({"content": text}), 1), TEXTS),
        ),
        st.integers(1, 3),
    ),
    max_size=20,
)


@given(EVENTS)
def test_an_answer_is_the_same_with_each_of_its_events_parsed(events):
    data = [each for event, times in events for each in [event] * times]
    assert read(data, are_alike=True) == read(data, are_alike=False)


def read(events: list[bytes], *, are_alike: bool):
    """Return all that a reader knows at the end of an answer."""
    reader = CompletionReader(QUESTION)
    alike = AlikeEvents(reader)
    deltas = []
    for data in events:
        if are_alike and (delta := alike.delta(data)) is not None:
            deltas.append(delta)
            continue
        deltas += reader.read_event(event := _json(data))
        alike.was_read(data, event)
    return (
        deltas,
        reader.chunks,
        reader.held,
        reader.end_of_stream(),
        list(reader.rest()),
        reader.completion(),
    )


def taken(events: list[bytes]) -> int:
    """Return how many of ``events`` are not parsed as a whole."""
    reader = CompletionReader(QUESTION)
    alike = AlikeEvents(reader)
    count = 0
    for data in events:
        if alike.delta(data) is not None:
            count += 1
            continue
        event = json.loads(data)
        list(reader.read_event(event))
        alike.was_read(data, event)
    return count


@pytest.mark.parametrize("how", range(4))
def test_only_the_text_of_an_event_like_the_last_one_is_parsed(how):
    events = [spelled(AROUND[0]({"content": text}), how) for text in ("Hello", "!", "\n", '"', "天气", "\\n")]
    assert taken(events) == len(events) - 1


def test_likeness_is_no_longer_looked_for_where_each_event_is_different():
    numbered = [spelled({"id": number, **AROUND[0]({"content": "x"})}, 1) for number in range(9)]
    assert taken([*numbered, *[numbered[-1]] * 5]) == 0
    assert taken([*numbered[:7], *[numbered[-1]] * 5]) == 4
