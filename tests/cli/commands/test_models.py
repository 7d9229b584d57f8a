from __future__ import annotations

import json

import pytest

from chatcli.core.errors import ExitCode
from scripted_server import json_answer, serving_in_thread

LIST = json_answer({"data": [{"id": "gpt-4o-mini"}, {"id": "unheard-of"}]})


def test_every_model_is_a_line(command):
    with serving_in_thread(LIST) as server:
        code, screen = command("models", "--base-url", server.base_url)
    assert code == ExitCode.DONE
    assert [line.split()[0] for line in screen.out.splitlines()] == ["gpt-4o-mini", "unheard-of"]


@pytest.mark.parametrize("name", ["gpt-4o-mini", "unheard-of"])
def test_prices_are_explained_where_there_are_any(command, name):
    with serving_in_thread(json_answer({"data": [{"id": name}]})) as server:
        _, screen = command("models", "--base-url", server.base_url, is_terminal=True)
    assert ("prices in/out" in screen.err) == (name == "gpt-4o-mini")


def test_a_program_gets_windows_and_prices_where_they_are_known(command):
    with serving_in_thread(LIST) as server:
        code, screen = command("models", "--base-url", server.base_url, "-o", "json")
    assert code == ExitCode.DONE
    known, unknown = json.loads(screen.out)
    assert known["id"] == "gpt-4o-mini"
    assert known["context_window"] > 100_000
    assert known["price"]["input"] > 0
    assert unknown == {
        "id": "unheard-of",
        "context_window": None,
        "price": None,
        "price_source": None,
        "abilities": None,
        "aliases": [],
    }


def test_an_endpoint_that_lists_nothing_is_reported(command):
    with serving_in_thread(json_answer({"data": []})) as server:
        code, screen = command("models", "--base-url", server.base_url)
    assert code == ExitCode.DONE
    assert "lists no models" in screen.err


def test_a_table_that_is_none_changes_nothing(command, tmp_path):
    (tmp_path / "table.jsonl").write_text("no table\n")
    code, screen = command("models", "--update", tmp_path / "table.jsonl")
    assert code == ExitCode.CONFIGURATION
    assert "is not used" in screen.err
    assert not (tmp_path / "data").exists()


def test_a_table_is_not_fetched_over_a_line_anybody_could_write_on(command):
    code, screen = command("models", "--update", "http://models.example/table.jsonl")
    assert code == ExitCode.USAGE
    assert "use https" in screen.err
