"""What cannot be right: one clear line, what to do, the right code, and nothing sent, written or lost."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from scripted_server import Answer, event_stream, serving_in_thread

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"


@pytest.fixture
def folder(program):
    (program.working_folder / "photo.jpg").write_bytes(JPEG)
    (program.working_folder / "table.json").write_text('{"type": "table"}\n')
    (program.working_folder / "folder.jsonl").mkdir()
    return program.working_folder


class Mistake(NamedTuple):
    arguments: list[str]
    stdin: bytes
    exit_code: int
    what: str
    hint: str


@pytest.mark.parametrize(
    "row",
    [
        (["-f", "absent.md", "Hi"], b"", 2, "cannot read absent.md: No such file", "check the path"),
        (["-f", "folder.jsonl", "Hi"], b"", 2, "folder.jsonl is a folder", "name files in it instead"),
        (["-f", "photo.jpg", "Hi"], b"", 2, "photo.jpg is not text", "convert it first"),
        (["-f", "https://ann:pw@host.example/a", "Hi"], b"", 2, "holds a user name", "before the @"),
        (["-f", "http://127.1/", "Hi"], b"", 2, "127.1 is an unusual spelling", "four decimal numbers"),
        (["-f", "http://localhost:1/", "Hi"], b"", 2, "localhost is a name of a private", "private_hosts"),
        (["-f", "http://169.254.169.254/x", "Hi"], b"", 2, "is a metadata service", "check the address"),
        (["-S", "@https://host.example/a", "Hi"], b"", 2, "is a web address, not a file", "-f and @"),
        (["-S", "@absent.txt", "Hi"], b"", 2, "cannot read absent.txt", "check the path"),
        ([], JPEG, 2, "stdin is not text", "convert it first"),
        ([], b"", 2, "no prompt was given", 'chatcli "PROMPT"'),
        (["  "], b" \n", 2, "no prompt was given", 'chatcli "PROMPT"'),
        (["-s", "./photo.jpg", "Hi"], b"", 3, "photo.jpg is not a chatcli session", "not changed"),
        (["-s", "table.json/../table.json", "Hi"], b"", 3, "cannot read the session", "another -s name"),
        (["-s", "folder.jsonl", "Hi"], b"", 3, "folder.jsonl is not a chatcli session", "not changed"),
        (["-s", "a:b", "Hi"], b"", 2, "'a:b' cannot name a session", "letters, digits"),
        (["-s", "a", "-c", "Hi"], b"", 2, "--session and --continue", "one of them"),
        (["-c", "Hi"], b"", 3, "there is no session to resume", "ask something first"),
        (["-t", "hot", "Hi"], b"", 2, "--temperature must be a number from 0 to 2, not 'hot'", ""),
        (["--max-tokens", "0", "Hi"], b"", 2, "--max-tokens must be a whole number of at least 1", ""),
        (["-O", "top_k", "Hi"], b"", 2, "-O must be KEY=VALUE, not 'top_k'", ""),
        (["-o", "yaml", "Hi"], b"", 2, "--output cannot be yaml", "use one of: text, markdown, json, jsonl"),
        (["-m"], b"", 2, "--model needs a value", "chatcli --help"),
        (["--base-url", "ftp://host.example", "Hi"], b"", 2, "--base-url must be a URL", ""),
        (["--api", "newest", "Hi"], b"", 2, "--api must be chat or responses, not", ""),
        (["-p", "work", "Hi"], b"", 2, "config.toml has no profile 'work'", "add a table [profiles.work]"),
        (["--env-file", "absent.env", "Hi"], b"", 3, "cannot read absent.env", "UTF-8 text file"),
        (["--modle", "x", "Hi"], b"", 2, "unknown option --modle", "did you mean --model?"),
        (["--frobnicate", "Hi"], b"", 2, "unknown option --frobnicate", "chatcli --help"),
        (["voice"], b"", 2, "the command voice comes with a later version", "chatcli -- voice"),
        (["sessions", "burn"], b"", 2, "there is no chatcli sessions burn", "use one of: list, show"),
    ],
    ids=lambda row: " ".join(row[0]) or row[3],
)
def test_a_mistake_is_one_line_and_a_hint(program, folder, row):
    mistake = Mistake(*row)
    before = {path.name: path.is_file() and path.read_bytes() for path in folder.iterdir()}
    with serving_in_thread(Answer(event_stream("Paris."))) as server:
        done = program.run(*mistake.arguments, server=server, stdin=mistake.stdin)
    message, *rest = done.stderr.splitlines()
    assert done.exit_code == mistake.exit_code
    assert message.startswith("error: ")
    assert mistake.what in message
    assert all(line.startswith("→ ") for line in rest)
    assert len(rest) == 1 or not mistake.hint
    assert mistake.hint in "".join(rest)
    assert done.stdout == ""
    assert server.requests == []
    assert not program.data_folder.exists()
    assert {path.name: path.is_file() and path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("content", "what", "hint"),
    [
        ('modle = "x"', "unknown setting 'modle'", "did you mean model?"),
        (
            "[profiles.work]\nbase_ulr = 1",
            "[profiles.work]: unknown setting 'base_ulr'",
            "did you mean base_url?",
        ),
        ("temperature = 9", "temperature must be a number from 0 to 2, not 9", "edit "),
        ("model = unquoted", "is not valid TOML", "Texts stand in quotes"),
        ('ca_bundle = "C:\\Users\\ada"', "is not valid TOML", "single quotes: 'C:\\Users\\ada'"),
        ("api_key = '\"sk-0123456789\"'", "api_key must not have quotes", "remove the quotes"),
    ],
    ids=["unknown key", "unknown key of a profile", "bad value", "broken", "backslashes", "quotes"],
)
def test_a_mistake_in_the_config_file_is_reported_where_it_stands(program, content, what, hint):
    (program.config_folder / "config.toml").write_text(content, encoding="utf-8")
    done = program.run("Hi")
    assert done.exit_code == 3
    assert what in done.stderr
    assert hint in done.stderr
    assert not program.data_folder.exists()


def test_an_unknown_variable_is_a_warning_that_names_the_nearest(program):
    with serving_in_thread(Answer(event_stream("Paris."))) as server:
        done = program.run("Hi", server=server, CHATCLI_MODLE="x")
    assert done.stdout == "Paris.\n"
    assert done.stderr == (
        "chatcli: environment CHATCLI_MODLE is not a setting; did you mean CHATCLI_MODEL?\n"
    )


def test_a_session_with_a_torn_last_line_goes_on(program):
    with serving_in_thread(Answer(event_stream("Paris."))) as server:
        program.run("-s", "trip", "Capital of France?", server=server)
        (path,) = program.session_paths
        path.write_bytes(path.read_bytes()[:-40])
        done = program.run("-s", "trip", "And of Spain?", server=server)
    assert (done.exit_code, done.stdout) == (0, "Paris.\n")
    # Without its answer the question is asked together with the next.
    assert server.requests[1].json["messages"][0]["content"] == "Capital of France?\n\nAnd of Spain?"
