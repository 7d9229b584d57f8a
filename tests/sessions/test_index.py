from __future__ import annotations

import os
import sqlite3
import stat
import sys
import threading
from contextlib import closing
from datetime import timedelta, timezone

import pytest

from chatcli.core.errors import ConfigurationError
from chatcli.core.messages import question
from chatcli.sessions.index import SessionIndex
from chatcli.sessions.index_file import FILE_NAME, IndexBroken, IndexClosed, IndexUnusable
from chatcli.sessions.library import Library
from chatcli.sessions.store import NOT_READ, SessionStore
from chatcli.text.search_text import terms
from sessions.stored_sessions import StoredSessions, names

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX rights")


@pytest.fixture
def stored(tmp_path):
    return StoredSessions(tmp_path / "data")


@pytest.fixture
def index(stored):
    with closing(SessionIndex(stored.store)) as index:
        yield index


@pytest.fixture
def find(index):
    return lambda words, **options: names(index.find(terms(words), **{"limit": 50, **options}))


def content(stored) -> bytes:
    """All bytes of the index and of SQLite's files beside it."""
    return b"".join(path.read_bytes() for path in sorted(stored.folder.glob(f"{FILE_NAME}*")))


def test_it_lists_what_the_files_tell(stored, index):
    stored.add("trip", "Where is\nRome?", "In  Italy.", folder="/home/ada", used_s=3_000)
    stored.add("old", "Hi", title="My title", used_s=1_000)
    index.refresh()
    trip, old = index.summaries()
    assert [trip, old] == stored.store.summaries()
    assert (trip.name, trip.title, trip.turns, trip.folder, trip.preview) == (
        "trip",
        "Where is Rome?",
        1,
        "/home/ada",
        "In Italy.",
    )
    assert (old.title, old.folder, old.preview) == ("My title", None, "Hi")


def test_a_session_is_found_by_question_answer_title_and_name(stored, index, find):
    stored.add("voyage", "Wohin?", "Nach Rom.", title="Ferien")
    index.refresh()
    for word in ("voyage", "wohin", "rom", "ferien", "rom ferien voyage"):
        assert find(word) == ["voyage"]


def test_words_of_two_chinese_characters_are_found(stored, index, find):
    stored.add("trip", "我想去北京玩", "今天天气很好")
    index.refresh()
    assert [find("北京"), find("天气"), find("天"), find("气天")] == [["trip"], ["trip"], ["trip"], []]


def test_other_branches_and_interrupted_answers_are_found_but_no_system_prompt(stored, index, find):
    file = stored.add("trip", "Undone question", system="You are a pirate")
    log = stored.runtime.log(file.path, stored.store.load(file))
    log.mark("head", None, parent=None)
    reply = log.begin_reply(parent=log.message(question("Another"), parent=None))
    reply.extend("Interrup")
    reply.flush()
    reply.extend("ted here")
    log.close()
    index.refresh()
    assert find("undone") == find("interrupted") == ["trip"]
    assert find("pirate") == []


def test_hits_come_newest_first_one_a_session_and_at_most_as_many_as_asked_for(stored, index, find):
    for number in range(5):
        stored.add(f"s{number}", "Rome", "Rome Rome", used_s=1_000 + number)
    index.refresh()
    assert find("rome") == ["s4", "s3", "s2", "s1", "s0"]
    assert find("rome", limit=2) == ["s4", "s3"]
    assert index.count(terms("rome")) == index.count([]) == 5


def test_a_folder_narrows_list_search_and_count(stored, index, find):
    stored.add("here", "Rome", folder="/a")
    stored.add("there", "Rome", folder="/b")
    index.refresh()
    assert names(index.summaries("/a")) == find("rome", folder="/a") == ["here"]
    assert index.count(terms("rome"), "/a") == 1


def test_only_what_has_changed_is_read_again_the_newest_first(stored, index, find):
    progress = []
    for number in range(3):
        stored.add(f"s{number}", "Rome", used_s=1_000 + number)
    index.refresh(lambda done, total: progress.append((done, total)))
    index.refresh(lambda done, total: progress.append((done, total)))
    stored.add("s0", "Paris", used_s=5_000)
    index.refresh(lambda done, total: progress.append((done, total)))
    assert progress == [(0, 3), (3, 3), (0, 1), (1, 1)]
    assert find("paris") == ["s0"]
    assert find("rome") == ["s0", "s2", "s1"]


def test_a_changed_title_takes_the_place_of_the_old_one(stored, index, find):
    stored.add("trip", "Hi", title="Capitals")
    index.refresh()
    (stored.folder / "trip.jsonl").unlink()
    stored.add("trip", "Hi", title="Rivers of it")
    index.refresh()
    assert (find("capitals"), find("rivers")) == ([], ["trip"])


def test_of_a_deleted_session_not_one_word_is_left_in_the_file(stored, index, find):
    stored.add("other", "Hello xylophone")
    stored.add("secretname", "the passphrase is quicksilverfox", title="hiddentitle", folder="/cellarfolder")
    index.refresh()
    hidden = (b"quicksilver", b"hidden", b"secretname", b"cellar", b"qui")
    before = content(stored)
    assert b"secretname" in before
    (stored.folder / "secretname.jsonl").unlink()
    index.refresh()
    assert [word for word in hidden if word in content(stored)] == []
    assert (find("quicksilverfox"), find("xylophone")) == ([], ["other"])


def test_what_is_taken_out_is_just_what_was_put_in(stored, index):
    for name, said in (("a", "Rome naïve 北京天气 snake_case"), ("b", "Straße ภาษาไทย 한국 \0\ud800")):
        stored.add(name, said, title=said)
        index.refresh()
        stored.add(name, "And more of it", said[::-1], used_s=2_000)
        index.refresh()
        (stored.folder / f"{name}.jsonl").unlink()
    index.refresh()
    with closing(sqlite3.connect(stored.folder / FILE_NAME)) as other:
        for table in ("words", "beginnings"):
            other.execute(f"CREATE VIRTUAL TABLE temp.{table}_left USING fts5vocab(main, {table}, row)")
            assert other.execute(f"SELECT term FROM {table}_left").fetchall() == []
        assert other.execute("SELECT count(*) FROM texts").fetchone() == (0,)


def test_what_is_no_session_is_left_out_and_not_read_again(stored, index, find):
    stored.add("trip", "Rome")
    (stored.folder / "notes.jsonl").write_text("Dear diary, Rome\n")
    (stored.folder / "folder.jsonl").mkdir()
    progress = []
    index.refresh()
    index.refresh(lambda done, total: progress.append((done, total)))
    assert names(index.summaries()) == find("rome") == ["trip"]
    assert progress == []


def test_a_torn_line_hides_only_itself(stored, index, find):
    file = stored.add("trip", "Rome", "Italy")
    with file.path.open("ab") as stream:
        stream.write(b'{"type":"message","id":"x","par')
    index.refresh()
    assert find("italy") == ["trip"]


def test_control_characters_and_ten_kilobytes_of_title_are_kept_as_they_are(stored, index, find):
    stored.add("odd", "Hi", title="a\x1b]0;evil\x07\0 \ud800\u202e" + "long " * 2_000)
    index.refresh()
    (summary,) = index.summaries()
    assert summary.title.startswith("a\x1b]0;evil\x07")
    assert len(summary.title) <= 60
    assert find("evil long") == ["odd"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux file names are any bytes")
def test_a_name_that_is_no_unicode_is_listed_and_found(stored, index, find):
    stored.add("trip", "Rome").path.rename(stored.folder / "caf\udce9.jsonl")
    index.refresh()
    assert find("rome") == ["caf\udce9"]


def test_what_the_reader_stops_stays_as_far_as_it_came(stored, index):
    for number in range(120):
        stored.add(f"s{number:03}", "Rome", used_s=1_000 + number)

    def stop(done, _total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.refresh(stop)
    assert names(index.summaries())[:2] == ["s119", "s118"]
    assert 0 < index.count([]) < 120
    index.refresh()
    assert index.count([]) == 120


@posix_only
def test_it_is_private_with_all_that_lies_beside_it(stored, index):
    stored.add("trip", "Rome")
    index.refresh()
    beside = list(stored.folder.glob(f"{FILE_NAME}*"))
    assert len(beside) > 1
    assert {stat.S_IMODE(path.stat().st_mode) for path in beside} == {0o600}


@pytest.mark.parametrize("damage", [b"not a database at all " * 100, b"SQLite format 3\0" + b"\xff" * 4_000])
def test_a_broken_file_says_so_and_makes_way_for_a_new_one(stored, index, find, damage):
    stored.add("trip", "Rome")
    (stored.folder / FILE_NAME).write_bytes(damage)
    with pytest.raises(IndexBroken):
        index.refresh()
    index.discard()
    index.refresh()
    assert find("rome") == ["trip"]


def test_a_page_that_was_overwritten_is_reported_as_broken(stored, tmp_path):
    for number in range(30):
        stored.add(f"s{number}", "Rome " * 50)
    with closing(SessionIndex(stored.store)) as index:
        index.refresh()
    path = stored.folder / FILE_NAME
    path.write_bytes(path.read_bytes()[:4096] + b"\xa5" * (path.stat().st_size - 4096))
    with closing(SessionIndex(stored.store)) as index, pytest.raises(IndexBroken):
        index.summaries()


def test_a_file_of_another_version_is_broken(stored, index):
    stored.add("trip", "Rome")
    index.refresh()
    with closing(sqlite3.connect(stored.folder / FILE_NAME)) as other:
        other.execute("PRAGMA user_version = 999")
    with closing(SessionIndex(stored.store)) as later, pytest.raises(IndexBroken):
        later.summaries()


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON texts BEGIN DELETE FROM sessions; END",
        "CREATE VIEW v AS SELECT 1",
        "CREATE TABLE other(a)",
        "DROP TABLE texts",
        "DROP TABLE sessions; CREATE VIEW sessions AS SELECT 1 AS name, 2 AS mtime_ns, 3 AS size_bytes",
        "DROP TABLE words; CREATE TABLE words(text)",
        "UPDATE sessions SET turns = 'many'",
        "UPDATE sessions SET title = 7",
        "UPDATE sessions SET preview = x'ff'",
        "UPDATE sessions SET name = 'trip'",
    ],
)
def test_a_file_that_is_not_its_own_is_broken(stored, statement):
    stored.add("trip", "Rome")
    with closing(SessionIndex(stored.store)) as index:
        index.refresh()
    with closing(sqlite3.connect(stored.folder / FILE_NAME)) as other:
        other.executescript(statement)
    with closing(SessionIndex(stored.store)) as later, pytest.raises(IndexBroken):
        later.summaries()
    with closing(Library.of(stored.data)) as library:
        assert [(found.name, found.title) for found in library.sessions()] == [("trip", "Rome")]


@pytest.mark.parametrize("mtime_s", [-(2**33), 0, 2**33, 2**40])
def test_a_time_no_calendar_has_is_the_nearest_it_has(stored, index, mtime_s):
    file = stored.add("trip", "Rome")
    os.utime(file.path, (mtime_s, mtime_s))
    index.refresh()
    (summary,) = index.summaries()
    assert summary.last_used.astimezone(timezone(timedelta(hours=14))).year in range(1969, 10_000)


class ClosedStore(SessionStore):
    """Sessions that are visible but cannot be opened."""

    def load(self, file):
        raise ConfigurationError(f"cannot read {file.path}", code=NOT_READ)


def test_a_session_that_could_not_be_opened_is_looked_at_again(stored, index):
    stored.add("trip", "Rome")
    with closing(SessionIndex(ClosedStore(stored.data))) as refused:
        refused.refresh()
        assert (refused.summaries(), refused.unreadable()) == ([], ["trip"])
    index.refresh()
    assert (names(index.summaries()), index.unreadable()) == (["trip"], [])


@posix_only
def test_no_file_is_written_through_a_link(stored, index, tmp_path):
    stored.add("trip", "Rome")
    (stored.folder / FILE_NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IndexUnusable):
        index.refresh()
    assert not (tmp_path / "elsewhere").exists()


@posix_only
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="needs a user who is not root")
def test_a_folder_that_cannot_be_written_has_no_index(stored, index):
    stored.add("trip", "Rome")
    stored.folder.chmod(0o500)
    try:
        with pytest.raises(IndexUnusable):
            index.refresh()
    finally:
        stored.folder.chmod(0o700)


def test_several_refresh_at_once_and_agree(stored):
    for number in range(150):
        stored.add(f"s{number:03}", "Rome", used_s=1_000 + number)
    indexes = [SessionIndex(stored.store) for _ in range(3)]
    failures = []

    def refresh(index):
        try:
            index.refresh()
        except Exception as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=refresh, args=[index]) for index in indexes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for index in indexes:
        assert len(index.find(terms("rome"), limit=500)) == index.count([]) == 150
        index.close()


def test_a_question_is_answered_while_a_refresh_goes_on(stored, index, find):
    for number in range(120):
        stored.add(f"s{number:03}", "Rome", used_s=1_000 + number)
    answers = []
    index.refresh(lambda done, _: answers.append((done, len(find("rome", limit=500)))))
    assert answers == [(0, 0), (50, 50), (100, 100), (120, 120)]


def test_closing_it_stops_a_refresh(stored):
    for number in range(60):
        stored.add(f"s{number:03}", "Rome")
    index = SessionIndex(stored.store)
    closing_it = threading.Thread(target=index.close)
    with pytest.raises(IndexClosed):
        index.refresh(lambda _done, _total: closing_it.start())
    closing_it.join()
    with pytest.raises(IndexClosed):
        index.summaries()
