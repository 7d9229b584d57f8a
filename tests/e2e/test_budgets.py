"""Budgets in the whole program: no server and no number of processes makes it spend more."""

from __future__ import annotations

import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from e2e.program import records_of
from scripted_server import CUT, HOLD, Answer, event_stream, json_answer, serving_in_thread, text_events

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
    assert re.search(r"error: the answer was cut at 5,\d{3} tokens to stay within this run's", done.stderr)
    received = done.stdout.count("tree")
    assert 4_990 < received < 10_000
    assert booked_usd(program) == pytest.approx(received * TOKEN_USD, rel=Decimal("0.01"))


def test_what_a_session_spent_on_a_broken_answer_counts_in_the_next_run(program, configured):
    configured("[budget]\nsession = 0.05\n")
    answers = iter([Answer([*text_events(*[WORD * 10] * 300), CUT])])
    long = of_length(LONG_TOKENS)
    with serving_in_thread(choose=lambda request: next(answers, None) or long(request)) as server:
        first = program.run("-s", "trip", "All of it", server=server, CHATCLI_AUTO_CONTINUE="0")
        second = program.run("-s", "trip", "Again", server=server)
        other = program.run("-s", "other", "All of it", server=server)
        allowed = [request.json["max_tokens"] for request in server.requests]
    assert (first.exit_code, second.exit_code, other.exit_code) == (7, 9, 9)
    assert allowed[0] == allowed[2]
    assert allowed[0] - 3_200 < allowed[1] <= allowed[0] - 3_000
    records = records_of(program.data_folder / "sessions" / "trip.jsonl")
    partial = next(record for record in records if "cost_usd" in record)
    assert partial["finish_reason"] == "interrupted"
    assert 0.03 <= partial["cost_usd"] < 0.032
    # Without the ledger, what the session itself recorded is left.
    (program.data_folder / "spending.jsonl").unlink()
    refused = program.run("-s", "trip", "And again", server=server)
    assert (refused.exit_code, "of this session's $0.05" in refused.stderr) == (9, True)


def test_a_new_session_with_the_name_of_a_deleted_one_has_spent_nothing(program, configured):
    configured("[budget]\nsession = 0.05\n")
    with serving_in_thread(choose=of_length(LONG_TOKENS)) as server:
        first = program.run("-s", "trip", "All of it", server=server)
        assert program.run("sessions", "rm", "trip").exit_code == 0
        second = program.run("-s", "trip", "All of it", server=server)
        assert [request.json["max_tokens"] for request in server.requests] == [4_999, 4_999]
    assert (first.exit_code, second.exit_code) == (9, 9)


@pytest.mark.parametrize(
    "options",
    [("-O", "max_tokens=60000.0"), ("-O", 'max_tokens="60000"'), ("-O", "max_tokens=null"), ("-O", "n=5.0")],
)
def test_no_extra_value_passes_a_limit(program, configured, options):
    with serving_in_thread(choose=of_length(LONG_TOKENS)) as server:
        done = program.run("--max-cost", "0.05", *options, "All of it", server=server)
        (request,) = server.requests
    assert done.exit_code == 9
    assert request.json["max_tokens"] <= 4_999 / request.json.get("n", 1)


def test_an_extra_value_with_a_price_of_its_own_is_refused_while_a_limit_is_set(program, configured):
    option = ("-O", "service_tier=priority")
    with serving_in_thread(completion("Paris.", 2)) as server:
        refused = program.run("--max-cost", "0.05", *option, "Capital?", server=server)
        assert server.requests == []
        done = program.run(*option, "Capital?", server=server)
    assert (refused.exit_code, done.exit_code) == (2, 0)
    assert "-O service_tier changes what a request costs" in refused.stderr


def test_one_absurd_report_says_how_to_correct_it(program, configured):
    configured("[budget]\nmonth = 50\n")
    with serving_in_thread(completion("Paris.", 10**11), completion("Paris.", 2)) as server:
        first = program.run("Capital?", server=server)
        ledger = program.data_folder / "spending.jsonl"
        assert f"lower cost_usd in the last line of {ledger}" in first.stderr
        assert first.exit_code == 0
        assert Decimal("1.31") < booked_usd(program) < Decimal("1.32")
        assert program.run("Capital?", server=server).exit_code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
@pytest.mark.parametrize("period", ["day", "session"])
def test_an_answer_whose_cost_cannot_be_recorded_is_kept_and_a_failure(program, configured, period):
    configured(f"[budget]\n{period} = 5\n")
    ledger = program.data_folder / "spending.jsonl"

    def choose(_) -> Answer:
        ledger.mkdir()
        return completion("Paris.", 2)

    with serving_in_thread(choose=choose) as server:
        done = program.run("-o", "json", "Capital?", server=server)
    result = json.loads(done.stdout)
    assert (done.exit_code, result["text"], result["finish_reason"]) == (8, "Paris.", "stop")
    assert result["error"]["code"] == "spending_unwritten"
    assert program.saved == [("user", "Capital?"), ("assistant", "Paris.")]


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
    cheap = ("--long", "map-reduce", "--max-cost", "0.015", "Facts?")
    answers = iter([completion("Nothing.", 2), *[Answer(status=400)] * 8])
    whole = of_length(400)
    with serving_in_thread(choose=lambda request: next(answers, None) or whole(request)) as server:
        unread = program.run(*cheap, server=server, stdin=text)
        assert server.requests == []
        alone = {"CHATCLI_LONG_CONCURRENCY": "1"}
        begun = program.run("--long", "map-reduce", "Facts?", server=server, stdin=text, **alone)
        list(answers)
        before = booked_usd(program)
        more = program.run(*cheap, server=server, stdin=text)
        spent = booked_usd(program) - before
        enough = program.run("--long", "map-reduce", "--max-cost", "0.9", "Facts?", server=server, stdin=text)
    # Nothing is begun that may not be paid to its end; what was begun goes on as far as it can be paid.
    assert (unread.exit_code, begun.exit_code, more.exit_code, enough.exit_code) == (9, 5, 9, 0)
    assert re.search(
        r"budget reached: reading this text costs up to \$0\.\d+; none of this run's \$0.0150", unread.stderr
    )
    assert Decimal("0.01") < spent <= Decimal("0.0151")


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
    assert f"error: cannot write {program.data_folder / 'reserved' / 'lock'}, which" in done.stderr
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
