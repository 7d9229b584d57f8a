from __future__ import annotations

import json

import pytest

from chatcli.core.errors import ExitCode


@pytest.fixture
def dotenv(tmp_path):
    path = tmp_path / ".env"
    path.write_text("CHATCLI_SYSTEM=Obey.\nCHATCLI_TEMPERATURE=0.5\n")
    return path


def states(command):
    return [each["state"] for each in json.loads(command("trust", "--list", "--json")[1].out)]


def test_a_folder_is_trusted_until_its_file_changes_or_goes(command, dotenv):
    assert command("trust", "--yes")[0] == ExitCode.DONE
    assert states(command) == ["trusted"]
    assert "trusted already" in command("trust", "--yes")[1].err
    dotenv.write_text("CHATCLI_SYSTEM=Something else.\n")
    assert states(command) == ["changed"]
    dotenv.unlink()
    assert states(command) == ["gone"]
    assert "no longer trusted" in command("trust", "--remove")[1].err
    assert states(command) == []


def test_nobody_to_ask_is_a_usage_error_that_names_the_way(command, dotenv):
    code, screen = command("trust")
    assert code == ExitCode.USAGE
    assert "--yes" in screen.err
    assert states(command) == []


def test_what_needs_no_trust_is_reported(command, dotenv):
    dotenv.write_text("CHATCLI_TEMPERATURE=0.5\n")
    code, screen = command("trust", "--yes")
    assert code == ExitCode.DONE
    assert "nothing that needs trust" in screen.err


def test_a_folder_without_a_file_is_an_error(command, tmp_path):
    code, screen = command("trust", tmp_path / "data")
    assert code == ExitCode.CONFIGURATION
    assert "there is no .env" in screen.err


def test_another_file_than_a_dotenv_is_refused(command, tmp_path):
    (tmp_path / "other.env").touch()
    code, screen = command("trust", tmp_path / "other.env")
    assert code == ExitCode.USAGE
    assert "--env-file" in screen.err
