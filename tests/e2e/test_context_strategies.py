"""A conversation that outgrows its window, one answer a call, by each context strategy."""

from __future__ import annotations

import re

import pytest

from chatcli.core.messages import answer, question
from chatcli.sessions.log import SessionLog
from chatcli.sessions.store import SessionStore
from e2e.program import asked, records_of
from scripted_server import Answer, event_stream, json_answer, serving_in_thread

SUMMARY = Answer(event_stream("They spoke of words."))
DONE = Answer(event_stream("Done."))
REFUSED = Answer([b'{"error": {"message": "no such model"}}'], 404, {"content-type": "application/json"})
LONG = "word " * 300
SMALL = {"CHATCLI_CONTEXT_WINDOW": "2000"}


@pytest.fixture
def go_on(program):
    """Ask in a conversation of which four turns take most of the window."""
    store = SessionStore(program.data_folder)
    log = SessionLog(store.resolve("trip"), app="x")
    for asked_before in ("My dentist is Dr Okafor.", *(f"question {number}" for number in range(4))):
        log.message(question(asked_before), parent=log.session.head)
        log.message(answer(LONG), parent=log.session.head)
    log.close()

    def asking(server, *options, asked="one more"):
        return program.run("-s", "trip", *options, asked, server=server, **SMALL)

    return asking


def test_summing_up_is_waited_for_where_the_call_asks_for_it(program, go_on):
    with serving_in_thread(SUMMARY, DONE) as server:
        done = go_on(server, "--context", "summarize")
    assert (done.exit_code, done.stdout) == (0, "Done.\n")
    assert "summarizing older turns" in done.stderr
    assert asked(server)[:2] == [
        ("user", "Sum up what we said before."),
        ("assistant", "They spoke of words."),
    ]
    (mark,) = (
        record
        for record in records_of(program.session_paths[0])
        if record.get("kind") in {"summary", "clear"}
    )
    assert mark["kind"] == "summary"
    assert mark["value"]["text"] == "They spoke of words."


def test_where_summing_up_fails_the_question_is_asked_all_the_same(go_on):
    with serving_in_thread(REFUSED, DONE) as server:
        done = go_on(server, "--context", "summarize")
    assert (done.exit_code, done.stdout) == (0, "Done.\n")
    (line,) = [
        line for line in done.stderr.splitlines() if "could not be summarized and are left out: " in line
    ]
    assert re.search(r" \(call c-[0-9a-f]{8}\)$", line)


def test_a_setting_alone_makes_nobody_wait(program, go_on):
    (program.config_folder / "config.toml").write_text('context = "summarize"\n')
    with serving_in_thread(DONE) as server:
        done = go_on(server)
    assert (done.exit_code, done.stdout) == (0, "Done.\n")
    assert asked(server)[0][1] != "Sum up what we said before."


def test_what_comes_back_is_reported(go_on):
    with serving_in_thread(DONE) as server:
        done = go_on(server, "--context", "recall", asked="Who is my dentist?")
    assert "back in the context: My dentist is Dr Okafor." in done.stderr
    assert asked(server)[0] == ("user", "My dentist is Dr Okafor.")


def test_the_opening_stays_and_the_middle_goes(go_on):
    with serving_in_thread(DONE) as server:
        go_on(server, "--context", "middle-out", "--max-tokens", "600")
    questions = [text for role, text in asked(server) if role == "user"]
    assert questions == ["My dentist is Dr Okafor.", "question 2", "question 3", "one more"]


def test_where_nothing_may_be_left_out_a_question_that_does_not_fit_is_refused(go_on):
    with serving_in_thread(DONE) as server:
        done = go_on(server, "--context", "none", "--max-tokens", "900")
    assert done.exit_code == 2
    assert "the conversation is too long: 1,5" in done.stderr
    assert "--context truncate" in done.stderr


def test_a_strategy_nobody_knows_is_refused_with_those_there_are(program):
    done = program.run("--context", "forget", "hi")
    assert done.exit_code == 2
    assert "truncate, summarize, middle-out, recall or none" in done.stderr


def test_a_turn_comes_back_by_its_meaning_where_a_model_for_embeddings_is_set(program, go_on):
    def near(text: str) -> list[float]:
        return [1.0, 3.0 * ("dentist" in text or "molars" in text)]

    def choose(request):
        if request.path != "/v1/embeddings":
            return DONE
        return json_answer({"data": [{"embedding": near(text)} for text in request.json["input"]]})

    (program.config_folder / "config.toml").write_text('context = "recall"\nembedding_model = "near"\n')
    with serving_in_thread(choose=choose) as server:
        done = go_on(server, asked="Whom to ask about molars?")
    assert (done.exit_code, done.stdout) == (0, "Done.\n")
    assert "back in the context: My dentist is Dr Okafor." in done.stderr
    assert [request.path for request in server.requests] == ["/v1/embeddings", "/v1/chat/completions"]
    assert server.requests[0].json["model"] == "near"


def test_nothing_is_embedded_within_a_budget_where_the_price_is_unknown(program, go_on):
    (program.config_folder / "config.toml").write_text(
        'context = "recall"\nembedding_model = "near"\n[budget]\nday = 5.0\n'
    )
    with serving_in_thread(DONE) as server:
        done = go_on(server, asked="Who is my dentist?")
    assert (done.exit_code, done.stdout) == (0, "Done.\n")
    assert "by words only: the price of near is unknown, and a budget is set" in done.stderr
    assert [request.path for request in server.requests] == ["/v1/chat/completions"]
    assert asked(server)[0] == ("user", "My dentist is Dr Okafor.")


@pytest.mark.parametrize("budget_usd", [5.0, 0.001])
def test_embeddings_have_a_price_and_pass_the_budget(program, go_on, budget_usd):
    def choose(request):
        if request.path != "/v1/embeddings":
            return DONE
        vectors = [{"embedding": [1.0]} for _ in request.json["input"]]
        return json_answer({"data": vectors, "usage": {"prompt_tokens": 2_000, "total_tokens": 2_000}})

    (program.config_folder / "config.toml").write_text(
        f'context = "recall"\nembedding_model = "near"\n[budget]\nday = {budget_usd}\n'
        '[prices."near"]\ninput = 1\n[prices."small"]\ninput = 0\noutput = 0\n'
    )
    with serving_in_thread(choose=choose) as server:
        done = go_on(server, asked="Who is my dentist?")
    assert (done.exit_code, done.stdout) == (0, "Done.\n")
    booked = (
        records_of(program.data_folder / "spending.jsonl")
        if (program.data_folder / "spending.jsonl").exists()
        else []
    )
    lines = [(line["model"], line["cost_usd"]) for line in booked]
    if budget_usd == 5:
        assert lines == [("near", 0.002)]
    else:
        assert lines == []
        assert "searching older turns by words only: budget reached" in done.stderr


def test_where_embedding_fails_the_question_is_asked_all_the_same(program, go_on):
    (program.config_folder / "config.toml").write_text('context = "recall"\nembedding_model = "near"\n')
    with serving_in_thread(REFUSED, DONE) as server:
        done = go_on(server, asked="Who is my dentist?")
    assert (done.exit_code, done.stdout) == (0, "Done.\n")
    assert re.search(r"searching older turns by words only: .+ \(call c-[0-9a-f]{8}\)", done.stderr)
    assert asked(server)[0] == ("user", "My dentist is Dr Okafor.")
