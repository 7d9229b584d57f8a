"""A run in a fork is like one that the interpreter started, from outside and for the programs it starts."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if sys.platform == "win32":
    pytest.skip("Windows has no fork", allow_module_level=True)

from e2e.fork_server import can_be_forked
from e2e.program import Program, command, ended
from e2e.pseudo_terminal import CTRL_C, CTRL_D, on_terminal
from scripted_server import HOLD, Answer, event_stream, serving_in_thread, text_events

if TYPE_CHECKING:
    from collections.abc import Iterator

HELD = Answer([*text_events("It is **Paris**.\n\n", "and"), HOLD])
PARIS = Answer(event_stream("Paris."))
ENTER, CTRL_Z, EDIT = "\r", "\x1a", "\x18\x05"
READY = "Ctrl-D leaves"
BOTH = [pytest.param(True, id="forked"), pytest.param(False, id="started")]
REPORT = """#!/bin/sh
echo edited >"$1"
exec >"$HOME/report"
env | grep -v "^_=" | sort
ps -o stat= -p $$
sed -n "/^Sig[BI]/p" /proc/self/status
"""
"""An editor that writes down what a program gets of the one that starts it."""

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="processes are no files on this system"
)


def seen(pid: int) -> dict[str, object]:
    """Return what the system knows of a process, the same for all that are alike."""
    folder = Path(f"/proc/{pid}")
    status = dict(line.split(":\t") for line in (folder / "status").read_text().splitlines() if ":\t" in line)
    _, parent, group, session, terminal, foreground = (
        folder.joinpath("stat").read_text().rpartition(")")[2].split()[:6]
    )
    numbers = {
        str(pid): "itself",
        parent: "its parent",
        str(os.getsid(0)): "ours",
        str(os.getpgid(0)): "ours",
    }
    return {
        **{name: status[name] for name in ("SigBlk", "SigIgn", "SigCgt", "Umask", "NoNewPrivs")},
        "group": numbers[group],
        "session": numbers[session],
        "has a terminal": terminal != "0",
        "foreground": numbers.get(foreground),
        "pipes, terminals and sockets": Counter(_kinds(folder / "fd")),
        "standard": [(folder / "fd" / name).stat().st_rdev for name in "12"],
        "limits": (folder / "limits").read_text(),
        "folder": (folder / "cwd").readlink(),
    }


def _kinds(files: Path) -> Iterator[int]:
    """Yield the kinds of open files, but for those that a thread of the program may just be reading."""
    for file in files.iterdir():
        with suppress(FileNotFoundError):
            if (kind := stat.S_IFMT(file.stat().st_mode)) in {stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK}:
                yield kind


@needs_proc
@pytest.mark.parametrize("job", [False, True], ids=["leader", "job"])
def test_on_a_terminal_it_has_the_same_place_signals_and_files(program, job):
    def conversing(*, is_forked):
        editor = program.working_folder / "editor"
        editor.write_text(REPORT)
        editor.chmod(0o700)
        with (
            serving_in_thread(HELD) as server,
            on_terminal(
                command("--no-save"),
                environment=program.environment(server, EDITOR=str(editor)),
                folder=program.working_folder,
                columns=100,
                job=job,
                is_forked=is_forked,
            ) as screen,
        ):
            screen.wait_for(READY)
            screen.type("draft" + EDIT)
            screen.wait_for("> edited")
            screen.type(ENTER)
            screen.wait_for("It is Paris.")
            what = seen(screen.process_id)
            screen.type(CTRL_C)
            screen.wait_for("stopped")
            screen.type(CTRL_D)
            code = screen.wait_for_exit()
        report = (program.working_folder.parent / "report").read_text()
        address = server.base_url
        what["standard"] = [device != 0 for device in what["standard"]]
        return what, code, report.replace(address, "ADDRESS"), screen.attributes_before

    assert conversing(is_forked=True) == conversing(is_forked=False)


@needs_proc
def test_between_pipes_it_has_the_same_place_signals_and_files(program):
    def answering(*, is_forked):
        with (
            serving_in_thread(HELD) as server,
            program.started("--no-save", "Hi", server=server, is_forked=is_forked) as process,
        ):
            first = process.stdout.read(len(b"It is **Paris**.\n\nand"))
            what = seen(process.pid)
            process.send_signal(signal.SIGINT)
            return what, ended(process, first)

    assert answering(is_forked=True) == answering(is_forked=False)


@pytest.mark.parametrize("is_forked", BOTH)
def test_a_conversation_is_held_stopped_and_continued(program, is_forked):
    with (
        serving_in_thread(PARIS) as server,
        on_terminal(
            command(),
            environment=program.environment(server),
            folder=program.working_folder,
            job=True,
            is_forked=is_forked,
        ) as screen,
    ):
        screen.wait_for(READY)
        screen.type("Capital of France?" + ENTER)
        screen.wait_for("Paris.\n\n>")
        screen.type(CTRL_Z)
        screen.wait_until_stopped()
        assert screen.attributes == screen.attributes_before
        screen.forget()
        screen.send_signal(signal.SIGCONT)
        screen.wait_for(">")
        screen.type(CTRL_D)
        assert screen.wait_for_exit() == 0
    assert program.saved == [("user", "Capital of France?"), ("assistant", "Paris.")]


@pytest.mark.parametrize("is_forked", BOTH)
def test_a_process_is_waited_for_and_killed_as_any_other(program, is_forked):
    with (
        serving_in_thread(HELD) as server,
        program.started("Hi", server=server, is_forked=is_forked) as process,
    ):
        assert process.stdout.read(2) == b"It"
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.01)
        process.kill()
        assert process.wait(timeout=20) == process.poll() == process.returncode == -signal.SIGKILL
        process.send_signal(signal.SIGTERM)


@pytest.mark.parametrize("is_forked", BOTH)
def test_what_is_typed_into_a_pipe_is_read(program, is_forked):
    with (
        serving_in_thread(PARIS) as server,
        program.started(server=server, stdin=subprocess.PIPE, is_forked=is_forked) as process,
    ):
        done = process.communicate("Capital of France? 🗼".encode(), timeout=60)
    assert (done, process.returncode) == ((b"Paris.\n", b""), 0)
    assert program.saved[0] == ("user", "Capital of France? 🗼")


@pytest.mark.parametrize("name", ["LANG", "LC_ALL", "PYTHONUTF8", "TZ"])
def test_what_the_interpreter_reads_at_its_start_needs_one(program: Program, name):
    assert not can_be_forked(program.environment(**{name: "C"}))
