"""Session file, format 1, byte for byte. A change here breaks the files people have."""

from __future__ import annotations

from pathlib import Path

from chatcli.chat.session_history import history_of
from chatcli.core.events import Usage
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
from chatcli.sessions.reading import find_header, read_records
from chatcli.sessions.records import ReplyMetadata, UnknownRecord, encode
from chatcli.sessions.session import Session
from sessions.fake_runtime import RESULT, replayed, texts

GOLDEN = Path(__file__).parent / "golden"
EVERY_RECORD = GOLDEN / "every-record.jsonl"
GONE_BACK = GOLDEN / "gone-back.jsonl"
KEPT_IN_MIND = GOLDEN / "kept-in-mind.jsonl"
REFUSED = GOLDEN / "refused.jsonl"
SCHEMA = GOLDEN / "schema.jsonl"
TOOL_CALLS = GOLDEN / "tool-calls.jsonl"
FROM_A_NEWER_VERSION = GOLDEN / "from-a-newer-version.jsonl"


def write_every_record(log, runtime):
    first = log.message(system("You are a helpful assistant."), parent=None)
    asked = log.message(question("法国的首都是哪里?", "a\u2028document"), parent=first)
    reply = log.begin_reply(parent=asked)
    reply.extend("Par")
    runtime.wait(1)
    reply.extend("is \ud83d")
    runtime.wait(1)
    reply.finish(Message("assistant", (TextPart("Paris.", "model"),), {"signature": "x"}), RESULT)
    log.mark("title", "Capitals", parent=reply.id)
    log.mark("model", "large", parent=reply.id)
    log.mark("pin", asked, parent=reply.id)
    log.mark("pin", first, parent=reply.id)
    log.mark("unpin", first, parent=reply.id)
    log.mark("note", "remember this", parent=reply.id)
    log.mark("clear", parent=first)
    log.mark("summary", {"from": first, "to": reply.id, "text": "Paris"}, parent=reply.id)
    log.mark("fork", {"session": "other", "message": asked}, parent=reply.id)
    attachments = (
        TextPart("Look"),
        ImagePart("00" * 32, "image/png", "a.png"),
        AudioPart("11" * 32, "audio/wav", "b.wav"),
        FilePart("22" * 32, "application/pdf", "c.pdf"),
    )
    log.message(Message("user", attachments), parent=reply.id)
    log.mark("head", reply.id, parent=reply.id)
    again = log.message(question("And \0 of Spain?"), parent=reply.id)
    log.begin_reply(parent=again).extend("Mad")
    log.close()


def test_every_record_is_written_as_the_golden_file_has_it(tmp_path, runtime):
    path = tmp_path / "trip.jsonl"
    write_every_record(runtime.log(path), runtime)
    assert path.read_bytes() == EVERY_RECORD.read_bytes()


def test_the_golden_file_replays_to_its_conversation():
    session = replayed(EVERY_RECORD)
    assert session.header.app == "chatcli 1.2.3"
    assert texts(session) == [
        "You are a helpful assistant.",
        "法国的首都是哪里?\n\na\u2028document",
        "Paris.",
        "And \0 of Spain?",
        "Mad",
    ]
    _, asked, reply, _, interrupted = session.path()
    assert reply.reply == ReplyMetadata("small", RESULT.usage, "stop", 1.25, 0.0015)
    assert interrupted.reply == ReplyMetadata(finish_reason="interrupted")
    assert (session.title, session.model, list(session.notes.values())) == (
        "Capitals",
        "large",
        ["remember this"],
    )
    assert list(session.pinned) == [asked.id]
    assert len(session.context()) == 4


def write_gone_back(log):
    first = log.message(system("Rhyme."), parent=None)
    asked = log.message(question("Hi"), parent=first)
    log.begin_reply(parent=asked).finish(answer("Hello"), RESULT)
    log.mark("head", asked, parent=log.session.head)
    log.begin_reply(parent=asked).finish(answer("Ahoy"), RESULT)
    log.mark("head", None, parent=log.session.head)
    log.message(Message("system", ()), parent=None)
    log.close()


def test_going_back_and_taking_the_system_prompt_away_are_written_as_the_golden_file_has_it(
    tmp_path, runtime
):
    path = tmp_path / "trip.jsonl"
    write_gone_back(runtime.log(path))
    assert path.read_bytes() == GONE_BACK.read_bytes()


def test_a_golden_file_that_went_back_replays_to_where_it_went():
    session = replayed(GONE_BACK)
    assert [record.message for record in session.path()] == [Message("system", ())]
    assert session.system == Message("system", ())
    first, second = (record for record in session.records if getattr(record, "reply", None))
    assert first.parent == second.parent


def write_kept_in_mind(log):
    first = log.message(question("Hi"), parent=None)
    second = log.message(question("And?"), parent=first)
    log.mark("drop", first, parent=second)
    log.mark("drop", second, parent=second)
    log.mark("undrop", second, parent=second)
    taken_away = log.mark("note", "I am Bob.", parent=second)
    log.mark("note", "I am Ada.", parent=second)
    log.mark("unnote", taken_away, parent=second)
    log.mark("clear", parent=second)
    log.mark("unclear", second, parent=second)
    log.close()


def test_what_is_dropped_noted_and_no_longer_cleared_is_written_as_the_golden_file_has_it(tmp_path, runtime):
    path = tmp_path / "trip.jsonl"
    write_kept_in_mind(runtime.log(path))
    assert path.read_bytes() == KEPT_IN_MIND.read_bytes()


def test_a_golden_file_replays_to_what_is_kept_in_mind():
    session = replayed(KEPT_IN_MIND)
    first, _ = session.context()
    assert list(session.dropped) == [first.id]
    assert list(session.notes.values()) == ["I am Ada."]
    assert session.last_clear is None


def write_refused(log):
    first = log.message(question("Hi"), parent=None)
    log.refused(first, "models.example: 400 Bad Request: bad input")
    second = log.message(question("And?"), parent=first)
    log.refused(second, "the content filter let no answer through")
    log.begin_reply(parent=second).finish(answer("Hello"), RESULT)
    log.close()


def test_questions_that_were_refused_are_written_as_the_golden_file_has_it(tmp_path, runtime):
    path = tmp_path / "trip.jsonl"
    write_refused(runtime.log(path))
    assert path.read_bytes() == REFUSED.read_bytes()


def test_a_golden_file_replays_to_the_questions_that_are_not_sent():
    session = replayed(REFUSED)
    first, second, _ = session.path()
    assert session.refused == {first.id: "models.example: 400 Bad Request: bad input"}
    assert second.role == "user"


def write_schema(log):
    first = log.message(question("Hi"), parent=None)
    form = {"type": "object", "properties": {"name": {"type": "string"}}}
    log.mark("schema", {"given": "city str", "multi": False, "form": form}, parent=first)
    log.mark("schema", None, parent=first)
    log.mark("schema", {"given": "name str", "multi": False, "form": form}, parent=first)
    log.close()


def test_a_schema_is_written_as_the_golden_file_has_it(tmp_path, runtime):
    path = tmp_path / "trip.jsonl"
    write_schema(runtime.log(path))
    assert path.read_bytes() == SCHEMA.read_bytes()


def test_a_golden_file_replays_to_the_last_schema():
    session = replayed(SCHEMA)
    assert session.schema is not None
    assert session.schema["given"] == "name str"


def write_tool_calls(log):
    asked = log.message(question("Weather?"), parent=None)
    reasoning = ReasoningPart("Look it up.", {"endpoint": "a.example", "model": "m", "field": "reasoning"})
    call = ToolCallPart("call_1", "weather", '{"city": "Köln"}', {"extra_content": {"signature": "x"}})
    called = log.begin_reply(parent=asked)
    called.finish(Message("assistant", (reasoning, TextPart("Wait.", "model"), call)), RESULT)
    picture = ImagePart("00" * 32, "image/png", "a.png")
    returned = Message("tool", (ToolResultPart("call_1", (TextPart("Rain.", "tool"), picture)),))
    answered = log.begin_reply(parent=log.message(returned, parent=called.id))
    answered.finish(
        Message("assistant", (TextPart("It rains.", "model"), ToolCallPart("", "f", "{}"))), RESULT
    )
    log.close()


def test_tool_calls_are_written_as_the_golden_file_has_them(tmp_path, runtime):
    path = tmp_path / "trip.jsonl"
    write_tool_calls(runtime.log(path))
    assert path.read_bytes() == TOOL_CALLS.read_bytes()


def test_the_golden_file_with_tool_calls_replays_to_its_one_turn():
    session = replayed(TOOL_CALLS)
    assert [record.role for record in session.path()] == ["user", "assistant", "tool", "assistant"]
    assert texts(session) == ["Weather?", "Wait.", "Rain.", "It rains."]
    assert session.damaged_records == 0
    (turn,) = history_of(session).turns
    assert len(turn.messages) == 4


def test_a_file_of_a_newer_version_reads_as_far_as_it_is_known():
    session = replayed(FROM_A_NEWER_VERSION)
    assert find_header(FROM_A_NEWER_VERSION.read_bytes(), FROM_A_NEWER_VERSION) is not None
    assert [record.message for record in session.path()] == [
        question("Weather?"),
        Message("tool", ()),
        answer("Rain."),
    ]
    assert session.path()[-1].reply == ReplyMetadata("m", Usage(5, 2), "stop", 0.5, None)
    assert sum(isinstance(record, UnknownRecord) for record in session.records) == 1


def test_nothing_a_newer_version_wrote_is_lost_by_writing_it_again():
    content = FROM_A_NEWER_VERSION.read_bytes()
    assert b"".join(map(encode, read_records(content))) == content


def test_a_session_may_grow_one_record_at_a_time():
    records = list(read_records(EVERY_RECORD.read_bytes()))
    session = Session()
    for record in records:
        session.apply(record)
    assert session.path() == Session.replay(records).path()
    assert session.path() == Session.replay(session.records).path()
