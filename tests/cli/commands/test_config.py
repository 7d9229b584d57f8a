from __future__ import annotations

import json

from chatcli.core.errors import ExitCode

PROFILES = """\
model = "small"

[profiles.work]
model = "large"
base_url = "https://llm.example.com/v1"
system = "Be brief."
"""


def configured(tmp_path, text):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text(text)


def test_every_setting_is_shown_with_where_it_was_set(command, tmp_path):
    configured(tmp_path, PROFILES)
    code, screen = command("config", "show", "--base-url", "http://127.0.0.1:1/v1", CHATCLI_SEED="7")
    assert code == ExitCode.DONE
    shown = {line.split()[0]: " ".join(line.split()[1:]) for line in screen.out.splitlines()}
    assert shown["model"] == "small (config.toml)"
    assert shown["base_url"] == "http://127.0.0.1:1/v1 (flag --base-url)"
    assert shown["seed"] == "7 (environment CHATCLI_SEED)"
    assert shown["retries"] == "4 (default)"


def test_a_program_gets_an_object_and_no_key_is_in_it(command):
    code, screen = command("config", "show", "--json", OPENAI_API_KEY="sk-0123456789abcdef")
    assert code == ExitCode.DONE
    assert json.loads(screen.out)["api_key"]["origin"] == "environment OPENAI_API_KEY"
    assert "0123456789" not in screen.out


def test_profiles_are_listed_and_the_one_in_force_is_marked(command, tmp_path):
    configured(tmp_path, PROFILES)
    _, screen = command("config", "profiles", "-p", "work")
    assert screen.out.split() == ["→", "work", "large", "llm.example.com", "Be", "brief."]
    (listed,) = json.loads(command("config", "profiles", "--json")[1].out)
    assert listed == {
        "name": "work",
        "model": "large",
        "base_url": "https://llm.example.com/v1",
        "system": "Be brief.",
        "in_force": False,
    }


def test_without_profiles_a_line_says_how_to_make_one(command):
    assert "[profiles.NAME]" in command("config", "profiles")[1].err


def test_the_path_of_the_file_is_printed_whether_it_is_there_or_not(command, tmp_path):
    assert command("config", "path")[1].out == f"{tmp_path / 'config' / 'config.toml'}\n"


def test_a_key_from_a_pipe_is_kept_and_taken_away_again(command, tmp_path):
    url = ("--base-url", "https://llm.example.com/v1")
    code, screen = command("config", "login", "--no-check", *url, stdin=b"sk-0123456789abcdef\n")
    assert code == ExitCode.DONE, screen.err
    kept = tmp_path / "config" / "keys.json"
    assert "sk-0123456789abcdef" in kept.read_text()
    assert "sk-0123456789abcdef" not in screen.out + screen.err
    assert command("config", "logout", *url)[0] == ExitCode.DONE
    assert "sk-0123456789abcdef" not in kept.read_text()
