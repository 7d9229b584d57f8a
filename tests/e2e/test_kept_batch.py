"""A batch of a script whose results are kept in a file, and one that the provider's batch API answers."""

from __future__ import annotations

import asyncio
import csv
import json
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import aclosing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from types import MappingProxyType

import pytest

import chatcli
from batch_provider import BatchProvider, refused
from e2e.program import ended
from scripted_server import HOLD, Answer, json_answer, serving, serving_in_thread

OPTIONS = {"model": "small", "settings": {"retries": 0, "context_window": 4096}}
PATIENCE_S = 60


@pytest.fixture(autouse=True)
def _folders(monkeypatch, tmp_path):
    for kind in ("CONFIG", "DATA", "CACHE", "LOCAL"):
        monkeypatch.setenv(f"CHATCLI_{kind}_DIR", str(tmp_path / kind.lower()))
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.jsonl"


def asked_for(request):
    return request.json["messages"][-1]["content"]


def completion(text):
    message = {"role": "assistant", "content": text}
    return json_answer(
        {"model": "small", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    )


def echo(request):
    return completion(f"<{asked_for(request)}>")


def without_answer(*prompts):
    """Return a ``choose`` that fails these rows."""

    def choose(request):
        if asked_for(request) in prompts:
            return json_answer({"error": {"message": "no"}}, status=400)
        return echo(request)

    return choose


def prompts(number):
    return [f"Say {each}" for each in range(number)]


async def texts_of(rows, server, **options):
    results = chatcli.batch(rows, base_url=server.base_url, **{**OPTIONS, **options})
    return [result.text for result in [result async for result in results]]


def kept(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def kept_texts(path):
    return [row["text"] for row in kept(path)]


async def left(waiting):
    """Cancel who waits for a result."""
    waiting.cancel()
    await asyncio.wait({waiting})


async def until(is_so):
    until_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < until_s
        await asyncio.sleep(0.01)


async def test_every_result_is_yielded_and_in_the_file(out):
    rows = ["a", {"id": "x", "prompt": "b"}, 5]
    async with serving(choose=echo) as server:
        found = [
            result
            async for result in chatcli.batch(rows, base_url=server.base_url, out="out.jsonl", **OPTIONS)
        ]
    assert [(result.text, result.id) for result in found] == [("<a>", None), ("<b>", "x"), ("", None)]
    assert [(row["text"], row["id"], row["index"]) for row in kept(out)] == [
        ("<a>", None, 0),
        ("<b>", "x", 1),
        ("", None, 2),
    ]
    assert kept(out)[2]["error"]["message"] == found[2].error.message
    assert [int(row["input_digest"], 16) for row in kept(out)] == [result.digest for result in found]


async def test_a_result_is_in_the_file_before_those_ahead_of_it_and_before_anybody_reads(out):
    def choose(request):
        return Answer([HOLD]) if asked_for(request) == "Say 0" else echo(request)

    async with (
        serving(choose=choose) as server,
        aclosing(
            chatcli.batch(prompts(6), base_url=server.base_url, out=out, concurrency=3, **OPTIONS)
        ) as results,
    ):
        waiting = asyncio.ensure_future(anext(results))
        await until(lambda: out.exists() and len(kept(out)) == 5)
        assert not waiting.done()
        await left(waiting)
    assert [row["index"] for row in kept(out)] == [1, 2, 3, 4, 5]


async def test_the_file_ends_up_in_the_order_of_the_rows_unless_that_is_not_wanted(out, tmp_path):
    as_it_came = tmp_path / "unordered.jsonl"

    def first_comes_last(request):
        def others_are_there():
            return any(path.exists() and len(kept(path)) == 2 for path in (as_it_came, out))

        answer = echo(request)
        if asked_for(request) != "Say 0":
            return answer
        return Answer([others_are_there, *answer.script], 200, answer.headers)

    async with serving(choose=first_comes_last) as server:
        found = await texts_of(prompts(3), server, out=as_it_came, ordered=False)
        assert found[-1] == "<Say 0>"
        assert await texts_of(prompts(3), server, out=out) == [f"<Say {each}>" for each in range(3)]
    assert kept(as_it_came)[-1]["index"] == 0
    assert [row["index"] for row in kept(out)] == [0, 1, 2]


async def test_a_file_that_exists_is_refused_unless_it_is_gone_on_with(out):
    async with serving(choose=echo) as server:
        await texts_of(prompts(2), server, out=out)
        with pytest.raises(chatcli.UsageError, match="exists") as raised:
            await texts_of(prompts(3), server, out=out)
        assert raised.value.code == "output_exists"
        assert "resume=True" in raised.value.hint
        assert "--" not in raised.value.hint
        assert await texts_of(prompts(3), server, out=out, resume=True) == ["<Say 2>"]
        assert await texts_of(prompts(3), server, out=out, resume=True) == []
    assert len(server.requests) == 3
    assert kept_texts(out) == [f"<Say {each}>" for each in range(3)]


async def test_rows_that_failed_are_asked_again_only_on_request(out):
    async with serving(choose=without_answer("Say 1")) as server:
        await texts_of(prompts(3), server, out=out)
    async with serving(choose=echo) as server:
        assert await texts_of(prompts(3), server, out=out, resume=True) == []
        assert await texts_of(prompts(3), server, out=out, retry_failed=True) == ["<Say 1>"]
    assert [row["error"] for row in kept(out)] == [None] * 3


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"rows": ["Say 0", "another", "Say 2"]}),
        ({}, {"system": "Be brief."}),
        ({}, {"schema": "name str"}),
        ({"template": "translate", "variables": {"to": "French"}}, {"variables": {"to": "English"}}),
    ],
)
async def test_other_rows_are_not_taken_for_the_same_and_nothing_is_asked(out, first, second):
    async with serving(choose=without_answer("Say 0")) as server:
        await texts_of(**{"rows": prompts(3), "server": server, "out": out, **first})
        before, asked = out.read_bytes(), len(server.requests)
        with pytest.raises(chatcli.UsageError) as raised:
            await texts_of(
                **{"rows": prompts(3), "server": server, "out": out, "retry_failed": True, **first, **second}
            )
    assert raised.value.code == "other_input"
    assert "--" not in raised.value.hint
    assert (out.read_bytes(), len(server.requests)) == (before, asked)


async def test_rows_that_arrive_one_by_one_are_gone_on_with_too(out):
    async def arriving(number):
        for each in prompts(number):
            yield each

    async with serving(choose=echo) as server:
        assert len(await texts_of(arriving(2), server, out=out)) == 2
        assert await texts_of(arriving(4), server, out=out, resume=True) == ["<Say 2>", "<Say 3>"]
        assert await texts_of(iter(prompts(5)), server, out=out, resume=True) == ["<Say 4>"]
    assert kept_texts(out) == [f"<Say {each}>" for each in range(5)]


async def test_endless_rows_are_kept_and_gone_on_with(out):
    class Endless:
        def __iter__(self):
            return (f"{number}" for number in count())

    seen = []
    async with serving(choose=echo) as server:
        for resume in (False, True):
            async with aclosing(
                chatcli.batch(
                    Endless(), base_url=server.base_url, out=out, resume=resume, concurrency=2, **OPTIONS
                )
            ) as results:
                seen += [(await anext(results)).index for _ in range(3)]
    asked = [asked_for(request) for request in server.requests]
    found = [row["index"] for row in kept(out)]
    assert found == sorted(set(found))
    assert set(seen) <= set(found)
    # What was in flight when the first run was left may be asked twice, and nothing else.
    assert len(asked) - len(set(asked)) <= 2


SCRIPT = """
import asyncio, sys
import chatcli

async def main():
    rows = [f"Say {number}" for number in range(12)]
    async for result in chatcli.batch(rows, out="out.jsonl", resume=True, concurrency=4, model="small"):
        print(result.index, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [0, 1, 7])
def test_after_a_kill_no_row_is_asked_twice_and_each_has_one_line(out, monkeypatch, number):
    release, seen = threading.Event(), []

    def choose(request):
        seen.append(asked_for(request))
        return echo(request) if len(seen) <= number or release.is_set() else Answer([HOLD])

    def wait_until(is_so):
        asyncio.run(until(is_so))

    with serving_in_thread(choose=choose) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE) as process:
            wait_until(lambda: out.exists() and out.read_bytes().count(b"\n") == number)
            wait_until(lambda: len(seen) == min(12, number + 4))
            process.kill()
        on_disk = {row["index"] for row in kept(out)}
        with out.open("ab") as file:
            file.write(b'{"id": "r9", "index": 9, "te')
        release.set()
        before = len(seen)
        run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    repeated = {int(each.split()[1]) for each in seen[before:]}
    assert repeated == set(range(12)) - on_disk
    assert [int(line) for line in run.stdout.split()] == sorted(repeated)
    assert kept_texts(out) == [f"<Say {each}>" for each in range(12)]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_ctrl_c_leaves_a_file_that_can_be_gone_on_with(out, monkeypatch):
    held = threading.Event()

    def choose(request):
        if asked_for(request) == "Say 11" and not held.is_set():
            held.set()
            return Answer([HOLD])
        return echo(request)

    with serving_in_thread(choose=choose) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        with subprocess.Popen(
            [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            asyncio.run(until(lambda: out.exists() and out.read_bytes().count(b"\n") == 11))
            process.send_signal(signal.SIGINT)
            done = ended(process)
        assert done.stderr.rstrip().endswith("KeyboardInterrupt")
        assert "never retrieved" not in done.stderr
        assert kept_texts(out) == [f"<Say {each}>" for each in range(11)]
        run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "11\n"), run.stderr


async def test_leaving_early_keeps_what_was_answered_and_closes_the_file(out):
    async with serving(choose=echo) as server:
        async with aclosing(
            chatcli.batch(prompts(50), base_url=server.base_url, out=out, **OPTIONS)
        ) as results:
            await anext(results)
        first = [row["index"] for row in kept(out)]
        assert first == sorted(first)
        rest = await texts_of(prompts(50), server, out=out, resume=True)
    assert len(first) + len(rest) == 50
    assert kept_texts(out) == [f"<Say {each}>" for each in range(50)]


async def test_a_file_that_is_deleted_meanwhile_is_written_anew_and_the_log_says_so(out, caplog, monkeypatch):
    async with serving(choose=echo) as server:
        async for result in chatcli.batch(
            prompts(9), base_url=server.base_url, out="out.jsonl", concurrency=1, **OPTIONS
        ):
            if result.index == 3:
                out.unlink()
                # The file is where it was when the call began.
                monkeypatch.chdir("/")
    assert kept_texts(out) == [f"<Say {each}>" for each in range(9)]
    assert "was deleted or moved" in caplog.text


async def test_two_runs_do_not_write_the_same_file(out):
    def choose(_):
        return Answer([HOLD])

    async with (
        serving(choose=choose) as server,
        aclosing(chatcli.batch(prompts(2), base_url=server.base_url, out=out, **OPTIONS)) as results,
    ):
        waiting = asyncio.ensure_future(anext(results))
        await until(lambda: len(server.requests) == 2)
        with pytest.raises(chatcli.UsageError) as raised:
            await texts_of(prompts(2), server, out=out, resume=True)
        await left(waiting)
    assert raised.value.code == "output_in_use"


async def test_results_are_a_table_where_the_name_says_so(tmp_path):
    path = tmp_path / "out.csv"
    rows = [{"id": 1, "prompt": "a"}, {"id": 2, "prompt": "=b"}]
    async with serving(choose=echo) as server:
        await texts_of(rows[:1], server, out=path)
        await texts_of(rows, server, out=path, resume=True)
    with path.open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert [(row["id"], row["text"]) for row in found] == [("1", "<a>"), ("2", "<=b>")]


async def test_the_value_of_a_schema_is_kept_as_json(out):
    async with serving(choose=lambda _: completion('{"name": "Ada"}')) as server:
        await texts_of(["Who?"], server, out=out, schema="name str")
    assert kept(out)[0]["data"] == {"name": "Ada"}


async def test_a_reached_limit_says_how_to_go_on(out):
    async with serving(json_answer({"error": {"message": "bad key"}}, status=401)) as server:
        with pytest.raises(chatcli.KeyRefused) as raised:
            await texts_of(prompts(3), server, out=out)
    assert raised.value.hint.endswith("resume=True asks the rows that are left")
    assert kept(out) == []


@pytest.mark.parametrize("name", ["no/such/folder/out.jsonl", "."])
async def test_a_file_that_cannot_be_written_is_an_error_before_anything_is_asked(name):
    async with serving(choose=echo) as server:
        with pytest.raises(chatcli.LocalIOError, match="cannot write") as raised:
            await texts_of(prompts(2), server, out=name)
    assert "resume" not in raised.value.hint
    assert server.requests == []


async def test_errors_in_the_file_hold_no_key(out):
    def choose(_):
        return json_answer({"error": {"message": "no such key: sk-secret-0123456789"}}, status=400)

    async with serving(choose=choose) as server:
        await texts_of(prompts(1), server, out=out, api_key="sk-secret-0123456789")
    assert "sk-secret" not in out.read_text("utf-8")
    assert kept(out)[0]["error"]["code"] == "request_refused"


async def test_values_that_are_no_json_stand_for_a_row_too(out):
    class Plain:
        pass

    themselves = {"prompt": "d"}
    themselves["self"] = themselves
    when = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        {"prompt": "a", "when": when, "of": Plain()},
        MappingProxyType({"prompt": "b", ("no", "text"): 1}),
        chatcli.Message("user", (chatcli.TextPart("c"), chatcli.TextPart("d", "document"))),
        themselves,
        "\ud800",
        None,
    ]
    async with serving(choose=echo) as server:
        assert len(await texts_of(rows, server, out=out)) == 6
        rows[0] = {"prompt": "a", "when": when, "of": Plain()}
        assert await texts_of(rows, server, out=out, resume=True) == []
        rows[0] = {"prompt": "a", "when": when.replace(year=2027), "of": Plain()}
        with pytest.raises(chatcli.UsageError, match="row 0"):
            await texts_of(rows, server, out=out, resume=True)


@pytest.mark.parametrize(
    "options",
    [
        {"resume": True},
        {"retry_failed": True},
        {"via": "provider"},
        {"via": "post", "out": "o"},
        {"via": ["provider"], "out": "o"},
        {"out": 5},
        {"out": b"o"},
        {"out": "folder/"},
        {"out": ""},
        {"out": "o\0"},
        {"out": "\ud800"},
        {"out": "o", "resume": 1},
        {"out": "o", "retry_failed": "yes"},
        {"out": "o", "via": "provider", "concurrency": 3},
        {"out": "o", "via": "provider", "cache": "memory"},
        {"out": "o", "via": "provider", "settings": {"cache": "memory"}},
        {"out": "o", "via": "provider", "rows": iter(["a"])},
    ],
)
async def test_a_wrong_call_says_what_is_wrong_and_makes_no_file(options, tmp_path):
    async with serving(choose=echo) as server:
        with pytest.raises(chatcli.UsageError) as raised:
            await texts_of(**{"rows": ["a"], "server": server, **options})
    assert raised.value.hint
    assert server.requests == []
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []


class TestTheProvidersBatchApi:
    async def test_results_are_yielded_and_kept(self, out):
        provider = BatchProvider()
        async with serving(choose=provider.choose) as server:
            found = await texts_of(
                [*prompts(3), 5], server, out=out, via="provider", system="Be brief.", schema="name str"
            )
        assert sorted(found) == ["", "<Say 0>", "<Say 1>", "<Say 2>"]
        assert kept_texts(out) == ["<Say 0>", "<Say 1>", "<Say 2>", ""]
        body = provider.uploads[0][0]["body"]
        assert body["messages"][0] == {"role": "system", "content": "Be brief."}
        assert body["response_format"]["type"] == "json_schema"
        assert [path.name for path in out.parent.glob("out*")] == ["out.jsonl"]

    async def test_leaving_leaves_it_at_work_and_another_run_takes_the_results(self, out):
        provider = BatchProvider(("in_progress", "completed"))
        async with serving(choose=provider.choose) as server:
            async with aclosing(
                chatcli.batch(prompts(3), base_url=server.base_url, out=out, via="provider", **OPTIONS)
            ) as results:
                waiting = asyncio.ensure_future(anext(results))
                await until(lambda: provider.asked == 1)
                await left(waiting)
            with pytest.raises(chatcli.UsageError, match="being answered by the provider") as raised:
                await texts_of(prompts(3), server, out=out, resume=True)
            assert "--" not in raised.value.hint
            with pytest.raises(chatcli.UsageError, match="the provider works on other rows"):
                await texts_of(["x", *prompts(3)], server, out=out, resume=True, via="provider")
            found = await texts_of(prompts(3), server, out=out, resume=True, via="provider")
        assert sorted(found) == kept_texts(out) == ["<Say 0>", "<Say 1>", "<Say 2>"]
        assert len(provider.uploads) == 1

    async def test_an_error_on_the_way_says_that_the_provider_works_on(self, out):
        provider = BatchProvider(("in_progress", "completed"))

        def choose(request):
            if "/batches/" in request.path:
                return json_answer({"error": {"message": "bad key"}}, status=401)
            return provider.choose(request)

        async with serving(choose=choose) as server:
            with pytest.raises(chatcli.KeyRefused) as raised:
                await texts_of(prompts(2), server, out=out, via="provider")
        assert raised.value.hint.endswith("the provider works on, and resume=True takes the results")

    async def test_what_json_cannot_hold_fails_its_row_alone(self, out):
        provider = BatchProvider()
        rows = [{"prompt": "a", "options": {"x": value}} for value in (1, {1}, float("nan"))]
        async with serving(choose=provider.choose) as server:
            await texts_of(rows, server, out=out, via="provider")
        assert [row["error"] and row["error"]["code"] for row in kept(out)] == [
            None,
            *["request_refused"] * 2,
        ]
        assert len(provider.uploads[0]) == 1

    async def test_rows_that_failed_are_sent_again_on_request(self, out):
        provider = BatchProvider(outcome=refused)
        async with serving(choose=provider.choose) as server:
            assert await texts_of(prompts(2), server, out=out, via="provider") == ["", ""]
            assert await texts_of(prompts(2), server, out=out, via="provider", resume=True) == []
        async with serving(choose=BatchProvider().choose) as server:
            found = await texts_of(prompts(2), server, out=out, via="provider", retry_failed=True)
        assert sorted(found) == kept_texts(out) == ["<Say 0>", "<Say 1>"]

    async def test_a_budget_holds(self, out):
        provider = BatchProvider()
        price = {"small": {"input": 1_000_000, "output": 1_000_000}}
        dear = {**OPTIONS["settings"], "max_cost": 7, "prices": price}
        async with serving(choose=provider.choose) as server:
            with pytest.raises(chatcli.BudgetReached):
                await texts_of(prompts(3), server, out=out, via="provider", max_tokens=10, settings=dear)
        assert provider.uploads == []


GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "batch.md"


@pytest.mark.parametrize("example", re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL))
def test_the_examples_of_the_guide_to_batches_run(example, monkeypatch, out):
    provider = BatchProvider()

    def choose(request):
        return echo(request) if request.path.endswith("/completions") else provider.choose(request)

    with serving_in_thread(choose=choose) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        run = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "it <Capital of Italy?>" in run.stdout
    assert len(provider.uploads) == ("via=" in example)


LABELLED = ("-T", "translate", "--var", "to=French")


@pytest.mark.parametrize(
    ("name", "rows", "arguments", "options"),
    [
        ("in.jsonl", [{"id": each, "prompt": f"Säy {each}"} for each in range(4)], (), {}),
        ("in.jsonl", [{"prompt": "a"}, {"prompt": "b"}], ("-S", "Be brief."), {"system": "Be brief."}),
        ("in.txt", ["eins", " zwei ", "drei"], ("--schema", "name str"), {"schema": "name str"}),
        ("in.txt", ["eins", "zwei"], LABELLED, {"template": "translate", "variables": {"to": "French"}}),
    ],
)
def test_a_script_goes_on_with_a_file_of_the_command_and_the_command_with_its(
    program, name, rows, arguments, options
):
    path = program.working_folder / "out.jsonl"

    def by_command(*, end):
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows[:end]]
        (program.working_folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        done = program.run("batch", name, "--out", path.name, "--resume", *arguments, server=server)
        assert done.exit_code == 0, done.stderr

    def by_script(*, end):
        asyncio.run(texts_of(rows[:end], server, out=path, resume=True, **options))

    answer = completion('{"name": "Ada"}')
    with serving_in_thread(choose=lambda _: answer) as server:
        for begin, go_on in ((by_command, by_script), (by_script, by_command)):
            path.unlink(missing_ok=True)
            before = len(server.requests)
            begin(end=1)
            go_on(end=None)
            assert len(server.requests) - before == len(rows)
            assert [(row["index"], row["error"]) for row in kept(path)] == [
                (index, None) for index in range(len(rows))
            ]
