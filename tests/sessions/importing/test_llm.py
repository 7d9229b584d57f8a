from __future__ import annotations

import sqlite3

import pytest

from chatcli.core.errors import ConfigurationError, LocalIOError
from chatcli.core.events import Usage
from chatcli.core.messages import TextPart
from chatcli.sessions.importing import llm
from chatcli.sessions.importing.importer import Damaged, Progress
from chatcli.sessions.session import Session
from sessions.fake_runtime import texts
from sessions.importing.exports import LLM_FRAGMENTS, LLM_LOG, LLM_RESPONSES, LLM_THREADS, make_database


@pytest.fixture
def make(tmp_path):
    return lambda *scripts: make_database(tmp_path / "logs.db", "".join(scripts))


def read(path):
    progress = Progress()
    conversations = list(llm.read(path, progress, app="chatcli 1.2.3"))
    assert progress.done == progress.total == len(conversations)
    return {conversation.name: conversation for conversation in conversations}


def session_of(conversation):
    return Session.replay(conversation.records)


def test_prompts_and_responses_are_a_conversation(make):
    read_now = read(make(LLM_RESPONSES))
    assert list(read_now) == ["llm-01old", "llm-r3"]
    session = session_of(read_now["llm-01old"])
    assert texts(session) == ["Rhyme.", "One?", "First", "Two?", "Second"]
    assert [record.message.role for record in session.path()][:3] == ["system", "user", "assistant"]
    assert session.title == "Old talk"
    assert session.header.app == "chatcli 1.2.3"
    reply = session.path()[2]
    assert (reply.at, reply.reply.model, reply.reply.latency_s) == ("2024-01-01T10:00:00.000Z", "gpt-4", 1.5)
    assert reply.reply.usage is None
    assert read_now["llm-01old"].last_at.isoformat() == "2024-01-01T10:05:00+00:00"
    assert texts(session_of(read_now["llm-r3"])) == ["Alone?", "Yes"]


def test_fragments_attachments_and_tools_are_kept_as_far_as_can_be(make):
    conversation = read(make(LLM_RESPONSES, LLM_FRAGMENTS))["llm-02new"]
    system, asked, called, result, said = session_of(conversation).path()
    assert system.message.text == "Be terse.\n\nRhyme."
    assert asked.message.parts == (
        TextPart("Sum up"),
        TextPart("a long novel", "document"),
        TextPart("[attachment: image/png, https://a.example/x.png, not imported]", "document"),
    )
    assert called.message.text == '```\nadd({"a": 1})\n```'
    assert called.reply.usage == Usage(12, 3)
    assert called.reply.model == "gpt-5-2025"
    assert result.message.parts == (TextPart("42", "tool"),)
    assert said.message.text == "It is 42."
    assert conversation.left_out == {"attachments": 1, "thoughts": 1}


def test_threads_are_a_tree_of_messages(make):
    read_now = read(make(LLM_RESPONSES, LLM_FRAGMENTS, LLM_THREADS))
    assert set(read_now) == {"llm-01old", "llm-r3", "llm-02new", "llm-03thread", "llm-04fork"}
    for each in read_now.values():
        assert {record.message.imported for record in session_of(each).messages()} == {"llm"}
    conversation = read_now["llm-03thread"]
    session = session_of(conversation)
    assert texts(session) == [
        "Rhyme.",
        "Sum up \n\na long novel\n\n[attachment: image/png, https://a.example/x.png, not imported]",
        "Done.",
        "And 1+1?",
        '```\nadd({"a": 1})\n```',
        "2",
        "Two.",
    ]
    assert session.title == "Newest talk"
    assert session.path()[-1].reply.model == "gpt-6-x"
    assert session.path()[2].at == "2026-01-01T10:00:00.000Z"
    assert session.path()[3].at == "2026-01-01T10:01:00.000Z"
    assert conversation.left_out == {"thoughts": 1, "attachments": 1}
    assert texts(session_of(read_now["llm-04fork"]))[-1] == "Forked."


def test_a_conversation_that_a_newer_llm_went_on_with_is_read_from_its_thread(make):
    path = make(
        LLM_RESPONSES,
        LLM_FRAGMENTS,
        LLM_THREADS,
        "insert into threads values ('01old', 'Old talk', 'b2:r', null, '2026-01-01T10:00:00');",
    )
    assert texts(session_of(read(path)["llm-01old"]))[-1] == "Done."


def test_the_oldest_tables_are_read(make):
    read_now = read(make(LLM_LOG))
    assert list(read_now) == ["llm-log-1", "llm-log-3"]
    session = session_of(read_now["llm-log-1"])
    assert texts(session) == ["Rhyme.", "Hi?", "Hello", "And?", "Bye"]
    assert session.path()[1].at == "2023-04-01T10:00:00.000Z"


def test_llm_may_write_meanwhile(make):
    path = make(LLM_RESPONSES)
    writer = sqlite3.connect(path)
    writer.execute("pragma journal_mode = wal")
    writer.execute("insert into responses (id, prompt, response) values ('open', 'Q', 'A')")
    assert list(read(path)) == ["llm-01old", "llm-r3"]
    writer.commit()
    assert "llm-open" in read(path)
    writer.close()


def test_the_database_is_left_as_it_is(make):
    path = make(LLM_RESPONSES)
    before = path.read_bytes()
    read(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["logs.db"]


def test_another_database_is_refused(make):
    with pytest.raises(ConfigurationError, match="not that of llm"):
        read(make("create table cats (name text);"))


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "logs.db"
    path.write_bytes(b"SQLite format 3\x00" + b"x" * 2000)
    with pytest.raises((ConfigurationError, LocalIOError)):
        read(path)
    with pytest.raises(LocalIOError):
        read(tmp_path / "nowhere.db")


def test_odd_rows_do_no_harm(make):
    path = make(
        LLM_RESPONSES,
        LLM_FRAGMENTS,
        LLM_THREADS,
        "insert into responses (id, prompt, response, datetime_utc) values ('odd', x'ff00', 7, 'then');"
        "update parts set payload = '[1' where type = 'tool_call';"
        """update parts set payload = '{"text_ref": [7, {"fragment": 99}]}' where message_hash = 'b2:q';"""
        "update messages set role = 'ghost' where hash = 'b2:u';"
        "update parts set type = 'hologram' where message_hash = 'b2:f';",
    )
    assert not [item for item in read(path).values() if isinstance(item, Damaged)]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW responses AS SELECT 1 AS id, 'Hi' AS prompt, 'Ho' AS response",
        "CREATE VIRTUAL TABLE responses USING fts5(id, conversation_id, prompt, response)",
        "CREATE TABLE other(a); CREATE TRIGGER t AFTER INSERT ON other BEGIN DELETE FROM other; END",
    ],
)
def test_what_only_looks_like_its_tables_is_not_read(make, statement):
    with pytest.raises(ConfigurationError, match="not that of llm"):
        read(make(statement))


def test_a_trigger_and_a_view_beside_its_tables_are_not_run(make):
    path = make(
        LLM_RESPONSES,
        "CREATE TRIGGER t AFTER INSERT ON responses BEGIN DELETE FROM responses; END;",
        "CREATE VIEW v AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n;",
    )
    before = path.read_bytes()
    assert "llm-01old" in read(path)
    assert path.read_bytes() == before


def test_a_conversation_that_takes_too_long_is_damaged_and_no_other(make):
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
    path = make(
        "CREATE TABLE threads(id, name, tip_message_hash, datetime_utc);"
        "CREATE TABLE turns(id, thread_id, tip_message_hash, datetime_utc);"
        "CREATE TABLE messages(hash, parent_hash, role); CREATE TABLE parts(message_hash, position, type, text, payload);"
        "INSERT INTO threads VALUES('slow', '', 'a', ''), ('quick', '', 'b', '');"
        f"INSERT INTO messages {many} SELECT 'a', 'p' || i, 'user' FROM n;"
        "INSERT INTO messages VALUES('b', NULL, 'user');"
        f"INSERT INTO parts {many} SELECT 'a', i, 'text', 'Hi', NULL FROM n;"
        "INSERT INTO parts VALUES('b', 0, 'text', 'Hi', NULL)"
    )
    slow, quick = sorted(
        llm.read(path, Progress(), app="x", most_steps=1_000_000),
        key=lambda item: isinstance(item, Damaged),
        reverse=True,
    )
    assert slow.where == "conversation slow"
    assert slow.reason == "reading it takes too long"
    assert texts(session_of(quick)) == ["Hi"]


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "never", 7, None])
def test_any_time_is_read(make, at):
    path = make(
        "CREATE TABLE responses(id, conversation_id, model, prompt, system, response, datetime_utc);"
        f"INSERT INTO responses VALUES('r', 'c', 'm', 'Hi', NULL, 'Ho', {'NULL' if at is None else repr(at)})"
    )
    assert texts(session_of(read(path)["llm-c"])) == ["Hi", "Ho"]
