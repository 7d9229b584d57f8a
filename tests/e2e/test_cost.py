"""What answers cost, and where a budget ends, in the whole program."""

from __future__ import annotations

import json
import re
import sys

import pytest

from e2e.program import asked, records_of
from scripted_server import Answer, event_stream, serving_in_thread

# Nobody lists a model of this name.
PRICES = '[prices."small"]\ninput = 100\ncached = 10\noutput = 1000\n'
USAGE = {"prompt_tokens": 1_000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 500}}
COST = 0.05 + 0.005 + 0.1
*WORDS, DONE = event_stream("Paris.")
COUNTED = json.dumps({"object": "chat.completion.chunk", "model": "small", "choices": [], "usage": USAGE})
PARIS = Answer([*WORDS, f"data: {COUNTED}\n\n".encode(), DONE])


@pytest.fixture
def configured(program):
    """Return a function that writes config.toml, with prices of its own."""

    def write(text: str = "", *, prices: str = PRICES) -> None:
        (program.config_folder / "config.toml").write_text(prices + text, encoding="utf-8")

    return write


def ledger(program):
    return records_of(program.data_folder / "spending.jsonl")


def test_json_the_session_and_the_ledger_tell_what_an_answer_cost(program, configured):
    configured()
    with serving_in_thread(PARIS) as server:
        done = program.run("-o", "json", "-s", "trip", "Capital?", server=server)
    assert json.loads(done.stdout)["cost_usd"] == COST
    (path,) = program.session_paths
    assert records_of(path)[-1]["cost_usd"] == COST
    (line,) = ledger(program)
    assert (line["session"], line["cost_usd"]) == ("trip", COST)
    assert line["endpoint"] == server.base_url.split("/")[2]


def test_what_is_free_leaves_no_line(program, configured):
    configured(prices='[prices."small"]\ninput = 0\ncached = 0\noutput = 0\n')
    with serving_in_thread(PARIS) as server:
        done = program.run("-v", "Capital?", server=server)
    assert " · free · " in done.stderr
    assert not (program.data_folder / "spending.jsonl").exists()


def test_what_leaves_no_trace_counts_with_its_amount_and_is_held_to_the_budget(program, configured):
    configured("[budget]\nday = 0.3\n")
    with serving_in_thread(PARIS) as server:
        private = program.run("--no-save", "--max-tokens", "100", "Capital?", server=server)
        program.run("--max-tokens", "100", "Capital?", server=server)
        refused = program.run("--no-save", "--max-tokens", "200", "Capital?", server=server)
    assert (private.exit_code, refused.exit_code) == (0, 9)
    assert [(line["model"], line["cost_usd"]) for line in ledger(program)] == [("", COST), ("small", COST)]
    assert "$0.31 of today's $0.30 spent" in refused.stderr
    assert "→ [budget] day in config.toml" in refused.stderr


def test_in_a_pipe_nothing_is_sent_that_would_pass_the_limit_of_the_run(program, configured):
    configured()
    with serving_in_thread(PARIS) as server:
        done = program.run("-o", "json", "--max-cost", "0.05", "-s", "trip", "Capital?", server=server)
        assert server.requests == []
        again = program.run("-c", "--max-cost", "2", "Capital of Spain?", server=server)
    assert done.exit_code == 9
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "budget_reached"
    assert error["message"].startswith(
        "budget reached: this question costs about $1.00 with a 1,000-token answer; none of this run's"
    )
    assert "--max-cost" in error["hint"]
    assert again.exit_code == 0
    # What was not sent is not part of the conversation.
    assert asked(server) == [("user", "Capital of Spain?")]


def test_a_model_that_stands_in_has_the_price_of_its_own_endpoint(program, configured):
    with serving_in_thread(Answer(status=503)) as first, serving_in_thread(PARIS) as spare:
        configured(
            f'[profiles.spare]\nbase_url = "{spare.base_url}"\nmodel = "small"\n'
            '[profiles.spare.prices."small"]\ninput = 0\ncached = 0\noutput = 2000\n',
            prices='fallback = ["spare"]\n' + PRICES,
        )
        done = program.run("-o", "json", "Capital?", server=first, CHATCLI_RETRIES="0")
    assert json.loads(done.stdout)["cost_usd"] == 0.2
    assert ledger(program)[0]["endpoint"] == spare.base_url.split("/")[2]


def test_the_rest_of_a_cut_answer_is_only_asked_for_within_the_budget(program, configured):
    configured()
    cut = Answer(event_stream("Par", finish_reason="length"))
    with serving_in_thread(cut) as server:
        done = program.run(
            *("--max-cost", "0.015", "--max-tokens", "10", "Capital?"),
            server=server,
            CHATCLI_AUTO_CONTINUE="5",
        )
        assert len(server.requests) == 1
    assert (done.exit_code, done.stdout) == (9, "Par\n")
    assert "budget reached" in done.stderr
    # What came was paid for and stays.
    assert program.saved == [("user", "Capital?"), ("assistant", "Par")]


def test_a_price_nobody_knows_stops_a_run_that_sets_a_limit(program, configured):
    configured(prices="")
    done = program.run("--max-cost", "1", "-m", "small", "Hi", CHATCLI_BASE_URL="http://models.invalid/v1")
    assert done.exit_code == 9
    assert "the price of small at models.invalid is unknown, so --max-cost cannot be enforced" in done.stderr
    assert '[prices."small"]' in done.stderr


def test_a_dry_run_tells_what_the_question_would_cost(program, configured):
    configured()
    with serving_in_thread(PARIS) as server:
        report = json.loads(program.run("--dry-run", "Capital?", server=server).stdout)
        limited = json.loads(program.run("--dry-run", "--max-tokens", "10", "Capital?", server=server).stdout)
    assert report["cost_usd"] == pytest.approx(report["sent_tokens"] * 100 / 1e6)
    assert report["cost_with_answer_usd"] is None
    assert limited["cost_with_answer_usd"] == pytest.approx(limited["cost_usd"] + 0.01)


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal of POSIX")
class TestOnATerminal:
    QUESTION = "this question costs about $1.00 with a 1,000-token answer; none of today's $0.05 has been spent. Send it? [y/N]"

    @pytest.fixture(autouse=True)
    def budget(self, configured):
        configured("[budget]\nday = 0.05\n")

    @pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("\n", 9), ("no\n", 9)])
    def test_a_single_question_is_asked_about(self, terminal, answer, code):
        with serving_in_thread(PARIS) as server, terminal("Capital?", server=server, columns=120) as screen:
            screen.wait_for(self.QUESTION)
            screen.type(answer)
            assert screen.wait_for_exit() == code
            assert len(server.requests) == (code == 0)
        assert ("Paris." in screen.shown) == (code == 0)

    def test_in_the_conversation_what_is_refused_comes_back_for_editing(self, program, terminal):
        with serving_in_thread(PARIS) as server, terminal("-s", "trip", server=server, columns=120) as screen:
            screen.wait_for("\n>")
            screen.type("Capital?")
            screen.wait_for(" · ~$1.00 to send")
            screen.type("\r")
            screen.wait_for(self.QUESTION)
            screen.type("n\r")
            screen.wait_for("error: not sent: it would exceed the budget")
            screen.wait_for("\n> Capital?")
            screen.type("!\r")
            screen.wait_for("Send it? [y/N]\n")
            screen.type("y\r")
            screen.wait_for("Paris.\n\n>")
            screen.type("/cost\r")
            costs = screen.wait_for("per million tokens (config.toml)")
            assert re.search(r"^today +\$0\.1550  of \$0\.05$", costs, re.MULTILINE)
            screen.type("/exit\r")
            assert screen.wait_for_exit() == 0
            assert asked(server) == [("user", "Capital?!")]
        assert [text for _, text in program.saved] == ["Capital?", "Capital?!", "Paris."]

    def test_line_by_line_it_is_asked_as_well(self, terminal):
        with serving_in_thread(PARIS) as server, terminal("--plain", server=server, columns=120) as screen:
            screen.wait_for("\nYou:")
            screen.type("Capital?\n")
            screen.wait_for("Send it? [y/N]")
            screen.type("y\n")
            screen.wait_for("Paris.")
