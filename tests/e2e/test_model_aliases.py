"""Names for models of one's own, and parts of names, as they are typed."""

from __future__ import annotations

import json
import sys
import time

import pytest

from scripted_server import Answer, event_stream, json_answer, serving_in_thread

FINE = Answer(event_stream("Fine."))
ALIASES = '[aliases]\nfast = "gpt-5-mini"\nbest = "fast"\n'


def configure(program, server, more=""):
    (program.config_folder / "config.toml").write_text(
        f'base_url = "{server.base_url}"\nmodel = "small"\ncontext_window = 4096\n{more}{ALIASES}',
        encoding="utf-8",
    )


def test_an_alias_names_the_model_of_a_question_and_the_session_keeps_the_model(program):
    with serving_in_thread(FINE) as server:
        configure(program, server)
        program.run("-m", "best", "-s", "trip", "Hi")
        (program.config_folder / "config.toml").write_text(
            f'base_url = "{server.base_url}"\ncontext_window = 4096\n[aliases]\nbest = "other"\n',
            encoding="utf-8",
        )
        program.run("-s", "trip", "Hi")
    assert [request.json["model"] for request in server.requests] == ["gpt-5-mini", "gpt-5-mini"]


def test_a_template_and_the_rows_of_a_batch_name_models_by_aliases(program, tmp_path):
    (tmp_path / "ask.md").write_text('+++\nmodel = "fast"\n+++\n{{ input }}\n', encoding="utf-8")
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "a", "model": "best"}\n{"prompt": "b"}\n', encoding="utf-8")
    whole = json_answer({"choices": [{"message": {"content": "Fine."}, "finish_reason": "stop"}]})
    with serving_in_thread(FINE, whole, whole) as server:
        configure(program, server)
        program.run("-T", str(tmp_path / "ask.md"), "Hi")
        done = program.run("batch", str(rows), "--out", str(tmp_path / "out.jsonl"))
    assert done.exit_code == 0, done
    assert sorted(request.json["model"] for request in server.requests) == [
        "gpt-5-mini",
        "gpt-5-mini",
        "small",
    ]


def test_the_settings_list_the_aliases_and_say_where_one_is_used(program):
    with serving_in_thread(FINE) as server:
        configure(program, server)
        shown = json.loads(program.run("config", "show", "--json", "-m", "best").stdout)
    assert shown["model"] == {"value": "gpt-5-mini", "origin": "flag --model, alias best"}
    assert json.loads(shown["aliases"]["value"]) == {"fast": "gpt-5-mini", "best": "gpt-5-mini"}


def test_aliases_in_a_circle_are_wrong_configuration_and_doctor_says_so(program):
    (program.config_folder / "config.toml").write_text('[aliases]\na = "b"\nb = "a"\n', encoding="utf-8")
    done = program.run("Hi")
    assert (done.exit_code, done.stdout) == (3, "")
    assert "config.toml aliases go in a circle: a → b → a" in done.stderr
    assert "go in a circle" in program.run("doctor").stdout


LISTED = json_answer(
    {
        "data": [
            {"id": "vendor/claude-sonnet-4.5"},
            {"id": "vendor/claude-haiku-4.5"},
            {"id": "gpt-5-mini"},
            {"id": "gpt-4o-2024-08-06"},
            {"id": "qwen3:latest"},
        ]
    }
)


def with_list(request):
    return LISTED if request.path == "/v1/models" else FINE


def models_asked(server):
    return [request.json["model"] for request in server.requests if request.method == "POST"]


def test_a_part_of_a_name_is_never_asked_by_a_script_once_the_list_is_known(program):
    with serving_in_thread(choose=with_list) as server:
        configure(program, server)
        before = program.run("-m", "claude", "Hi")
        program.run("models")
        several = program.run("-m", "CLAUDE", "Hi")
        one = program.run("-m", "sonn", "-o", "json", "Hi")
    # Nothing was known of the endpoint's models, so the name was sent as it is.
    assert (before.exit_code, models_asked(server)) == (0, ["claude"])
    assert (several.exit_code, several.stdout) == (2, "")
    assert "lists no model CLAUDE, but vendor/claude-sonnet-4.5, vendor/claude-haiku-4.5\n" in several.stderr
    assert "→ give a whole name, or an alias" in several.stderr
    assert (one.exit_code, json.loads(one.stdout)["error"]["code"]) == (2, "part_of_a_name")


def test_names_that_are_none_of_the_list_or_a_short_form_of_one_are_sent_as_they_are(program):
    names = ["gpt-5-mini", "other", "claude-haiku-4.5", "gpt-4o", "qwen3", "best"]
    with serving_in_thread(choose=with_list) as server:
        configure(program, server)
        program.run("models")
        for name in names:
            assert program.run("-m", name, "Hi").exit_code == 0
    assert models_asked(server) == [*names[:-1], "gpt-5-mini"]


def test_what_an_alias_leads_to_is_a_whole_name(program):
    with serving_in_thread(choose=with_list) as server:
        configure(program, server)
        program.run("models")
        assert program.run("-m", "claude", "Hi").exit_code == 2
        with (program.config_folder / "config.toml").open("a", encoding="utf-8") as file:
            file.write('claude = "claude"\nsonn = "claude-s"\n')
        for name in ("claude", "sonn"):
            assert program.run("-m", name, "Hi").exit_code == 0
    assert models_asked(server) == ["claude", "claude-s"]


def test_a_list_from_earlier_is_read_again_before_a_name_is_refused(program):
    newer = json_answer({"data": [{"id": "gpt-5"}, {"id": "gpt-5-mini"}]})
    lists = [LISTED, newer, json_answer({}, status=500)]
    with serving_in_thread(choose=lambda r: lists.pop(0) if r.path == "/v1/models" else FINE) as server:
        configure(program, server)
        program.run("models")
        assert program.run("-m", "gpt-5", "Hi").exit_code == 0
        # Where it cannot be read, the endpoint decides.
        assert program.run("-m", "mini", "Hi").exit_code == 0
    assert models_asked(server) == ["gpt-5", "mini"]


def test_a_run_that_keeps_nothing_keeps_no_list(program):
    with serving_in_thread(choose=with_list) as server:
        configure(program, server, "save = false\n")
        program.run("models")
        assert program.run("-m", "claude", "Hi").exit_code == 0


def test_models_are_found_by_words_of_their_names_and_aliases(program):
    with serving_in_thread(choose=with_list) as server:
        configure(program, server)
        both = program.run("models", "CLAUDE", "son")
        by_alias = json.loads(program.run("models", "bes", "-o", "json").stdout)
        nothing = program.run("models", "gemini")
    assert both.stdout.split()[:1] == ["vendor/claude-sonnet-4.5"]
    assert [model["id"] for model in by_alias] == ["gpt-5-mini"]
    assert by_alias[0]["aliases"] == ["fast", "best"]
    assert list(by_alias[0])[-1] == "aliases"
    assert (nothing.exit_code, nothing.stdout) == (0, "")
    assert nothing.stderr.endswith(" lists no models with gemini in their name\n")


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal of POSIX")
@pytest.mark.parametrize(
    ("columns", "shown"), [(120, "(fast, best)"), (80, " (fast, best)"), (40, "… (fast, b…")]
)
def test_a_list_of_models_shows_their_aliases_at_every_width(program, terminal, columns, shown):
    with serving_in_thread(choose=with_list) as server:
        configure(program, server)
        with terminal("models", columns=columns) as screen:
            screen.wait_for("qwen3")
            rows = screen.shown.split("\n")
    row = next(row for row in rows if "(fast" in row)
    assert row.startswith("gpt-5-m")
    assert shown in row


def test_doctor_names_aliases_that_lead_to_no_model_or_hide_one(program):
    with serving_in_thread(choose=with_list) as server:
        configure(program, server)
        with (program.config_folder / "config.toml").open("a", encoding="utf-8") as file:
            file.write('gone = "claude-2"\n"qwen3:latest" = "gpt-4o"\nqwen4 = "qwen4"\n')
        found = json.loads(program.run("doctor", "-o", "json").stdout)
    texts = [finding["text"] for finding in found["checks"] if finding["text"].startswith("alias ")]
    assert texts == [
        "alias gone: claude-2 is not among them",
        "alias qwen3:latest: gpt-4o is asked, not the model of that name",
    ]


def test_a_server_of_one_model_that_takes_any_name_is_asked_by_any_name(program):
    listed = json_answer({"data": [{"id": "/models/qwen3-8b.gguf", "owned_by": "llamacpp"}]})
    with serving_in_thread(choose=lambda r: listed if r.path == "/v1/models" else FINE) as server:
        (program.config_folder / "config.toml").write_text(
            f'base_url = "{server.base_url}"\n', encoding="utf-8"
        )
        program.run("models")
        for _ in range(2):
            assert program.run("-m", "qwen", "Hi").exit_code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal of POSIX")
@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (40, 12)])
def test_on_a_screen_a_model_is_chosen_by_number_and_another_asked_one_question(
    program, terminal, columns, lines
):
    with serving_in_thread(choose=with_list) as server:
        configure(program, server)
        with terminal(columns=columns, lines=lines) as screen:
            screen.wait_for(">")
            screen.type("/model claude\r")
            screen.wait_for("Which? [1-2, Enter = none]")
            screen.type("2\r")
            screen.wait_for("model: vendor/claude-haiku-4.5")
            screen.type("/model fast Why?\r")
            screen.wait_for("asking gpt-5-mini this question")
            screen.wait_for("Fine.")
            screen.type("And?\r")
            screen.wait_for("> And?")
            until_s = time.monotonic() + 60
            while len(models_asked(server)) < 2 and time.monotonic() < until_s:
                screen.settle()
    assert models_asked(server) == ["gpt-5-mini", "vendor/claude-haiku-4.5"]
