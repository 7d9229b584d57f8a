from __future__ import annotations

import json
import os
import stat
import sys
import tracemalloc
import zipfile
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given

from chatcli.core.messages import question
from chatcli.sessions.exporting import to_document, to_json
from chatcli.sessions.importing import chatgpt
from chatcli.sessions.importing.import_sources import recognize, to_conversation
from chatcli.sessions.importing.importer import Damaged, ImportedConversation, Importer, Progress
from chatcli.sessions.records import HeaderRecord, MessageRecord
from chatcli.sessions.session import Session
from chatcli.sessions.store import SessionStore
from sessions.fake_runtime import texts
from sessions.importing.exports import exchange, message, node
from sessions.strategies import sessions

AT = "2026-11-23T21:05:07.123Z"


@pytest.fixture
def store(tmp_path):
    return SessionStore(tmp_path)


def take(store, *items, **options):
    importer = Importer(store, **options)
    for item in items:
        importer.take(item)
    return importer.summary


def conversation(own="c1", **fields):
    return chatgpt.to_conversation(exchange(own, **fields), app="chatcli 1.2.3")


def named(name, own="id", said="Hi?"):
    records = [HeaderRecord(own, AT, "chatcli 1.2.3"), MessageRecord("q", None, AT, question(said))]
    return ImportedConversation(name, records, datetime(2026, 11, 23, tzinfo=UTC))


def test_a_conversation_becomes_a_private_session_file_of_its_own_time(store):
    assert take(store, conversation("c1"), conversation("c2")).imported == 2
    file = store.existing("chatgpt-c1")
    assert texts(store.load(file)) == ["About c1?", "Yes."]
    assert file.path.stat().st_mtime == datetime(2023, 11, 14, 22, 14, 20, 500_000, UTC).timestamp()
    if sys.platform != "win32":
        assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_what_was_imported_before_is_left_as_it_is(store):
    take(store, conversation("c1"))
    path = store.existing("chatgpt-c1").path
    before = path.read_bytes()
    summary = take(store, conversation("c1"), conversation("c2"))
    assert (summary.imported, summary.here, summary.grown) == (1, 1, [])
    assert path.read_bytes() == before


def test_one_that_has_grown_since_is_reported_and_not_touched(store):
    take(store, conversation("c1"))
    before = store.existing("chatgpt-c1").path.read_bytes()
    more = exchange("c1")
    more["mapping"]["new"] = node("new", "c1-r", message("user", "And?"))
    summary = take(store, chatgpt.to_conversation(more, app="chatcli 1.2.3"))
    assert (summary.here, summary.grown) == (1, ["chatgpt-c1"])
    assert store.existing("chatgpt-c1").path.read_bytes() == before


def test_a_conversation_that_was_gone_on_with_here_is_not_taken_for_a_grown_one(store):
    take(store, conversation("c1"))
    with store.existing("chatgpt-c1").path.open("a") as file:
        file.write(
            json.dumps({"type": "mark", "id": "x", "parent": None, "at": AT, "kind": "note", "value": "mine"})
        )
    assert take(store, conversation("c1")).grown == []


def test_a_dry_run_writes_nothing_and_counts_the_same(store, tmp_path):
    items = [
        conversation("c1"),
        conversation("c1"),
        conversation("c2"),
        Damaged("entry 4", "it is not a JSON object"),
    ]
    dry = take(store, *items, dry_run=True)
    assert list(tmp_path.iterdir()) == []
    assert dry == take(store, *items)
    assert (dry.imported, dry.here, dry.damaged) == (2, 1, 1)


def test_another_session_of_the_same_name_is_left_alone(store):
    take(store, named("trip", "mine"))
    assert take(store, named("trip", "theirs", "Other?")).imported == 1
    assert texts(store.load(store.existing("trip"))) == ["Hi?"]
    assert texts(store.load(store.existing("trip-2"))) == ["Other?"]
    assert take(store, named("trip", "theirs", "Other?")).here == 1


@pytest.mark.parametrize(
    "name",
    [
        "../../outside",
        "/etc/passwd",
        "a/b.jsonl",
        "..",
        "",
        "con",
        "x" * 300,
        "C:\\x",
        "a\x00b",
        "\ud800",
        ".hidden",
    ],
)
def test_a_name_from_a_file_never_leads_out_of_the_folder(store, tmp_path, name):
    assert take(store, named(name)).imported == 1
    assert [path.parent for path in tmp_path.rglob("*.jsonl")] == [tmp_path / "sessions"]


def test_something_else_in_the_place_is_left_alone(store, tmp_path):
    (tmp_path / "sessions" / "trip.jsonl").mkdir(parents=True)
    (tmp_path / "sessions" / "trip-2.jsonl").write_text("my notes")
    assert take(store, named("trip")).imported == 1
    assert (tmp_path / "sessions" / "trip-2.jsonl").read_text() == "my notes"
    assert (tmp_path / "sessions" / "trip-3.jsonl").exists()


def test_a_conversation_in_which_nothing_is_reported_is_no_session(store, tmp_path):
    empty = chatgpt.to_conversation({"id": "x", "mapping": {}}, app="chatcli 1.2.3")
    assert take(store, empty).empty == 1
    assert list(tmp_path.iterdir()) == []


def test_what_is_left_out_is_added_up_and_the_first_damage_kept(store):
    first, second = conversation("c1"), conversation("c2")
    first.left_out, second.left_out = Counter(images=2), Counter(images=1, thoughts=4)
    summary = take(store, first, second, Damaged("entry 3", "a"), Damaged("entry 4", "b"))
    assert summary.left_out == {"images": 3, "thoughts": 4}
    assert (summary.damaged, summary.first_damage) == (2, Damaged("entry 3", "a"))


def test_a_time_no_file_can_have_costs_only_the_time(store):
    odd = named("trip")
    odd.last_at = datetime(1, 1, 1, tzinfo=UTC)
    assert take(store, odd).imported == 1


def test_a_strange_message_id_is_known_again(store):
    records = [HeaderRecord("h", AT, "x"), MessageRecord('a"\u2028\ud800\n', None, AT, question("Hi?"))]
    for _ in range(2):
        summary = take(store, ImportedConversation("trip", records, datetime.now(UTC)))
    assert (summary.here, summary.grown) == (1, [])


@given(sessions())
def test_an_exported_session_comes_back_with_the_same_records(tmp_path_factory, session):
    store = SessionStore(tmp_path_factory.mktemp("data"))
    document = json.loads("".join(to_json([to_document(session, "trip")], as_list=False)))
    summary = take(store, to_conversation(document))
    if summary.empty:
        return
    back = store.load(store.existing("trip"))
    assert back.records == session.records
    assert back.head == session.head
    assert [record.id for record in back.messages()] == [record.id for record in session.messages()]
    assert take(store, to_conversation(document)).here == 1


def test_files_are_not_forced_to_the_disk(store, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: pytest.fail("fsync"))
    take(store, conversation("c1"))
    assert isinstance(store.load(store.existing("chatgpt-c1")), Session)


def write_conversations(stream, count, words=40):
    said = "as it was said " * words
    for number in range(count):
        own = f"c{number}"
        conversation = exchange(own, update_time=1_600_000_000 + number)
        conversation["mapping"][f"{own}-q2"] = node(f"{own}-q2", f"{own}-r", message("user", said))
        stream.write((b"," if number else b"[") + json.dumps(conversation).encode())
    stream.write(b"]")


def take_all(path, store):
    importer, progress = Importer(store), Progress()
    for item in recognize(path).read(path, progress, "chatcli 1.2.3"):
        importer.take(item)
    assert progress.done == progress.total
    return importer.summary


@pytest.mark.parametrize("many", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_thousands_of_conversations_are_imported_once_each(tmp_path, many):
    path = tmp_path / "conversations.json"
    with path.open("wb") as stream:
        write_conversations(stream, many)
    store = SessionStore(tmp_path / "data")
    summary = take_all(path, store)
    assert (summary.imported, summary.here, summary.damaged) == (many, 0, 0)
    files = sorted(store.folder.iterdir(), key=lambda file: file.stat().st_mtime)
    assert [file.stem for file in files[:2]] == ["chatgpt-c0", "chatgpt-c1"]
    assert len(files) == many
    again = take_all(path, store)
    assert (again.imported, again.here, again.grown) == (0, many, [])


def test_memory_holds_a_few_conversations_however_many_there_are(tmp_path):
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive, archive.open("conversations.json", "w") as stream:
        write_conversations(stream, 1_000, words=1_200)
    with zipfile.ZipFile(path) as archive:
        (member,) = archive.infolist()
    tracemalloc.start()
    try:
        summary = take_all(path, SessionStore(tmp_path / "data"))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert summary.imported == 1_000
    assert peak_bytes < min(8_000_000, member.file_size / 2)
