"""Budgets in the whole program: no server and no number of processes makes it spend more."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from e2e.program import records_of
from scripted_server import HOLD, Answer, event_stream, json_answer, serving_in_thread, text_events

# Ten dollars for a million tokens of an answer; what is sent costs next to nothing.
PRICES = '[prices."small"]\ninput = 0.001\ncached = 0.001\noutput = 10\n'
TOKEN_USD = Decimal(10) / 1_000_000
DAY_USD = Decimal("0.05")
LONG_TOKENS = 62_500
WORD = " tree"
"""One token, by any vocabulary."""


@pytest.fixture
def configured(program):
    """Return a function that writes config.toml."""

    def write(text: str = "") -> None:
        (program.config_folder / "config.toml").write_text(text + PRICES, encoding="utf-8")

    write()
    return write


def counted(answer_tokens: int, *, sent_tokens: int = 10, **more: object) -> bytes:
    usage = {"prompt_tokens": sent_tokens, "completion_tokens": answer_tokens, **more}
    return b"data: " + json.dumps({"model": "small", "choices": [], "usage": usage}).encode() + b"\n\n"


def completion(text: str, answer_tokens: int, *, finish_reason: str = "stop", wait_s: float = 0) -> Answer:
    *events, done = event_stream(text, finish_reason=finish_reason)
    return Answer([wait_s, *events, counted(answer_tokens), done])


def of_length(tokens: int, *, wait_s: float = 0):
    """Return an honest server's answers, of so many tokens or as many as it may have."""

    def choose(request) -> Answer:
        allowed = request.json.get("max_tokens", tokens)
        length = min(tokens, allowed)
        return completion(
            WORD * length, length, finish_reason="length" if allowed < tokens else "stop", wait_s=wait_s
        )

    return choose


def booked_usd(program) -> Decimal:
    path = program.data_folder / "spending.jsonl"
    return sum((Decimal(str(line["cost_usd"])) for line in records_of(path)), Decimal(0))


def test_many_processes_at_once_never_spend_more_than_a_day_allows(program, configured):
    configured(f"[budget]\nday = {DAY_USD}\n")
    with (
        serving_in_thread(choose=of_length(1_500, wait_s=0.2)) as server,
        ThreadPoolExecutor(12) as pool,
    ):
        runs = [pool.submit(program.run, f"Question {number}", server=server) for number in range(12)]
        codes = [run.result().exit_code for run in runs]
        allowed = [request.json["max_tokens"] for request in server.requests]
    # Three whole answers, and what was left for a fourth.
    assert sorted(codes) == [0] * 3 + [9] * 9
    assert len(allowed) == 4
    spent_usd = sum(min(tokens, 1_500) for tokens in allowed) * TOKEN_USD
    assert DAY_USD * Decimal("0.99") < spent_usd <= DAY_USD
    assert spent_usd <= booked_usd(program) <= DAY_USD
    assert [path.name for path in (program.data_folder / "reserved").iterdir()] == ["lock"]


def test_what_a_killed_process_had_reserved_is_free_for_the_next(program, configured):
    configured(f"[budget]\nday = {DAY_USD}\n")
    hanging = Answer([*text_events("Par"), HOLD])
    with serving_in_thread(hanging, completion("Paris.", 2)) as server:
        with program.started("Capital?", server=server) as process:
            assert process.stdout is not None
            assert process.stdout.read(3) == b"Par"
            assert len(list((program.data_folder / "reserved").glob("*.json"))) == 1
            process.kill()
            process.wait()
        done = program.run("Capital?", server=server)
    assert (done.exit_code, done.stdout) == (0, "Paris.\n")
    assert [request.json["max_tokens"] for request in server.requests] == [4_999, 4_999]


def test_a_long_answer_ends_at_what_is_left(program, configured):
    with serving_in_thread(choose=of_length(LONG_TOKENS)) as server:
        done = program.run("-o", "json", "-s", "trip", "--max-cost", "0.05", "All of it", server=server)
    result = json.loads(done.stdout)
    (request,) = server.requests
    allowed = request.json["max_tokens"]
    assert done.exit_code == 9
    assert (result["error"]["code"], result["finish_reason"]) == ("answer_cut_by_budget", "length")
    assert (
        result["error"]["message"]
        == f"the answer was cut at {allowed:,} tokens to stay within this run's $0.05"
    )
    assert result["error"]["hint"] == "--max-cost changes the limit; /continue gets the rest"
    assert result["text"] == WORD * allowed
    assert 0.049 < result["cost_usd"] <= 0.05
    reply = records_of(program.session_paths[0])[-1]
    assert (reply["message"]["parts"][0]["text"], reply["cost_usd"]) == (result["text"], result["cost_usd"])


def test_one_that_does_not_end_there_is_ended(program, configured):
    # About as fast as an endpoint, so that what is on its way when the end is reached is little.
    thousand = [*text_events(*[WORD * 10] * 100), 0.1]
    endless = Answer([*thousand * (LONG_TOKENS // 1_000), HOLD])
    with serving_in_thread(endless) as server:
        done = program.run("--max-cost", "0.05", "All of it", server=server)
    assert done.exit_code == 9
    assert "error: the endpoint ignored the limit of 4,999 tokens" in done.stderr
    received = done.stdout.count("tree")
    assert 4_990 < received < 10_000
    assert booked_usd(program) == pytest.approx(received * TOKEN_USD, rel=Decimal("0.01"))


def test_a_limit_of_the_person_is_as_it_was(program, configured):
    with serving_in_thread(choose=of_length(LONG_TOKENS)) as server:
        done = program.run("--max-cost", "0.05", "--max-tokens", "50", "All of it", server=server)
    assert (done.exit_code, done.stdout) == (0, f"{WORD * 50}\n")


@pytest.mark.parametrize("lie", [{}, {"cost": 0}])
def test_a_server_that_reports_nothing_is_told_once_and_comes_to_an_end(program, configured, lie):
    configured("[budget]\nday = 0.02\n")
    *events, done = event_stream(WORD * 1_000)
    lying = Answer([*events, counted(0, sent_tokens=0, **lie), done])
    with serving_in_thread(lying) as server:
        runs = [program.run("Again", server=server) for _ in range(3)]
    assert [run.exit_code for run in runs] == [0, 9, 9]
    assert "the higher figure is booked" in runs[0].stderr
    assert booked_usd(program) <= Decimal("0.021")


def test_a_cap_goes_by_the_name_that_the_endpoint_takes(program, configured):
    def choose(request) -> Answer:
        if "max_tokens" in request.json:
            message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            return json_answer({"error": {"message": message, "param": "max_tokens"}}, status=400)
        return completion("Paris.", 2)

    with serving_in_thread(choose=choose) as server:
        done = program.run("--max-cost", "0.05", "Capital?", server=server)
    assert (done.exit_code, done.stdout) == (0, "Paris.\n")
    assert server.requests[-1].json["max_completion_tokens"] == 4_999


def test_the_responses_api_has_its_own_name_for_it(program, configured):
    answer = {"status": "completed", "output": [], "usage": {"input_tokens": 9, "output_tokens": 1}}
    with serving_in_thread(json_answer(answer)) as server:
        program.run("--api", "responses", "--max-cost", "0.05", "Capital?", server=server)
    assert server.requests[-1].json["max_output_tokens"] == 4_999


def test_the_parts_of_a_long_text_share_the_budget(program, configured):
    text = "The committee met again in the afternoon. " * 1_200
    with serving_in_thread(choose=of_length(400)) as server:
        cheap = program.run("--long", "map-reduce", "--max-cost", "0.02", "Facts?", server=server, stdin=text)
        spent = booked_usd(program)
        enough = program.run("--long", "map-reduce", "--max-cost", "0.5", "Facts?", server=server, stdin=text)
    assert (cheap.exit_code, enough.exit_code) == (9, 0)
    assert Decimal("0.015") < spent <= Decimal("0.0201")
    assert len(server.requests) > 5


def test_a_summary_is_paid_from_it_as_well(program, configured):
    configured(f'context = "summarize"\n[budget]\nday = {DAY_USD}\n')
    with serving_in_thread(choose=of_length(600)) as server:
        small = {"CHATCLI_CONTEXT_WINDOW": "2000"}
        for number in range(4):
            program.run("-s", "trip", "--context", "summarize", f"Part {number}", server=server, **small)
        done = [
            program.run("-s", "trip", "--context", "summarize", "More", server=server, **small)
            for _ in range(6)
        ]
    summaries = [request for request in server.requests if "sum up" in request.body.decode().lower()[:2_000]]
    assert summaries
    assert done[-1].exit_code == 9
    assert booked_usd(program) <= DAY_USD
    assert len(records_of(program.data_folder / "spending.jsonl")) == len(server.requests)


def test_a_model_that_stands_in_is_paid_from_it_as_well(program, configured):
    with (
        serving_in_thread(Answer(status=503)) as first,
        serving_in_thread(choose=of_length(LONG_TOKENS)) as spare,
    ):
        configured(
            f'fallback = ["spare"]\n[profiles.spare]\nbase_url = "{spare.base_url}"\nmodel = "small"\n[budget]\nday = 0.05\n'
        )
        done = program.run("-o", "json", "All of it", server=first, CHATCLI_RETRIES="0")
    assert done.exit_code == 9
    assert json.loads(done.stdout)["error"]["code"] == "answer_cut_by_budget"
    assert booked_usd(program) <= DAY_USD


def test_nothing_is_sent_where_a_days_budget_cannot_be_kept(program, configured):
    configured("[budget]\nday = 5\n")
    program.data_folder.mkdir()
    (program.data_folder / "reserved").touch()
    with serving_in_thread(completion("Paris.", 2)) as server:
        done = program.run("Capital?", server=server)
        configured()
        free = program.run("Capital?", server=server)
        assert len(server.requests) == 1
    assert done.exit_code == 9
    assert f"error: cannot write {program.data_folder / 'spending.jsonl'}" in done.stderr
    assert "→ make it writable, or take the budget out of config.toml" in done.stderr
    assert free.exit_code == 0


def test_without_a_limit_nothing_is_reserved(program, configured):
    with serving_in_thread(completion("Paris.", 2)) as server:
        program.run("Capital?", server=server)
    assert "max_tokens" not in server.requests[0].json
    assert not (program.data_folder / "reserved").exists()


def test_a_run_that_saves_nothing_books_amounts_and_nothing_else(program, configured):
    with serving_in_thread(completion("Paris.", 100)) as server:
        program.run("--no-save", "Capital?", server=server)
    (line,) = records_of(program.data_folder / "spending.jsonl")
    at = line.pop("at")
    assert line == {"model": "", "endpoint": "", "session": None, "cost_usd": 0.00100001}
    assert at.endswith(":00:00.000Z")
    assert {path.name for path in program.data_folder.iterdir()} == {"spending.jsonl", "spending.lock"}
