"""One question to several models, by ``--compare``."""

from __future__ import annotations

import json
import re
import signal
import sys

import pytest

from e2e.program import ended, messages_of
from scripted_server import CUT, HOLD, Answer, event_stream, json_answer, serving_in_thread, text_events

ANSWERS = {
    "alpha": Answer([0.3, *event_stream("From ", "alpha.", model="alpha")]),
    "beta": Answer(event_stream("Beta **says**.", model="beta")),
    "small": Answer(event_stream("Small.", model="small")),
}
GONE = json_answer({"error": {"message": "no such model"}}, status=404)


def by_model(request):
    return ANSWERS.get(request.json["model"], GONE)


@pytest.fixture(scope="module")
def server():
    with serving_in_thread(choose=by_model) as scripted:
        yield scripted


def models_asked(server):
    return [request.json["model"] for request in server.requests]


def test_each_answer_is_printed_under_its_model_in_the_order_named_whichever_comes_first(program, server):
    done = program.run("--compare", "alpha,beta", "Hi", server=server)
    assert done.exit_code == 0
    assert done.stdout == "# alpha\n\nFrom alpha.\n\n# beta\n\nBeta **says**.\n"
    for name in ("alpha", "beta"):
        (line,) = [line for line in done.stderr.splitlines() if line.startswith(f"{name}: ")]
        assert "first text" in line


def test_the_answers_are_siblings_of_which_the_first_goes_on(program, server):
    program.run("--compare", "alpha,beta", "-s", "trip", "Hi", server=server)
    assert sorted(program.saved[1:]) == [("assistant", "Beta **says**."), ("assistant", "From alpha.")]
    program.run("-c", "And?", server=server, CHATCLI_MODEL="")
    last = server.requests[-1].json
    assert [message["content"] for message in last["messages"]] == ["Hi", "From alpha.", "And?"]
    assert last["model"] == "alpha"


@pytest.mark.parametrize(
    ("options", "models"),
    [
        (("--compare", "beta"), ["small", "beta"]),
        (("-m", "alpha", "--compare", "beta,small"), ["alpha", "beta", "small"]),
        (("--compare", " beta , alpha,"), ["beta", "alpha"]),
        (("--compare", "beta,beta"), ["beta", "beta"]),
    ],
)
def test_one_name_is_compared_with_the_model_in_use_and_so_are_all_with_that_of_m(
    program, server, options, models
):
    done = program.run("-o", "json", *options, "Hi", server=server)
    assert [each["model"] for each in json.loads(done.stdout)["compared"]] == models


def test_a_name_can_be_a_profile_with_an_endpoint_of_its_own(program, server):
    with serving_in_thread(Answer(event_stream("Elsewhere.", model="far"))) as other:
        (program.config_folder / "config.toml").write_text(
            f'[profiles.away]\nbase_url = "{other.base_url}"\nmodel = "far"\n', encoding="utf-8"
        )
        done = program.run("--compare", "beta,away", "Hi", server=server)
    assert done.stdout == "# beta\n\nBeta **says**.\n\n# away\n\nElsewhere.\n"
    assert models_asked(other) == ["far"]


class TestAFailure:
    def test_ends_no_other_answer_is_said_in_its_place_and_gives_the_exit_code(self, program, server):
        done = program.run("--compare", "gone,beta", "Hi", server=server)
        assert done.exit_code == 5
        assert done.stdout.startswith("# gone\n\n(no answer: ")
        assert done.stdout.endswith("\n\n# beta\n\nBeta **says**.\n")
        assert "gone: error: " in done.stderr

    def test_of_a_profile_without_a_key_is_one_too(self, program, server):
        (program.config_folder / "config.toml").write_text(
            '[profiles.keyless]\nbase_url = "https://api.openai.com/v1"\n', encoding="utf-8"
        )
        done = program.run("--compare", "keyless,beta", "-o", "json", "Hi", server=server)
        first, second = json.loads(done.stdout)["compared"]
        assert (done.exit_code, first["error"]["code"], second["text"]) == (3, "no_key", "Beta **says**.")

    def test_of_a_cut_answer_names_the_steps_that_get_its_rest(self, program):
        halves = {
            "alpha": Answer([*text_events("Half", model="alpha"), CUT]),
            "beta": Answer([0.3, *event_stream("Beta.", model="beta")]),
        }
        with serving_in_thread(choose=lambda request: halves[request.json["model"]]) as server:
            cut = program.run("--compare", "alpha,beta", "--retries", "0", "Hi", server=server)
            halves["alpha"] = Answer(event_stream(" and half.", model="alpha"))
            steps = program.config_folder / "steps.txt"
            steps.write_text("/alt 1\n/continue\n", encoding="utf-8")
            program.run("-c", "--load", str(steps), server=server)
        assert cut.exit_code == 7
        assert "alpha: → chatcli -c, then /alt N, then /continue gets the rest\n" in cut.stderr
        assert ("assistant", "Half and half.") in program.saved


def test_an_embedded_model_is_compared_with_profiles_only_and_no_other_endpoint_is_asked(program, server):
    count = len(server.requests)
    done = program.run("--local", "--compare", "alpha,beta", "Hi", server=server)
    also = program.run("--compare", "alpha", "Hi", server=server, CHATCLI_LOCAL="smollm2-135m")
    assert (done.exit_code, also.exit_code) == (2, 2)
    for each in (done, also):
        assert "alpha is no profile, and the embedded model smollm2-135m is the only one" in each.stderr
    assert len(server.requests) == count


class TestForPrograms:
    def test_json_is_the_object_of_the_first_with_those_of_all(self, program, server):
        done = program.run("--compare", "alpha,gone", "-o", "json", "Hi", server=server)
        written = json.loads(done.stdout)
        assert list(written)[-1] == "compared"
        first, second = written.pop("compared")
        assert written == first
        assert (first["text"], first["error"]) == ("From alpha.", None)
        assert second["error"]["status"] == 404
        assert list(second) == list(first)

    def test_what_is_wrong_before_any_turn_is_not_said_of_the_model_in_use(self, program, server):
        done = program.run("--local", "--compare", "alpha", "-o", "json", "Hi", server=server)
        assert json.loads(done.stdout)["error"]["message"].startswith("alpha is no profile")
        assert "\nerror: alpha is no profile" in done.stderr

    def test_json_lines_name_their_turn_and_each_turn_has_its_end(self, program, server):
        done = program.run("--compare", "alpha,beta", "-o", "jsonl", "Hi", server=server)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        for number, model, text in ((1, "alpha", "From alpha."), (2, "beta", "Beta **says**.")):
            own = [line for line in lines if line["n"] == number]
            assert {line["model"] for line in own} == {model}
            assert "".join(line["text"] for line in own if line["type"] == "text_delta") == text
            assert [line["type"] for line in own].count("turn_finished") == 1
            assert own[-1]["text"] == text


def test_a_schema_holds_for_all(program):
    texts = {"alpha": '{"name": "Ada"}', "beta": "not JSON"}
    with serving_in_thread(
        choose=lambda request: Answer(event_stream(texts[request.json["model"]]))
    ) as server:
        done = program.run(
            "--compare", "alpha,beta", "--schema", "name str", "-o", "json", "Hi", server=server
        )
    first, second = json.loads(done.stdout)["compared"]
    assert (first["data"], second["data"], done.exit_code) == ({"name": "Ada"}, None, 10)


def test_a_limit_holds_for_all_together(program):
    """Each may cost 0.6 of the limit: the second has no room while the first is in flight."""
    (program.config_folder / "config.toml").write_text(
        "[prices.alpha]\ninput = 0\noutput = 100\n[prices.beta]\ninput = 0\noutput = 100\n", encoding="utf-8"
    )
    held = {"alpha": Answer([0.5, *event_stream("A.", model="alpha")]), "beta": ANSWERS["beta"]}
    with serving_in_thread(choose=lambda request: held[request.json["model"]]) as server:
        options = ("--compare", "alpha,beta", "--max-cost", "0.1", "--max-tokens", "600", "-o", "json")
        done = program.run(*options, "Hi", server=server)
    bodies = [request.json for request in server.requests if request.method == "POST"]
    assert sum(body["max_tokens"] for body in bodies) <= 1_000
    assert len(json.loads(done.stdout)["compared"]) == 2


def test_ctrl_c_stops_all_and_keeps_what_came(program):
    halves = {name: Answer([*text_events(f"half {name}", model=name), HOLD]) for name in ("alpha", "beta")}
    with serving_in_thread(choose=lambda request: halves[request.json["model"]]) as server:
        with program.started("--compare", "alpha,beta", "-o", "jsonl", "Hi", server=server) as process:
            seen = b""
            while seen.count(b"text_delta") < 2:
                seen += process.stdout.readline()
            process.send_signal(signal.SIGINT)
            done = ended(process, seen)
        for request in server.requests:
            assert request.closed.result(timeout=20) is False
    assert done.exit_code == 130
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(line["text"] for line in lines if line["type"] == "turn_cancelled") == [
        "half alpha",
        "half beta",
    ]
    (path,) = program.session_paths
    assert sorted(messages_of(path)[1:]) == [("assistant", "half alpha"), ("assistant", "half beta")]


@pytest.mark.parametrize(
    "options",
    [("--compare", ",", "Hi"), ("--compare", "a,b", "-x", "Hi"), ("--compare", "a,b", "--dry-run", "Hi")],
)
def test_what_cannot_be_compared_is_a_usage_error(program, server, options):
    done = program.run(*options, server=server)
    assert (done.exit_code, done.stdout) == (2, "")


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal of POSIX")
@pytest.mark.parametrize(("columns", "is_beside"), [(80, True), (40, False)])
def test_on_a_terminal_the_answers_stand_beside_each_other_where_there_is_room(
    terminal, server, columns, is_beside
):
    with terminal("--compare", "alpha,beta", "Hi", server=server, columns=columns) as screen:
        assert screen.wait_for_exit() == 0
        rows = [[cell.strip() for cell in row.split("│")] for row in screen.everything if row.strip()]
    if is_beside:
        assert rows[:2] == [["alpha", "beta"], ["From alpha.", "Beta says."]]
    else:
        texts = [row for (row,) in rows if "first text" not in row]
        assert texts == ["alpha", "From alpha.", "beta", "Beta says."]


OTHERS_KEY = "of-another-program-8512"


def quoting_a_key(request):
    if request.json["model"] == "beta":
        return json_answer({"error": {"message": f"no {OTHERS_KEY}"}}, status=400)
    return by_model(request)


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal of POSIX")
def test_a_failure_in_a_column_shows_no_key_and_with_v_the_id_of_its_call(terminal):
    with serving_in_thread(choose=quoting_a_key) as server:
        with terminal(
            "-v", "--compare", "alpha,beta", "Hi", server=server, columns=120, OTHER_API_KEY=OTHERS_KEY
        ) as screen:
            assert screen.wait_for_exit() == 5
        shown = "\n".join(screen.everything)
        assert "no [key]" in shown
        assert OTHERS_KEY not in shown
        assert len(set(re.findall("c-[0-9a-f]{8}", shown))) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal of POSIX")
class TestInAConversation:
    def test_a_failure_in_a_column_shows_no_key_and_with_verbose_the_id_of_its_call(self, terminal):
        with (
            serving_in_thread(choose=quoting_a_key) as server,
            terminal(server=server, columns=120, OTHER_API_KEY=OTHERS_KEY) as screen,
        ):
            screen.wait_for("small")
            screen.type("/verbose\r")
            screen.wait_for("each answer: on")
            screen.type("/compare alpha,beta Hi\r")
            screen.wait_for(" out · ")
            screen.type("\x04")
            assert screen.wait_for_exit() == 0
            shown = "\n".join(screen.everything)
            assert "no [key]" in shown
            assert OTHERS_KEY not in shown
            assert len(set(re.findall("c-[0-9a-f]{8}", shown))) == 2

    def test_the_answers_stand_beside_each_other_above_the_prompt_and_their_difference_in_words(
        self, terminal, server
    ):
        with terminal(server=server) as screen:
            screen.wait_for("small")
            screen.type("/compare alpha,beta Hi\r")
            screen.wait_for("(goes on)")
            rows = [[cell.strip() for cell in row.split("│")] for row in screen.everything]
            assert ["alpha", "beta"] in rows
            assert ["From alpha.", "Beta says."] in rows
            screen.type("/diff\r")
            screen.wait_for("**says**")
            screen.type("\x04")
            assert screen.wait_for_exit() == 0

    def test_ctrl_c_stops_all_and_the_conversation_goes_on_with_what_came(self, program, terminal):
        halves = {
            name: Answer([*text_events(f"half {name}", model=name), HOLD]) for name in ("alpha", "beta")
        }
        halves["small"] = ANSWERS["small"]
        with serving_in_thread(choose=lambda request: halves[request.json["model"]]) as server:
            with terminal(server=server) as screen:
                screen.wait_for("small")
                screen.type("/compare alpha,beta Hi\r")
                screen.wait_for("half alpha")
                screen.wait_for("half beta")
                screen.type("\x03")
                screen.wait_for("stopped")
                screen.wait_for("(goes on)")
                screen.type("And?\r")
                screen.wait_for("Small.")
                screen.type("\x04")
                assert screen.wait_for_exit() == 0
            contents = [message["content"] for message in server.requests[-1].json["messages"]]
        assert contents[0] == "Hi"
        assert contents[1] in {"half alpha", "half beta"}

    def test_in_plain_lines_each_answer_follows_its_heading_and_so_does_what_differs(self, terminal, server):
        with terminal("--plain", server=server) as screen:
            screen.wait_for("You:")
            screen.type("/compare alpha,beta Hi\r")
            screen.wait_for("(goes on)")
            shown = screen.shown
            assert shown.index("alpha") < shown.index("From alpha.") < shown.index("Beta says.")
            screen.type("/diff\r")
            screen.wait_for("**says**.")
            screen.type("\x04")
            assert screen.wait_for_exit() == 0
