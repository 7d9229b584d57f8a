from __future__ import annotations

import os
import sqlite3
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from chatcli.core.errors import ConfigurationError, UsageError
from chatcli.sessions.folder import attachments_folder
from chatcli.sessions.index import SessionIndex
from chatcli.sessions.index_file import FILE_NAME
from chatcli.sessions.library import Library
from chatcli.sessions.log import SessionLog
from sessions.stored_sessions import StoredSessions, names

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX rights")


@pytest.fixture
def stored(tmp_path):
    return StoredSessions(tmp_path / "data")


def nothing_in_the_way(_stored):
    return


def a_folder_in_its_place(stored):
    (stored.folder / FILE_NAME).mkdir(parents=True)


def a_link_in_its_place(stored):
    stored.folder.mkdir(parents=True)
    (stored.folder / FILE_NAME).symlink_to(stored.data / "elsewhere")


@pytest.fixture(
    params=[
        nothing_in_the_way,
        a_folder_in_its_place,
        pytest.param(a_link_in_its_place, marks=posix_only),
    ],
    ids=["with its index", "a folder in the place of the index", "a link in the place of the index"],
)
def library(stored, request):
    """Return a library with an index, then one without: both keep the same promises."""
    request.param(stored)
    with closing(Library(stored.store, clock=stored.runtime.clock)) as library:
        yield library


def content(stored) -> bytes:
    return b"".join(
        path.read_bytes() for path in sorted(stored.folder.glob(f"{FILE_NAME}*")) if path.is_file()
    )


def found(library, words, **options):
    library.refresh()
    return names(hit.summary for hit in library.search(words, **options))


def test_sessions_are_listed_newest_first_as_the_store_tells_them(stored, library):
    stored.add("old", "Hi", used_s=1_000)
    stored.add("new", "Where is Rome?", "In Italy.", used_s=2_000, folder="/a")
    library.refresh()
    assert library.sessions() == stored.store.summaries()
    assert names(library.sessions(folder="/a")) == ["new"]
    assert (library.count(), library.count(folder="/a"), library.count("italy rome")) == (2, 1, 1)


def test_no_folder_is_no_sessions_and_makes_none(stored, tmp_path):
    with closing(Library.of(stored.data)) as library:
        library.refresh()
        assert (library.sessions(), library.search("a"), library.count()) == ([], [], 0)
    assert not stored.data.exists()


def test_a_search_shows_where_the_words_stand(stored, library):
    stored.add(
        "trip", "Tell me of it", "Go by train.\n\nThe " + "long " * 30 + "way to Rome is " + "slow " * 40
    )
    library.refresh()
    (hit,) = library.search("rom")
    start, end = hit.at
    assert hit.excerpt[start:end] == "Rom"
    assert "way to Rome is slow" in hit.excerpt
    assert hit.excerpt.startswith("…")
    assert hit.excerpt.endswith("…")
    assert "\n" not in hit.excerpt


@pytest.mark.parametrize(
    ("said", "words", "shown"),
    [
        ("我想去北京玩", "北京", "北京"),
        ("Meet me at the Cafe\u0301 Zürich", "café", "Cafe\u0301"),
        ('a "quoted\\path" here', "quoted\\path", "quoted\\path"),
        ("first line\nsnake_case()", "snake_case", "snake_case"),
    ],
)
def test_the_place_is_right_in_any_script(stored, library, said, words, shown):
    stored.add("trip", said)
    library.refresh()
    (hit,) = library.search(words)
    assert hit.excerpt[slice(*hit.at)] == shown


def test_a_place_is_found_although_the_letters_stand_elsewhere_within_a_word(stored, library):
    stored.add("trip", "far from here", "the city of Róm")
    library.refresh()
    (hit,) = library.search("rom")
    assert hit.excerpt[slice(*hit.at)] == "Róm"


def test_a_word_cut_in_two_parts_of_an_interrupted_answer_is_shown(stored, library):
    file = stored.add("trip", "Hi")
    log = stored.runtime.log(file.path, stored.store.load(file))
    reply = log.begin_reply(parent=log.session.head)
    for part in ("to Ro", "me at night"):
        reply.extend(part)
        reply.flush()
    log.close()
    library.refresh()
    (hit,) = library.search("rome")
    assert (hit.excerpt, hit.at) == ("to Rome at night", (3, 7))


def test_a_hit_in_title_or_name_alone_has_no_excerpt(stored, library):
    stored.add("voyage", "Hi", title="Ferien")
    library.refresh()
    assert [(hit.excerpt, hit.at) for word in ("voyage", "ferien") for hit in library.search(word)] == [
        ("", (0, 0)),
        ("", (0, 0)),
    ]


def test_a_search_for_nothing_is_the_list(stored, library):
    stored.add("a", "Hi", used_s=1_000)
    stored.add("b", "Ho", used_s=2_000)
    assert found(library, " ") == ["b", "a"]
    assert found(library, " ", limit=1) == ["b"]


def test_a_title_is_given_and_found_and_the_session_keeps_its_place(stored, library):
    stored.add("trip", "Hi", used_s=1_000)
    stored.add("other", "Hi", used_s=2_000)
    library.refresh()
    library.rename("trip", "Trains 去罗马")
    assert [(one.name, one.title) for one in library.sessions()] == [
        ("other", "Hi"),
        ("trip", "Trains 去罗马"),
    ]
    assert names(hit.summary for hit in library.search("罗马")) == ["trip"]


def test_a_title_needs_a_word_and_a_session(stored, library):
    stored.add("trip", "Hi")
    with pytest.raises(UsageError, match="a title cannot be empty"):
        library.rename("trip", " \n")
    with pytest.raises(UsageError, match="there is no session gone"):
        library.rename("gone", "Title")


def test_what_is_open_elsewhere_keeps_title_and_name(stored, library):
    file = stored.add("trip", "Hi")
    log = SessionLog.resume(file, stored.store.load, app="x")
    before = file.path.read_bytes()
    for change in (lambda: library.rename("trip", "Title"), lambda: library.move("trip", "rome")):
        with pytest.raises(UsageError, match="is open in another chatcli"):
            change()
    log.close()
    assert file.path.read_bytes() == before


def test_another_name_takes_attachments_index_and_the_last_session_along(stored, library):
    file = stored.add("trip", "Where is Rome?")
    attachments_folder(file.path).mkdir()
    (attachments_folder(file.path) / "ab").write_bytes(b"picture")
    stored.store.remember(file)
    library.refresh()
    moved = library.move("trip", "罗马")
    assert (moved.name, moved.path.exists(), file.path.exists()) == ("罗马", True, False)
    assert (attachments_folder(moved.path) / "ab").read_bytes() == b"picture"
    assert stored.store.last_used() == moved
    assert names(hit.summary for hit in library.search("rome")) == ["罗马"]
    assert library.search("trip") == []


def test_a_session_can_be_moved_out_of_the_folder(stored, library, tmp_path):
    stored.add("trip", "Hi")
    library.refresh()
    moved = library.move("trip", str(tmp_path / "trip.jsonl"))
    assert moved.path.exists()
    assert library.sessions() == []


@pytest.mark.parametrize("taken", ["rome.jsonl", "rome.files"])
def test_nothing_is_overwritten(stored, library, taken):
    file = stored.add("trip", "Hi")
    (stored.folder / taken).write_text("mine")
    with pytest.raises(UsageError, match="a session rome already exists"):
        library.move("trip", "rome")
    assert (stored.folder / taken).read_text() == "mine"
    assert file.path.exists()


def test_an_impossible_name_is_refused(stored, library):
    stored.add("trip", "Hi")
    with pytest.raises(UsageError, match="cannot name a session"):
        library.move("trip", "a:b")


def test_a_removed_session_is_gone_with_its_attachments_and_its_words(stored, library):
    file = stored.add("trip", "the passphrase is quicksilverfox", title="cellartitle")
    stored.add("other", "Hello")
    attachments_folder(file.path).mkdir()
    (attachments_folder(file.path) / "ab").write_bytes(b"picture")
    library.refresh()
    assert library.remove("trip") == file
    assert not file.path.exists()
    assert not attachments_folder(file.path).exists()
    assert names(library.sessions()) == ["other"]
    assert library.search("quicksilverfox") == []
    assert [word for word in (b"quicksilver", b"cellar", b"trip") if word in content(stored)] == []


def test_many_are_removed_and_those_before_a_mistake_are_gone(stored, library):
    for name in ("a", "b", "c"):
        stored.add(name, "Hi")
    library.refresh()
    removing = library.remove_all(["a", "gone", "c"])
    assert next(removing).name == "a"
    with pytest.raises(UsageError, match="there is no session gone"):
        next(removing)
    assert sorted(names(library.sessions())) == ["b", "c"]


def test_what_is_no_session_is_not_removed(stored, library):
    stored.add("trip", "Hi")
    (stored.folder / "notes.jsonl").write_text("Dear diary,\n")
    with pytest.raises(ConfigurationError):
        library.remove("notes")
    assert (stored.folder / "notes.jsonl").exists()


def test_the_old_are_those_not_used_for_so_long(stored, library):
    now = stored.runtime.now
    for days in (1, 89, 91, 400):
        stored.add(f"d{days}", "Hi", used_s=(now - timedelta(days=days)).timestamp())
    library.refresh()
    assert names(library.older_than(timedelta(days=90))) == ["d91", "d400"]
    assert library.older_than(now - datetime.min.replace(tzinfo=UTC)) == []


def test_damaged_files_are_left_out(stored, library):
    stored.add("trip", "Rome")
    (stored.folder / "notes.jsonl").write_text("Rome\n")
    (stored.folder / "newer.jsonl").write_text(
        '{"type":"header","format":99,"id":"a","at":"b","app":"Rome"}\n'
    )
    assert found(library, "rome") == ["trip"]
    assert names(library.sessions()) == ["trip"]


def test_progress_is_reported_and_what_it_raises_ends_the_refresh(stored, library):
    stored.add("trip", "Rome")
    progress = []
    library.refresh(lambda done, total: progress.append((done, total)))
    assert progress[-1] == (1, 1)
    stored.add("more", "Rome")

    def stop(_done, _total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        library.refresh(stop)
    library.refresh()
    assert library.count() == 2


def test_threads_may_ask_and_refresh_at_once(stored, library):
    for number in range(60):
        stored.add(f"s{number}", "Rome")
    failures = []

    def use():
        try:
            for _ in range(5):
                library.refresh()
                library.search("rome")
                library.sessions()
        except Exception as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert library.count("rome") == 60


@pytest.mark.parametrize("damage", [b"", b"no database " * 500, b"SQLite format 3\0" + b"\xff" * 9_000])
def test_a_broken_index_is_made_anew(stored, damage):
    stored.add("trip", "Rome")
    (stored.folder / FILE_NAME).write_bytes(damage)
    with closing(Library.of(stored.data)) as library:
        assert found(library, "rome") == ["trip"]
    with closing(sqlite3.connect(stored.folder / FILE_NAME)) as index:
        assert index.execute("SELECT count(*) FROM sessions").fetchone() == (1,)


def test_an_index_that_breaks_while_it_is_used_is_made_anew(stored):
    for number in range(30):
        stored.add(f"s{number}", "Rome " * 50)
    with closing(Library.of(stored.data)) as library:
        library.refresh()
        with closing(sqlite3.connect(stored.folder / FILE_NAME)) as other:
            other.execute("DROP TABLE texts")
            other.execute("DROP TABLE sessions")
        assert len(library.search("rome")) == 30


def test_an_index_of_another_version_is_made_anew(stored):
    stored.add("trip", "Rome")
    with closing(Library.of(stored.data)) as library:
        library.refresh()
    with closing(sqlite3.connect(stored.folder / FILE_NAME)) as other:
        other.execute("PRAGMA user_version = 999")
    with closing(Library.of(stored.data)) as library:
        assert found(library, "rome") == ["trip"]


def test_a_locked_index_is_done_without(stored):
    stored.add("trip", "Rome")
    with closing(Library.of(stored.data)) as library:
        library.refresh()
    stored.add("more", "Rome")
    with closing(sqlite3.connect(stored.folder / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with closing(Library(stored.store, SessionIndex(stored.store, patience_s=0.01))) as library:
            assert sorted(found(library, "rome")) == ["more", "trip"]


@posix_only
def test_a_full_disk_is_done_without_the_index(stored):
    stored.add("trip", "Rome")
    with closing(Library.of(stored.data)) as library:
        library.refresh()
        # SQLite's own limit says the same as a disk that has no room.
        with library._index._writer.opened() as connection:
            connection.execute("PRAGMA max_page_count = 1")
        for number in range(200):
            stored.add(f"s{number}", f"Rome {number} " * 50)
        assert library.refresh() is None
        assert len(library.search("rome", limit=500)) == 201


@posix_only
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="needs a user who is not root")
def test_a_folder_that_cannot_be_written_is_listed_and_searched(stored):
    stored.add("trip", "Rome")
    stored.folder.chmod(0o500)
    try:
        with closing(Library.of(stored.data)) as library:
            assert found(library, "rome") == ["trip"]
    finally:
        stored.folder.chmod(0o700)


def test_after_closing_it_is_empty(stored):
    stored.add("trip", "Rome")
    library = Library.of(stored.data)
    library.refresh()
    library.close()
    assert (library.sessions(), library.count("rome")) == ([], 0)


def test_a_session_is_being_answered_while_its_end_is_open_and_another_has_it(stored):
    now = datetime.now(UTC)
    for name, said in (("asked", ["Hi"]), ("answered", ["Hi", "Ho"]), ("old", ["Hi"])):
        stored.add(name, *said, used_s=now.timestamp() - (3_600 if name == "old" else 5))
    with closing(Library.of(stored.data)) as library:
        library.refresh()
        listed = library.sessions()
        assert [summary for summary in listed if summary.is_being_answered(now)] == []
        logs = [
            SessionLog.resume(stored.store.resolve(name), stored.store.load, app="x")
            for name in ("asked", "answered", "old")
        ]
        assert [summary.name for summary in listed if summary.is_being_answered(now)] == ["asked"]
        # The clock of whoever looks may be behind.
        (asked,) = [summary for summary in listed if summary.name == "asked"]
        assert asked.is_being_answered(now - timedelta(minutes=5))
        for log in logs:
            log.close()
        assert [summary for summary in listed if summary.is_being_answered(now)] == []


@pytest.mark.parametrize("now", [datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)])
def test_any_age_can_be_asked_for_at_any_time(stored, now):
    stored.add("trip", "Rome", used_s=1_000)
    with closing(Library(stored.store, clock=lambda: now)) as library:
        library.refresh()
        assert names(library.older_than(timedelta(days=99_999 * 365))) == []
        assert names(library.older_than(timedelta(days=1))) == (["trip"] if now.year > 2_000 else [])
