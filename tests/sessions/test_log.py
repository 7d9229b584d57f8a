from __future__ import annotations

import asyncio
import errno
import os
import re
import stat
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.errors import ConfigurationError, LocalIOError, UsageError
from chatcli.core.messages import Message, answer, question, system
from chatcli.sessions.log import RecordFile, SessionLog
from chatcli.sessions.reading import read_records
from chatcli.sessions.records import HeaderRecord, MessageRecord, PartialRecord, ReplyMetadata
from chatcli.sessions.scanning import utterances
from chatcli.sessions.session import Session
from chatcli.sessions.store import SessionFile, SessionStore
from sessions.fake_runtime import RESULT, FakeRuntime, replayed, texts

EVERY_RECORD = Path(__file__).parent / "golden" / "every-record.jsonl"

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="rights are the profile's own on Windows")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sessions" / "trip.jsonl"


@pytest.fixture
def log(runtime, path):
    log = runtime.log(path)
    yield log
    log.close()


def partials(path):
    records = read_records(path.read_bytes())
    return [record.text for record in records if isinstance(record, PartialRecord)]


def test_a_conversation_in_which_nothing_is_reported_leaves_no_file(log, path):
    first = log.message(system("Be brief."), parent=None)
    log.mark("title", "T", parent=first)
    log.begin_reply(parent=first)
    log.close()
    assert not path.parent.exists()


def test_a_question_is_in_the_file_when_it_returns(log, path):
    own = log.message(question("Hi"), parent=None)
    session = replayed(path)
    assert session.head == own
    assert session.header.app == "chatcli 1.2.3"
    assert texts(session) == ["Hi"]


def test_it_tells_how_to_resume(log):
    assert log.name == "trip"


@posix_only
def test_only_the_owner_can_read_it(runtime, tmp_path):
    path = tmp_path / "a" / "b" / "trip.jsonl"
    log = runtime.log(path)
    log.message(question("Hi"), parent=None)
    log.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700


def test_a_second_log_goes_on_where_the_first_ended(log, path, runtime):
    first = log.message(question("Hi"), parent=None)
    log.close()
    again = runtime.log(path, replayed(path))
    again.message(question("Ho"), parent=first)
    again.close()
    assert texts(replayed(path)) == ["Hi", "Ho"]
    assert path.read_bytes().count(b'"type":"header"') == 1


def test_an_empty_file_becomes_a_session(log, path):
    path.parent.mkdir()
    path.touch()
    log.message(question("Hi"), parent=None)
    assert replayed(path).header is not None


def test_a_finished_reply_keeps_what_is_known_about_it(log, path):
    asked = log.message(question("Hi"), parent=None)
    reply = log.begin_reply(parent=asked)
    reply.extend("Paris.")
    reply.finish(answer("Paris."), RESULT)
    kept = replayed(path).path()[-1]
    assert (kept.id, kept.parent, kept.message) == (reply.id, asked, answer("Paris."))
    assert kept.reply == ReplyMetadata("small", RESULT.usage, "stop", 1.25, 0.0015)
    assert partials(path) == []


@pytest.mark.parametrize(("asked", "kept"), [("small", "small"), ("small-2026-08-07", None), ("", None)])
def test_a_finished_reply_keeps_the_name_of_the_model_that_was_asked_for(log, path, asked, kept):
    reply = log.begin_reply(parent=log.message(question("Hi"), parent=None))
    reply.finish(answer("Paris."), replace(RESULT, model="small-2026-08-07", requested_model=asked))
    assert replayed(path).path()[-1].reply.requested_model == kept


def test_text_that_keeps_coming_is_written_within_a_second(log, path, runtime):
    reply = log.begin_reply(parent=None)
    for number in range(40):
        reply.extend(f"{number} ")
        runtime.wait(0.1, asleep=True)
    written = "".join(partials(path))
    assert written.startswith("0 1 2 ")
    assert len(written.split()) >= 30
    assert len(partials(path)) < 10


def test_text_before_a_silence_is_written_within_a_second(log, path, runtime):
    reply = log.begin_reply(parent=None)
    reply.extend("Par")
    assert not path.exists()
    runtime.wait(1)
    assert partials(path) == ["Par"]
    runtime.wait(10)
    reply.extend("")
    reply.extend("is")
    assert partials(path) == ["Par"]
    runtime.wait(1)
    assert partials(path) == ["Par", "is"]


def test_a_finished_reply_leaves_no_timer_behind(log, path, runtime):
    reply = log.begin_reply(parent=None)
    reply.extend("Paris")
    reply.finish(answer("Paris"), RESULT)
    size = path.stat().st_size
    runtime.wait(5)
    log.close()
    assert path.stat().st_size == size


def test_closing_writes_what_an_open_reply_still_holds(log, path):
    log.begin_reply(parent=None).extend("Par")
    log.close()
    assert texts(replayed(path)) == ["Par"]


def test_marks_are_kept(log, path):
    asked = log.message(question("Hi"), parent=None)
    log.mark("title", "Greetings", parent=asked)
    log.mark("clear", parent=asked)
    session = replayed(path)
    assert session.title == "Greetings"
    assert session.context() == ()


async def test_on_a_running_loop_silence_needs_no_further_call(path):
    log = SessionLog(SessionFile("trip", path), app="x")
    log.begin_reply(parent=None).extend("Par")
    async with asyncio.timeout(5):
        while not path.exists() or not partials(path):  # noqa: ASYNC110 -- a file sends no event
            await asyncio.sleep(0.02)
    assert partials(path) == ["Par"]
    log.close()


def test_without_a_loop_a_reply_can_be_kept_too(path):
    log = SessionLog(SessionFile("trip", path), app="x")
    reply = log.begin_reply(parent=None)
    reply.extend("Par")
    reply.finish(answer("Paris"), RESULT)
    log.close()
    assert texts(replayed(path)) == ["Paris"]


def notice_codes(log):
    codes = [notice.code for notice in log.notices]
    log.notices.clear()
    return codes


@pytest.mark.parametrize(
    "content", [b"Dear diary,\n", b"\xff\xd8\xff\xe0", b'{"type":"header","format":2,"id":"s"}']
)
def test_a_file_that_is_no_session_is_never_written_to(runtime, path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    log = runtime.log(path, Session())
    log.message(question("Hi"), parent=None)
    assert path.read_bytes() == content
    assert len(notice_codes(log)) == 1
    assert log.name is None


def test_a_place_that_cannot_be_written_is_reported_once_and_the_conversation_goes_on(runtime, tmp_path):
    (tmp_path / "file").touch()
    log = runtime.log(tmp_path / "file" / "trip.jsonl")
    asked = log.message(question("Hi"), parent=None)
    (notice,) = log.notices
    assert notice.code == "session_not_written"
    assert "continuing in memory; /save NAME saves it elsewhere" in notice.message
    log.notices.clear()
    log.message(question("Ho"), parent=asked)
    assert log.notices == []
    assert texts(log.session) == ["Hi", "Ho"]
    assert log.name is None


@posix_only
def test_no_file_is_made_or_written_through_a_link(runtime, tmp_path):
    (tmp_path / "trip.jsonl").symlink_to(tmp_path / "elsewhere")
    runtime.log(tmp_path / "trip.jsonl").message(question("Hi"), parent=None)
    assert not (tmp_path / "elsewhere").exists()
    (tmp_path / "elsewhere").touch()
    log = runtime.log(tmp_path / "trip.jsonl")
    log.message(question("Hi"), parent=None)
    assert notice_codes(log) == ["session_not_written"]
    assert (tmp_path / "elsewhere").read_bytes() == b""


@posix_only
def test_a_link_at_a_path_the_person_gave_is_their_own(runtime, tmp_path):
    (tmp_path / "elsewhere").touch()
    path = tmp_path / "trip.jsonl"
    path.symlink_to(tmp_path / "elsewhere")
    log = SessionLog(SessionFile(str(path), path), app="x")
    log.message(question("Hi"), parent=None)
    log.close()
    assert texts(replayed(tmp_path / "elsewhere")) == ["Hi"]


def test_what_a_full_disk_kept_waiting_is_written_when_there_is_room_again(log, path, monkeypatch):
    first = log.message(question("first"), parent=None)
    write = os.write

    def write_some_and_fail(descriptor, content):
        if len(content) < 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, content[: len(content) - 50])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write_some_and_fail)
        second = log.message(question("second"), parent=first)
        assert "No space left on device" in log.notices.pop().message
        assert texts(replayed(path)) == ["first"]
    log.message(question("third"), parent=second)
    assert notice_codes(log) == ["session_written"]
    assert texts(replayed(path)) == ["first", "second", "third"]
    assert log.name == "trip"


def test_a_conversation_that_could_not_be_written_can_be_saved_elsewhere(log, path, tmp_path):
    path.mkdir(parents=True)
    log.message(question("Hi"), parent=None)
    copy = tmp_path / "copy.jsonl"
    log.save_as(SessionFile("copy", copy))
    assert (log.name, texts(replayed(copy))) == ("copy", ["Hi"])


def test_text_that_could_not_be_written_in_silence_is_reported_and_written_later(log, path, runtime):
    path.mkdir(parents=True)
    reply = log.begin_reply(parent=None)
    reply.extend("Par")
    runtime.wait(1)
    assert notice_codes(log) == ["session_not_written"]
    path.rmdir()
    reply.extend("is")
    runtime.wait(1)
    assert partials(path) == ["Par", "is"]


@posix_only
def test_a_file_somebody_removed_is_not_written_to_any_more(log, path):
    asked = log.message(question("Hi"), parent=None)
    path.unlink()
    log.message(question("Ho"), parent=asked)
    assert "it was removed" in log.notices[0].message
    assert texts(log.session) == ["Hi", "Ho"]


class TestASessionTwoProcessesWant:
    """Locks belong to an open file, so two logs in one process stand for two processes."""

    @pytest.fixture
    def file(self, path):
        return SessionFile("trip", path)

    @pytest.fixture
    def resume(self, file):
        opened = []

        def resume(file=file):
            log = SessionLog.resume(file, SessionStore(file.path.parent.parent).load, app="x")
            opened.append(log)
            return log

        yield resume
        for log in opened:
            log.close()

    def test_goes_on_in_a_copy_for_the_second_and_that_is_reported_at_once(self, resume, file, path):
        first = resume()
        asked = first.message(question("Hi"), parent=None)
        second = resume()
        (notice,) = second.notices
        assert notice.code == "session_forked"
        assert notice.message == "trip is open in another chatcli; continuing in a copy, trip-2"
        copy = path.with_name("trip-2.jsonl")
        assert not copy.exists()
        second.message(question("from two"), parent=second.session.head)
        first.message(question("from one"), parent=asked)
        assert texts(replayed(path)) == ["Hi", "from one"]
        assert texts(replayed(copy)) == texts(second.session) == ["Hi", "from two"]
        assert second.name == "trip-2"
        (fork,) = [record for record in replayed(copy).records if getattr(record, "kind", "") == "fork"]
        assert fork.value == {"session": "trip", "message": asked}

    def test_is_its_own_copy_for_a_third(self, resume, path):
        resume().message(question("one"), parent=None)
        others = [resume(), resume()]
        for log in others:
            log.message(question("more"), parent=log.session.head)
        assert [log.name for log in others] == ["trip-2", "trip-3"]
        assert [texts(replayed(path.with_name(f"trip-{n}.jsonl"))) for n in (2, 3)] == [["one", "more"]] * 2

    def test_is_left_to_whoever_began_it_first(self, resume, path):
        first, second = resume(), resume()
        assert second.notices == []
        second.message(question("from two"), parent=None)
        second.close()
        first.message(question("from one"), parent=None)
        assert notice_codes(first) == ["session_forked"]
        assert texts(replayed(path)) == ["from two"]
        assert texts(replayed(path.with_name("trip-2.jsonl"))) == ["from one"]

    def test_is_free_again_when_the_first_lets_go(self, resume, path):
        first = resume()
        asked = first.message(question("Hi"), parent=None)
        first.close()
        second = resume()
        second.message(question("Ho"), parent=asked)
        assert second.name == "trip"
        assert texts(replayed(path)) == ["Hi", "Ho"]

    def test_is_not_mixed_with_what_another_wrote_while_it_was_let_go_of(self, resume, path):
        first = resume()
        asked = first.message(question("Hi"), parent=None)
        first.close()
        second = resume()
        second.message(question("from two"), parent=asked)
        second.close()
        first.message(question("from one"), parent=asked)
        assert texts(replayed(path)) == ["Hi", "from two"]
        assert texts(replayed(path.with_name("trip-2.jsonl"))) == ["Hi", "from one"]

    def test_named_by_its_path_has_its_copy_beside_it(self, resume, tmp_path):
        path = tmp_path / "elsewhere.jsonl"
        file = SessionFile(str(path), path)
        resume(file).message(question("Hi"), parent=None)
        assert resume(file).name == str(tmp_path / "elsewhere-2.jsonl")

    def test_that_is_no_session_is_refused_and_let_go_of(self, resume, file, path):
        path.parent.mkdir()
        path.write_text("Dear diary,\n")
        with pytest.raises(ConfigurationError):
            resume()
        path.unlink()
        resume().message(question("Hi"), parent=None)
        assert texts(replayed(path)) == ["Hi"]


def test_a_write_that_takes_less_than_it_was_given_is_continued(log, path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:7]))
    log.message(question("Hi"), parent=None)
    assert texts(replayed(path)) == ["Hi"]


def continue_after(content, folder):
    """Ask a question in the session that ``content`` is a part of; return the state before and after."""
    path = Path(folder) / "trip.jsonl"
    path.write_bytes(content)
    before = replayed(path)
    log = FakeRuntime(first_id=1_000).log(path, replayed(path))
    log.message(question("new"), parent=before.head)
    log.close()
    return before, replayed(path)


def messages_said(session):
    return [record for record in session.records if getattr(record, "message", None) is not None]


@pytest.mark.parametrize(
    "remainder", [0, *(pytest.param(number, marks=pytest.mark.slow) for number in range(1, 8))]
)
def test_a_file_cut_anywhere_loads_and_goes_on(tmp_path, remainder):
    whole = messages_said(replayed(EVERY_RECORD))
    content = EVERY_RECORD.read_bytes()
    around_ends = {
        at for line in re.finditer(rb"\n", content) for at in range(line.start() - 2, line.end() + 3)
    }
    lengths = {*range(remainder, len(content) + 1, 8), *(around_ends if remainder == 0 else ())}
    for length in sorted(lengths & set(range(len(content) + 1))):
        before, after = continue_after(content[:length], tmp_path)
        said = messages_said(before)
        assert said == whole[: len(said)]
        assert texts(after) == [*texts(before), "new"]
        assert after.header is not None


@given(st.lists(st.text(st.characters(exclude_categories=())), min_size=1, max_size=4), st.data())
def test_any_conversation_cut_anywhere_is_a_prefix_of_itself(said, data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "whole.jsonl"
        log, parent = FakeRuntime().log(path), None
        for text in said:
            parent = log.message(question(text), parent=parent)
        log.close()
        whole = texts(replayed(path))
        cut = data.draw(st.integers(0, path.stat().st_size))
        before, after = continue_after(path.read_bytes()[:cut], folder)
        assert texts(before) == whole[: len(texts(before))]
        assert texts(after) == [*texts(before), "new"]


def test_what_is_set_before_the_first_question_is_written_with_it(log, path):
    first = log.message(system("Be brief."), parent=None)
    log.mark("title", "T", parent=first)
    assert (log.session.system, log.session.title) == (system("Be brief."), "T")
    log.message(question("Hi"), parent=first)
    assert replayed(path).records == log.session.records
    assert [type(record).__name__ for record in log.session.records] == [
        "HeaderRecord",
        "MessageRecord",
        "MarkRecord",
        "MessageRecord",
    ]


def test_what_is_set_in_a_session_that_was_begun_is_written_at_once(log, path, runtime):
    asked = log.message(question("Hi"), parent=None)
    log.close()
    again = runtime.log(path, replayed(path))
    again.mark("title", "T", parent=asked)
    again.close()
    assert replayed(path).title == "T"


def test_an_interrupted_reply_is_in_the_session_as_far_as_it_was_kept(log, runtime):
    asked = log.message(question("Hi"), parent=None)
    reply = log.begin_reply(parent=asked)
    reply.extend("Par")
    assert texts(log.session) == ["Hi"]
    runtime.wait(1)
    assert texts(log.session) == ["Hi", "Par"]
    assert log.session.path()[-1].reply == ReplyMetadata(finish_reason="interrupted")


def test_without_a_file_the_conversation_lives_in_memory_alone(runtime, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    log = runtime.log(None)
    asked = log.message(question("Hi"), parent=None)
    reply = log.begin_reply(parent=asked)
    reply.extend("Paris")
    reply.finish(answer("Paris"), RESULT)
    log.mark("title", "T", parent=reply.id)
    log.close()
    assert (log.name, log.file, log.session.title) == (None, None, "T")
    assert texts(log.session) == ["Hi", "Paris"]
    assert list(tmp_path.iterdir()) == []


class TestSavingAs:
    @pytest.fixture
    def file(self, tmp_path):
        return SessionFile("copy", tmp_path / "elsewhere" / "copy.jsonl")

    def test_copies_what_was_said_and_goes_on_in_the_copy(self, log, path, file):
        asked = log.message(question("Hi"), parent=None)
        log.save_as(file)
        log.message(question("Ho"), parent=asked)
        assert log.name == "copy"
        assert texts(replayed(path)) == ["Hi"]
        assert texts(replayed(file.path)) == texts(log.session) == ["Hi", "Ho"]

    def test_gives_the_copy_an_identity_of_its_own(self, log, path, file):
        log.message(question("Hi"), parent=None)
        log.save_as(file)
        assert log.session.header == replayed(file.path).header
        assert log.session.header.id != replayed(path).header.id

    def test_keeps_what_was_not_kept_before(self, runtime, file):
        log = runtime.log(None)
        log.message(question("Hi"), parent=log.message(system("Be brief."), parent=None))
        log.save_as(file)
        log.close()
        assert texts(replayed(file.path)) == ["Be brief.", "Hi"]

    def test_works_before_anything_was_asked(self, log, path, file):
        first = log.message(system("Be brief."), parent=None)
        log.save_as(file)
        log.message(question("Hi"), parent=first)
        assert texts(replayed(file.path)) == ["Be brief.", "Hi"]
        assert file.path.read_bytes().count(b'"type":"header"') == 1
        assert not path.exists()

    def test_takes_a_reply_along_that_still_arrives(self, log, path, file):
        reply = log.begin_reply(parent=log.message(question("Hi"), parent=None))
        reply.extend("Par")
        log.save_as(file)
        assert texts(replayed(path)) == texts(replayed(file.path)) == ["Hi", "Par"]
        reply.finish(answer("Paris"), RESULT)
        assert texts(replayed(file.path)) == ["Hi", "Paris"]

    def test_loses_nothing_a_newer_version_wrote(self, runtime, file):
        newer = EVERY_RECORD.with_name("from-a-newer-version.jsonl")
        runtime.log(None, replayed(newer)).save_as(file)
        assert file.path.read_bytes().splitlines()[1:] == newer.read_bytes().splitlines()[1:]

    @posix_only
    def test_lets_only_the_owner_read_it(self, log, file):
        log.save_as(file)
        assert stat.S_IMODE(file.path.stat().st_mode) == 0o600

    def test_never_overwrites_and_stays_where_it_was(self, log, path, file):
        file.path.parent.mkdir()
        file.path.write_text("mine")
        asked = log.message(question("Hi"), parent=None)
        with pytest.raises(UsageError, match=r".* already exists"):
            log.save_as(file)
        log.message(question("Ho"), parent=asked)
        assert file.path.read_text() == "mine"
        assert (log.name, texts(replayed(path))) == ("trip", ["Hi", "Ho"])

    def test_says_where_it_cannot_be_written(self, log, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(LocalIOError, match="cannot write the session"):
            log.save_as(SessionFile("copy", tmp_path / "file" / "copy.jsonl"))


VISIBLE = ("head", "title", "model", "system", "pinned", "notes", "questions", "records")


def visible(session):
    return {name: getattr(session, name) for name in VISIBLE} | {
        "path": session.path(),
        "context": session.context(),
    }


def someone(data, session):
    """Return the id of any message, or ``None``."""
    said = [record.id for record in session.records if hasattr(record, "message")]
    return data.draw(st.sampled_from([*said, None]))


def act(log, runtime, data, replies):
    """Do one thing that can be done to a log at any time."""
    parent = someone(data, log.session)
    text = data.draw(st.text(max_size=3))
    match data.draw(st.sampled_from(["ask", "system", "begin", "extend", "finish", "mark", "wait", "close"])):
        case "ask":
            log.message(question(text), parent=parent)
        case "system":
            log.message(system(text) if text else Message("system", ()), parent=parent)
        case "begin":
            replies.append(log.begin_reply(parent=parent))
        case "extend" if replies:
            replies[-1].extend(text)
        case "finish" if replies:
            replies.pop().finish(answer(text), RESULT)
        case "mark":
            kind = data.draw(st.sampled_from(["head", "pin", "unpin", "clear", "title", "model", "note"]))
            log.mark(kind, data.draw(st.sampled_from([parent, text, None])), parent=parent)
        case "wait":
            runtime.wait(1)
        case "close":
            log.close()
        case _:
            pass


@given(st.data())
def test_whatever_is_done_the_session_is_what_a_replay_of_the_file_would_be(data):
    with tempfile.TemporaryDirectory() as folder:
        runtime, path, replies = FakeRuntime(), Path(folder) / "trip.jsonl", []
        log = runtime.log(path)
        for number in range(data.draw(st.integers(1, 25))):
            act(log, runtime, data, replies)
            if path.exists():
                assert visible(log.session) == visible(replayed(path))
            else:
                assert log.session.questions == ()
            if path.exists() and data.draw(st.integers(0, 9)) == 0:
                path = Path(folder) / f"copy {number}.jsonl"
                log.save_as(SessionFile("copy", path))
        log.close()


class TestAReplyThatBeginsAgain:
    """Its text turned out to be reasoning."""

    def test_holds_nothing_of_what_came_before(self, log, path, runtime):
        asked = log.message(question("Hi"), parent=None)
        reply = log.begin_reply(parent=asked)
        reply.extend("hm, ")
        runtime.wait(1)
        reply.extend("hm")
        reply.begin_again("")
        assert texts(replayed(path)) == texts(log.session) == ["Hi"]
        assert replayed(path).head == log.session.head == asked
        reply.extend("Par")
        runtime.wait(1)
        assert texts(replayed(path)) == texts(log.session) == ["Hi", "Par"]
        assert (replayed(path).path()[-1].id, replayed(path).path()[-1].parent) == (reply.id, asked)
        assert "hm" not in "".join(utterances(replayed(path).records))

    def test_goes_on_from_the_text_it_is_given(self, log, path, runtime):
        reply = log.begin_reply(parent=None)
        reply.extend("Paris hm")
        runtime.wait(1)
        reply.begin_again("Paris")
        reply.extend(" is it")
        runtime.wait(1)
        assert texts(replayed(path)) == texts(log.session) == ["Paris is it"]

    def test_leaves_no_trace_where_nothing_was_written(self, log, path, runtime):
        reply = log.begin_reply(parent=None)
        reply.extend("hm")
        reply.begin_again("")
        reply.extend("Paris")
        runtime.wait(1)
        assert partials(path) == ["Paris"]
        assert "begins_again" not in path.read_text()

    def test_is_replaced_by_the_whole_reply(self, log, path, runtime):
        reply = log.begin_reply(parent=None)
        reply.extend("hm")
        runtime.wait(1)
        reply.begin_again("")
        reply.extend("Paris")
        reply.finish(answer("Paris"), RESULT)
        assert texts(replayed(path)) == texts(log.session) == ["Paris"]


AT = "2026-11-23T21:05:07.123Z"
HEADER = HeaderRecord("s", AT, "chatcli 1.2.3")
MESSAGE = MessageRecord("q", None, AT, question("Hi"))


@pytest.fixture
def records_file(path):
    file = RecordFile(path)
    yield file
    file.close()


def test_nothing_is_made_before_the_first_record(records_file, path):
    assert not path.parent.exists()
    records_file.append_records([HEADER])
    assert list(read_records(path.read_bytes())) == [HEADER]


def test_a_file_has_one_header(records_file, path):
    records_file.begin([HEADER, MESSAGE])
    records_file.append_records([HeaderRecord("other", AT, "x")])
    assert list(read_records(path.read_bytes())) == [HEADER, MESSAGE]


def test_a_file_that_was_let_go_of_is_opened_again(records_file, path):
    records_file.append_records([HEADER])
    records_file.close()
    records_file.close()
    records_file.append_records([MESSAGE])
    assert list(read_records(path.read_bytes())) == [HEADER, MESSAGE]


def test_a_file_is_never_begun_twice(records_file, path):
    records_file.begin([HEADER])
    with pytest.raises(UsageError) as caught:
        records_file.begin([HEADER, MESSAGE])
    assert caught.value.hint
    assert list(read_records(path.read_bytes())) == [HEADER]


def test_a_place_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").touch()
    records_file = RecordFile(tmp_path / "file" / "trip.jsonl")
    for write in (lambda: records_file.append_records([HEADER]), lambda: records_file.begin([HEADER])):
        with pytest.raises(LocalIOError, match="cannot write the session"):
            write()


@posix_only
def test_a_pipe_with_a_name_is_no_session_and_not_waited_for(records_file, path):
    path.parent.mkdir()
    os.mkfifo(path)
    assert records_file.hold()
    with pytest.raises(ConfigurationError) as caught:
        records_file.append_records([HEADER])
    assert caught.value.code == "not_a_session"
    assert path.is_fifo()
