from __future__ import annotations

import json

from chatcli.core.errors import ExitCode
from scripted_server import Answer, event_stream, json_answer, serving_in_thread


def well(request):
    if request.method == "GET":
        return json_answer({"data": [{"id": "small"}]})
    return Answer(event_stream("Paris."))


def test_a_server_that_is_well_has_no_problem(command):
    with serving_in_thread(choose=well) as server:
        code, screen = command("doctor", server.base_url, "-o", "json")
    report = json.loads(screen.out)
    assert code == ExitCode.DONE, screen.out
    assert {check["name"]: check["status"] for check in report["checks"]}["answer"] == "ok"


def test_a_problem_has_its_own_code_and_a_hint(command):
    code, screen = command("doctor", "http://127.0.0.1:9", "--timeout", "2")
    assert code == ExitCode.DOCTOR
    assert "!!  connect" in screen.out


def test_an_embedded_model_has_no_other_endpoint_beside_it(command):
    code, screen = command("doctor", "--local", "nosuch")
    assert (code, screen.out) == (ExitCode.USAGE, "")
    assert "use --local=NAME" in screen.err


def test_quietly_only_what_is_wrong_is_reported(command):
    with serving_in_thread(choose=well) as server:
        code, screen = command("doctor", server.base_url, "-q")
    assert code == ExitCode.DONE
    assert "ok " not in screen.out


def test_a_configuration_that_cannot_be_read_is_one_finding(command, tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text("model = \n")
    code, screen = command("doctor", "-o", "json")
    assert code == ExitCode.DOCTOR
    problems = [check["name"] for check in json.loads(screen.out)["checks"] if check["status"] == "problem"]
    assert "config" in problems
