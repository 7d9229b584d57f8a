from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from chatcli.core.errors import LocalIOError
from chatcli.core.messages import question
from chatcli.cost.ledger import Expense, Ledger
from chatcli.sessions.log import RecordFile
from chatcli.sessions.records import HeaderRecord, MessageRecord
from chatcli.storage.json_lines import (
    ExclusiveJsonLines,
    InUse,
    LineFollower,
    SharedJsonLines,
    append_lines,
    encode_line,
    lines_of,
)
from chatcli.storage.private_files import open_existing, open_for_append
from chatcli.terminal.input_history import HistoryFile
from storage.faulty_disk import FaultyDisk, Killed, interrupts, is_full, kills, takes_nothing

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX only")
FIRST, SECOND, THIRD = (encode_line({"id": number}) for number in range(3))
TORN = b'{"id":'


def unchecked(_descriptor):
    return


def exclusive(path):
    return ExclusiveJsonLines(path, unchecked)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "lines.jsonl"


@pytest.fixture(params=[SharedJsonLines, exclusive], ids=["shared", "exclusive"])
def file(request, path):
    file = request.param(path)
    yield file
    if isinstance(file, ExclusiveJsonLines):
        file.close()


class TestAWrite:
    def test_makes_the_file_and_its_folder_for_the_owner_alone(self, file, path):
        assert not path.parent.exists()
        file.append(FIRST)
        file.append(SECOND + THIRD)
        assert path.read_bytes() == FIRST + SECOND + THIRD
        if sys.platform != "win32":
            assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)

    def test_that_comes_short_is_continued(self, file, path):
        with FaultyDisk([1, 2, 3]).in_use():
            file.append(FIRST)
        assert path.read_bytes() == FIRST

    @pytest.mark.parametrize("ending", [is_full, takes_nothing, interrupts])
    @pytest.mark.parametrize("shares", [[], [1], [len(SECOND) - 1], [len(SECOND), 3]])
    def test_that_fails_is_taken_back_and_the_next_one_works(self, file, path, shares, ending):
        file.append(FIRST)
        with FaultyDisk(shares, ending).in_use(), pytest.raises((OSError, KeyboardInterrupt)) as caught:
            file.append(SECOND + THIRD)
        if ending is not interrupts:
            assert caught.value.errno == errno.ENOSPC
        assert path.read_bytes() == FIRST
        file.append(THIRD)
        assert path.read_bytes() == FIRST + THIRD

    def test_that_fails_behind_a_torn_line_leaves_it_as_it_was(self, file, path):
        file.append(FIRST)
        with path.open("ab") as other:
            other.write(TORN)
        with FaultyDisk([1, 4], is_full).in_use(), pytest.raises(OSError, match="space"):
            file.append(SECOND)
        assert path.read_bytes() == FIRST + TORN

    def test_that_fails_on_a_disk_that_vanishes_costs_its_own_record_alone(self, file, path):
        file.append(FIRST)
        with FaultyDisk([4], is_full, cuts=False).in_use(), pytest.raises(OSError, match="space"):
            file.append(SECOND)
        file.append(THIRD)
        assert path.read_bytes() == FIRST + SECOND[:4] + b"\n" + THIRD

    def test_that_fails_cuts_nothing_that_others_wrote_behind_it(self, file, path):
        file.append(FIRST)

        def another_writes(_descriptor, _content):
            with path.open("ab") as other:
                other.write(b"\n" + SECOND)
            raise OSError(errno.ENOSPC, "full")

        with FaultyDisk([4], another_writes).in_use(), pytest.raises(OSError, match="full"):
            file.append(THIRD)
        assert path.read_bytes() == FIRST + THIRD[:4] + b"\n" + SECOND

    @pytest.mark.parametrize("share", range(len(SECOND) + 1))
    def test_of_a_process_that_dies_costs_its_own_record_alone(self, path, share):
        SharedJsonLines(path).append(FIRST)
        with FaultyDisk([share] if share else [], kills).in_use(), pytest.raises(Killed):
            # The second write is cut short by its writer's death, the first one is whole.
            SharedJsonLines(path).append(SECOND + THIRD)
        SharedJsonLines(path).append(THIRD)
        ids = [fields["id"] for fields in map(parsed, path.read_bytes().splitlines()) if fields]
        assert ids in ([0, 2], [0, 1, 2])

    def test_ends_a_torn_line_once(self, file, path):
        path.parent.mkdir()
        path.write_bytes(FIRST + TORN)
        file.append(SECOND)
        file.append(THIRD)
        assert path.read_bytes() == FIRST + TORN + b"\n" + SECOND + THIRD

    def test_where_nothing_can_be_is_an_error(self, tmp_path):
        (tmp_path / "file").touch()
        for file in (SharedJsonLines(tmp_path / "file" / "x"), exclusive(tmp_path / "file" / "x")):
            with pytest.raises(OSError, match="ot a directory"):
                file.append(FIRST)

    @posix_only
    def test_needs_no_lock_where_the_file_system_has_none(self, file, path, monkeypatch):
        def has_none(*_):
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr("fcntl.flock", has_none)
        file.append(FIRST)
        exclusive(path).append(SECOND)
        assert path.read_bytes() == FIRST + SECOND


def parsed(line):
    try:
        return json.loads(line)
    except ValueError:
        return None


class TestASharedFile:
    def test_is_followed_by_a_link_of_the_persons_own(self, path, tmp_path):
        path.parent.mkdir()
        (tmp_path / "elsewhere").touch()
        path.symlink_to(tmp_path / "elsewhere")
        file = SharedJsonLines(path)
        file.append(FIRST)
        file.compact(lambda: [SECOND])
        assert path.is_symlink()
        assert (tmp_path / "elsewhere").read_bytes() == SECOND

    def test_is_compacted_or_left_as_it_is(self, path):
        file = SharedJsonLines(path)
        file.append(FIRST + SECOND)
        file.compact(lambda: None)
        assert path.read_bytes() == FIRST + SECOND
        file.compact(lambda: [SECOND])
        assert path.read_bytes() == SECOND
        assert {found.name for found in path.parent.iterdir()} == {"lines.jsonl", "lines.lock"}

    def test_that_somebody_writes_to_without_the_lock_is_not_compacted(self, path):
        file = SharedJsonLines(path)
        file.append(FIRST + SECOND)

        def fewer():
            with path.open("ab") as other:
                other.write(THIRD)
            return [SECOND]

        file.compact(fewer)
        assert path.read_bytes() == FIRST + SECOND + THIRD

    def test_is_not_compacted_while_another_writes(self, path):
        file = SharedJsonLines(path)
        file.append(FIRST)
        taken = []

        def fewer():
            descriptor = open_for_append(path.with_suffix(".lock"))
            try:
                from chatcli.storage.file_lock import try_to_lock  # noqa: PLC0415

                taken.append(try_to_lock(descriptor))
            finally:
                os.close(descriptor)

        file.compact(fewer)
        assert taken == [False]


class TestAFollower:
    @pytest.fixture
    def fresh(self):
        return []

    @pytest.fixture
    def follower(self, path, fresh):
        return LineFollower(path, lambda: fresh.append(True))

    def test_reads_what_came_since_the_last_time(self, follower, path):
        assert list(follower.new_lines()) == []
        for line in (FIRST, SECOND + THIRD):
            SharedJsonLines(path).append(line)
            assert b"".join(line + b"\n" for line in follower.new_lines()) == line
        assert list(follower.new_lines()) == []

    def test_waits_for_the_end_of_a_line(self, follower, path):
        path.parent.mkdir()
        path.write_bytes(FIRST + TORN)
        assert list(follower.new_lines()) == [FIRST[:-1]]
        assert list(follower.new_lines()) == []
        assert follower.unfinished == TORN
        with path.open("ab") as file:
            file.write(b"7}\n")
        assert list(follower.new_lines()) == [b'{"id":7}']
        assert follower.unfinished == b""

    @pytest.mark.parametrize("change", ["replaced", "cut", "removed"])
    def test_starts_over_where_the_file_is_another_one(self, follower, fresh, path, change):
        SharedJsonLines(path).append(FIRST + SECOND)
        list(follower.new_lines())
        fresh.clear()
        if change == "replaced":
            SharedJsonLines(path).compact(lambda: [FIRST, SECOND, THIRD])
        elif change == "cut":
            path.write_bytes(THIRD)
        else:
            path.unlink()
        lines = list(follower.new_lines())
        assert fresh == [True]
        assert (
            lines
            == {
                "replaced": [FIRST[:-1], SECOND[:-1], THIRD[:-1]],
                "cut": [THIRD[:-1]],
                "removed": [],
            }[change]
        )

    def test_starts_over_where_a_file_that_was_replaced_twice_has_its_old_number(self, follower, fresh, path):
        SharedJsonLines(path).append(FIRST + SECOND)
        list(follower.new_lines())
        fresh.clear()
        # The number stands for the first file's, whether or not the file system gives it out again.
        with path.open("rb+") as file:
            file.write(SECOND + THIRD + FIRST)
        assert list(follower.new_lines()) == [SECOND[:-1], THIRD[:-1], FIRST[:-1]]
        assert fresh == [True]

    @pytest.mark.parametrize("newest_bytes", range(1, 3 * len(FIRST) + 2))
    def test_reads_whole_lines_of_what_is_newest(self, fresh, path, newest_bytes):
        SharedJsonLines(path).append(FIRST + SECOND + THIRD)
        follower = LineFollower(path, lambda: fresh.append(True), newest_bytes=newest_bytes)
        whole = [line[:-1] for line in (FIRST, SECOND, THIRD)]
        fitting = min(3, newest_bytes // len(FIRST))
        assert list(follower.new_lines()) == whole[3 - fitting :]
        SharedJsonLines(path).append(FIRST)
        assert list(follower.new_lines()) == ([FIRST[:-1]] if newest_bytes >= len(FIRST) else [])
        assert list(follower.new_lines()) == []
        assert fresh == [True]

    def test_goes_on_behind_a_line_larger_than_what_is_read(self, fresh, path):
        follower = LineFollower(path, lambda: fresh.append(True), newest_bytes=100)
        read = []
        for line in (FIRST, b"x" * 250 + b"\n", SECOND):
            SharedJsonLines(path).append(line)
            read += follower.new_lines()
        assert read == [FIRST[:-1], SECOND[:-1]]
        assert fresh == [True]

    def test_passes_over_a_line_that_is_too_long(self, path):
        follower = LineFollower(path, longest_line_bytes=100)
        too_long = b"x" * 3_500_000 + b"\n"
        SharedJsonLines(path).append(too_long + FIRST)
        assert list(follower.new_lines()) == [b"\0", FIRST[:-1]]
        SharedJsonLines(path).append(SECOND + too_long)
        assert list(follower.new_lines()) == [SECOND[:-1], b"\0"]
        SharedJsonLines(path).append(THIRD)
        assert list(follower.new_lines()) == [THIRD[:-1]]

    def test_passes_over_the_rest_of_a_line_that_was_too_long_before_it_had_an_end(
        self, follower, fresh, path
    ):
        follower = LineFollower(path, lambda: fresh.append(True), longest_line_bytes=100)
        path.parent.mkdir()
        path.write_bytes(FIRST)
        assert list(follower.new_lines()) == [FIRST[:-1]]
        path.write_bytes(FIRST + b"x" * 3_500_000)
        assert list(follower.new_lines()) == [b"\0"]
        with path.open("ab") as file:
            file.write(b"7}\n" + SECOND)
        assert list(follower.new_lines()) == [SECOND[:-1]]
        assert fresh == [True]

    def test_reads_more_than_it_reads_at_once(self, follower, path):
        lines = [encode_line({"id": number, "text": "x" * 9_000}) for number in range(400)]
        SharedJsonLines(path).append(b"".join(lines) + TORN)
        assert [line + b"\n" for line in follower.new_lines()] == lines
        assert follower.unfinished == TORN
        SharedJsonLines(path).append(SECOND)
        assert list(follower.new_lines()) == [TORN, SECOND[:-1]]

    def test_leaves_a_line_that_gets_its_end_while_it_reads_for_the_next_time(self, follower, path):
        path.parent.mkdir()
        path.write_bytes(FIRST + TORN)
        lines = follower.new_lines()
        assert next(lines) == FIRST[:-1]
        with path.open("ab") as file:
            file.write(b"7}\n")
        assert list(lines) == []
        assert list(follower.new_lines()) == [b'{"id":7}']

    def test_that_was_left_in_the_middle_starts_over(self, follower, fresh, path):
        SharedJsonLines(path).append(FIRST + SECOND)
        left = follower.new_lines()
        assert next(left) == FIRST[:-1]
        left.close()
        assert list(follower.new_lines()) == [FIRST[:-1], SECOND[:-1]]
        assert len(fresh) == 3

    @posix_only
    def test_is_refused_what_is_no_file(self, follower, path):
        path.parent.mkdir()
        os.mkfifo(path)
        with pytest.raises(OSError, match="a pipe"):
            list(follower.new_lines())


class TestAnExclusiveFile:
    """Locks belong to an open file, so two of them in one process stand for two processes."""

    def test_is_left_to_whoever_has_it(self, path):
        first, second = exclusive(path), exclusive(path)
        first.append(FIRST)
        assert not second.hold()
        with pytest.raises(InUse):
            second.append(SECOND)
        first.close()
        assert second.hold()
        second.append(SECOND)
        second.close()
        assert path.read_bytes() == FIRST + SECOND

    def test_that_another_wrote_to_meanwhile_is_anothers(self, path):
        first, second = exclusive(path), exclusive(path)
        first.append(FIRST)
        first.close()
        first.close()
        second.append(SECOND)
        second.close()
        with pytest.raises(InUse):
            first.append(THIRD)
        assert path.read_bytes() == FIRST + SECOND

    def test_that_was_made_while_it_was_held_is_anothers(self, path):
        first, second = exclusive(path), exclusive(path)
        assert first.hold()
        second.create(FIRST)
        with pytest.raises(InUse):
            first.append(SECOND)
        with pytest.raises(FileExistsError):
            second.create(SECOND)
        second.append(THIRD)
        second.close()
        assert path.read_bytes() == FIRST + THIRD

    def test_that_the_check_refuses_is_neither_written_to_nor_held(self, path):
        def refuses(descriptor):
            assert os.read(descriptor, 100) == FIRST
            raise ValueError("not mine")

        exclusive(path).create(FIRST)
        refused = ExclusiveJsonLines(path, refuses)
        for write in (refused.hold, refused.open, lambda: refused.append(SECOND)):
            with pytest.raises(ValueError, match="not mine"):
                write()
        other = exclusive(path)
        assert other.hold()
        other.close()
        assert path.read_bytes() == FIRST

    @posix_only
    def test_that_was_removed_is_not_written_to_any_more(self, path):
        file = exclusive(path)
        file.append(FIRST)
        path.unlink()
        with pytest.raises(FileNotFoundError, match="it was removed"):
            file.append(SECOND)
        file.close()

    @posix_only
    def test_is_made_and_written_through_no_link_unless_it_is_the_persons_own(self, path, tmp_path):
        path.parent.mkdir()
        (tmp_path / "elsewhere").touch()
        path.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(OSError, match="symbolic links"):
            exclusive(path).append(FIRST)
        file = ExclusiveJsonLines(path, unchecked, follow_link=True)
        file.append(FIRST)
        file.close()
        assert (tmp_path / "elsewhere").read_bytes() == FIRST


NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
AT = "2026-11-29T12:00:00.000Z"


def session(path):
    file = RecordFile(path)
    file.append_records([HeaderRecord("s", AT, "chatcli")])
    return file, lambda text: file.append_records([MessageRecord(text, None, AT, question(text))])


def ledger(path):
    file = Ledger(path, clock=lambda: NOW)
    return file, lambda text: file.append(Expense(NOW, text, "e", Decimal(1)))


def history(path):
    file = HistoryFile(path, clock=lambda: NOW)
    return file, lambda text: file.append([text])


@pytest.mark.parametrize("kind", [session, ledger, history])
@pytest.mark.parametrize("ending", [is_full, kills])
def test_every_file_that_is_kept_is_written_that_way(path, kind, ending):
    file, append = kind(path)
    append("first")
    whole = path.read_bytes()
    with FaultyDisk([3, 4, 5], ending).in_use(), pytest.raises((OSError, LocalIOError, Killed)):
        append("lost")
    torn = path.read_bytes().removeprefix(whole)
    assert len(torn) == (0 if ending is is_full else 12)
    append("third")
    if isinstance(file, RecordFile):
        file.close()
    content = path.read_bytes()
    assert content.startswith(whole + torn)
    assert [b"first" in line for line in content.splitlines()].count(True) == 1
    assert b"third" in content.splitlines()[-1]
    assert content.endswith(b"}\n")


class AnyFile(RuleBasedStateMachine):
    """Whatever happens, acknowledged lines are read back in order, and a loss affects only torn lines."""

    def __init__(self):
        super().__init__()
        self.path = Path(tempfile.mkdtemp()) / "lines.jsonl"
        self.ids = count()
        self.acknowledged: list[int] = []
        self.torn = 0
        self.seen: list[bytes] = []
        self.follower = LineFollower(self.path, self.seen.clear)

    def teardown(self):
        shutil.rmtree(self.path.parent)

    def append(self, lines):
        raise NotImplementedError

    def lines(self, number, size):
        ids = [next(self.ids) for _ in range(number)]
        return ids, b"".join(encode_line({"id": identity, "text": "x" * size}) for identity in ids)

    @rule(
        number=st.integers(1, 3),
        size=st.integers(0, 30),
        shares=st.lists(st.integers(1, 40), max_size=4),
        ending=st.sampled_from([os.write, is_full, takes_nothing, kills, interrupts, "another writes"]),
        cuts=st.booleans(),
    )
    def write(self, number, size, shares, ending, cuts):
        ids, lines = self.lines(number, size)
        other = None
        if ending == "another writes":
            other, behind = self.lines(1, size)

            def ending(_descriptor, _content, write=os.write):
                with pytest.MonkeyPatch.context() as patched:
                    patched.setattr(os, "write", write)
                    descriptor = open_existing(self.path)
                    append_lines(descriptor, behind)
                    os.close(descriptor)
                self.acknowledged += other
                raise OSError(errno.ENOSPC, "full")

        try:
            with FaultyDisk(shares, ending, cuts=cuts).in_use():
                self.append(lines)
        except (OSError, Killed, KeyboardInterrupt):
            self.torn += 1
        else:
            self.acknowledged += ids

    @rule(content=st.sampled_from([TORN, b"\0", b"\xff\n", b"x\n\n"]))
    def leave_behind_what_a_stranger_wrote(self, content):
        with self.path.open("ab") as file:
            file.write(content)
        self.torn += 1

    @rule()
    def follow(self):
        self.seen += self.follower.new_lines()
        self.check(self.seen)

    @invariant()
    def what_was_acknowledged_is_there(self):
        self.check(list(LineFollower(self.path).new_lines()))

    def check(self, lines):
        ids = [fields["id"] for fields in map(parsed, lines) if fields]
        known = set(self.acknowledged)
        assert [identity for identity in ids if identity in known] == self.acknowledged
        assert sum(bool(line) and not parsed(line) for line in lines) <= self.torn
        assert len(set(ids)) == len(ids)


class AnySharedFile(AnyFile):
    @initialize()
    def begin(self):
        self.files = [SharedJsonLines(self.path) for _ in range(2)]

    def append(self, lines):
        self.files.reverse()
        self.files[0].append(lines)

    @rule(kept=st.integers(0, 5), works=st.booleans())
    def compact(self, kept, works):
        if not self.path.exists():
            return
        acknowledged = self.acknowledged[-kept:] if kept else []

        def fewer():
            if not works:
                raise OSError(errno.ENOSPC, "full")
            lines = LineFollower(self.path).new_lines()
            return [line + b"\n" for line in lines if (parsed(line) or {}).get("id") in acknowledged]

        try:
            self.files[0].compact(fewer)
        except OSError:
            return
        self.acknowledged, self.torn = acknowledged, 0


class AnyExclusiveFile(AnyFile):
    @initialize()
    def begin(self):
        self.files = [exclusive(self.path), exclusive(self.path)]
        self.open = None

    def teardown(self):
        for file in self.files:
            file.close()
        super().teardown()

    def append(self, lines):
        try:
            self.files[0].append(lines)
        except InUse as error:
            # It is another's, or was written to: whoever wants it reads it anew.
            self.files[0] = exclusive(self.path)
            raise OSError(errno.EAGAIN, "in use") from error
        except Killed:
            self.let_go()
            raise

    @rule()
    def let_go(self):
        self.files[0].close()

    @rule()
    def let_another_try(self):
        self.files.reverse()


TestAnySharedFile = AnySharedFile.TestCase
TestAnyExclusiveFile = AnyExclusiveFile.TestCase
TestAnySharedFile.settings = TestAnyExclusiveFile.settings = settings(stateful_step_count=25)


def test_a_line_that_is_too_long_is_none(tmp_path):
    (tmp_path / "long").write_bytes(FIRST + b"x" * 5_000 + b"\n" + SECOND + b"y" * 2_000)
    with (tmp_path / "long").open("rb") as file:
        assert list(lines_of(file, longest_bytes=1_000)) == [FIRST, b"\0", SECOND, b"\0"]
