from __future__ import annotations

import json
import sys

import pytest

from chatcli.cli.main import main
from chatcli.config.credentials import StoredKeys
from chatcli.config.endpoints import origin_of
from chatcli.core.errors import ExitCode
from chatcli.core.messages import answer, question
from chatcli.sessions.exporting import records_of
from chatcli.sessions.log import RecordFile
from chatcli.sessions.records import HeaderRecord, MessageRecord, ReplyMetadata
from cli.fakes import terminal

AT = "2026-11-23T21:05:07.123Z"


@pytest.fixture
def data(tmp_path):
    for name in ("trip", "work"):
        save(tmp_path / "data" / "sessions" / f"{name}.jsonl", name)
    return tmp_path / "data"


def save(path, name):
    RecordFile(path).begin(
        [
            HeaderRecord(f"id of {name}", AT, "chatcli 1.2.3"),
            MessageRecord("q", None, AT, question(f"About {name}?")),
            MessageRecord("r", "q", AT, answer("**Yes.**"), ReplyMetadata("small", finish_reason="stop")),
            MessageRecord("r2", "q", AT, answer("No."), ReplyMetadata("small", finish_reason="stop")),
        ]
    )


def export(data, *arguments, **variables):
    folders = {"CHATCLI_DATA_DIR": str(data), "CHATCLI_CACHE_DIR": str(data.parent / "cache")}
    context = terminal(**{"CHATCLI_CONFIG_DIR": str(data.parent / "config"), **folders, **variables})
    return main(["sessions", "export", *map(str, arguments)], context), context


def test_one_session_goes_to_standard_output_as_markdown(data):
    code, context = export(data, "trip")
    assert code == ExitCode.DONE
    assert context.out.startswith("# About trip?\n")
    assert "**Yes.**" not in context.out
    assert context.err == ""


def test_the_whole_tree_has_what_was_left(data):
    assert "**Yes.**" in export(data, "trip", "--whole-tree")[1].out


@pytest.mark.parametrize(
    ("name", "beginning"), [("a.md", "# "), ("a.HTML", "<!DOCTYPE"), ("a.json", "{"), ("a.txt", "# ")]
)
def test_the_format_follows_from_the_end_of_the_files_name(data, tmp_path, name, beginning):
    code, context = export(data, "trip", "--out", tmp_path / name)
    assert code == ExitCode.DONE
    assert (tmp_path / name).read_text().startswith(beginning)
    assert context.err == f"exported 1 session to {tmp_path / name}\n"


def test_a_format_that_is_named_wins(data, tmp_path):
    export(data, "trip", "--out", tmp_path / "a.txt", "--format", "html")
    assert (tmp_path / "a.txt").read_text().startswith("<!DOCTYPE")


def test_a_file_is_not_overwritten_unless_that_is_wished(data, tmp_path):
    out = tmp_path / "a.md"
    out.write_text("mine")
    code, context = export(data, "trip", "--out", out)
    assert code == ExitCode.USAGE
    assert f"{out} already exists" in context.err
    assert "--force" in context.err
    assert out.read_text() == "mine"
    assert export(data, "trip", "--out", out, "--force")[0] == ExitCode.DONE
    assert out.read_text().startswith("# ")


def test_several_sessions_need_a_folder(data, tmp_path):
    for arguments in (("trip", "work"), ("--all", "--out", tmp_path / "a.md")):
        code, context = export(data, *arguments)
        assert code == ExitCode.USAGE
        assert "2 sessions do not fit into one markdown document" in context.err
    code, context = export(data, "--all", "--format", "html", "--out", tmp_path / "pages")
    assert code == ExitCode.DONE
    assert sorted(path.name for path in (tmp_path / "pages").iterdir()) == ["trip.html", "work.html"]
    assert f"exported 2 sessions to {tmp_path / 'pages'}" in context.err


def test_one_session_goes_into_a_folder_that_is_there_or_is_written_as_one(data, tmp_path):
    export(data, "trip", "--out", tmp_path)
    export(data, "trip", "--out", f"{tmp_path}/new/", "--format", "json")
    assert (tmp_path / "trip.md").exists()
    assert (tmp_path / "new" / "trip.json").exists()


def test_nothing_is_written_into_a_folder_where_one_file_is_in_the_way(data, tmp_path):
    (tmp_path / "work.md").write_text("mine")
    assert export(data, "--all", "--out", tmp_path)[0] == ExitCode.USAGE
    assert not (tmp_path / "trip.md").exists()


def test_two_sessions_of_one_name_get_two_files(data, tmp_path):
    save(tmp_path / "elsewhere" / "trip.jsonl", "other")
    code, _ = export(data, "trip", tmp_path / "elsewhere" / "trip.jsonl", "--out", tmp_path / "out")
    assert code == ExitCode.DONE
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["trip-2.md", "trip.md"]


def test_json_takes_them_all_and_loses_nothing(data):
    code, context = export(data, "--all", "--format", "json")
    assert code == ExitCode.DONE
    documents = json.loads(context.out)
    assert sorted(document["name"] for document in documents) == ["trip", "work"]
    assert [len(records_of(document)) for document in documents] == [4, 4]


def test_which_session_must_be_reported(data):
    assert "which session?" in export(data)[1].err
    assert "give one or the other" in export(data, "trip", "--all")[1].err
    code, context = export(data, "nowhere")
    assert code == ExitCode.USAGE
    assert "there is no session nowhere" in context.err


def test_a_folder_that_cannot_be_made_is_reported(data, tmp_path):
    (tmp_path / "file").write_text("")
    code, context = export(data, "--all", "--out", f"{tmp_path}/file/sub/")
    assert code == ExitCode.LOCAL_IO
    assert "cannot make the folder" in context.err


def test_what_fails_on_the_way_leaves_the_earlier_file(data, tmp_path):
    out = tmp_path / "backup.json"
    export(data, "trip", "work", "--out", out)
    before = out.read_bytes()
    (data / "sessions" / "work.jsonl").write_text("damaged")
    assert export(data, "trip", "work", "--out", out, "--force")[0] == ExitCode.CONFIGURATION
    assert out.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_file_that_cannot_be_made_is_reported_by_its_own_name(data, tmp_path):
    (tmp_path / "file").touch()
    assert export(data, "trip", "--out", tmp_path / "file" / "a.md")[0] == ExitCode.LOCAL_IO
    out = tmp_path / "nowhere" / "a.md"
    code, context = export(data, "trip", "--out", out)
    assert code == ExitCode.LOCAL_IO
    assert f"cannot write {out}: No such file or directory" in context.err


PASTED = "sk-proj-aB3dE5gH7jK9mN2pQ4rS6tU8vW0xY1zA3bC5dE7fG9hJ1kL3"


def test_the_keys_that_are_configured_are_hidden_in_what_an_export_adds_and_no_program_is_run(data, tmp_path):
    config, ran = tmp_path / "config", tmp_path / "ran"
    config.mkdir()
    command = [sys.executable, "-c", f"open({str(ran)!r}, 'w')"]
    (config / "config.toml").write_text(
        f'key_command = {json.dumps(command)}\n[profiles.desk]\nbase_url = "https://desk.example/v1"\n'
        'api_key_env = "DESK"\n',
        encoding="utf-8",
    )
    stored, of_profile = "correct-horse-battery", "staple-of-the-desk-42"
    StoredKeys(config, lambda: None).store(origin_of("https://llm.example"), stored)
    variables = {"CHATCLI_CONFIG_DIR": str(config), "DESK": of_profile}
    for number, key in enumerate((stored, of_profile)):
        save(data / "sessions" / f"keys{number}.jsonl", key)
        code, context = export(data, f"keys{number}", **variables)
        assert code == ExitCode.DONE
        assert "# About \\[key\\]" in context.out
    assert not ran.exists()


def test_an_export_does_not_need_a_sound_configuration(data, tmp_path):
    (tmp_path / "config.toml").write_text("broken = [", encoding="utf-8")
    assert export(data, "trip", CHATCLI_CONFIG_DIR=str(tmp_path))[0] == ExitCode.DONE


@pytest.mark.parametrize("format_name", ["markdown", "html", "json"])
def test_what_an_export_adds_shows_no_key_and_the_conversation_is_as_it_was(data, format_name):
    save(data / "sessions" / "keys.jsonl", PASTED)
    code, context = export(data, "keys", "--format", format_name)
    assert code == ExitCode.DONE
    added = {
        "markdown": "# About \\[key\\]…",
        "html": "<title>About [key]…</title>",
        "json": '"title": "About [key]\\u2026"',
    }
    assert added[format_name] in context.out
    # Once where it was written, and in JSON in the id of the file as well.
    assert context.out.count(PASTED) == (2 if format_name == "json" else 1)
