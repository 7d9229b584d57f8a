"""The program in a pipe: what is asked, what comes out, and what is told beside it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from chatcli.core.errors import ExitCode
from e2e.program import asked, command, messages_of
from scripted_server import (
    CUT,
    Answer,
    event_stream,
    json_answer,
    reasoning_events,
    serving_in_thread,
    text_events,
)
from unframed import unframed_messages

PARIS = Answer(event_stream("Par", "is."))

FULL_DISK = Path("/dev/full")

DECEIVING = "a\x1b[2Jb\x1b]52;c;aGk=\x07c\u202ed\x9be"


def test_the_answer_alone_is_on_stdout(program):
    with serving_in_thread(PARIS) as server:
        done = program.run("Capital of France?", server=server)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "Paris.\n", "")
    assert asked(server) == [("user", "Capital of France?")]


def test_piped_text_alone_is_the_prompt(program):
    with serving_in_thread(PARIS) as server:
        done = program.run(server=server, stdin="Capital of France?\n")
    assert done.stdout == "Paris.\n"
    assert asked(server) == [("user", "Capital of France?")]


def test_piped_text_beside_a_prompt_is_attached_data(program):
    with serving_in_thread(PARIS) as server:
        program.run("Count", "the", "rows", server=server, stdin="a,b\n1,2\n")
    ((_, text),) = unframed_messages(asked(server))
    assert text == 'Count the rows\n\n<document name="stdin">\na,b\n1,2\n</document>'


def test_files_and_stdin_are_attached_with_their_names(program):
    (program.working_folder / "notes.md").write_text("Buy milk", encoding="utf-8")
    with serving_in_thread(PARIS) as server:
        program.run("-f", "notes.md", "-f", "-", server=server, stdin="and bread")
    ((_, text),) = unframed_messages(asked(server))
    assert text == (
        '<document name="notes.md">\nBuy milk</document>\n\n<document name="stdin">\nand bread</document>'
    )


def test_the_system_prompt_may_come_from_a_file(program):
    (program.working_folder / "pirate.txt").write_text("Talk like a pirate.\n", encoding="utf-8")
    with serving_in_thread(PARIS) as server:
        program.run("-S", "@pirate.txt", "Hi", server=server)
    assert asked(server) == [("system", "Talk like a pirate.\n"), ("user", "Hi")]


@pytest.mark.parametrize("arguments", [("--", "stats"), ("--prompt", "stats")])
def test_a_prompt_may_be_the_name_of_a_command(program, arguments):
    with serving_in_thread(PARIS) as server:
        done = program.run(*arguments, server=server)
    assert done.exit_code == 0
    assert asked(server) == [("user", "stats")]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("déjà vu: 北京 🏳️‍🌈".encode(), "déjà vu: 北京 🏳️‍🌈"),
        ("Windows says ø".encode("utf-16"), "Windows says ø"),
        ("Café crème".encode("latin-1"), "Café crème"),
    ],
    ids=["utf-8", "utf-16", "latin-1"],
)
def test_piped_text_arrives_in_any_usual_encoding(program, content, text):
    with serving_in_thread(PARIS) as server:
        done = program.run(server=server, stdin=content)
    assert asked(server) == [("user", text)]
    assert ("not UTF-8" in done.stderr) == (text == "Café crème")


def test_nothing_is_lost_where_the_locale_knows_only_ascii(program):
    with serving_in_thread(Answer(event_stream("北京"))) as server:
        done = program.run(server=server, stdin="中国的首都?", LC_ALL="C", LANG="C")
    assert done.stdout == "北京\n"
    assert asked(server) == [("user", "中国的首都?")]


def test_what_would_act_on_a_terminal_becomes_visible(program):
    with serving_in_thread(Answer(event_stream(*DECEIVING))) as server:
        done = program.run("Hi", server=server)
    assert done.stdout == "a␛[2Jb␛]52;c;aGk=␇c<U+202E>d<U+009B>e\n"


def test_raw_keeps_every_character(program):
    with serving_in_thread(Answer(event_stream(DECEIVING))) as server:
        done = program.run("--raw", "Hi", server=server)
    assert done.stdout == DECEIVING + "\n"


def test_markdown_in_a_pipe_is_rendered_without_a_colour(program):
    with serving_in_thread(Answer(event_stream("# Title\n\n* **one**\n"))) as server:
        done = program.run("-o", "markdown", "Hi", server=server)
    assert "Title" in done.stdout
    assert "•" in done.stdout
    assert "**" not in done.stdout
    assert "\x1b" not in done.stdout


def test_extract_shows_the_code_of_the_first_block_alone(program):
    with serving_in_thread(Answer(event_stream("So:\n\n```sh\nls |", " wc -l\n```\n"))) as server:
        done = program.run("-x", "Count files", server=server)
    assert (done.exit_code, done.stdout) == (0, "ls | wc -l\n")


def test_out_writes_the_answer_to_a_file(program):
    with serving_in_thread(PARIS) as server:
        done = program.run("--out", "answer.txt", "Hi", server=server)
    assert (done.exit_code, done.stdout) == (0, "")
    assert (program.working_folder / "answer.txt").read_text(encoding="utf-8") == "Paris.\n"
    assert [path.name for path in program.working_folder.iterdir()] == ["answer.txt"]


def test_out_keeps_an_earlier_answer_when_there_is_none_to_replace_it(program):
    earlier = program.working_folder / "answer.txt"
    earlier.write_text("Rome.\n", encoding="utf-8")
    with serving_in_thread(json_answer({"error": {"message": "no"}}, status=400)) as server:
        done = program.run("--out", "answer.txt", "Hi", server=server)
    assert done.exit_code == ExitCode.PROVIDER_REFUSED
    assert earlier.read_text(encoding="utf-8") == "Rome.\n"
    assert [path.name for path in program.working_folder.iterdir()] == ["answer.txt"]


def test_an_answer_in_one_piece_is_asked_for_and_shown(program):
    whole = {"model": "small", "choices": [{"message": {"content": "Paris."}, "finish_reason": "stop"}]}
    with serving_in_thread(json_answer(whole)) as server:
        done = program.run("--no-stream", "Hi", server=server)
    assert done.stdout == "Paris.\n"
    assert server.requests[0].json["stream"] is False


@pytest.mark.parametrize("output_options", [(), ("-o", "markdown"), ("-o", "json")], ids=" ".join)
def test_what_a_model_thinks_is_no_part_of_its_answer(program, output_options):
    thinking = Answer([*reasoning_events("A secret thought."), *event_stream("Paris.")])
    with serving_in_thread(thinking) as server:
        ended = program.run(
            *output_options, "Capital of France?", server=server, CHATCLI_SHOW_REASONING="true"
        )
    assert "Paris." in ended.stdout
    assert "secret" not in ended.stdout
    assert [text for _, text in program.saved] == ["Capital of France?", "Paris."]


def test_a_dry_run_shows_the_request_and_sends_nothing(program):
    with serving_in_thread(PARIS) as server:
        done = program.run("--dry-run", "-t", "0.5", "-O", "top_k=3", "Hi", server=server)
    assert done.exit_code == 0
    assert '"content": "Hi"' in done.stdout
    assert '"temperature": 0.5' in done.stdout
    assert '"top_k": 3' in done.stdout
    assert '"sent_tokens": 8' in done.stdout
    assert server.requests == []
    assert program.session_paths == []


def test_a_private_conversation_leaves_no_file(program):
    with serving_in_thread(PARIS) as server:
        done = program.run("--no-save", "Hi", server=server)
    assert done.stdout == "Paris.\n"
    assert not program.data_folder.exists()


def test_question_and_answer_are_saved_by_themselves(program):
    with serving_in_thread(PARIS) as server:
        program.run("Capital of France?", server=server)
    assert program.saved == [("user", "Capital of France?"), ("assistant", "Paris.")]


@pytest.mark.parametrize("resume_by", ["name", "path", "continue"])
def test_a_conversation_goes_on_with_what_was_said_before(program, resume_by):
    first = {"name": ("-s", "trip"), "path": ("-s", "./trip.jsonl"), "continue": ()}[resume_by]
    with serving_in_thread(PARIS, Answer(event_stream("Madrid."))) as server:
        program.run(*first, "Capital of France?", server=server)
        program.run(*(first or ("-c",)), "And of Spain?", server=server)
    assert asked(server) == [
        ("user", "Capital of France?"),
        ("assistant", "Paris."),
        ("user", "And of Spain?"),
    ]


def test_continue_finds_a_session_that_was_given_as_a_path(program):
    with serving_in_thread(PARIS) as server:
        program.run("-s", "./trip.jsonl", "Capital of France?", server=server)
        program.run("-c", "And of Spain?", server=server)
    assert len(asked(server)) == 3
    assert len(messages_of(program.working_folder / "trip.jsonl")) == 4


def test_what_was_left_out_is_reported_on_stderr(program):
    with serving_in_thread(Answer(event_stream("no " * 300))) as server:
        for _ in range(3):
            done = program.run("-s", "long", "Say no", server=server, CHATCLI_CONTEXT_WINDOW="800")
    assert done.exit_code == 0
    assert done.stderr.startswith("left out 1 older turn: ")


def test_a_key_is_sent_to_its_own_endpoint_and_to_no_other(program):
    with serving_in_thread(PARIS) as own, serving_in_thread(PARIS) as other:
        key = {"OPENAI_API_KEY": "sk-secret", "OPENAI_BASE_URL": own.base_url}
        program.run("-m", "small", "Hi", **key)
        program.run("-m", "small", "--base-url", other.base_url, "Hi", **key)
    assert own.requests[-1].headers["authorization"] == "Bearer sk-secret"
    assert "authorization" not in other.requests[-1].headers
    assert "sk-secret" not in str([request.headers for request in other.requests])


def test_an_env_file_that_lies_in_the_folder_cannot_redirect_a_key(program):
    with serving_in_thread(PARIS) as own, serving_in_thread(PARIS) as thief:
        (program.config_folder / "config.toml").write_text(
            f'base_url = "{own.base_url}"\napi_key = "sk-secret"\nmodel = "small"\ncontext_window = 4096\n'
        )
        (program.working_folder / ".env").write_text(f"CHATCLI_BASE_URL={thief.base_url}\n")
        done = program.run("Hi")
    assert (done.exit_code, done.stdout) == (0, "Paris.\n")
    assert own.requests[0].headers["authorization"] == "Bearer sk-secret"
    assert thief.requests == []
    assert done.stderr == (
        "chatcli: not used from .env: CHATCLI_BASE_URL (use it: chatcli trust, or --env-file .env)\n"
    )


def test_a_model_that_was_chosen_is_reported_and_its_window_learned(program):
    models = json_answer({"data": [{"id": "big", "max_model_len": 9000}, {"id": "tiny"}]})
    with serving_in_thread(models, PARIS) as server:
        done = program.run("--base-url", server.base_url, "Hi")
    host = server.base_url.removeprefix("http://").removesuffix("/v1")
    assert done.stderr == f"using big (first of 2 at {host}; -m or /model changes it)\n"
    assert server.requests[1].json["model"] == "big"


def test_a_window_nobody_knows_is_reported_once(program):
    with serving_in_thread(json_answer({"data": [{"id": "odd"}]}), PARIS) as server:
        first = program.run("--base-url", server.base_url, "-m", "odd", "Hi")
        second = program.run("--base-url", server.base_url, "-m", "odd", "Hi")
    assert first.stderr.startswith("context window of odd unknown, assuming 32,768 tokens")
    assert second.stderr == ""
    assert [request.method for request in server.requests] == ["GET", "POST", "POST"]


def test_quiet_leaves_only_the_answer(program):
    with serving_in_thread(json_answer({"data": [{"id": "odd"}]}), PARIS) as server:
        done = program.run("-q", "--base-url", server.base_url, "Hi")
    assert (done.stdout, done.stderr) == ("Paris.\n", "")


def test_verbose_adds_the_numbers_of_the_turn(program):
    with serving_in_thread(PARIS) as server:
        done = program.run("-v", "Hi", server=server)
    assert done.stdout == "Paris.\n"
    assert " in · " in done.stderr
    assert re.search(r"small · c-[0-9a-f]{8}\n\Z", done.stderr)


def test_no_answer_is_lost_when_nobody_reads_stderr(program):
    with (
        serving_in_thread(Answer([*text_events("Par"), CUT])) as server,
        program.started("Hi", server=server) as process,
    ):
        process.stderr.close()
        assert process.stdout.read() == b"Par\n"
        assert process.wait() == ExitCode.INCOMPLETE


def test_a_pipe_that_sends_nothing_is_mentioned(program):
    with serving_in_thread(PARIS) as server, program.started(server=server, stdin=subprocess.PIPE) as process:
        assert process.stderr.readline().startswith(b"waiting for text on stdin; ")
        stdout, stderr = process.communicate(b"Capital of France?", timeout=30)
    assert (stdout, stderr) == (b"Paris.\n", b"")


@pytest.mark.skipif(not FULL_DISK.exists(), reason="a device of Linux")
def test_a_full_disk_behind_stdout_is_reported_and_the_answer_is_saved(program):
    with FULL_DISK.open("wb") as full, serving_in_thread(PARIS) as server:
        done = program.run("Hi", server=server, stdout=full)
    assert done.exit_code == ExitCode.LOCAL_IO
    assert done.stderr.startswith("error: the output cannot be written: No space left on device\n→ ")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows closes no standard stream this way")
def test_a_closed_stdin_is_an_empty_one(program):
    with serving_in_thread(PARIS) as server:
        shell = 'exec "$0" -m chatcli Hi <&-'
        done = subprocess.run(
            ["/bin/sh", "-c", shell, sys.executable],
            env=program.environment(server),
            cwd=program.working_folder,
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stdout) == (0, b"Paris.\n")


def test_a_window_that_a_refusal_names_is_known_to_the_next_start(program):
    too_long = {
        "error": {"message": "exceeds the context size", "type": "exceed_context_size_error", "n_ctx": 2048}
    }
    with serving_in_thread(json_answer(too_long, status=400)) as server:
        refused = program.run("--base-url", server.base_url, "-m", "gpt-4o", "Hi")
        then = program.run("--base-url", server.base_url, "-m", "gpt-4o", "--dry-run", "Hi")
    assert refused.exit_code == 5
    assert json.loads(then.stdout)["budget_tokens"] == 1536


@pytest.mark.skipif(sys.platform == "win32", reason="a loop of the POSIX shell")
def test_a_loop_over_lines_asks_each_where_stdin_is_left_alone(program):
    lines = program.working_folder / "questions.txt"
    lines.write_text("one\ntwo\n", encoding="utf-8")
    loop = 'while read -r q; do "$@" --no-stdin "$q"; done < questions.txt'
    with serving_in_thread(PARIS) as server:
        done = subprocess.run(
            ["/bin/sh", "-c", loop, "loop", *command()],
            cwd=program.working_folder,
            env=program.environment(server),
            capture_output=True,
            check=False,
        )
        without = subprocess.run(
            ["/bin/sh", "-c", loop.replace(" --no-stdin", ""), "loop", *command()],
            cwd=program.working_folder,
            env=program.environment(server),
            capture_output=True,
            check=False,
        )
    assert [request.json["messages"][-1]["content"] for request in server.requests[:2]] == ["one", "two"]
    assert b"stdin attached" not in done.stderr
    assert b"stdin attached: 1 line\n" in without.stderr
