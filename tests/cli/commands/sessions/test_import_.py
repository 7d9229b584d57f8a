from __future__ import annotations

import json
import os
import signal

import pytest

from chatcli.cli.commands.sessions import import_
from chatcli.cli.main import main
from chatcli.core.errors import ExitCode
from chatcli.sessions.importing.importer import Importer
from cli.fakes import terminal
from sessions.importing.exports import (
    LLM_RESPONSES,
    exchange,
    make_database,
    message,
    node,
    write_json,
    write_zip,
)


@pytest.fixture
def run(tmp_path):
    def run_it(*arguments, is_terminal=False):
        folders = {"CHATCLI_DATA_DIR": str(tmp_path / "data"), "CHATCLI_CACHE_DIR": str(tmp_path / "cache")}
        context = terminal(is_terminal=is_terminal, **folders)
        return main(["sessions", *map(str, arguments)], context), context

    return run_it


@pytest.fixture
def export(tmp_path):
    return write_json(tmp_path / "conversations.json", [exchange(str(number)) for number in range(30)])


def session_files(tmp_path):
    return sorted(path.stem for path in (tmp_path / "data").rglob("*.jsonl"))


def test_an_export_becomes_sessions_and_importing_again_adds_nothing(run, export, tmp_path):
    code, context = run("import", export)
    assert (code, context.out) == (ExitCode.DONE, "")
    assert context.err == "imported 30 conversations\n"
    assert len(session_files(tmp_path)) == 30
    assert run("import", export)[1].err == "imported 0 conversations, 30 were here already\n"


def test_imported_conversations_are_in_the_list(run, export):
    run("import", export)
    listed = json.loads(run("list", "--json")[1].out)
    assert len(listed) == 30
    assert listed[0]["title"] == "Trip"
    assert listed[0]["last_used"].startswith("2023-11-14T22:14:20")


def test_many_files_of_many_kinds_at_once(run, tmp_path):
    files = [
        write_zip(tmp_path / "a.zip", {"conversations-000.json": [exchange("a")]}),
        make_database(tmp_path / "logs.db", LLM_RESPONSES),
    ]
    assert run("import", *files)[1].err == "imported 3 conversations\n"
    assert session_files(tmp_path) == ["chatgpt-a", "llm-01old", "llm-r3"]


def test_a_backup_comes_back(run, export, tmp_path):
    run("import", export)
    run("export", "--all", "--out", tmp_path / "backup.json")
    before = {path.name: path.read_bytes() for path in (tmp_path / "data" / "sessions").glob("*.jsonl")}
    for path in (tmp_path / "data" / "sessions").glob("*.jsonl"):
        path.unlink()
    assert run("import", tmp_path / "backup.json")[1].err == "imported 30 conversations\n"
    assert {
        path.name: path.read_bytes() for path in (tmp_path / "data" / "sessions").glob("*.jsonl")
    } == before


def test_a_dry_run_only_says_what_would_be_done(run, export, tmp_path):
    code, context = run("import", "--dry-run", export)
    assert (code, context.err) == (ExitCode.DONE, "would import 30 conversations\n")
    assert session_files(tmp_path) == []


def test_what_was_left_out_what_is_damaged_and_what_has_grown_is_reported_once(run, tmp_path):
    path = write_json(tmp_path / "a.json", [exchange("a")])
    run("import", path)
    grown = exchange("a")
    grown["mapping"]["x"] = node("x", "a-r", message("user", "And?"))
    other = exchange("b")
    other["mapping"]["t"] = node("t", "b-r", message("assistant", content={"content_type": "thoughts"}))
    write_json(path, [grown, other, 7, {"mapping": 7}])
    assert run("import", path)[1].err.splitlines() == [
        "imported 1 conversation, 1 was here already",
        "not updated, although there are newer messages for them: chatgpt-a",
        "→ to update one, remove it (chatcli sessions rm) and import again",
        "left out, not supported in a session: thoughts (1)",
        "could not be read: 2 entries; the first is entry 3: it is not a JSON object",
    ]


def test_quiet_says_nothing(run, export):
    assert run("import", "-q", export)[1].err == ""


def test_a_file_from_elsewhere_ends_it_before_anything_is_imported(run, export, tmp_path):
    other = tmp_path / "cat.png"
    other.write_bytes(b"\x89PNG")
    code, context = run("import", export, other)
    assert code == ExitCode.CONFIGURATION
    assert f"{other} is nothing that can be imported" in context.err
    assert "conversations.json" in context.err
    assert session_files(tmp_path) == []


def test_what_to_import_must_be_reported(run, tmp_path):
    code, context = run("import")
    assert code == ExitCode.USAGE
    assert "import what?" in context.err
    assert run("import", tmp_path / "nowhere")[0] == ExitCode.LOCAL_IO


def test_ctrl_c_stops_between_two_conversations_and_the_same_command_goes_on(
    run, export, tmp_path, monkeypatch
):
    class Interrupted(Importer):
        def take(self, item):
            super().take(item)
            if self.summary.imported == 10:
                os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(import_, "Importer", Interrupted)
        code, context = run("import", export)
    assert code == ExitCode.INTERRUPTED
    assert context.err.splitlines() == [
        "imported 10 conversations",
        "stopped; run the same command to continue",
    ]
    assert len(session_files(tmp_path)) == 10
    assert run("import", export)[1].err == "imported 20 conversations, 10 were here already\n"


def test_a_terminal_sees_a_bar_and_no_trace_of_it_stays(run, export):
    code, context = run("import", export, is_terminal=True)
    assert code == ExitCode.DONE
    assert "conversations" in context.err
    assert "%" in context.err
    assert context.err.endswith("imported 30 conversations\n")


def test_help_shows_the_sources_and_examples(run):
    code, context = run("import", "--help")
    assert code == ExitCode.DONE
    assert "--from {auto,chatgpt,llm,chatcli}" in context.out
    assert "chatcli sessions import" in context.out
