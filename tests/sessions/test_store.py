from __future__ import annotations

import os
import stat
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chatcli.core.errors import ConfigurationError, LocalIOError, UsageError
from chatcli.core.messages import ImagePart, Message, answer, question
from chatcli.sessions.log import SessionLog
from chatcli.sessions.session import Session
from chatcli.sessions.store import SessionFile, SessionStore
from sessions.fake_runtime import RESULT, texts

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX rights and devices")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def store(folder, runtime):
    return SessionStore(folder, clock=runtime.clock, ids=runtime.ids)


@pytest.fixture
def keep(store, runtime):
    """Store a conversation of questions and answers under a name or path, last used at a second of the epoch."""

    def keep(name, *said, used_s=1_000, title=None):
        file = store.resolve(name)
        log, parent = runtime.log(file.path), None
        for text in said:
            parent = log.message(question(text), parent=parent)
            reply = log.begin_reply(parent=parent)
            reply.finish(answer("So."), RESULT)
            parent = reply.id
        if title is not None:
            log.mark("title", title, parent=parent)
        log.close()
        os.utime(file.path, (used_s, used_s))
        return file

    return keep


def test_a_name_lives_in_the_data_folder(store, folder):
    assert store.resolve("会话") == SessionFile("会话", folder / "sessions" / "会话.jsonl")


def test_a_path_is_taken_as_it_is_and_named_so_that_it_works_from_anywhere(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = store.resolve("trip.jsonl")
    assert file == SessionFile(str(tmp_path / "trip.jsonl"), tmp_path / "trip.jsonl")
    assert store.resolve(file.name) == file


def test_a_path_into_the_data_folder_has_its_name(store, folder):
    assert store.resolve(str(folder / "sessions" / "trip.jsonl")).name == "trip"


@pytest.mark.parametrize("name", ["..", "a\0b", "/a\0b", "CON", ""])
def test_an_impossible_name_is_refused(store, name):
    with pytest.raises(UsageError):
        store.resolve(name)


def test_a_new_session_is_named_for_date_and_time(store):
    assert store.new().name == "2026-11-23-2105-0000"


def test_a_new_session_takes_no_name_that_is_taken(folder, runtime):
    ids = iter(["aaaa00000000", "aaaa11111111", "bbbb00000000"])
    store = SessionStore(folder, clock=runtime.clock, ids=ids.__next__)
    first = store.new()
    first.path.parent.mkdir(parents=True)
    first.path.touch()
    assert store.new().name == "2026-11-23-2105-bbbb"


def test_a_session_that_is_not_there_yet_is_empty(store):
    assert store.load(store.resolve("trip")).path() == ()


def test_an_empty_file_is_a_session_in_which_nothing_was_reported(store, tmp_path):
    (tmp_path / "trip.jsonl").touch()
    assert store.load(store.resolve(str(tmp_path / "trip.jsonl"))).path() == ()


def test_what_was_kept_is_loaded(store, keep):
    assert texts(store.load(keep("trip", "Hi", "Ho"))) == ["Hi", "So.", "Ho", "So."]


def test_what_is_no_session_is_refused(store, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    for path in (tmp_path, tmp_path / "photo.jpg"):
        with pytest.raises(ConfigurationError, match="is not a chatcli session"):
            store.load(store.resolve(str(path)))


@posix_only
def test_a_device_is_not_read_for_ever(store):
    with pytest.raises(ConfigurationError, match="is not a chatcli session"):
        store.load(store.resolve("/dev/zero"))


@pytest.mark.parametrize("part", ["file/below.jsonl", "x" * 300 + ".jsonl"])
def test_a_path_that_cannot_be_read_says_so(store, tmp_path, part):
    (tmp_path / "file").touch()
    file = store.resolve(str(tmp_path / part))
    with pytest.raises(ConfigurationError, match="cannot read the session"):
        store.load(file)
    with pytest.raises(UsageError, match="there is no session"):
        store.existing(file.name)


def test_summaries_begin_with_the_session_used_last(store, keep):
    keep("old", "Hi", used_s=1_000)
    newest = keep("new", "Where is\n  Rome?", "And Paris?", used_s=3_000)
    keep("middle", "Hi", used_s=2_000, title="My\ntitle")
    first, second, third = store.summaries()
    assert (first.name, first.path, first.title, first.turns) == ("new", newest.path, "Where is Rome?", 2)
    assert first.last_used == datetime.fromtimestamp(3_000, UTC)
    assert (second.name, second.title) == ("middle", "My title")
    assert third.name == "old"


def test_a_long_question_makes_a_short_title(store, keep):
    keep("trip", "word " * 10_000)
    title = store.summaries()[0].title
    assert len(title) <= 60
    assert title.endswith("word…")


def test_a_session_without_a_question_has_no_title(store, keep):
    empty = store.resolve("empty").path
    empty.parent.mkdir(parents=True)
    empty.touch()
    assert [(summary.title, summary.turns) for summary in store.summaries()] == [("", 0)]


@pytest.mark.parametrize(
    ("message", "title"),
    [
        (question("Sum it up", "a document"), "Sum it up"),
        (question("", "only a document"), "only a document"),
        (Message("user", (ImagePart("00" * 32, "image/png", "a.png"),)), ""),
    ],
)
def test_the_person_s_own_words_make_the_title_before_a_document_s(store, runtime, message, title):
    log = runtime.log(store.resolve("trip").path)
    log.message(message, parent=None)
    log.close()
    assert store.summaries()[0].title == title


def test_what_is_no_session_is_not_listed(store, keep, folder):
    keep("trip", "Hi")
    (folder / "sessions" / "notes.jsonl").write_text("Dear diary,\n")
    (folder / "sessions" / "folder.jsonl").mkdir()
    (folder / "sessions" / "notes.txt").touch()
    assert [summary.name for summary in store.summaries()] == ["trip"]


def test_no_folder_is_no_sessions(store):
    assert store.summaries() == []
    assert store.last_used() is None


def test_a_session_can_be_removed(store, keep):
    file = keep("trip", "Hi")
    assert store.remove("trip") == file
    assert not file.path.exists()


def test_only_a_session_is_removed(store, tmp_path):
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(ConfigurationError):
        store.remove(str(photo))
    assert photo.exists()


def test_a_session_that_is_not_there_cannot_be_removed(store):
    with pytest.raises(UsageError, match="there is no session trip") as caught:
        store.remove("trip")
    assert "sessions list" in caught.value.hint


def test_the_last_session_is_found_wherever_it_is(store, keep, tmp_path):
    elsewhere = keep(str(tmp_path / "elsewhere" / "trip.jsonl"), "Hi", used_s=1_000)
    keep("newer", "Hi", used_s=2_000)
    store.remember(elsewhere)
    assert store.last_used() == elsewhere


def test_the_last_session_of_the_folder_has_its_name(store, keep):
    keep("newer", "Hi", used_s=2_000)
    file = keep("trip", "Hi", used_s=1_000)
    store.remember(file)
    assert store.last_used() == file


@pytest.mark.parametrize(
    "pointer", [None, b"", b"\xff", b"[]", b"7", b'{"path":7}', b'{"path":"a"}', b'{"path":"/a\\u0000"}']
)
def test_without_a_pointer_the_newest_in_the_folder_is_the_last(store, keep, folder, pointer):
    keep("old", "Hi", used_s=1_000)
    newest = keep("new", "Hi", used_s=2_000)
    if pointer is not None:
        (folder / "last").write_bytes(pointer)
    assert store.last_used() == newest


def test_a_session_a_script_began_is_not_the_one_the_person_used_last(store, folder):
    for name, app in (("mine", "chatcli 1.2.3"), ("script", "chatcli 1.2.3 (Python API)")):
        log = SessionLog(store.resolve(name), app=app, session=Session())
        log.message(question("Hi"), parent=None)
        log.close()
    os.utime(folder / "sessions" / "mine.jsonl", (1_000, 1_000))
    assert store.last_used() == store.resolve("mine")
    (folder / "sessions" / "mine.jsonl").unlink()
    assert store.last_used() is None
    store.remember(store.resolve("script"))
    assert store.last_used() == store.resolve("script")


def test_a_pointer_to_a_session_that_is_gone_counts_for_nothing(store, keep, tmp_path):
    newest = keep("new", "Hi")
    store.remember(store.resolve(str(tmp_path / "gone.jsonl")))
    assert store.last_used() == newest


@posix_only
def test_the_pointer_is_private_and_leaves_nothing_beside_it(store, keep, folder):
    for name in ("a", "b"):
        store.remember(keep(name, "Hi"))
    assert stat.S_IMODE((folder / "last").stat().st_mode) == 0o600
    assert sorted(path.name for path in folder.iterdir()) == ["last", "sessions"]


def test_a_pointer_that_cannot_be_written_says_so_and_leaves_nothing(store, keep, folder):
    file = keep("trip", "Hi")
    (folder / "last").mkdir()
    with pytest.raises(LocalIOError, match="cannot record the last session"):
        store.remember(file)
    assert sorted(path.name for path in folder.iterdir()) == ["last", "sessions"]


def test_a_path_that_is_no_unicode_can_be_last(store, keep, tmp_path):
    if sys.platform != "linux":
        pytest.skip("only Linux file names are any bytes")
    file = keep(str(tmp_path / "caf\udce9.jsonl"), "Hi")
    store.remember(file)
    assert store.last_used() == SessionFile(str(file.path), Path(file.path))
