"""Rate limits in the whole program: they hold for all that run, and what a server says to one counts for all."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from scripted_server import Answer, event_stream, serving_in_thread

LIMIT = 6
PROCESSES = 20
PARIS = event_stream("Paris.")


@pytest.fixture
def limited(program):
    """Return a function that sets the person's own limit."""

    def write(requests_per_minute: int) -> None:
        text = f"requests_per_minute = {requests_per_minute}\n"
        (program.config_folder / "config.toml").write_text(text, encoding="utf-8")

    return write


def first_line(process, *parts: str) -> str:
    """Return the first line of ``-o jsonl`` that has one of several parts."""
    for line in process.stdout:
        if any(part in line.decode() for part in parts):
            return line.decode()
    raise AssertionError("the program ended without any of them")


def test_as_many_requests_as_the_limit_reach_the_server_and_the_other_programs_wait(program, limited):
    limited(LIMIT)
    with serving_in_thread(choose=lambda _: Answer(PARIS)) as server, ExitStack() as stack:
        started = [
            stack.enter_context(program.started("question", "-o", "jsonl", "--no-stdin", server=server))
            for _ in range(PROCESSES)
        ]
        lines = [first_line(process, "rate limit", "turn_finished") for process in started]
        assert len(server.requests) == LIMIT
    waits = [line for line in lines if "rate limit" in line]
    assert len(waits) == PROCESSES - LIMIT
    assert all(f"rate limit of {LIMIT} requests a minute" in line for line in waits)


def test_what_a_server_says_to_one_program_holds_for_the_next(program):
    told = {
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "110s",
    }
    with serving_in_thread(choose=lambda _: Answer(PARIS, headers=told)) as server:
        assert program.run("question", "--no-save", server=server).exit_code == 0
        with program.started("question", "-o", "jsonl", "--no-stdin", server=server) as other:
            assert "rate limit of 2 requests" in first_line(other, "rate limit", "turn_finished")
        assert len(server.requests) == 1


def test_where_nothing_can_be_shared_a_limit_holds_for_the_program_and_it_says_so(program, limited):
    limited(LIMIT)
    program.cache_folder.mkdir(parents=True, exist_ok=True)
    (program.cache_folder / "rate-limits.db").mkdir()
    with serving_in_thread(choose=lambda _: Answer(PARIS)) as server:
        ended = program.run("question", server=server)
    assert ended.stdout == "Paris.\n"
    assert "rate limits hold for this program only" in ended.stderr
