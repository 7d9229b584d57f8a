"""What is on disk after the worst: killed at any moment, a full disk, two processes at once."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import pytest

from chatcli.core.messages import question
from chatcli.sessions.log import KEEP_WITHIN_S, SessionLog
from chatcli.sessions.reading import read_records
from chatcli.sessions.session import Session
from chatcli.sessions.store import SessionFile, SessionStore
from e2e.program import NO_BYTECODE, Program, command, messages_of
from scripted_server import HOLD, Answer, event_stream, serving_in_thread, text_events

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")
PARIS = Answer(event_stream("Paris."))
HELD = Answer([*text_events("Par"), HOLD])


def session_of(path: Path) -> Session:
    return Session.replay(read_records(path.read_bytes()))


def texts_of(path: Path) -> list[str]:
    return [record.message.text for record in session_of(path).path()]


@contextmanager
def counting(words: int, pause_s: float):
    """Serve an answer that counts, a word at a time."""
    script = [step for number in range(words) for step in (*text_events(f"{number} "), pause_s)]
    with serving_in_thread(Answer([*script, HOLD])) as server:
        yield server


def killed_after(program: Program, server, time_s: float, name: str) -> tuple[str, Path]:
    """Kill a run without mercy after a time; return what it had shown by then, and its session."""
    with program.started("-o", "text", "-s", name, "Count.", server=server) as process:
        shown = process.stdout.read(2)
        time.sleep(time_s)
        process.kill()
        shown += process.stdout.read()
        process.wait()
    return shown.decode(), program.data_folder / "sessions" / f"{name}.jsonl"


def assert_little_was_lost(program: Program, kills: int, seed: int) -> None:
    moments = random.Random(seed)
    words_a_second = 100
    for number in range(kills):
        with counting(1000, 1 / words_a_second) as server:
            shown, path = killed_after(program, server, moments.uniform(0, 1.2), f"killed {number}")
        question, *answer = texts_of(path)
        assert question == "Count."
        kept = answer[0] if answer else ""
        assert shown.startswith(kept) or kept.startswith(shown)
        # A slow machine serves fewer words, never more.
        assert len(shown.split()) - len(kept.split()) <= words_a_second * (KEEP_WITHIN_S + 0.5)
    with serving_in_thread(PARIS) as server:
        assert program.run("-s", "killed 0", "And now?", server=server).stdout == "Paris.\n"
    assert texts_of(program.data_folder / "sessions" / "killed 0.jsonl")[-2:] == ["And now?", "Paris."]


@posix_only
def test_killed_at_any_moment_it_loses_at_most_the_last_second_of_an_answer(program):
    assert_little_was_lost(program, kills=5, seed=1)


@posix_only
@pytest.mark.slow
@pytest.mark.timeout(600)  # a hundred starts take minutes on a machine that has other work
def test_killed_a_hundred_times_it_loses_at_most_the_last_second_each_time(program):
    assert_little_was_lost(program, kills=100, seed=2)


# The limit stands for a full disk: a write beyond it fails, here with EFBIG in place of ENOSPC.
_WITH_SMALL_FILES = (
    "import os, resource, signal, sys\n"
    "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))\n"
    "os.execv(sys.argv[2], sys.argv[2:])\n"
)


@posix_only
@pytest.mark.parametrize("limit_bytes", [0, 100, 500, 3000])
def test_on_a_full_disk_the_answer_is_shown_and_the_loss_is_reported_once(program, limit_bytes):
    words = " ".join(str(number) for number in range(2000))
    with serving_in_thread(Answer(event_stream(*[f"{word} " for word in words.split()]))) as server:
        done = subprocess.run(
            [sys.executable, "-c", _WITH_SMALL_FILES, str(limit_bytes), *command("-s", "trip", "Count.")],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=program.environment(server, **NO_BYTECODE),
            cwd=program.working_folder,
            timeout=60,
            check=False,
        )
    assert done.stdout.decode().split() == words.split()
    assert done.stderr.decode().count("continuing in memory") == 1
    assert done.returncode == 8
    path = program.data_folder / "sessions" / "trip.jsonl"
    kept = texts_of(path)[1:] if path.exists() else []
    assert (words + " ").startswith("".join(kept))


TURNS = 500


def hold_conversation(folder: Path, name: str, mark: str) -> SessionFile:
    """Have a conversation of many turns, as a process of its own does; return where it is."""
    store = SessionStore(folder)
    log = SessionLog.resume(store.resolve(name), store.load, app="test")
    for number in range(TURNS):
        log.message(question(f"{mark} {number}"), parent=log.session.head)
    log.close()
    return log.file


_TALK = (
    "import sys\n"
    "from pathlib import Path\n"
    "sys.path.insert(0, sys.argv[1])\n"
    "from e2e.test_disk import hold_conversation\n"
    "print(hold_conversation(Path(sys.argv[2]), 'trip', sys.argv[3]).path)\n"
)


def test_two_processes_on_one_session_never_interleave(tmp_path):
    tests = str(Path(__file__).parents[1])

    def run(mark: str) -> subprocess.CompletedProcess[bytes]:
        line = [sys.executable, "-c", _TALK, tests, str(tmp_path), mark]
        return subprocess.run(line, stdout=subprocess.PIPE, check=True, timeout=60)

    with ThreadPoolExecutor(2) as both:
        first, second = both.map(run, ("one", "two"))
    paths = [Path(done.stdout.decode().strip()) for done in (first, second)]
    for mark, path in zip(("one", "two"), paths, strict=True):
        assert [text for text in texts_of(path) if text.startswith(mark)] == [
            f"{mark} {n}" for n in range(TURNS)
        ]
        assert path.read_bytes().endswith(b"\n")
        # Whoever came second may have read what the first had said by then, and nothing of it later.
        runs = [mark for mark, _ in groupby(text.split()[0] for text in texts_of(path))]
        assert len(runs) <= 2


def test_a_session_that_another_program_answers_in_is_listed_as_being_answered(program):
    with serving_in_thread(HELD) as server:
        with program.started("-s", "trip", "Capital?", server=server) as process:
            assert process.stdout.read(3) == b"Par"
            listed = program.run("sessions", "list")
            found = program.run("sessions", "search", "capital", "--json")
            process.kill()
            process.wait()
        assert "(answering) Capital?" in listed.stdout
        assert '"is_being_answered": true' in found.stdout
        assert "(answering)" not in program.run("sessions", "list").stdout
    assert program.session_paths == [program.data_folder / "sessions" / "trip.jsonl"]


def test_a_second_program_on_a_session_says_that_it_goes_on_in_a_copy(program):
    with (
        serving_in_thread(HELD) as held,
        serving_in_thread(PARIS) as server,
        program.started("-s", "trip", "Capital?", server=held) as process,
    ):
        assert process.stdout.read(3) == b"Par"
        done = program.run("-s", "trip", "-o", "json", "Hello?", server=server)
        process.kill()
    assert "trip is open in another chatcli; continuing in a copy, trip-2" in done.stderr
    assert '"session": "trip-2"' in done.stdout
    sessions = program.data_folder / "sessions"
    assert messages_of(sessions / "trip-2.jsonl")[-2:] == [("user", "Hello?"), ("assistant", "Paris.")]
    assert messages_of(sessions / "trip.jsonl") == [("user", "Capital?")]


@posix_only
@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_only_the_owner_can_read_what_is_made(program, mask):
    line = f"import os, sys; os.umask({mask}); os.execv(sys.argv[1], sys.argv[1:])"
    with serving_in_thread(PARIS) as server:
        subprocess.run(
            [sys.executable, "-c", line, *command("Capital?")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={
                name: value
                for name, value in program.environment(server).items()
                if name != "CHATCLI_CONTEXT_WINDOW"
            },
            cwd=program.working_folder,
            check=True,
            timeout=60,
        )
    for folder in (program.data_folder, program.cache_folder):
        made = [folder, *folder.rglob("*")]
        assert len(made) > 1
        for path in made:
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@posix_only
def test_a_home_that_is_not_there_costs_the_session_and_nothing_else(program):
    gone = {f"CHATCLI_{kind}_DIR": "/proc/nowhere" for kind in ("DATA", "CACHE")}
    with serving_in_thread(PARIS) as server:
        done = program.run("Capital?", server=server, **gone)
    assert (done.stdout, done.exit_code) == ("Paris.\n", 0)
    assert "continuing in memory" in done.stderr
    assert "Traceback" not in done.stderr


@posix_only
@pytest.mark.parametrize("home", ["/dev/null/x", "a_file"])
def test_a_home_that_is_no_folder_costs_the_session_and_nothing_else(program, home):
    (program.working_folder / "a_file").write_text("")
    home = str(program.working_folder / home)
    unset = {f"CHATCLI_{kind}_DIR": "" for kind in ("CONFIG", "DATA", "CACHE", "LOCAL")}
    with serving_in_thread(PARIS, PARIS) as server:
        done = program.run("Capital?", server=server, HOME=home, **unset)
        named = program.run("-q", "-s", "trip", "Capital?", server=server, HOME=home, **unset)
    assert (done.stdout, done.exit_code) == ("Paris.\n", 0)
    message, hint = done.stderr.splitlines()
    assert message.startswith("this conversation cannot be saved in ")
    assert hint.startswith("→ set HOME or CHATCLI_DATA_DIR")
    # A session that was named was part of what was asked for.
    assert (named.stdout, named.exit_code) == ("Paris.\n", 8)
    assert "Traceback" not in done.stderr + named.stderr


DATA_FILES = (
    "last",
    "spending.jsonl",
    "spending.lock",
    "sessions/.index.db",
    "sessions/.index.db-wal",
    "sessions/trip.jsonl",
)
CACHE_FILES = ("endpoints.json", "long-texts")


@posix_only
@pytest.mark.parametrize("in_its_place", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to(path)])
def test_whatever_lies_where_a_file_should_be_nothing_hangs(program, in_its_place):
    for folder, names in ((program.data_folder, DATA_FILES), (program.cache_folder, CACHE_FILES)):
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            in_its_place(folder / name)
    with serving_in_thread(*[PARIS] * 9) as server:
        asked = program.run("Capital?", server=server)
        assert (asked.stdout, asked.exit_code) == ("Paris.\n", 0)
        for arguments in (
            ["-c", "And?"],
            ["sessions", "list"],
            ["sessions", "search", "Capital"],
            ["sessions", "export", "--all"],
        ):
            done = program.run(*arguments, server=server)
            assert (done.exit_code, "Traceback" in done.stderr) == (0, False), done.stderr
        named = program.run("-s", "trip", "And?", server=server)
        assert named.exit_code == 3
        assert "trip" in named.stderr


@posix_only
def test_a_terminated_run_keeps_what_had_come(program):
    with (
        serving_in_thread(HELD) as server,
        program.started("-s", "trip", "Capital?", server=server) as process,
    ):
        assert process.stdout.read(3) == b"Par"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 143
    assert texts_of(program.data_folder / "sessions" / "trip.jsonl") == ["Capital?", "Par"]
