"""A text that is too long for the model: refused, read part by part, or cut."""

from __future__ import annotations

import itertools
import json
import random
import re
import sys

import pytest

from chatcli.conversation.context import Window
from chatcli.conversation.counting import TOKENS_AROUND_MESSAGE, TOKENS_TO_OPEN_REPLY
from chatcli.text.frames import INSTRUCTION
from e2e.program import ended
from scripted_server import HOLD, Answer, event_stream, json_answer, serving_in_thread, text_events

WINDOW_TOKENS = 2_000
BUDGET_TOKENS = Window.of(WINDOW_TOKENS, None).budget_tokens
FACT = re.compile(r"FACT-\d{4}")
ENGLISH = "The committee met again in the afternoon and heard what the engineers had to say. "
CHINESE = "委员会下午再次开会，听取了工程师们的意见。他们讨论了很久！最后怎么样了？"
CODE = "def total(rows):\n    return sum(row.amount for row in rows if row.amount > 0)\n\n\n"


def text_with_facts(characters: int, facts: int, *, seed: int = 7) -> tuple[str, list[str]]:
    """Return a text in English, Chinese and code with facts in random places, also in the middle of words."""
    choose = random.Random(seed)
    paragraphs = [
        ENGLISH * 6 + "\n\n",
        CHINESE * 5 + "\n\n",
        "```python\n" + CODE * 4 + "```\n\n",
        "## Section\n\n",
    ]
    chunks, length = [], 0
    while length < characters:
        chunks.append(choose.choice(paragraphs))
        length += len(chunks[-1])
    text = "".join(chunks)[:characters]
    planted = [f"FACT-{number:04}" for number in range(facts)]
    places = sorted(choose.sample(range(len(text)), facts))
    ends = [*places[1:], len(text)]
    passages = (f" {fact} {text[start:end]}" for fact, start, end in zip(planted, places, ends, strict=True))
    return text[: places[0]] + "".join(passages), planted


def state_facts(request) -> Answer:
    """Answer by searching the prompt, as an honest reader would."""
    prompt = "\n".join(message["content"] for message in request.json["messages"])
    found = list(dict.fromkeys(FACT.findall(prompt)))
    return Answer(event_stream(" ".join(found) or "NOTHING"))


def prompts(server) -> list[str]:
    return [
        "\n".join(message["content"] for message in request.json["messages"]) for request in server.requests
    ]


def assert_within_budget(server, counter, budget_tokens):
    for request in server.requests:
        texts = [message["content"] for message in request.json["messages"]]
        sent = sum(counter.count(text) + TOKENS_AROUND_MESSAGE for text in texts) + TOKENS_TO_OPEN_REPLY
        assert sent <= budget_tokens


@pytest.fixture
def long(program):
    """Run the program with a window that a text of some pages does not fit."""

    def run(*arguments, server, stdin="", **environment):
        window = {"CHATCLI_CONTEXT_WINDOW": str(WINDOW_TOKENS), "CHATCLI_RETRIES": "0"}
        return program.run(*arguments, server=server, stdin=stdin, **{**window, **environment})

    return run


TEXT, FACTS = text_with_facts(30_000, 12)


def test_in_a_pipe_it_is_refused_with_the_numbers_and_the_options(long, program):
    with serving_in_thread(choose=state_facts) as server:
        done = long("Which facts?", server=server, stdin=TEXT)
    assert (done.exit_code, done.stdout) == (2, "")
    assert re.search(r"is too long: [\d,]+ tokens .* room for 1,500", done.stderr)
    assert "--long map-reduce" in done.stderr
    assert "in about" in done.stderr
    assert server.requests == []


@pytest.mark.parametrize("strategy", ["map-reduce", "refine"])
def test_every_part_is_read_and_none_is_too_long(long, program, o200k_counter, strategy):
    with serving_in_thread(choose=state_facts) as server:
        done = long("--long", strategy, "Which facts?", server=server, stdin=TEXT)
    assert done.exit_code == 0, done.stderr
    assert FACT.findall(done.stdout) == FACTS
    assert_within_budget(server, o200k_counter, BUDGET_TOKENS)
    assert all("Which facts?" in prompt for prompt in prompts(server))


def test_the_session_keeps_the_question_whole_and_the_last_answer_only(long, program):
    with serving_in_thread(choose=state_facts) as server:
        long("--long", "map-reduce", "Which facts?", server=server, stdin=TEXT)
    (asker, asked), (answerer, answer) = program.saved
    assert (asker, answerer) == ("user", "assistant")
    assert asked.startswith("Which facts?")
    assert TEXT.strip() in asked
    assert FACT.findall(answer) == FACTS


def test_the_next_question_is_asked_without_the_text_but_with_the_answer(long, program):
    with serving_in_thread(choose=state_facts) as server:
        long("-s", "facts", "--long", "map-reduce", "Which facts?", server=server, stdin=TEXT)
        done = long("-s", "facts", "And which first?", server=server)
    assert done.exit_code == 0
    assert [message["role"] for message in server.requests[-1].json["messages"]] == [
        "system",
        "user",
        "assistant",
        "user",
    ]
    rule, before, answer, _ = server.requests[-1].json["messages"]
    assert rule["content"] == INSTRUCTION
    assert "Which facts?" in before["content"]
    assert "are left out here" in before["content"]
    assert FACTS[-1] in answer["content"]


@pytest.mark.parametrize(
    ("strategy", "begins", "ends"), [("head", 1, 0), ("tail", 0, 1), ("middle-out", 1, 1)]
)
def test_a_text_can_be_cut_in_one_request(long, o200k_counter, strategy, begins, ends):
    with serving_in_thread(choose=state_facts) as server:
        done = long("--long", strategy, "Which facts?", server=server, stdin=f"It begins.\n{TEXT}\nIt ends.")
    assert done.exit_code == 0
    (prompt,) = prompts(server)
    assert ("It begins." in prompt, "It ends." in prompt) == (begins, ends)
    assert "are left out here" in prompt
    assert_within_budget(server, o200k_counter, BUDGET_TOKENS)
    assert o200k_counter.count(prompt) > BUDGET_TOKENS * 0.8


def test_a_piped_text_alone_holds_its_question(long):
    with serving_in_thread(choose=state_facts) as server:
        done = long("--long", "map-reduce", server=server, stdin=f"{TEXT}\n\nWhich facts are there?\n")
    assert FACT.findall(done.stdout) == FACTS
    assert all("Which facts are there?" in prompt for prompt in prompts(server))


def failing_at(number):
    def choose(request):
        prompt = request.json["messages"][-1]["content"]
        if f"part {number} of" in prompt:
            return json_answer({"error": {"message": "out of order"}}, status=500)
        return state_facts(request)

    return choose


def test_a_part_that_fails_ends_the_turn_and_the_next_run_asks_only_for_what_is_missing(long, program):
    how = ("--long", "map-reduce", "Which facts?")
    with serving_in_thread(choose=failing_at(5)) as server:
        done = long(*how, server=server, stdin=TEXT, CHATCLI_LONG_CONCURRENCY="1")
    assert (done.exit_code, done.stdout) == (6, "")
    assert "4 of " in done.stderr
    assert "are kept; asking again continues from there" in done.stderr
    assert len(server.requests) == 5
    assert program.session_paths == [] or all(role != "user" for role, _ in program.saved)
    with serving_in_thread(choose=state_facts) as server:
        done = long(*how, server=server, stdin=TEXT)
    assert FACT.findall(done.stdout) == FACTS
    assert not any(re.search(r"part [1-4] of", prompt) for prompt in prompts(server)[:-1])


def test_nothing_is_kept_of_a_private_conversation(long, program):
    with serving_in_thread(choose=state_facts) as server:
        long("--no-save", "--long", "map-reduce", "Which facts?", server=server, stdin=TEXT)
    assert not (program.cache_folder / "long-texts").exists()
    assert program.session_paths == []


@pytest.mark.skipif(sys.platform == "win32", reason="rights of POSIX")
def test_what_is_kept_only_its_owner_can_read(long, program):
    with serving_in_thread(choose=state_facts) as server:
        long("--long", "map-reduce", "Which facts?", server=server, stdin=TEXT)
    folder = program.cache_folder / "long-texts"
    kept = list(folder.iterdir())
    assert kept
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_dry_run_tells_what_it_takes_and_sends_nothing(long):
    with serving_in_thread(choose=state_facts) as server:
        dry = json.loads(long("--dry-run", "--long", "map-reduce", "Q?", server=server, stdin=TEXT).stdout)
        assert server.requests == []
        long("--long", "map-reduce", "Q?", server=server, stdin=TEXT)
    parts = dry["parts"]
    assert parts[0]["start"] == 0
    assert all(one["end"] >= next_["start"] for one, next_ in itertools.pairwise(parts))
    assert len(parts) < len(server.requests) <= dry["requests"]
    assert dry["cost_usd"] is None
    assert dry["sent_tokens"] > dry["text_tokens"] > 0


def test_programs_are_reported_of_progress(long):
    with serving_in_thread(choose=state_facts) as server:
        done = long("-o", "jsonl", "--long", "map-reduce", "Which facts?", server=server, stdin=TEXT)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [event["type"] for event in events]
    assert kinds[0] == "turn_started"
    assert kinds.count("turn_started") == 1
    assert kinds[-1] == "turn_finished"
    progress = [event for event in events if event["type"] == "long_progress"]
    assert [event["done"] for event in progress] == list(range(len(server.requests)))
    assert events[-1]["usage"]["input_tokens"] > 8_000


@pytest.mark.skipif(sys.platform == "win32", reason="a signal of POSIX")
def test_ctrl_c_stops_every_request_at_once(program):
    (program.working_folder / "long.txt").write_text(TEXT, encoding="utf-8")
    holding = Answer([*text_events("FACT"), HOLD])
    environment = {"CHATCLI_CONTEXT_WINDOW": str(WINDOW_TOKENS)}
    arguments = ("--long", "map-reduce", "-f", "long.txt", "Which facts?")
    with (
        serving_in_thread(holding) as server,
        program.started(*arguments, server=server, **environment) as process,
    ):
        while len(server.requests) < 4:
            assert process.poll() is None
        process.send_signal(2)
        done = ended(process)
        assert done.exit_code == 130
        for request in server.requests:
            request.closed.result(timeout=20)
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("characters", "window_tokens"),
    [(1_000_000, 32_000), pytest.param(5_000_000, 128_000, marks=pytest.mark.slow)],
)
def test_two_hundred_facts_in_millions_of_characters_all_reach_the_last_prompt(
    program, o200k_counter, characters, window_tokens
):
    text, facts = text_with_facts(characters, 200)
    with serving_in_thread(choose=state_facts) as server:
        done = program.run(
            *("--long", "map-reduce", "Which facts?"),
            server=server,
            stdin=text,
            CHATCLI_CONTEXT_WINDOW=str(window_tokens),
        )
    assert done.exit_code == 0, done.stderr
    assert FACT.findall(done.stdout) == facts
    # What stands where two parts overlap is told twice.
    assert list(dict.fromkeys(FACT.findall(prompts(server)[-1]))) == facts
    assert len(server.requests) > 8
    assert_within_budget(server, o200k_counter, Window.of(window_tokens, None).budget_tokens)
