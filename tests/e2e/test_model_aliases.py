"""Names for models of one's own, and parts of names, as they are typed."""

from __future__ import annotations

import json

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
