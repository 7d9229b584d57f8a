from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.messages import TextPart
from chatcli.sessions.importing.chatgpt import to_conversation
from chatcli.sessions.session import Session
from sessions.fake_runtime import texts
from sessions.importing.exports import BEGAN_S, chatgpt, exchange, message, node


def read(value):
    return to_conversation(value, app="chatcli 1.2.3")


def session_of(value):
    return Session.replay(read(value).records)


def content(kind, **fields):
    return {"content_type": kind, **fields}


def test_a_conversation_keeps_its_texts_times_model_and_title():
    conversation = read(exchange("c1", title="Trip to Paris"))
    session = Session.replay(conversation.records)
    assert conversation.name == "chatgpt-c1"
    assert texts(session) == ["About c1?", "Yes."]
    assert session.title == "Trip to Paris"
    assert session.header.app == "chatcli 1.2.3"
    assert session.header.at == "2023-11-14T22:13:20.500Z"
    asked, said = session.path()
    assert (asked.id, asked.at, asked.reply) == ("c1-q", "2023-11-14T22:13:20.500Z", None)
    assert (said.at, said.reply.model) == ("2023-11-14T22:13:50.500Z", "gpt-4o")
    assert asked.message.parts == (TextPart("About c1?", "person"),)
    assert said.message.parts == (TextPart("Yes.", "model"),)
    assert {asked.message.imported, said.message.imported} == {"chatgpt"}
    assert conversation.last_at == datetime.fromtimestamp(BEGAN_S + 60, UTC)
    assert not conversation.left_out


def test_answers_made_again_are_siblings_and_the_current_node_is_where_it_goes_on():
    session = session_of(
        chatgpt(
            node("root", None),
            node("q", "root", message("user", "Q")),
            node("r1", "q", message("assistant", "first")),
            node("r2", "q", message("assistant", "second")),
            node("q2", "r1", message("user", "on the first")),
            current="q2",
        )
    )
    assert texts(session) == ["Q", "first", "on the first"]
    assert {record.id: record.parent for record in session.messages()} == {
        "q": None,
        "r1": "q",
        "q2": "r1",
        "r2": "q",
    }
    assert session.head == "q2"


def test_where_nothing_is_kept_the_tree_closes_over_it():
    session = session_of(
        chatgpt(
            node("root", None),
            node("s", "root", message("system", "")),
            node("q", "s", message("user", "Q")),
            node("h", "q", message("assistant", "secret", is_visually_hidden_from_conversation=True)),
            node("t", "h", message("assistant", content=content("thoughts", thoughts=[{"content": "hm"}]))),
            node("r", "t", message("assistant", "A")),
            node("end", "r", message("assistant", "")),
        )
    )
    assert [(record.id, record.parent) for record in session.path()] == [("q", None), ("r", "q")]
    assert session.head == "r"


def test_what_cannot_be_kept_is_counted():
    conversation = read(
        chatgpt(
            node(
                "q",
                None,
                message("user", "Q", attachments=[{"name": "a.pdf", "mimeType": "application/pdf"}]),
            ),
            node("t", "q", message("assistant", content=content("thoughts", thoughts=[]))),
            node(
                "p", "t", message("assistant", content=content("reasoning_recap", content="Thought for 4s"))
            ),
            node("w", "p", message("tool", content=content("tether_quote", text="a page"))),
            node("n", "w", message("assistant", content=content("hologram"))),
            node("h", "n", message("user", "secret", is_visually_hidden_from_conversation=True)),
            node("r", "h", message("assistant", "A")),
        )
    )
    assert conversation.left_out == {
        "files": 1,
        "thoughts": 2,
        "pages that were looked at": 1,
        "messages of the kind hologram": 1,
        "hidden messages": 1,
    }
    asked = conversation.records[1].message
    assert asked.parts == (TextPart("Q"), TextPart("[file: a.pdf, not imported]", "document"))


def test_images_and_speech_leave_a_line_and_what_was_said():
    spoken = content(
        "multimodal_text",
        parts=[
            {"content_type": "audio_transcription", "text": "What is this?"},
            {"content_type": "audio_asset_pointer", "asset_pointer": "x"},
            {"content_type": "image_asset_pointer", "asset_pointer": "y"},
        ],
    )
    image = {"name": "a.png", "mimeType": "image/png"}
    conversation = read(chatgpt(node("q", None, message("user", content=spoken, attachments=[image]))))
    assert conversation.records[1].message.parts == (
        TextPart("What is this?"),
        TextPart("[recording: not imported]", "document"),
        TextPart("[image: not imported]", "document"),
    )
    assert conversation.left_out == {"recordings": 1, "images": 1}


def test_code_and_what_came_of_it_stay_and_are_no_questions():
    session = session_of(
        chatgpt(
            node("q", None, message("user", "1+1?")),
            node("c", "q", message("assistant", content=content("code", language="python", text="1+1"))),
            node("o", "c", message("tool", content=content("execution_output", text="2"))),
            node("r", "o", message("assistant", "Two.")),
        )
    )
    assert [record.message.role for record in session.path()] == [
        "user",
        "assistant",
        "assistant",
        "assistant",
    ]
    assert texts(session) == ["1+1?", "```python\n1+1\n```", "2", "Two."]
    assert session.path()[2].message.parts[0].origin == "tool"
    assert len(session.questions) == 1


def test_what_the_model_said_to_a_tool_is_a_block_of_code():
    said = message("assistant", '{"query": "x"}', recipient="canmore.create_textdoc")
    assert texts(session_of(chatgpt(node("c", None, said)))) == ['```\n{"query": "x"}\n```']


def test_custom_instructions_are_the_system_prompt():
    instructions = content("user_editable_context", user_profile="I bake.", user_instructions="Be terse.")
    hidden = message("user", content=instructions, is_visually_hidden_from_conversation=True)
    session = session_of(chatgpt(node("s", None, hidden), node("q", "s", message("user", "Q"))))
    assert session.system.text == "I bake.\n\nBe terse."


def test_marks_of_citations_become_what_a_reader_saw():
    mark = "\ue200cite\ue202turn0search1\ue201"
    references = [
        {"matched_text": mark, "alt": "([site](https://a.example))"},
        {"matched_text": " ", "alt": "x"},
    ]
    said = message("assistant", f"So it is {mark}.", content_references=references)
    assert texts(session_of(chatgpt(node("r", None, said)))) == ["So it is ([site](https://a.example))."]


@pytest.mark.parametrize(
    ("ending", "reason"),
    [("stop", "stop"), ("max_tokens", "length"), ("interrupted", "interrupted"), ("?", None)],
)
def test_how_an_answer_ended_is_kept(ending, reason):
    said = message("assistant", "A", finish_details={"type": ending})
    assert session_of(chatgpt(node("r", None, said))).path()[0].reply.finish_reason == reason


def test_a_message_without_a_time_has_that_of_the_one_before():
    session = session_of(
        chatgpt(
            node("q", None, message("user", "Q", at=None)), node("r", "q", message("assistant", "A", at="x"))
        )
    )
    assert {record.at for record in session.path()} == {"2023-11-14T22:13:20.500Z"}


def test_an_id_that_could_be_no_name_is_hashed_and_a_missing_one_made_of_the_messages():
    strange = read(exchange("../../etc/passwd")).name
    assert strange.startswith("chatgpt-")
    assert strange == read(exchange("../../etc/passwd")).name != read(exchange("../x")).name
    assert "/" not in strange
    nameless = [read(exchange("a", id=None, conversation_id=None)).name for _ in range(2)]
    assert nameless[0] == nameless[1] != read(exchange("b", id=None, conversation_id=None)).name


@pytest.mark.parametrize("value", [None, 7, [], {}, {"mapping": None}, {"mapping": []}])
def test_what_is_no_conversation_is_refused(value):
    with pytest.raises(ValueError, match=r"no messages|not a JSON object"):
        read(value)


def test_circles_and_strange_shapes_end():
    session_of(
        chatgpt(node("a", "b", message("user", "A")), node("b", "a", message("user", "B")), current="a")
    )
    assert texts(session_of(chatgpt(node("a", "a", message("user", "A")), current="nowhere"))) == ["A"]
    read({"id": "x", "mapping": {"a": None, "b": {"children": 7, "parent": [], "message": []}}})


def test_a_very_long_line_is_read():
    nodes = [node("0", None, message("user", "0"))]
    nodes += [node(str(at), str(at - 1), message("user", str(at))) for at in range(1, 3000)]
    assert len(session_of(chatgpt(*nodes)).path()) == 3000


scalars = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3)
anything = st.recursive(
    scalars | st.sampled_from(["user", "assistant", "tool", "text", "code", "multimodal_text", "a", "b"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.fixed_dictionaries(
            {},
            optional=dict.fromkeys(
                (
                    *(
                        "message",
                        "author",
                        "role",
                        "content",
                        "content_type",
                        "parts",
                        "text",
                        "metadata",
                        "parent",
                    ),
                    *(
                        "children",
                        "create_time",
                        "attachments",
                        "name",
                        "recipient",
                        "model_slug",
                        "finish_details",
                    ),
                ),
                inner,
            ),
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from("abc"), anything), anything, anything, anything)
def test_whatever_stands_in_it_never_raises_anything_but_a_reason(mapping, title, at, current):
    value = {"id": "x", "mapping": mapping, "title": title, "create_time": at, "current_node": current}
    Session.replay(read(value).records)
