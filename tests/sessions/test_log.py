from __future__ import annotations

import asyncio
import errno
import os
import stat
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.errors import ConfigurationError, LocalIOError
from chatcli.core.messages import answer, question
from chatcli.sessions.log import SessionLog
from chatcli.sessions.records import PartialRecord, ReplyMetadata
from sessions.world import RESULT, World, replayed, texts

EVERY_RECORD = Path(__file__).parent / "golden" / "every-record.jsonl"

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="rights are the profile's own on Windows")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sessions" / "trip.jsonl"


@pytest.fixture
def log(world, path):
    log = world.log(path)
    yield log
    log.close()


def partials(path):
    return [record.text for record in replayed(path).records if isinstance(record, PartialRecord)]


def test_a_conversation_in_which_nothing_is_said_leaves_no_file(log, path):
    log.begin_reply(parent=None)
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
def test_only_the_owner_can_read_it(world, tmp_path):
    path = tmp_path / "a" / "b" / "trip.jsonl"
    log = world.log(path)
    log.message(question("Hi"), parent=None)
    log.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700


def test_a_second_log_goes_on_where_the_first_ended(log, path, world):
    first = log.message(question("Hi"), parent=None)
    log.close()
    again = world.log(path)
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


def test_text_that_keeps_coming_is_written_within_a_second(log, path, world):
    reply = log.begin_reply(parent=None)
    for number in range(40):
        reply.extend(f"{number} ")
        world.wait(0.1, asleep=True)
    written = "".join(partials(path))
    assert written.startswith("0 1 2 ")
    assert len(written.split()) >= 30
    assert len(partials(path)) < 10


def test_text_before_a_silence_is_written_within_a_second(log, path, world):
    reply = log.begin_reply(parent=None)
    reply.extend("Par")
    assert not path.exists()
    world.wait(1)
    assert partials(path) == ["Par"]
    world.wait(10)
    reply.extend("")
    reply.extend("is")
    assert partials(path) == ["Par"]
    world.wait(1)
    assert partials(path) == ["Par", "is"]


def test_a_finished_reply_leaves_no_timer_behind(log, path, world):
    reply = log.begin_reply(parent=None)
    reply.extend("Paris")
    reply.finish(answer("Paris"), RESULT)
    size = path.stat().st_size
    world.wait(5)
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
    log = SessionLog(path, name="trip", app="x")
    log.begin_reply(parent=None).extend("Par")
    async with asyncio.timeout(5):
        while not path.exists() or not partials(path):  # noqa: ASYNC110 -- a file sends no event
            await asyncio.sleep(0.02)
    assert partials(path) == ["Par"]
    log.close()


def test_without_a_loop_a_reply_can_be_kept_too(path):
    log = SessionLog(path, name="trip", app="x")
    reply = log.begin_reply(parent=None)
    reply.extend("Par")
    reply.finish(answer("Paris"), RESULT)
    log.close()
    assert texts(replayed(path)) == ["Paris"]


@pytest.mark.parametrize(
    "content", [b"Dear diary,\n", b"\xff\xd8\xff\xe0", b'{"type":"header","format":2,"id":"s"}']
)
def test_a_file_that_is_no_session_is_never_written_to(log, path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ConfigurationError):
        log.message(question("Hi"), parent=None)
    assert path.read_bytes() == content


def test_a_place_that_cannot_be_written_says_what_to_do(world, tmp_path):
    (tmp_path / "file").touch()
    log = world.log(tmp_path / "file" / "trip.jsonl")
    with pytest.raises(LocalIOError, match=r"cannot write the session .*trip\.jsonl") as caught:
        log.message(question("Hi"), parent=None)
    assert "--no-save" in caught.value.hint


@posix_only
def test_no_file_is_made_through_a_link(world, tmp_path):
    (tmp_path / "trip.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LocalIOError):
        world.log(tmp_path / "trip.jsonl").message(question("Hi"), parent=None)
    assert not (tmp_path / "elsewhere").exists()


def test_after_a_full_disk_the_next_record_stands_on_its_own_line(log, path, monkeypatch):
    first = log.message(question("first"), parent=None)
    write = os.write

    def write_some_and_fail(descriptor, content):
        if len(content) < 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, content[: len(content) - 50])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write_some_and_fail)
        with pytest.raises(LocalIOError, match="No space left on device"):
            log.message(question("lost"), parent=first)
    log.message(question("second"), parent=first)
    assert texts(replayed(path)) == ["first", "second"]


def test_text_that_could_not_be_written_in_silence_is_told_and_kept_by_the_next_call(log, path, world):
    path.parent.mkdir()
    path.mkdir()
    reply = log.begin_reply(parent=None)
    reply.extend("Par")
    world.wait(1)
    with pytest.raises(LocalIOError):
        reply.extend("i")
    path.rmdir()
    reply.extend("s")
    assert partials(path) == ["Paris"]


def test_a_write_that_takes_less_than_it_was_given_is_continued(log, path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:7]))
    log.message(question("Hi"), parent=None)
    assert texts(replayed(path)) == ["Hi"]


def continue_after(content, folder):
    """Put a question to the session that ``content`` is a piece of; return what was and what is."""
    path = Path(folder) / "trip.jsonl"
    path.write_bytes(content)
    before = replayed(path)
    log = World(first_id=1_000).log(path)
    log.message(question("new"), parent=before.head)
    log.close()
    return before, replayed(path)


def messages_said(session):
    return [record for record in session.records if getattr(record, "message", None) is not None]


@pytest.mark.parametrize("remainder", range(8))
def test_a_file_cut_anywhere_loads_and_goes_on(tmp_path, remainder):
    whole = messages_said(replayed(EVERY_RECORD))
    content = EVERY_RECORD.read_bytes()
    for length in range(remainder, len(content) + 1, 8):
        before, after = continue_after(content[:length], tmp_path)
        said = messages_said(before)
        assert said == whole[: len(said)]
        assert texts(after) == [*texts(before), "new"]
        assert after.header is not None


@given(st.lists(st.text(st.characters(exclude_categories=())), min_size=1, max_size=4), st.data())
def test_any_conversation_cut_anywhere_is_a_prefix_of_itself(said, data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "whole.jsonl"
        log, parent = World().log(path), None
        for text in said:
            parent = log.message(question(text), parent=parent)
        log.close()
        whole = texts(replayed(path))
        cut = data.draw(st.integers(0, path.stat().st_size))
        before, after = continue_after(path.read_bytes()[:cut], folder)
        assert texts(before) == whole[: len(texts(before))]
        assert texts(after) == [*texts(before), "new"]
