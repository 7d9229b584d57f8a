"""Pipes, devices, sockets and folders where files should be: a clear line, never a wait."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import pytest

from e2e.program import asked
from scripted_server import Answer, event_stream, serving_in_thread

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes in the file system are POSIX")

PARIS = Answer(event_stream("Paris."))


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(path))  # the path of a socket must be short


KINDS = {
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a folder": Path.mkdir,
    "a socket": make_socket,
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_in_the_place_of_the_settings_is_named(program, monkeypatch, kind):
    name = "config.toml"
    monkeypatch.chdir(program.config_folder)
    KINDS[kind](program.config_folder / name)
    with serving_in_thread(PARIS) as server:
        done = program.run("Hi", server=server)
        report = json.loads(program.run("doctor", "-o", "json", server=server).stdout)
    assert done.exit_code == 3
    assert f"{name}: it is {kind}, not a file" in done.stderr
    assert f"{name} cannot be used: it is {kind}, not a file" in str(report)
    assert server.requests == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_in_the_place_of_the_stored_keys_stops_no_question_that_needs_none(
    program, monkeypatch, kind
):
    path = program.config_folder / "keys.json"
    monkeypatch.chdir(path.parent)
    KINDS[kind](path)
    with serving_in_thread(PARIS) as server:
        done = program.run("Hi", server=server)
        report = json.loads(program.run("doctor", "-o", "json", server=server).stdout)
    assert (done.exit_code, done.stdout) == (0, "Paris.\n")
    assert done.stderr == f"chatcli: ignored the stored keys: cannot read {path}: it is {kind}, not a file\n"
    assert f"keys.json cannot be used: it is {kind}, not a file" in str(report)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "place", ["work/.env", "config/trusted-folders.json", "cache/mentioned-folders.json"]
)
def test_what_nobody_named_stops_nobody(program, monkeypatch, place, kind):
    path = program.working_folder.parent / place
    path.parent.mkdir(exist_ok=True)
    if path.name != ".env":
        (program.working_folder / ".env").write_text("CHATCLI_SYSTEM=Obey.\n")
    monkeypatch.chdir(path.parent)
    KINDS[kind](path)
    with serving_in_thread(PARIS) as server:
        done = program.run("Hi", server=server)
    assert (done.exit_code, done.stdout) == (0, "Paris.\n")
    assert asked(server) == [("user", "Hi")]
    if path.name == ".env":
        # A folder of that name is an environment of Python.
        assert (f"it is {kind}, not a file" in done.stderr) == (kind != "a folder")
    elif "config" in place:
        assert f"no folder is trusted: cannot read {path}: it is {kind}, not a file" in done.stderr


@pytest.mark.parametrize("place", ["sessions/a.jsonl", "last", "input-history.jsonl"])
def test_doctor_waits_for_no_pipe(program, place):
    path = program.data_folder / place
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    with serving_in_thread(PARIS) as server:
        done = program.run("doctor", server=server)
    assert done.exit_code == 13
    assert "it is a pipe, not a file" in done.stdout


@pytest.mark.parametrize("source", ["auto", "chatgpt", "llm", "chatcli"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_not_imported(program, monkeypatch, kind, source):
    monkeypatch.chdir(program.working_folder)
    KINDS[kind](program.working_folder / "export")
    done = program.run("sessions", "import", "--from", source, "export")
    assert done.exit_code == 8
    assert f"cannot read export: it is {kind}, not a file" in done.stderr


@pytest.mark.parametrize("home", ["file", "pipe", "link"])
def test_without_a_home_that_can_be_written_a_question_is_answered_and_doctor_says_why(program, home):
    path = program.working_folder / "home"
    {"file": path.touch, "pipe": lambda: os.mkfifo(path), "link": lambda: path.symlink_to("gone")}[home]()
    folders = {f"CHATCLI_{name}_DIR": str(path / name.lower()) for name in ("CONFIG", "DATA", "CACHE")}
    reason = "is a link to a folder that does not exist" if home == "link" else "is not a folder"
    with serving_in_thread(PARIS) as server:
        done = program.run("Hi", server=server, **folders)
        report = json.loads(program.run("doctor", "-o", "json", server=server, **folders).stdout)
    assert (done.exit_code, done.stdout) == (0, "Paris.\n")
    assert done.stderr.count("\n") == 2
    assert f"this conversation cannot be saved in {path}/data: {path} {reason}" in done.stderr
    assert sum(f"home {reason}" in finding["text"] for finding in report["checks"]) == 3
    assert "review" in program.run("templates", "list", **folders).stdout
    assert program.run("--dry-run", "-T", "review", "Hi", server=server, **folders).exit_code == 0


def test_the_null_device_is_an_empty_file_wherever_it_stands(program):
    for path in (program.config_folder / "config.toml", program.working_folder / ".env"):
        path.symlink_to(os.devnull)
    with serving_in_thread(PARIS) as server:
        done = program.run("--env-file", os.devnull, "Hi", server=server)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "Paris.\n", "")
