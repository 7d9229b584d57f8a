"""Better embedded models: fetching one, and using a file of one's own, with the real engine."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from chatcli.local.weights import MODELS, SMOLLM2, HubWeights, partial_path
from local.gguf_files import gguf
from scripted_server import HOLD, Answer, serving_in_thread

GUIDE = (Path(__file__).parents[2] / "docs/guides/local-models.md").read_text(encoding="utf-8")

by_signals = pytest.mark.skipif(os.name != "posix", reason="Windows has no such signals")

MODELS_BY_NAME = {weights.name: weights for weights in MODELS}
MODEL = next(each for each in MODELS if isinstance(each, HubWeights))
BEGINNING = b"GGUF" + bytes(100_000)
SETUP = ("local", "setup", MODEL.name)


def beginning(request):
    """Return an answer that brings the file's beginning, or goes on from there, and then holds."""
    start = int(request.headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
    last = MODEL.file.size_bytes - 1
    headers = {"etag": '"v1"', "content-range": f"bytes {start}-{last}/{MODEL.file.size_bytes}"}
    return Answer((BEGINNING, HOLD), 206 if start else 200, headers if start else {"etag": '"v1"'})


def wait_for_size(path, size_bytes):
    deadline_s = time.monotonic() + 60
    while not path.exists() or path.stat().st_size < size_bytes:
        assert time.monotonic() < deadline_s, "it never arrived"
        time.sleep(0.02)


@by_signals
def test_ctrl_c_keeps_what_had_arrived_and_the_next_run_goes_on_from_there(program):
    partial = partial_path(program.local_folder, MODEL)
    with serving_in_thread(choose=beginning) as server:
        hub = {"CHATCLI_MODEL_HUB": f"http://127.0.0.1:{server.port}"}
        for number in (1, 2):
            with program.started(*SETUP, **hub) as process:
                wait_for_size(partial, number * len(BEGINNING))
                process.send_signal(signal.SIGINT)
                _, errors = process.communicate(timeout=20)
            assert process.returncode == 130
            assert f"stopped; chatcli local setup {MODEL.name} goes on from there" in errors.decode()
    assert [request.headers.get("range") for request in server.requests] == [
        None,
        f"bytes={len(BEGINNING)}-",
    ]
    assert server.requests[1].headers["if-range"] == '"v1"'
    assert partial.read_bytes() == BEGINNING * 2


@by_signals
def test_while_one_downloads_another_is_told_to_wait(program):
    with serving_in_thread(choose=beginning) as server:
        hub = {"CHATCLI_MODEL_HUB": f"http://127.0.0.1:{server.port}"}
        with program.started(*SETUP, **hub) as process:
            wait_for_size(partial_path(program.local_folder, MODEL), len(BEGINNING))
            done = program.run(*SETUP, **hub)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)
    assert done.exit_code == 8
    assert "another chatcli is working in" in done.stderr
    assert len(server.requests) == 1


QUESTION = "What is the capital of France?"
AT_ZERO = ("--max-tokens", "12", "-t", "0", "-S", "You are a helpful assistant.", "-o", "json")
"""The options that make the small model name Paris."""


@pytest.fixture
def own_file(program, local_model_folder):
    """Return a file of the person's own: the small model under another name, in a folder with a space."""
    folder = program.working_folder / "my models"
    folder.mkdir()
    path = folder / "Mine.gguf"
    path.symlink_to(local_model_folder / SMOLLM2.file.name)
    return path


def test_a_file_of_ones_own_is_set_up_asked_by_its_name_and_forgotten(program, own_file):
    done = program.run("local", "setup", "my models/Mine.gguf")
    assert done.exit_code == 0
    assert done.stderr == "Mine.gguf is ready, and stays where it is: chatcli --local mine\n"
    listed = json.loads(program.run("local", "models", "-o", "json").stdout)[-1]
    assert (listed["name"], listed["is_here"], listed["path"]) == ("mine", True, str(own_file))
    assert (listed["license"], listed["context_window"]) == ("apache-2.0", 8_192)

    asked = program.run("--local", "mine", *AT_ZERO, QUESTION)
    answer = json.loads(asked.stdout)
    assert answer["text"] == "The capital of France is Paris."
    assert answer["model"] == "mine"
    assert asked.stderr == "using the embedded model mine\n"

    forgotten = program.run("local", "remove", "mine")
    assert forgotten.stderr == f"mine forgotten; {own_file} is unchanged\n"
    assert own_file.exists()
    assert program.run("--local=mine", QUESTION).exit_code == 2


def test_the_path_of_a_file_is_enough(program, own_file):
    done = program.run("--local", "my models/Mine.gguf", *AT_ZERO, QUESTION)
    assert json.loads(done.stdout)["text"] == "The capital of France is Paris."


def test_a_profile_can_name_an_embedded_model(program, own_file):
    config = f"base_url = 'http://127.0.0.1:1/v1'\n[profiles.here]\nlocal = '{own_file}'\n"
    (program.config_folder / "config.toml").write_text(config, encoding="utf-8")
    done = program.run("-p", "here", *AT_ZERO, QUESTION)
    assert json.loads(done.stdout)["model"] == "mine"
    assert program.run("--no-stdin", "--retries", "0", QUESTION).exit_code == 6


def test_a_python_script_asks_a_file_of_ones_own(program, own_file):
    script = f"""if True:
        import chatcli
        given = {{"temperature": 0, "max_tokens": 12, "system": "You are a helpful assistant."}}
        print(chatcli.ask({QUESTION!r}, settings={{"local": {str(own_file)!r}}}, **given))
        """
    line = [sys.executable, "-c", script]
    done = subprocess.run(
        line,
        env=program.environment(),
        cwd=program.working_folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("The capital of France is Paris.\n", "")


def test_a_question_behind_local_stays_a_question(program, local_model_folder):
    done = program.run("--local", QUESTION, CHATCLI_LOCAL_DIR=str(local_model_folder))
    assert done.stdout == "The capital of France is Paris.\n"


def test_a_model_that_is_not_here_is_named_with_the_command_that_fetches_it(program):
    done = program.run("--local", MODEL.name, QUESTION)
    assert done.exit_code == 3
    assert f"`chatcli local setup {MODEL.name}`" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "exit_code", "message"),
    [
        (("--local=qwen",), {}, 2, "there is no embedded model qwen"),
        (("--local=",), {}, 2, "--local= names no model"),
        (("--local", "-m", MODEL.name), {}, 2, "--local and -m cannot be combined"),
        (("--local", "--base-url", "http://127.0.0.1:9/v1"), {}, 2, "--local and --base-url cannot be"),
        (("--local", "none.gguf"), {}, 2, "there is no file"),
        ((), {"CHATCLI_LOCAL": "qwen"}, 3, "environment CHATCLI_LOCAL: there is no embedded model qwen"),
        ((), {"CHATCLI_LOCAL": "own.gguf"}, 3, "could be another file in each folder"),
    ],
)
def test_a_model_that_does_not_exist_is_an_error_of_where_it_is_named(
    program, arguments, environment, exit_code, message
):
    done = program.run(*arguments, QUESTION, **environment)
    assert (done.exit_code, done.stdout) == (exit_code, "")
    assert message in done.stderr


def test_doctor_looks_at_the_model_that_is_named(program, own_file):
    found = program.run("doctor", "--local", str(own_file))
    assert "weights Mine.gguf in ~/work/my models/Mine.gguf" in found.stdout
    missing = program.run("doctor", CHATCLI_LOCAL=MODEL.name)
    assert missing.exit_code == 13
    assert f"the weights of {MODEL.name} are not here" in missing.stdout
    assert f"chatcli local setup {MODEL.name}" in missing.stdout


def blocks(language):
    """Return the guide's blocks of code in a language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    return [block for name, block in found if name == language]


def test_the_guide_shows_the_list_as_it_is(program, local_model_folder):
    done = program.run("local", "models", CHATCLI_LOCAL_DIR=str(local_model_folder))
    assert blocks("") == [done.stdout]


def test_the_settings_of_the_guide_are_settings(program):
    for block in blocks("toml"):
        (program.config_folder / "config.toml").write_text(block, encoding="utf-8")
        shown = json.loads(program.run("config", "show", "--json").stdout)
        assert shown
        for name, value in tomllib.loads(block).items():
            assert name == "profiles" or value in json.dumps(shown)


def test_the_commands_of_the_guide_ask_the_model_they_name(program):
    own_file = program.working_folder.parent / "models" / "mistral-7b-instruct-v0.3.Q4_K_M.gguf"
    own_file.parent.mkdir()
    own_file.write_bytes(gguf())
    lines = [line.partition(" #")[0] for block in blocks("sh") for line in block.splitlines()]
    commands = [shlex.split(line.rpartition("| ")[2])[1:] for line in lines]
    (setting_up,) = [each for each in commands if each[:2] == ["local", "setup"] and "gguf" in each[2]]
    home = str(program.working_folder.parent)
    setting_up[2] = setting_up[2].replace("~", home)
    assert program.run(*setting_up, HOME=home).exit_code == 0
    asking = [each for each in commands if any(word.startswith("--local") for word in each)]
    assert len(asking) == 7
    for arguments in asking:
        if arguments[0] == "doctor":
            assert arguments[2] in program.run(*arguments).stdout
            continue
        done = program.run(*(word.replace("~", home) for word in arguments), "-q", "hello", HOME=home)
        words = " ".join(arguments)
        names = [weights.name for weights in MODELS if weights.name in words]
        expected = (
            own_file.name if "mistral" in words else MODELS_BY_NAME[(names or [SMOLLM2.name])[0]].file.name
        )
        assert done.exit_code in {3, 8}
        assert expected in done.stderr


def test_the_other_commands_of_the_guide_are_about_the_model_they_name(program):
    lines = [line.partition(" #")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    commands = [
        shlex.split(line)[1:] for line in lines if re.match(r"chatcli local (serve|status|remove)", line)
    ]
    assert sorted(each[1] for each in commands) == ["remove", "serve", "status"]
    for arguments in commands:
        done = program.run(*arguments)
        named = MODELS_BY_NAME[arguments[2]]
        assert done.exit_code == (0 if arguments[1] == "remove" else 3)
        said = done.stdout + done.stderr
        assert named.title in said or named.file.name in said


def test_the_commands_of_the_guide_that_fetch_ask_the_hub_they_name(program):
    lines = [line for block in blocks("sh") for line in block.splitlines() if "local setup" in line]
    fetching = [line for line in lines if ".gguf" not in line]
    assert len(fetching) == 2
    with serving_in_thread(Answer(status=404)) as server:
        for line in fetching:
            name = line.split()[-1]
            done = program.run("local", "setup", name, CHATCLI_MODEL_HUB=f"http://127.0.0.1:{server.port}")
            assert done.exit_code == 5, done.stderr
            assert server.requests[-1].path.endswith(MODELS_BY_NAME[name].file.name)


def test_a_word_that_looks_like_a_model_but_is_none_is_said_to_be_a_question(program, local_model_folder):
    done = program.run(
        *("--local", "qwen2.5-coder", "--max-tokens", "2", "hello"), CHATCLI_LOCAL_DIR=str(local_model_folder)
    )
    assert '"qwen2.5-coder" is part of the question; for a model, --local=NAME' in done.stderr
    assert program.saved[1] == ("user", "qwen2.5-coder hello")
