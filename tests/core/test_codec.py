"""The JSON of messages."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.codec import UnknownRole, checked_role, message_fields, read_message, read_part
from chatcli.core.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

TEXTS = st.text(max_size=8)
DATA = st.none() | st.dictionaries(TEXTS, st.integers() | TEXTS | st.lists(st.booleans()), max_size=3)
TEXT_PARTS = st.builds(TextPart, TEXTS, st.sampled_from(["person", "model", "document", "tool"]))
ATTACHMENTS = st.one_of(st.builds(kind, TEXTS, TEXTS, TEXTS) for kind in (ImagePart, AudioPart, FilePart))
RESULTS = st.builds(ToolResultPart, TEXTS, st.lists(TEXT_PARTS | ATTACHMENTS, max_size=3).map(tuple))
PARTS = st.one_of(
    TEXT_PARTS,
    ATTACHMENTS,
    RESULTS,
    st.builds(RefusalPart, TEXTS),
    st.builds(ReasoningPart, TEXTS, DATA),
    st.builds(ToolCallPart, TEXTS, TEXTS, TEXTS, DATA),
)
MESSAGES = st.builds(
    Message,
    st.sampled_from(["system", "user", "assistant", "tool"]),
    st.lists(PARTS, max_size=4).map(tuple),
    DATA,
    st.none() | TEXTS,
)


@given(MESSAGES)
def test_every_message_comes_back_from_its_json(message):
    fields = json.loads(json.dumps(message_fields(message)))
    assert read_message(fields) == message
    assert read_message(fields).imported == message.imported
    assert checked_role(fields) == (message.role, True)


@given(MESSAGES)
def test_a_message_is_found_again_by_its_hash(message):
    assert {message: 1}[read_message(message_fields(message))] == 1


@pytest.mark.parametrize(
    "part",
    [
        {"type": "text"},
        {"type": "reasoning", "text": 1},
        {"type": "tool_call", "id": "1", "name": "f"},
        {"type": "tool_result", "id": "1"},
        {"type": "tool_result", "parts": []},
        {"type": "tool_result", "id": "1", "parts": [{"type": "text"}]},
        {"type": "image", "sha256": "00"},
    ],
)
def test_a_part_that_lacks_what_it_is_made_of_is_an_error(part):
    with pytest.raises(TypeError):
        read_part(part)


@pytest.mark.parametrize("part", [{"type": "hologram"}, {"type": 7}, {}, "text", None])
def test_a_part_of_an_unknown_type_is_passed_over(part):
    assert read_part(part) is None
    assert read_message({"role": "user", "parts": [part]}) == Message("user", ())


def test_a_tool_returns_texts_and_attachments_only():
    inner = [{"type": "tool_call", "id": "", "name": "", "arguments": ""}, {"type": "text", "text": "Rain."}]
    part = read_part({"type": "tool_result", "id": "1", "parts": inner})
    assert part == ToolResultPart("1", (TextPart("Rain.", "document"),))


def test_a_role_that_nobody_knows_is_reported_apart_from_what_is_no_message():
    with pytest.raises(UnknownRole):
        read_message({"role": "oracle", "parts": []})
    with pytest.raises(TypeError):
        read_message({"role": "user", "parts": {}})
