"""``chatcli stats`` with calls whose truth is known."""

from __future__ import annotations

import csv
import io
import json
import time
from contextlib import closing

import pytest
from prometheus_client.parser import text_string_to_metric_families

from chatcli.core.call_records import CallRecord
from chatcli.core.errors import ExitCode
from chatcli.core.statistics import GROUPINGS
from chatcli.telemetry.call_store import FILE_NAME, CallStore
from render.html_export.html_reading import Tables


@pytest.fixture
def calls(tmp_path):
    """Store calls of the last minutes: 8 that took 1 to 8 s, one that failed, and one by another model."""
    now_s = time.time()
    fine = [
        CallRecord(
            now_s - 60 - at,
            "api.openai.com",
            "gpt-5-mini",
            ttft_s=0.5,
            latency_s=1.0 + at,
            input_tokens=100,
            output_tokens=50,
            cost_usd=0.25,
        )
        for at in range(8)
    ]
    failed = CallRecord(now_s - 90, "api.openai.com", "gpt-5-mini", outcome="timeout", attempts=3)
    other = CallRecord(now_s - 100, "127.0.0.1", "smollm2", latency_s=0.2, ttft_s=0.1, cost_usd=0.0)
    folder = tmp_path / "data"
    folder.mkdir()
    with closing(CallStore(folder / FILE_NAME)) as store:
        store.append([*fine, failed, other])


@pytest.mark.usefixtures("calls")
class TestWithCalls:
    def test_a_person_gets_a_summary_a_table_and_pictures(self, command):
        code, screen = command("stats", "--since", "1h", is_terminal=True, COLUMNS="80", NO_COLOR="1")
        assert code == ExitCode.DONE
        lines = screen.out.splitlines()
        assert lines[:8] == [
            "Calls in the last hour",
            "calls         10 · 1 failed",
            "success rate  90.0%",
            "latency       p50 4.0 s · p95 8.0 s · p99 8.0 s",
            "first token   p50 500 ms · p95 500 ms · p99 500 ms",
            lines[5],
            "tokens        800 in · 400 out",
            "cost          over $2.00 · 1 call at an unknown price",
        ]
        assert "gpt-5-mini" in screen.out
        assert "timeout ██" in screen.out
        assert "Calls by latency" in screen.out
        assert screen.err == ""

    def test_an_alias_stands_for_its_model(self, command, tmp_path):
        (tmp_path / "config").mkdir()
        (tmp_path / "config" / "config.toml").write_text('[aliases]\nmini = "gpt-5-mini"\n')
        _, screen = command("stats", "-o", "json", "-m", "mini")
        assert json.loads(screen.out)["total"]["calls"] == 9

    def test_lines_in_a_pipe_have_no_escapes_and_are_whole(self, command):
        _, screen = command("stats")
        assert "\x1b" not in screen.out
        (heading,) = [line for line in screen.out.splitlines() if line.startswith("model ")]
        assert heading.split() == [
            *("model", "calls", "success", "p50", "p95", "p99", "1st", "token", "tokens/s"),
            *("tokens", "in", "out", "retries", "cost"),
        ]

    def test_a_program_gets_one_object(self, command):
        code, screen = command("stats", "-o", "json", "--model", "gpt-5-mini")
        found = json.loads(screen.out)
        assert code == ExitCode.DONE
        assert found["grouped_by"] == "model"
        assert (found["total"]["calls"], found["total"]["success_rate"]) == (9, 0.888889)
        assert (found["total"]["p50_latency_s"], found["total"]["cost_usd"]) == (4.0, 2.0)
        assert found["total"]["errors"] == {"timeout": 1}

    @pytest.mark.parametrize("grouped_by", GROUPINGS)
    def test_a_spreadsheet_gets_a_line_for_each_group(self, command, grouped_by):
        _, screen = command("stats", "-o", "csv", "--by", grouped_by)
        rows = list(csv.DictReader(io.StringIO(screen.out, newline="")))
        assert sum(int(row["calls"]) for row in rows) == 10
        assert all(grouped_by in row for row in rows)

    def test_a_voice_gets_sentences(self, command):
        _, screen = command("stats", "--plain", "--endpoint", "127.0.0.1")
        assert screen.out.startswith(
            "Calls in the last 7 days: 1 call, 100% succeeded, half took up to 200 ms, 95% up to 200 ms, free.\n"
        )

    def test_a_browser_gets_a_page_with_the_same_figures(self, command, tmp_path):
        page = tmp_path / "week.html"
        code, screen = command("stats", "--html", "--model", "gpt-5-mini", "--out", page)
        assert (code, screen.out) == (ExitCode.DONE, "")
        assert screen.err == f"wrote the statistics to {page}\n"
        html = page.read_text("utf-8")
        (row,) = Tables(html).by_caption["Figures by model"][1:]
        assert row[:7] == ["gpt-5-mini", "9", "88.8%", "1", "4.0 s", "8.0 s", "8.0 s"]
        assert "<dt>Model</dt><dd><bdi>gpt-5-mini</bdi></dd>" in html

    def test_the_end_of_a_name_says_the_form(self, command, tmp_path):
        for name, beginning in (
            ("a.HTML", "<!DOCTYPE html>"),
            ("a.csv", "model,calls"),
            ("a.json", "{"),
            ("a", "Calls"),
        ):
            command("stats", "-q", "--out", tmp_path / name)
            assert (tmp_path / name).read_text("utf-8").startswith(beginning)
        _, screen = command("stats", "-o", "json", "--out", tmp_path / "b.html", "-q")
        assert json.loads((tmp_path / "b.html").read_text("utf-8"))["total"]["calls"] == 10
        assert screen.err == ""

    def test_tables_in_a_file_have_no_colours(self, command, tmp_path):
        command("stats", "--out", tmp_path / "week.txt", is_terminal=True)
        assert "\x1b" not in (tmp_path / "week.txt").read_text("utf-8")

    def test_a_file_is_not_overwritten_unless_it_may(self, command, tmp_path):
        page = tmp_path / "week.html"
        page.write_text("mine", "utf-8")
        code, screen = command("stats", "--html", "--out", page)
        assert code == ExitCode.USAGE
        assert screen.err.splitlines()[-1].endswith("choose another --out, or --force to overwrite")
        assert page.read_text("utf-8") == "mine"
        assert command("stats", "--html", "--out", page, "--force")[0] == ExitCode.DONE
        assert page.read_text("utf-8") != "mine"

    def test_a_page_goes_into_a_pipe_but_on_a_terminal_only_if_asked(self, command):
        assert command("stats", "--html")[1].out.startswith("<!DOCTYPE html>")
        code, screen = command("stats", "--html", is_terminal=True)
        assert (code, screen.out) == (ExitCode.USAGE, "")
        assert "--out statistics.html" in screen.err
        _, screen = command("stats", "--html", "--out", "-", is_terminal=True)
        assert screen.out.startswith("<!DOCTYPE html>")

    def test_prometheus_gets_the_series_of_every_kind_of_call(self, command):
        code, screen = command("stats", "--prometheus")
        families = {family.name: family.samples for family in text_string_to_metric_families(screen.out)}
        assert (code, screen.err) == (ExitCode.DONE, "")
        # How many there are is up to the clock: it counts from midnight.
        assert [tuple(sample.labels.values()) for sample in families["chatcli_calls"]] == [
            ("gpt-5-mini", "api.openai.com", "answer", "ok"),
            ("gpt-5-mini", "api.openai.com", "answer", "timeout"),
            ("smollm2", "127.0.0.1", "answer", "ok"),
        ]
        assert families["chatcli_call_duration_seconds"]

    def test_a_file_for_prometheus_is_replaced_as_a_whole(self, command, tmp_path):
        path = tmp_path / "chatcli.prom"
        for _ in range(2):
            code, screen = command("stats", "--prometheus", "--out", path, "--force", "-q")
            assert (code, screen.out, screen.err) == (ExitCode.DONE, "", "")
        assert path.read_text().startswith("# HELP chatcli_calls_total ")
        assert [each.name for each in tmp_path.glob("*.prom*")] == ["chatcli.prom"]

    def test_a_file_that_cannot_be_written_is_an_error(self, command, tmp_path):
        code, screen = command("stats", "--html", "--out", tmp_path / "nowhere" / "week.html")
        assert code == ExitCode.LOCAL_IO
        assert "cannot write" in screen.err

    def test_names_that_have_no_calls_are_said(self, command):
        code, screen = command("stats", "--model", "gpt-9")
        assert (code, screen.out) == (ExitCode.DONE, "")
        assert screen.err.splitlines() == [
            "no calls of gpt-9 in the last 7 days",
            "chatcli stats --by model lists the names",
        ]


def test_without_a_call_a_person_is_told_so(command, tmp_path):
    code, screen = command("stats")
    assert (code, screen.out) == (ExitCode.DONE, "")
    assert screen.err.splitlines() == [
        "no calls in the last 7 days",
        "none has been measured yet: ask something first",
    ]
    assert not (tmp_path / "data").exists()


def test_where_conversations_are_not_saved_no_call_will_be_there_either(command):

    assert "so their calls are not kept" in command("stats", CHATCLI_SAVE="off")[1].err


def test_without_a_call_a_program_gets_its_form_all_the_same(command):
    assert json.loads(command("stats", "-o", "json")[1].out)["total"]["calls"] == 0
    assert command("stats", "-o", "csv")[1].out.startswith("model,calls,")
    assert "No calls in this period." in command("stats", "--html")[1].out
    assert command("stats", "--prometheus")[1].out == ""
    assert command("stats", "-q")[1].err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--since", "soon"), "'soon' is not a time"),
        (("--until", "7"), "'7' is not a time"),
        (("--since", "1h", "--until", "2h"), "1h is not before 2h"),
        (("--by", "weather"), "--by"),
        (("--watch", "never"), "--watch must be a time"),
        (("--watch", "-o", "csv"), "--watch and -o csv cannot be combined"),
        (("--watch", "--html"), "--watch and -o html cannot be combined"),
        (("--watch", "--out", "week.txt"), "--watch and --out cannot be combined"),
        (("--prometheus", "--since", "1h"), "--prometheus and --since cannot be combined"),
        (("--prometheus", "--by", "day"), "--prometheus and --by cannot be combined"),
        (("--prometheus", "--watch"), "--prometheus and --watch cannot be combined"),
        (("-o", "picture"), "-o"),
        (("yesterday",), "yesterday"),
    ],
)
def test_what_makes_no_sense_is_refused(command, arguments, message):
    code, screen = command("stats", *arguments)
    assert code == ExitCode.USAGE
    assert message in screen.err


def test_a_file_of_calls_that_is_a_folder_is_an_error(command, tmp_path):
    (tmp_path / "data" / FILE_NAME).mkdir(parents=True)
    code, screen = command("stats")
    assert code == ExitCode.LOCAL_IO
    assert FILE_NAME in screen.err
