from __future__ import annotations

import json

import pytest

from chatcli.core.errors import ExitCode
from chatcli.local.weights import MODELS, SMOLLM2
from scripted_server import Answer, serving_in_thread


def test_what_is_there_of_the_embedded_model_is_reported(command):
    code, screen = command("local", "status")
    assert code == ExitCode.CONFIGURATION
    assert "not here: chatcli local setup" in screen.out


def test_removing_frees_what_there_was(command, tmp_path):
    code, screen = command("local", "remove")
    assert (code, screen.err) == (ExitCode.DONE, f"{SMOLLM2.title} is not here: nothing to remove\n")
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / SMOLLM2.file.name).write_bytes(bytes(2_000_000))
    code, screen = command("local", "remove")
    assert (code, screen.err) == (ExitCode.DONE, f"removed {SMOLLM2.title}: 2 MB\n")


def test_the_list_takes_no_name(command):
    code, screen = command("local", "models", "smollm2-135m")
    assert (code, screen.out) == (ExitCode.USAGE, "")
    assert "chatcli local status NAME" in screen.err


def test_a_port_that_is_none_is_a_usage_error(command):
    code, screen = command("local", "serve", "--port", "70000")
    assert code == ExitCode.USAGE
    assert "1 to 65535" in screen.err


def test_the_models_are_listed_with_size_memory_and_licence(command):
    code, screen = command("local", "models")
    heads, *rows = screen.out.splitlines()
    assert code == ExitCode.DONE
    assert heads.split() == ["NAME", "SIZE", "MEMORY", "LICENCE", "GOOD", "AT"]
    assert [row.split()[0] for row in rows] == [weights.name for weights in MODELS]
    assert "qwen2.5-coder-1.5b  1.1 GB  2.1 GB" in screen.out
    assert "Apache-2.0" in rows[1]


def test_the_list_for_programs_says_what_is_here(command, tmp_path):
    (tmp_path / "local").mkdir()
    with (tmp_path / "local" / SMOLLM2.file.name).open("wb") as file:
        file.truncate(SMOLLM2.file.size_bytes)
    _, screen = command("local", "models", "-o", "json")
    first, second, _ = json.loads(screen.out)
    assert (first["name"], first["is_here"], first["path"]) == ("smollm2-135m", True, file.name)
    assert (second["size_bytes"], second["is_here"], second["path"]) == (491_400_064, False, None)
    assert {"memory_bytes", "license", "good_at", "context_window"} <= first.keys()


@pytest.mark.parametrize("action", ["setup", "status", "serve", "remove"])
def test_a_model_that_does_not_exist_is_a_usage_error(command, action):
    code, screen = command("local", action, "qwen2.5-coder-7b")
    assert code == ExitCode.USAGE
    assert "there is no embedded model qwen2.5-coder-7b" in screen.err
    assert "chatcli local models lists them" in screen.err


def test_a_hub_that_has_another_file_leaves_nothing(command, tmp_path):
    answer = Answer((b"another file",), 206, {"content-range": "bytes 0-11/12"})
    with serving_in_thread(answer) as server:
        code, screen = command(
            *("local", "setup", "qwen2.5-coder-0.5b"), CHATCLI_MODEL_HUB=f"http://127.0.0.1:{server.port}"
        )
    assert code == ExitCode.NETWORK
    assert "has 12 bytes, not 491,400,064" in screen.err
    (request,) = server.requests
    assert request.path == (
        "/Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
    )
    assert {path.name for path in (tmp_path / "local").iterdir()} == {"setup.lock"}


def test_a_mirror_over_plain_http_is_refused(command):
    code, screen = command("local", "setup", "qwen2.5-coder-0.5b", HF_ENDPOINT="http://mirror.example")
    assert code == ExitCode.USAGE
    assert "plain http" in screen.err


def test_on_a_narrow_terminal_the_names_are_whole_and_the_rest_stands_below(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    _, screen = command("local", "models", is_terminal=True)
    lines = screen.out.splitlines()
    assert max(map(len, lines)) <= 40
    assert [line.split()[0] for line in lines[1:] if not line.startswith(" ")] == [
        weights.name for weights in MODELS
    ]
    words = " ".join(screen.out.split())
    for weights in MODELS:
        assert f"of memory, {weights.license}, {weights.good_at}" in words
