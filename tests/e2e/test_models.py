"""``chatcli models``: what is listed, for people and for programs, and a newer table of windows and prices."""

from __future__ import annotations

import json
import sys

import pytest

from chatcli.cost.model_table import SHIPPED_FILE, table_bytes
from scripted_server import json_answer, serving_in_thread

HEADER = {
    "format": 1,
    "date": "2030-01-01",
    "sources": [{"name": "a page", "as_of": "2029-12-31", "urls": []}],
    "providers": {"ours": {"name": "Ours", "hosts": ["127.0.0.1"], "vendor": True}},
}
PRICE = [{"input": 3, "cached": 0.5, "output": 12}]
ROWS = {
    "house-7": {"ours": {"window": 70_000, "price": PRICE, "source": 0, "abilities": ["pictures", "tools"]}}
}
NEWER = table_bytes(HEADER, ROWS)
OFFERED = json_answer(
    {
        "data": [
            {"id": "openai/gpt-5-mini"},
            {"id": "house-7"},
            {"id": "big", "context_length": 9000},
            {"id": "odd\x1b[31m"},
        ]
    }
)


def test_in_a_pipe_every_model_is_a_line_with_its_window_price_and_abilities(program):
    with serving_in_thread(OFFERED) as server:
        done = program.run("models", server=server)
    first, _, big, odd = done.stdout.splitlines()
    assert " ".join(first.split()) == "openai/gpt-5-mini 128,000 ~$0.25 in, $2 out image tools think"
    assert big.split() == ["big", "9,000"]
    assert odd == "odd␛[31m"
    assert done.stderr == ""


@pytest.mark.parametrize("how", [("--json",), ("-o", "json")])
def test_programs_get_json(program, how):
    with serving_in_thread(OFFERED) as server:
        done = program.run("models", *how, server=server)
    listed = {model["id"]: model for model in json.loads(done.stdout)}
    mini = listed["openai/gpt-5-mini"]
    assert list(mini) == ["id", "context_window", "price", "price_source", "abilities", "aliases"]
    assert mini["price"] == {"input": 0.25, "cached": 0.025, "output": 2.0}
    assert "may ask something else" in mini["price_source"]
    assert "pictures" in mini["abilities"]
    assert listed["big"] == {
        "id": "big",
        "context_window": 9000,
        "price": None,
        "price_source": None,
        "abilities": None,
        "aliases": [],
    }


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal of POSIX")
@pytest.mark.parametrize(("columns", "row"), [(80, "128,000"), (40, "128k")])
def test_on_a_terminal_no_line_is_wider_than_it(program, terminal, columns, row):
    long = {"id": "a-vendor/with-a-very-long-name/" + "x" * 60, "context_length": 1_048_576}
    models = json_answer({"data": [{"id": "gpt-5-mini"}, long]})
    with (
        serving_in_thread(models) as server,
        terminal("models", server=server, columns=columns) as screen,
    ):
        screen.wait_for("newer ones)")
        rows = screen.shown.split("\n")
    mini = next(shown for shown in rows if shown.startswith("gpt-5-mini"))
    assert row in mini
    assert "$2" in mini
    assert next(shown for shown in rows if shown.startswith("a-vendor/with")).count("…") == 1


def test_own_windows_and_prices_win(program):
    (program.config_folder / "config.toml").write_text(
        '[models."gpt-5-mini"]\ncontext_window = 5000\n[prices."gpt-5-mini"]\ninput = 7\noutput = 8\n'
    )
    with serving_in_thread(json_answer({"data": [{"id": "gpt-5-mini"}]})) as server:
        done = program.run("models", "--base-url", server.base_url)
    assert done.stdout.startswith("gpt-5-mini  5,000  $7 in, $8 out")


def test_a_newer_table_counts_from_then_on(program, tmp_path):
    (tmp_path / "newer.jsonl").write_bytes(NEWER)
    with serving_in_thread(OFFERED) as server:
        updated = program.run("models", "--update", str(tmp_path / "newer.jsonl"))
        done = program.run("models", server=server)
    assert (updated.exit_code, updated.stdout) == (0, "")
    assert updated.stderr == "windows and prices of 2030-01-01 are used from now on\n"
    # The server has a port of its own, so that its price is only passed on.
    house = done.stdout.splitlines()[1]
    assert " ".join(house.split()) == "house-7 70,000 ~$3 in, $12 out image tools"


def test_a_newer_table_is_fetched_from_this_machine_or_by_https(program):
    with (
        serving_in_thread(json_answer({})) as wrong,
        serving_in_thread(choose=lambda _: plain(NEWER)) as server,
    ):
        updated = program.run(
            "models", "--update", server.base_url + "/models.jsonl", OPENAI_API_KEY="sk-secret"
        )
        refused = program.run("models", "--update", wrong.base_url)
    assert updated.stderr == "windows and prices of 2030-01-01 are used from now on\n"
    assert "authorization" not in server.requests[0].headers
    assert (program.data_folder / "models.jsonl").read_bytes() == NEWER
    assert refused.exit_code == 3
    assert (program.data_folder / "models.jsonl").read_bytes() == NEWER
    elsewhere = program.run("models", "--update", "http://tables.example/models.jsonl")
    assert elsewhere.exit_code == 2
    assert "→ use https" in elsewhere.stderr


def plain(content):
    answer = json_answer({})
    return type(answer)([content], 200, {"content-type": "text/plain"})


@pytest.mark.parametrize(
    "content",
    [b"", b"not a table", NEWER[:-4], NEWER.replace(b"70000", b"70001"), SHIPPED_FILE.read_bytes()[:-1]],
    ids=["empty", "text", "cut", "changed", "cut in the last line"],
)
def test_a_damaged_table_changes_nothing(program, tmp_path, content):
    path = tmp_path / "damaged.jsonl"
    path.write_bytes(content)
    done = program.run("models", "--update", str(path))
    assert done.exit_code == 3
    assert done.stderr.startswith(f"error: {path} is not used: ")
    assert "→ name a table" in done.stderr
    assert not (program.data_folder / "models.jsonl").exists()


def test_an_older_table_than_the_shipped_one_is_not_taken(program, tmp_path):
    (tmp_path / "older.jsonl").write_bytes(table_bytes({**HEADER, "date": "2020-01-01"}, ROWS))
    done = program.run("models", "--update", str(tmp_path / "older.jsonl"))
    assert done.exit_code == 3
    assert "it is of 2020-01-01, older than the one that came with chatcli" in done.stderr


def test_a_table_that_is_not_there_is_reported(program):
    done = program.run("models", "--update", "/nowhere/models.jsonl")
    assert done.exit_code == 8
    assert done.stderr.startswith("error: /nowhere/models.jsonl cannot be read: ")


def test_a_kept_table_that_was_damaged_later_leaves_the_shipped_one(program):
    program.data_folder.mkdir()
    (program.data_folder / "models.jsonl").write_bytes(NEWER[:100])
    with serving_in_thread(OFFERED) as server:
        done = program.run("models", server=server)
    assert done.exit_code == 0
    assert "128,000" in done.stdout.splitlines()[0]


def test_a_table_that_is_not_there_has_nothing_to_do_with_a_model(program):
    with serving_in_thread(json_answer({}, status=404)) as server:
        done = program.run("models", "--update", f"{server.base_url}/models.jsonl")
    assert done.exit_code == 5
    assert done.stderr.endswith("→ check the address\n")


@pytest.mark.parametrize("source", ["", " "])
def test_an_update_from_nothing_is_a_wrong_call(program, source):
    done = program.run("models", "--update", source)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "error: no table is named\n→ name a file or an address: --update models.jsonl\n"
