"""What happens when the file of calls, its folder, the disk or another process is in the way."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from contextlib import closing
from pathlib import Path

import pytest

from chatcli.core.errors import LocalIOError
from chatcli.telemetry.call_store import FILE_NAME, CallStore
from telemetry.made_calls import NOON_S, a_call

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")

WRITER = """
    import sys
    from pathlib import Path
    from chatcli.core.call_records import CallRecord
    from chatcli.telemetry.call_store import CallStore

    store = CallStore(Path(sys.argv[1]), busy_timeout_s=30)
    name, most = sys.argv[2], int(sys.argv[3])
    for number in range(0, most, 5):
        store.append([CallRecord(1795608000.0 + number / 1000, "host", name, input_tokens=number + n) for n in range(5)])
        print(number + 5, flush=True)
    store.close()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / FILE_NAME


@pytest.fixture
def notices():
    return []


@pytest.fixture
def opened(path, notices):
    """Return a function that opens the same store again."""
    stores = []

    def reopen(**options):
        stores.append(CallStore(path, on_damage=notices.append, **options))
        return stores[-1]

    yield reopen
    for store in stores:
        store.close()


@pytest.fixture
def started(path):
    """Return a function that starts a process which stores calls, five at a time, and says how many it has stored."""
    with contextlib.ExitStack() as stack:

        def start(name, most):
            command = [sys.executable, "-c", textwrap.dedent(WRITER), str(path), name, str(most)]
            writer = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            stack.callback(writer.kill)
            return writer

        yield start


def aside(path):
    return path.with_name(f"{FILE_NAME}.damaged")


def test_two_processes_that_write_at_once_lose_nothing(started, opened):
    """They begin together, on a file that is not there yet, and their calls begin in the same microseconds."""
    writers = [started(name, 500) for name in ("one", "two")]
    for writer in writers:
        writer.communicate(timeout=120)
        assert writer.returncode == 0
    calls = opened().recent(2_000)
    for name in ("one", "two"):
        assert sorted(call.input_tokens for call in calls if call.model == name) == list(range(500))


LOOKING = """
    import sys
    from contextlib import closing
    from pathlib import Path
    from chatcli.telemetry.call_store import CallStore
    with closing(CallStore(Path(sys.argv[1]))) as store:
        print(store.figures(0, 4e9).calls)
"""


def test_what_several_stores_of_one_process_write_is_seen_by_others_that_come_and_go(opened, path):
    """A process that closes the database deletes the write-ahead log unless it sees that another one has it open."""

    def seen():
        line = [sys.executable, "-c", textwrap.dedent(LOOKING), str(path)]
        return int(subprocess.run(line, capture_output=True, check=True, timeout=60).stdout)

    writing = opened()
    writing.append([a_call(0)])
    with closing(CallStore(path)) as looking:
        assert looking.figures(0, 4e9).calls == 1
        assert seen() == 1
        writing.append([a_call(1)])
        assert seen() == 2
    writing.append([a_call(2)])
    assert seen() == 3


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("stored", [5, 100, 400])
def test_a_killed_writer_leaves_what_it_has_stored(started, opened, path, notices, stored):
    writer = started("killed", 100_000)
    said = 0
    while said < stored:
        said = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    said = max(said, *(int(line) for line in writer.stdout.read().split("\n")[:-1]), 0)
    writer.wait()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    calls = opened().recent(1_000_000)
    # It may die between storing and saying so.
    assert len(calls) in (said, said + 5)
    assert [call.input_tokens for call in calls] == list(range(len(calls)))
    opened().append([a_call(NOON_S + 900)])
    assert len(opened().recent(1_000_000)) == len(calls) + 1
    assert notices == []


def test_a_full_disk_costs_the_calls_that_do_not_fit_and_no_others(opened):
    store = opened()
    store.append([a_call()])
    with limited(store):
        with pytest.raises(LocalIOError, match="full") as raised:
            fill(store)
        assert raised.value.hint == "free some space"
        kept = store.recent(1_000_000)
        with pytest.raises(LocalIOError, match="full"):
            store.append([a_call(model=f"{number}" * 40) for number in range(1_000)])
        assert store.recent(1_000_000) == kept
    assert len(kept) % 100 == 1
    store.append([a_call(NOON_S + 9_000, model="again")])
    assert store.recent(1)[0].model == "again"


def fill(store):
    for number in range(1_000):
        store.append([a_call(NOON_S + number, model=f"{number}" * 40) for _ in range(100)])


@contextlib.contextmanager
def limited(store, pages=60):
    """Let the database of ``store`` grow to so many pages only: SQLite says what it says when a disk is full."""
    with store._database.using() as connection:
        connection.execute(f"PRAGMA max_page_count = {pages}")
    yield
    with store._database.using() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limit of file sizes there")
def test_a_file_that_may_not_grow_costs_calls_and_no_process(path):
    """The limit of the system for files is the nearest thing to a disk that is full."""
    script = """
        import resource, signal, sys
        from pathlib import Path
        from chatcli.core.call_records import CallRecord
        from chatcli.core.errors import LocalIOError
        from chatcli.telemetry.call_store import CallStore

        store = CallStore(Path(sys.argv[1]))
        store.append([CallRecord(1.0, "host", "first")])
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        lost = 0
        for number in range(200):
            try:
                store.append([CallRecord(10.0 + number, "host", f"{number}" * 30) for _ in range(100)])
            except LocalIOError:
                lost += 100
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        store.append([CallRecord(9999.0, "host", "last")])
        calls = store.recent(1_000_000)
        assert (calls[0].model, calls[-1].model) == ("first", "last")
        print(lost, len(calls))
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert said.stderr == ""
    lost, kept = map(int, said.stdout.split())
    assert lost > 0
    assert kept == 200 * 100 - lost + 2


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limit of file sizes there")
def test_where_there_is_no_room_to_read_either_the_disk_is_named_and_nothing_moved_aside(path, opened):
    """SQLite makes a file beside the database before it reads it."""
    store = opened()
    store.append([a_call()])
    store.close()
    script = """
        import resource, signal, sys
        from pathlib import Path
        from chatcli.core.errors import LocalIOError
        from chatcli.telemetry.call_store import CallStore

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
        try:
            CallStore(Path(sys.argv[1])).recent(1)
        except LocalIOError as error:
            print(error.hint)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert said.stdout == "see whether the disk is full, or its folder can be used\n"
    assert [call.model for call in opened().recent(9)] == [a_call().model]


@pytest.mark.parametrize(
    "content",
    [b"garbage" * 2_000, b"SQLite format 3\x00" + b"\xff" * 8_000, b"{}"],
    ids=["garbage", "a header and garbage", "a few bytes"],
)
def test_a_file_that_is_no_database_is_moved_aside_with_a_notice(opened, path, notices, content):
    path.parent.mkdir()
    path.write_bytes(content)
    store = opened()
    store.append([a_call()])
    assert store.recent(5) == [a_call()]
    assert aside(path).read_bytes() == content
    assert len(notices) == 1
    assert str(aside(path)) in notices[0]
    assert store.damaged_at_s() is not None


@pytest.mark.parametrize(
    "damage", ["latency_ms = 'soon'", "ttft_ms = -1", "attempts = 'two'", "sent_bytes = 1.5"]
)
def test_a_row_that_holds_no_numbers_is_damage(opened, path, notices, damage):
    with closing(opened()) as store:
        store.append([a_call(latency_s=1.0, ttft_s=0.5)])
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"UPDATE calls SET {damage}")
        other.commit()
    with pytest.raises(LocalIOError, match="no numbers"):
        opened().figures(0, 4e9)
    assert aside(path).exists()
    assert len(notices) == 1


def test_a_row_of_a_time_that_no_date_has_is_taken_for_the_nearest(opened, path):
    opened().append([a_call()])
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE calls SET at_us = 1 << 62")
        other.commit()
    first_s, last_s = opened().first_and_last_s()
    assert (first_s, last_s) == (250e9, 250e9)


def test_a_database_of_something_else_is_moved_aside(opened, path, notices):
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE calls (name TEXT)")
    assert opened().recent(5) == []
    opened().append([a_call()])
    assert len(notices) == 1


def test_a_truncated_file_is_moved_aside_and_new_calls_are_kept(opened, path, notices):
    store = opened()
    store.append([a_call(NOON_S + number) for number in range(5_000)])
    store.close()
    os.truncate(path, path.stat().st_size // 2)
    store = opened()
    assert store.recent(5_000) == []
    store.append([a_call()])
    assert store.recent(5) == opened().recent(5) == [a_call()]
    assert len(notices) == 1


def test_damage_deep_in_the_file_is_found_when_it_is_read(opened, path, notices):
    store = opened()
    store.append([a_call(NOON_S + number) for number in range(5_000)])
    store.close()
    with path.open("r+b") as file:
        file.seek(20 * 4096)
        file.write(b"\xff" * 10 * 4096)
    store = opened()
    assert len(store.recent(5)) == 5
    store.append([a_call(NOON_S + 9_000)])
    with pytest.raises(LocalIOError, match="malformed") as raised:
        store.recent(5_000)
    assert str(aside(path)) in raised.value.hint
    store.append([a_call()])
    assert store.recent(5) == opened().recent(5) == [a_call()]
    assert len(notices) == 1


def test_an_empty_file_becomes_a_database(opened, path, notices):
    path.parent.mkdir()
    path.touch()
    opened().append([a_call()])
    assert opened().recent(5) == [a_call()]
    assert notices == []


def test_what_another_process_has_moved_aside_is_not_moved_again(opened, path, notices):
    first, second = opened(), opened()
    first.append([a_call()])
    second.recent(5)
    first.close()
    path.rename(aside(path))
    opened().append([a_call(NOON_S + 1)])
    second._database._move_aside(sqlite3.DatabaseError("database disk image is malformed"))
    assert opened().recent(5) == [a_call(NOON_S + 1)]
    assert notices == []


def test_names_are_right_after_the_file_was_replaced(opened, path):
    """Kinds get their numbers anew in another file."""
    store = opened()
    store.append([a_call(model="one"), a_call(model="two")])
    store.close()
    aside(path).write_bytes(b"")
    path.unlink()
    store.append([a_call(model="two")])
    assert [call.model for call in store.recent(5)] == ["two"]
    assert store.figures(0, NOON_S + 9, model="two").calls == 1


@pytest.mark.parametrize("what", ["folder", "fifo"])
def test_something_else_in_place_of_the_file_is_refused(opened, path, what):
    if what == "folder":
        path.mkdir(parents=True)
    elif hasattr(os, "mkfifo"):
        path.parent.mkdir()
        os.mkfifo(path)
    else:
        pytest.skip("no pipes with names there")
    with pytest.raises(LocalIOError, match="cannot use the statistics"):
        opened().append([a_call()])
    with pytest.raises(LocalIOError, match="cannot use the statistics"):
        opened().recent(1)


def test_a_link_in_place_of_the_file_is_not_followed(opened, path, tmp_path):
    path.parent.mkdir()
    (tmp_path / "elsewhere").touch()
    try:
        path.symlink_to(tmp_path / "elsewhere")
    except OSError:
        pytest.skip("no links there")
    with pytest.raises(LocalIOError, match="it is a symbolic link") as caught:
        opened().append([a_call()])
    assert caught.value.hint == "move it away; chatcli makes a file in its place"
    assert (tmp_path / "elsewhere").read_bytes() == b""


def test_a_folder_that_cannot_be_made_is_refused(opened, path):
    path.parent.touch()
    with pytest.raises(LocalIOError):
        opened().append([a_call()])


@pytest.mark.skipif(os.name != "posix", reason="no permissions of this kind there")
@pytest.mark.parametrize("modes", [(0o777, 0o444), (0o555, 0o444), (0o000, 0o600)])
def test_a_file_that_cannot_be_written_can_be_read_if_its_folder_can(modes):
    """Asked by somebody else if the tests run as the user who may do everything."""
    script = """
        import os, sys
        from pathlib import Path
        from chatcli.core.errors import LocalIOError
        from chatcli.telemetry.call_store import CallStore

        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        store = CallStore(Path(sys.argv[1]), fewest_kept=1)
        for ask in (
            lambda: len(store.recent(5)), lambda: store.figures(0, 1e10).calls, lambda: store.append(store.recent(1) * 2),
            lambda: store.forget(1e10),
        ):
            try:
                print(ask())
            except LocalIOError as error:
                print(error)
    """
    # Others cannot enter the folder of this test.
    with tempfile.TemporaryDirectory() as shared:
        path = Path(shared, "data", FILE_NAME)
        store = CallStore(path)
        store.append([a_call()])
        store.close()
        Path(shared).chmod(0o755)
        path.chmod(modes[1])
        path.parent.chmod(modes[0])
        command = [sys.executable, "-c", textwrap.dedent(script), str(path)]
        asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        path.parent.chmod(0o700)
    assert asked.stderr == ""
    said = asked.stdout.splitlines()
    if modes[0] & 0o005:
        assert said[:2] == ["1", "1"]
        assert all("attempt to write a readonly database" in line for line in said[2:])
    else:
        assert all("Permission denied" in line for line in said)
    assert len(said) == 4
