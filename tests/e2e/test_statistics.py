"""``chatcli stats`` and ``/stats`` over the calls of real runs to a server that fails and delays a known share of them."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from chatcli.core.call_records import CallRecord
from chatcli.telemetry.call_store import FILE_NAME, CallStore
from e2e.program import MODEL, command
from scripted_server import Answer, event_stream, json_answer, serving_in_thread

if sys.platform != "win32":
    from e2e.pseudo_terminal import on_terminal

needs_pty = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
CTRL_C = "\x03"

DELAYS_S = (0.0, 0.0, 0.4, 0.4, 0.4, 0.8)
"""Of the six rows that are answered."""
REFUSED = 2


def completion(number):
    return json.dumps(
        {
            "model": MODEL,
            "choices": [{"message": {"role": "assistant", "content": "Paris."}, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": 100 + number,
                "completion_tokens": 10,
                "prompt_tokens_details": {"cached_tokens": 5},
            },
        }
    ).encode()


def answer(request):
    number = int(request.json["messages"][-1]["content"].split()[-1])
    if number >= len(DELAYS_S):
        return json_answer({"error": {"message": "not this one"}}, status=400)
    return Answer([DELAYS_S[number], completion(number)], headers={"content-type": "application/json"})


@pytest.fixture
def measured(program):
    """Ask eight rows, and return what the server's host is called."""
    (program.config_folder / "config.toml").write_text(
        f'[prices."{MODEL}"]\ninput = 1000\ncached = 1000\noutput = 2000\n'
    )
    rows = [json.dumps({"prompt": f"row {number}"}) for number in range(len(DELAYS_S) + REFUSED)]
    (program.working_folder / "rows.jsonl").write_text("\n".join(rows))
    with serving_in_thread(choose=answer) as server:
        ended = program.run("batch", "rows.jsonl", "--out", "out.jsonl", server=server)
        assert ended.exit_code == 12, ended.stderr
        return server.base_url.split("/")[2]


def test_every_figure_is_the_truth(program, measured):
    total = json.loads(program.run("stats", "-o", "json").stdout)["total"]
    input_tokens = sum(100 + number for number in range(6))
    assert {name: total[name] for name in total if not name.endswith(("_s", "_bytes"))} == {
        "calls": 8,
        "succeeded": 6,
        "failed": 2,
        "cancelled": 0,
        "success_rate": 0.75,
        "errors": {"request_refused": 2},
        "input_tokens": input_tokens,
        "cached_tokens": 30,
        "output_tokens": 60,
        "cost_usd": pytest.approx((input_tokens * 1000 + 60 * 2000) / 1e6),
        "unpriced_calls": 0,
        "cache_hits": 0,
        "attempts": 8,
        "retries": 0,
        "injection_findings": 0,
    }
    # Half of six calls are three: the third is the first that was delayed. A busy machine adds to the delays.
    assert 0.4 <= total["p50_latency_s"] < total["p95_latency_s"] == total["p99_latency_s"]
    assert total["p95_latency_s"] >= 0.8


def test_what_is_printed_is_what_programs_get(program, measured):
    found = json.loads(program.run("stats", "-o", "json", "--by", "endpoint").stdout)
    total, printed = found["total"], program.run("stats", "--by", "endpoint").stdout
    facts = dict(re.split(r"  +", line, maxsplit=1) for line in printed.split("\n\n")[0].splitlines()[1:])
    assert facts["calls"] == "8 · 2 failed"
    assert facts["success rate"] == "75.0%"
    assert facts["tokens"] == "615 in (30 cached) · 60 out"
    assert facts["cost"] == "$0.7350"
    p50, p95, _ = (re.sub(r"p\d+ ", "", part) for part in facts["latency"].split(" · "))
    assert [in_seconds(shown) for shown in (p50, p95)] == [
        pytest.approx(total[name], abs=0.051) for name in ("p50_latency_s", "p95_latency_s")
    ]
    (row,) = [line for line in printed.splitlines() if line.startswith(measured)]
    assert row.split()[1:3] == ["8", "75.0%"]
    assert re.search(r"^request_refused █+ 2$", printed, re.MULTILINE)
    (line,) = csv.DictReader(io.StringIO(program.run("stats", "-o", "csv", "--by", "endpoint").stdout))
    assert (line["endpoint"], line["calls"], line["success_rate"]) == (measured, "8", "0.75")
    assert json.loads(line["errors"]) == {"request_refused": 2}


def in_seconds(shown):
    number, unit = shown.split()
    return float(number) / (1000 if unit == "ms" else 1)


def test_every_grouping_adds_up(program, measured):
    for grouped_by in ("model", "endpoint", "day", "hour", "profile", "outcome", "operation"):
        found = json.loads(program.run("stats", "-o", "json", "--by", grouped_by).stdout)
        assert sum(group["calls"] for group in found["groups"]) == 8, grouped_by
    by_outcome = json.loads(program.run("stats", "-o", "json", "--by", "outcome").stdout)["groups"]
    assert {group["name"]: group["calls"] for group in by_outcome} == {"ok": 6, "request_refused": 2}


def test_telemetry_that_is_off_is_named_as_the_reason(program):
    ended = program.run("stats", CHATCLI_TELEMETRY="off")
    assert (ended.exit_code, ended.stdout) == (0, "")
    assert "telemetry is off" in ended.stderr


def store_of(program):
    program.data_folder.mkdir(parents=True, exist_ok=True)
    return closing(CallStore(program.data_folder / FILE_NAME))


@needs_pty
class TestOnATerminal:
    @pytest.mark.parametrize(("columns", "lines"), [(80, 24), (40, 12)])
    def test_new_calls_show_up_while_watching_and_ctrl_c_ends_it(self, program, columns, lines):
        watching = on_terminal(
            command("stats", "--since", "1h", "--watch", "0.3"),
            environment=program.environment(),
            folder=program.working_folder,
            columns=columns,
            lines=lines,
        )
        with watching as terminal:
            terminal.wait_for("no calls in the last hour")
            with store_of(program) as store:
                store.append([CallRecord(time.time() - 60, "e", "m", latency_s=1.5, ttft_s=0.5)])
            terminal.wait_for("calls         1")
            shown = terminal.wait_for("Ctrl-C ends").splitlines()
            assert "no calls in the last hour" not in shown
            assert sum(line.startswith("Calls in the last hour") for line in shown) == 1
            terminal.type(CTRL_C)
            assert terminal.wait_for_exit() == 0
            assert any(line.startswith("1.5 to 2 s ███") for line in terminal.everything)

    def test_in_a_conversation_it_follows_the_answer_that_was_streaming(self, program):
        with (
            serving_in_thread(Answer([1.0, *event_stream("Paris.")])) as server,
            on_terminal(
                command(), environment=program.environment(server), folder=program.working_folder
            ) as terminal,
        ):
            terminal.wait_for(">")
            terminal.type("Capital?\r")
            terminal.type("/stats by operation\r")
            terminal.wait_for("Calls in the last 7 days")
            shown = terminal.wait_for("Calls by latency")
            assert re.search(r"^answer +1 +100% ", shown, re.MULTILINE)
            terminal.type("/stats 24h by")
            terminal.wait_for("24h by hour")
            terminal.type("\x15\x04")
            assert terminal.wait_for_exit() == 0


def commands_of_guide():
    """Return the commands of the guide's section that end by themselves, without what reads their output."""
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "monitoring.md").read_text("utf-8")
    section = guide.partition("## Statistics\n")[2].partition("\n## ")[0]
    lines = re.findall(r"^chatcli (stats[^\n#|>]*)", section, re.MULTILINE)
    return [shlex.split(line) for line in lines if "--watch" not in line]


@pytest.mark.parametrize("words", commands_of_guide(), ids=" ".join)
def test_a_command_of_the_guide_does_what_it_says(program, measured, words):
    ended = program.run(*words)
    assert (ended.exit_code, ended.stderr.startswith("error")) == (0, False)


def test_the_guide_has_commands():
    assert len(commands_of_guide()) >= 6
