"""Giving a key to the program, as it is typed and piped."""

from __future__ import annotations

import json
import os
import stat
import sys

import pytest

from e2e.program import command
from scripted_server import Answer, event_stream, json_answer, serving_in_thread

KEY = "sk-proj-0123456789abcdefghij"
MODELS = json_answer({"data": [{"id": "small", "context_length": 4096}]})
PARIS = Answer(event_stream("Paris."))
REFUSED = json_answer({"error": {"message": "who are you?"}}, status=401)
NO_LIST = json_answer({"error": {"message": "no such page"}}, status=404)


@pytest.fixture
def keys_file(program):
    return program.config_folder / "keys.json"


def shown(program, *arguments, **environment) -> dict[str, dict[str, str]]:
    return json.loads(program.run("config", "show", "--json", *arguments, **environment).stdout)


def test_a_good_key_is_kept_and_used_from_then_on(program, keys_file):
    with serving_in_thread(MODELS, PARIS) as server:
        done = program.run("config", "login", "--base-url", server.base_url, stdin=f"{KEY}\nlogin: me\n")
        answered = program.run("-m", "small", "Capital of France?", CHATCLI_CONTEXT_WINDOW="4096")
    host = f"127.0.0.1:{server.port}"
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == (
        f"{host} accepts the key\n"
        f"the key for {host} is kept in {keys_file}\n"
        f"{server.base_url} is now the default endpoint\n"
    )
    assert answered.stdout == "Paris.\n"
    assert [request.headers["authorization"] for request in server.requests] == [f"Bearer {KEY}"] * 2


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps the rights of the user's profile")
def test_the_key_is_for_the_eyes_of_its_owner_alone(program, keys_file):
    program.run("config", "login", "--no-check", stdin=KEY)
    assert stat.S_IMODE(keys_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(program.config_folder.stat().st_mode) == 0o700


def test_a_refused_key_is_not_kept(program, keys_file):
    with serving_in_thread(REFUSED) as server:
        done = program.run("config", "login", "--base-url", server.base_url, stdin=KEY)
    assert done.exit_code == 4
    assert "401 Unauthorized: who are you?" in done.stderr
    assert KEY not in done.stderr
    assert list(program.config_folder.iterdir()) == []


def test_a_key_that_cannot_be_tried_is_not_kept_unless_that_is_wanted(program, keys_file):
    arguments = ("config", "login", "--base-url", "http://127.0.0.1:1/v1")
    done = program.run(*arguments, stdin=KEY)
    assert done.exit_code == 6
    assert "--no-check stores it anyway" in done.stderr
    assert not keys_file.exists()
    assert program.run(*arguments, "--no-check", stdin=KEY).exit_code == 0
    assert keys_file.exists()


def test_an_endpoint_without_a_list_of_models_is_reported(program, keys_file):
    with serving_in_thread(NO_LIST) as server:
        done = program.run("config", "login", "--base-url", server.base_url, stdin=KEY)
    assert done.exit_code == 0
    assert "has no model list to check the key against\n" in done.stderr
    assert keys_file.exists()


def test_a_key_of_openai_makes_it_the_endpoint(program, keys_file):
    done = program.run("config", "login", "--no-check", stdin=f"export OPENAI_API_KEY='{KEY}'\n")
    settings = shown(program)
    assert done.stderr == f"the key for api.openai.com is kept in {keys_file}\n"
    assert settings["api_key"] == {"value": "sk-…ghij", "origin": "keys.json"}
    assert settings["base_url"] == {"value": "https://api.openai.com/v1", "origin": "default"}


def test_an_endpoint_that_is_configured_stays_the_one_that_is_asked(program):
    (program.config_folder / "config.toml").write_text(
        'base_url = "http://localhost:1/v1"\n', encoding="utf-8"
    )
    done = program.run("config", "login", "--no-check", "--base-url", "https://host.example/v1", stdin=KEY)
    assert done.stderr.endswith("to use it: chatcli --base-url https://host.example/v1\n")
    assert shown(program)["base_url"]["value"] == "http://localhost:1/v1"


def test_the_endpoint_of_a_profile_can_be_meant(program):
    profile = '[profiles.work]\nbase_url = "https://host.example/v1"\n'
    (program.config_folder / "config.toml").write_text(profile, encoding="utf-8")
    program.run("config", "login", "--no-check", "-p", "work", stdin=KEY)
    assert shown(program, "-p", "work")["api_key"]["origin"] == "keys.json"
    assert shown(program)["base_url"]["value"] == "not set"


def test_a_key_that_comes_first_is_reported(program):
    done = program.run("config", "login", "--no-check", stdin=KEY, OPENAI_API_KEY="sk-other")
    assert "the key from environment OPENAI_API_KEY takes precedence" in done.stderr
    left = program.run("config", "logout", OPENAI_API_KEY="sk-other")
    assert left.stderr.endswith("the key from environment OPENAI_API_KEY is still used\n")


def test_a_key_over_plain_http_is_refused_before_it_is_read(program, keys_file):
    done = program.run("config", "login", "--no-check", "--base-url", "http://host.example/v1", stdin=KEY)
    assert done.exit_code == 3
    assert "--insecure-http" in done.stderr
    assert not keys_file.exists()


@pytest.mark.parametrize("stdin", ["", "\n", "no key at all\n", b"\xff\xfek\x00"])
def test_what_is_no_key_is_a_usage_error(program, keys_file, stdin):
    done = program.run("config", "login", stdin=stdin)
    assert done.exit_code == 2
    assert not keys_file.exists()


def test_a_url_that_is_none_is_a_usage_error(program):
    done = program.run("config", "login", "--base-url", "ftp://host.example", stdin=KEY)
    assert (done.exit_code, done.stderr.splitlines()[0][:17]) == (2, "error: --base-url")


def test_logout_removes_the_key_of_one_endpoint(program, keys_file):
    for url in ("https://api.openai.com/v1", "https://host.example/v1"):
        program.run("config", "login", "--no-check", "--base-url", url, stdin=KEY)
    done = program.run("config", "logout")
    assert (done.exit_code, done.stderr) == (0, "removed the key for api.openai.com\n")
    assert program.run("config", "logout").stderr == "no key is stored for api.openai.com\n"
    assert list(json.loads(keys_file.read_text(encoding="utf-8"))["keys"]) == ["https://host.example"]


def test_a_stored_key_makes_no_noise_beside_a_server_of_this_machine(program):
    program.run("config", "login", "--no-check", stdin=KEY)
    with serving_in_thread(PARIS) as server:
        done = program.run("Capital of France?", server=server)
    assert (done.stdout, done.stderr) == ("Paris.\n", "")
    assert "authorization" not in server.requests[0].headers


def test_a_401_names_the_stored_key_that_was_not_sent(program):
    program.run("config", "login", "--no-check", stdin=KEY)
    with serving_in_thread(REFUSED) as server:
        done = program.run("Hi", server=server)
    assert done.exit_code == 4
    assert "the key from keys.json belongs to another endpoint and was not sent" in done.stderr


DAMAGED = [b"", b"{broken", b'{"format": 1', b"\xff\xfe\0", b'{"format": 99, "keys": {}}']


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_stored_keys_stop_no_question_that_needs_none(program, keys_file, content):
    keys_file.write_bytes(content)
    with serving_in_thread(PARIS, PARIS, MODELS) as server:
        without_key = program.run("Hi", server=server)
        with_key = program.run("Hi", server=server, CHATCLI_API_KEY="sk-of-this-run")
        models = program.run("models", server=server)
    for done in (without_key, with_key):
        assert (done.exit_code, done.stdout) == (0, "Paris.\n")
        assert done.stderr.startswith(f"chatcli: ignored the stored keys: {keys_file} is not a file of keys")
        assert done.stderr.count("\n") == 1
    assert [request.headers.get("authorization") for request in server.requests[:2]] == [
        None,
        "Bearer sk-of-this-run",
    ]
    assert models.exit_code == 0
    assert program.run("--dry-run", "Hi", OPENAI_API_KEY="sk-of-this-run").exit_code == 0
    assert shown(program)["model"]["value"] == "not set"
    assert keys_file.read_bytes() == content


@pytest.mark.parametrize("arguments", [(), ("--base-url", "https://api.openai.com/v1")])
def test_a_question_that_needs_a_stored_key_is_not_asked_elsewhere_where_they_are_damaged(
    program, keys_file, arguments
):
    keys_file.write_text("{broken", encoding="utf-8")
    done = program.run("--quiet", *arguments, "Hi")
    assert done.exit_code == 3
    assert done.stderr.startswith(f"error: {keys_file} is not a file of keys")
    report = program.run("doctor").stdout
    assert f"{keys_file.name} is not a file of keys" in report
    assert "chatcli config login" in report


def test_a_key_of_an_untrusted_folder_is_not_used_in_place_of_damaged_ones(program, keys_file):
    keys_file.write_text("{broken", encoding="utf-8")
    (program.working_folder / ".env").write_text("OPENAI_API_KEY=sk-of-somebody-else\n", encoding="utf-8")
    assert program.run("--dry-run", "Hi").exit_code == 3


def test_a_piped_key_does_not_replace_damaged_keys(program, keys_file):
    keys_file.write_text("{broken", encoding="utf-8")
    done = program.run("config", "login", "--no-check", stdin=KEY)
    assert done.exit_code == 3
    assert "in a terminal" in done.stderr
    assert [path.name for path in program.config_folder.iterdir()] == ["keys.json"]


def test_a_broken_file_of_keys_is_named_with_the_way_out(program, keys_file):
    keys_file.write_text('{"format": 1', encoding="utf-8")
    done = program.run("Hi")
    assert done.exit_code == 3
    assert f"{keys_file} is not a file of keys" in done.stderr
    assert "chatcli config login" in done.stderr


if sys.platform != "win32":
    from e2e.pseudo_terminal import CTRL_C, CTRL_D, on_terminal

    @pytest.fixture
    def screen(program):
        asking = on_terminal(
            command("config", "login", "--no-check"),
            environment=program.environment(),
            folder=program.working_folder,
        )
        with asking as shown_screen:
            shown_screen.wait_for("Key for api.openai.com (it is not shown):")
            yield shown_screen

    def test_a_key_that_is_typed_is_not_shown(program, screen):
        screen.type(f"{KEY}\n")
        assert screen.wait_for_exit() == 0
        assert KEY not in screen.received.decode()
        assert shown(program)["api_key"]["origin"] == "keys.json"

    @pytest.mark.parametrize(("keys", "exit_code"), [(CTRL_C, 130), (CTRL_D, 2)])
    def test_whoever_leaves_instead_keeps_nothing(keys_file, screen, keys, exit_code):
        screen.type(keys)
        assert screen.wait_for_exit() == exit_code
        assert not keys_file.exists()

    @pytest.mark.parametrize("damage", ["text", "folder", "pipe", "loop"])
    def test_login_offers_to_replace_damaged_keys_and_keeps_them(program, keys_file, damage):
        make = {
            "text": lambda: keys_file.write_text("{broken"),
            "folder": keys_file.mkdir,
            "pipe": lambda: os.mkfifo(keys_file),
            "loop": lambda: keys_file.symlink_to(keys_file.name),
        }
        (program.config_folder / "keys.json.damaged").write_text("an older one")
        make[damage]()
        asking = on_terminal(
            command("config", "login", "--no-check"),
            environment=program.environment(),
            folder=program.working_folder,
        )
        with asking as screen:
            screen.wait_for("Replace this file? The old one is kept next to it. [y/N]")
            screen.type("y\n")
            screen.wait_for("Key for api.openai.com (it is not shown):")
            screen.type(f"{KEY}\n")
            assert screen.wait_for_exit() == 0
        assert shown(program)["api_key"]["origin"] == "keys.json"
        assert (program.config_folder / "keys.json.damaged").read_text() == "an older one"
        assert os.path.lexists(program.config_folder / "keys.json.damaged2")
