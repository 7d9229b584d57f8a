"""The checks of this machine."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from chatcli.config.env_files import TrustedFolders
from chatcli.config.instructions import folder_instructions
from chatcli.core.messages import question
from chatcli.doctor.examination import Status
from chatcli.doctor.local_checks import check_configuration as check
from chatcli.doctor.local_checks import (
    check_embedded_model,
    check_folders,
    check_instructions,
    check_sessions,
    check_terminal,
    check_versions,
)
from chatcli.local.weights import SMOLLM2
from chatcli.sessions.log import SessionLog
from chatcli.sessions.session import Session
from chatcli.sessions.store import SessionStore
from doctor.conftest import PLAIN

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no modes")
not_root = pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() == 0, reason="needs a user who is not root")


def saved(data, name="talk"):
    store = SessionStore(data)
    file = store.resolve(name)
    log = SessionLog(file, app="chatcli test", session=Session())
    log.message(question("Hi"), parent=None)
    log.close()
    return file.path


async def test_the_versions_of_all_that_matters_are_reported(examination):
    texts = " ".join(finding.text for finding in await check_versions(examination()))
    for name in ("chatcli ", "Python 3.", "openai ", "httpx2 ", "OpenSSL"):
        assert name in texts


async def test_the_terminal_is_described_without_asking_it(examination):
    (found,) = await check_terminal(examination())
    assert (found.status, found.text) == (Status.OK, "a terminal (xterm), 256 colours, utf-8, 80 columns")


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ({"stdout_is_terminal": False, "colors": None}, Status.OK, "output to a pipe or a file, no colours"),
        ({"stdin_is_terminal": False}, Status.OK, "input from elsewhere"),
        ({"term": ""}, Status.OK, "TERM is not set"),
        ({"term": "dumb"}, Status.WARNING, "TERM=dumb"),
        ({"encoding": "iso8859-1"}, Status.WARNING, "chatcli writes UTF-8"),
        ({"encoding": "nonsense"}, Status.WARNING, "nonsense"),
    ],
)
async def test_what_a_terminal_lacks_is_reported(examination, change, status, text):
    *_, found = await check_terminal(examination(terminal=replace(PLAIN, **change)))
    assert found.status is status
    assert text in found.text


def reported(findings):
    return [(finding.status, finding.text) for finding in findings]


async def test_missing_instructions_are_named_by_their_place(examination, paths):
    (found,) = await check_instructions(examination())
    assert (found.status, found.text) == (
        Status.OK,
        f"none: {paths.config / 'instructions.md'} would be read",
    )


async def test_instructions_are_reported_with_their_length(examination, paths):
    paths.config.mkdir()
    path = paths.config / "instructions.md"
    path.write_text("Answer in French.", encoding="utf-8")
    path.chmod(0o600)
    ((status, text),) = reported(await check_instructions(examination()))
    assert status is Status.OK
    assert text.startswith(f"{path} is sent with every question: 17 bytes, about ")
    path.write_text(" \n", encoding="utf-8")
    assert reported(await check_instructions(examination())) == [
        (Status.OK, f"{path} is empty, nothing is sent")
    ]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a\0b", b"x" * 40_000])
async def test_instructions_that_cannot_be_used_are_a_problem(examination, paths, content):
    paths.config.mkdir()
    (paths.config / "instructions.md").write_bytes(content)
    (found,) = await check_instructions(examination())
    assert found.status is Status.PROBLEM
    assert found.hint == "make it a text file of at most 32,768 bytes, or move it away"


@posix
async def test_instructions_others_can_change_are_a_warning(examination, paths):
    paths.config.mkdir()
    path = paths.config / "instructions.md"
    path.write_text("Hi", encoding="utf-8")
    path.chmod(0o666)
    _, found = await check_instructions(examination())
    assert (found.status, found.hint) == (Status.WARNING, f"chmod go-w {path}")


async def test_the_instructions_of_a_folder_are_used_if_they_are_wanted_and_trusted(
    examination, paths, tmp_path
):
    agents = tmp_path / "AGENTS.md"
    agents.write_text("Be terse.", encoding="utf-8")
    wanted = {"CHATCLI_AGENTS_MD": "true"}
    _, unread = reported(await check_instructions(examination(folder=tmp_path)))
    assert unread == (Status.OK, f"{agents} is not read: agents_md is off")
    _, untrusted = await check_instructions(examination(wanted, folder=tmp_path))
    assert (untrusted.status, untrusted.hint) == (Status.WARNING, "chatcli trust")
    found, _ = folder_instructions(tmp_path, paths)
    TrustedFolders.of(paths).trust(found.path, found.sha256)
    _, used = reported(await check_instructions(examination(wanted, folder=tmp_path)))
    assert used[1].startswith(f"{agents} is sent with every question: 9 bytes")


async def test_folders_that_are_made_when_needed_are_fine(examination, paths):
    found = await check_folders(examination())
    assert [finding.status for finding in found] == [Status.OK] * 3
    assert found[0].text.startswith(f"config {paths.config} (created when needed, ")
    assert not paths.config.exists()


@posix
async def test_a_folder_others_can_look_into_is_a_warning_that_tells_the_way_out(examination, paths):
    paths.data.mkdir(mode=0o755)
    paths.config.mkdir(mode=0o700)
    config, data, _ = await check_folders(examination())
    assert config.status is Status.OK
    assert "mode 0700" in config.text
    assert (data.status, data.hint) == (Status.WARNING, f"chmod 700 {paths.data}")


@posix
async def test_files_others_can_read_are_named_up_to_a_few(examination, paths):
    sessions = paths.data / "sessions"
    sessions.mkdir(parents=True, mode=0o700)
    for number in range(7):
        (sessions / f"{number}.jsonl").touch(mode=0o644)
    found = [finding for finding in await check_folders(examination()) if "can be read" in finding.text]
    assert len(found) == 6
    assert found[0].hint == f"chmod 600 {sessions / '0.jsonl'}"
    assert found[-1].text.startswith("2 more files")


async def test_a_ledger_with_lines_that_cannot_be_read_is_a_warning(examination, paths):
    paths.data.mkdir(mode=0o700)
    ledger = paths.data / "spending.jsonl"
    ledger.write_bytes(b"\xff\n{broken\n")
    ledger.chmod(0o600)
    (found,) = [each for each in await check_folders(examination()) if each.status is not Status.OK]
    assert found.status is Status.WARNING
    assert found.text.startswith(f"2 lines of {ledger} cannot be read; budgets")


async def test_a_file_in_the_place_of_a_folder_is_a_problem(examination, paths):
    paths.cache.touch()
    *_, cache = await check_folders(examination())
    assert cache.status is Status.PROBLEM
    assert "a file is in its place" in cache.text


@posix
@not_root
async def test_a_folder_that_cannot_be_written_is_a_problem(examination, paths):
    paths.data.mkdir(mode=0o500)
    _, data, _ = await check_folders(examination())
    assert (data.status, data.hint) == (Status.PROBLEM, f"chmod u+rwx {paths.data}")


@posix
@not_root
async def test_a_folder_that_cannot_be_made_is_a_problem(examination, paths):
    paths.data.mkdir(mode=0o500)
    given = examination()
    given.context = replace(given.context, paths=replace(paths, cache=paths.data / "cache"))
    *_, cache = await check_folders(given)
    assert cache.status is Status.PROBLEM
    assert "CHATCLI_CACHE_DIR" in cache.hint


async def test_without_sessions_nothing_is_wrong(examination):
    (found,) = await check_sessions(examination())
    assert (found.status, found.text) == (Status.OK, "none are saved yet")


async def test_sessions_are_counted_and_the_last_one_is_loaded(examination, paths):
    saved(paths.data, "first")
    saved(paths.data, "second")
    counted, last = await check_sessions(examination())
    assert counted.text == "2 of 2 readable"
    assert last.text.endswith("has 1 question")


async def test_damaged_sessions_are_named(examination, paths):
    saved(paths.data)
    for number in range(7):
        (paths.data / "sessions" / f"damaged-{number}.jsonl").write_text("PK\x03\x04\n")
    found = await check_sessions(examination())
    assert found[0].text == "1 of 8 readable"
    problems = [finding for finding in found if finding.status is Status.PROBLEM]
    assert len(problems) == 6
    assert "damaged-0.jsonl is not a chatcli session" in problems[0].text
    assert "2 more" in problems[-1].text


async def test_a_session_of_a_newer_version_is_named(examination, paths):
    folder = paths.data / "sessions"
    folder.mkdir(parents=True)
    header = '{"type":"header","format":99,"id":"a","at":"2026-11-23T10:00:00.000Z","app":"chatcli 9"}\n'
    (folder / "new.jsonl").write_text(header)
    (found,) = await check_sessions(examination())
    assert found.status is Status.PROBLEM
    assert "newer chatcli" in found.text


async def test_without_weights_the_embedded_model_is_a_problem(examination):
    found = await check_embedded_model(examination())
    assert found[-1].status is Status.PROBLEM
    assert found[-1].hint.startswith("chatcli local setup")


async def test_weights_of_the_right_size_are_fine(examination, paths):
    paths.local.mkdir()
    with (paths.local / SMOLLM2.file.name).open("wb") as file:
        file.truncate(SMOLLM2.file.size_bytes)
    found = await check_embedded_model(examination())
    assert found[-1].status is Status.OK


KEY = "sk-proj-0123456789abcdefghij"


async def test_the_endpoint_the_model_and_the_key_are_reported_with_their_places_and_never_the_key(
    examination,
):
    given = examination({"OPENAI_API_KEY": KEY, "CHATCLI_MODEL": "gpt-x"})
    texts = [finding.text for finding in await check(given)]
    assert texts == [
        "endpoint https://api.openai.com/v1 (default)",
        "model gpt-x (environment CHATCLI_MODEL)",
        "a key is set (environment OPENAI_API_KEY)",
    ]
    assert given.endpoint.key == KEY


async def test_openai_without_a_key_is_a_problem_and_can_still_be_looked_at(examination):
    given = examination({"CHATCLI_BASE_URL": "https://api.openai.com/v1"})
    *_, last = await check(given)
    assert (last.status, last.text) == (Status.PROBLEM, "no key is set")
    assert "chatcli config login" in last.hint
    assert given.endpoint is not None


async def test_a_key_of_another_endpoint_is_reported_as_withheld(examination):
    given = examination({"OPENAI_API_KEY": KEY, "CHATCLI_BASE_URL": "https://models.example/v1"})
    *_, last = await check(given)
    assert last.status is Status.OK
    assert last.text.startswith("no key is set; the key from environment OPENAI_API_KEY was not sent")
    assert KEY not in last.text


@pytest.mark.parametrize(
    ("cache", "limits", "texts"),
    [
        ("redis://10.0.0.5/0", "machine", ["cache redis://10.0.0.5: cached answers travel unencrypted"]),
        (
            "off",
            "redis://:hunter22@r.example:1",
            ["limits redis://r.example:1: its password travels unencrypted"],
        ),
        ("rediss://10.0.0.5/0", "redis://10.0.0.5/0", []),
        ("redis://:hunter22@127.0.0.1/0", "redis://:hunter22@localhost", []),
        ("sqlite", "machine", []),
    ],
)
async def test_a_redis_server_elsewhere_is_a_warning_if_it_gets_in_clear_what_is_private(
    examination, cache, limits, texts
):
    found = await check(examination({"CHATCLI_CACHE": cache, "CHATCLI_LIMITS": limits}))
    assert [finding.text for finding in found if finding.status is Status.WARNING] == texts
    assert "hunter22" not in str(found)


async def test_a_key_that_would_travel_unencrypted_is_a_problem_and_nothing_is_sent(examination):
    given = examination({"CHATCLI_API_KEY": KEY, "CHATCLI_BASE_URL": "http://models.example/v1"})
    *_, last = await check(given)
    assert last.status is Status.PROBLEM
    assert "--insecure-http" in last.hint
    assert given.endpoint is None


@pytest.mark.parametrize(
    ("variable", "value", "text"),
    [
        ("CHATCLI_CA_BUNDLE", "own.pem", "ca_bundle own.pem (environment CHATCLI_CA_BUNDLE)"),
        ("CHATCLI_API_VERSION", "2024-10-21", "api_version 2024-10-21 (environment CHATCLI_API_VERSION)"),
    ],
)
async def test_what_else_decides_the_way_is_reported_where_it_is_set(examination, variable, value, text):
    given = examination({"CHATCLI_BASE_URL": "https://models.example/v1", variable: value})
    assert text in [finding.text for finding in await check(given)]


async def test_a_variable_that_is_no_setting_is_a_warning(examination):
    first, *_ = await check(examination({"CHATCLI_MODLE": "x"}))
    assert first.status is Status.WARNING
    assert "CHATCLI_MODLE" in first.text


async def test_a_proxy_that_is_no_url_is_a_problem(examination):
    given = examination({"CHATCLI_BASE_URL": "https://models.example/v1", "HTTPS_PROXY": "s3cret://"})
    *_, last = await check(given)
    assert (last.status, last.text) == (Status.PROBLEM, "HTTPS_PROXY is not a proxy URL")
