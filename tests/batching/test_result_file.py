"""The output file: what a crash leaves of it, and what the next run makes of that."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.batching.result_file import DoneRows, ResultFile
from chatcli.batching.results import BatchResult, JsonLines, ResultTable
from chatcli.core.errors import LocalIOError, RateLimited, UsageError
from chatcli.core.events import Usage

TABLE = ResultTable(("word", "note"))
FORMATS = {"jsonl": JsonLines(), "csv": TABLE}


def result(index, *, error=None, text="answer"):
    return BatchResult(
        *(f"r{index}", index, text, error, "stop", Usage(1, 2), 0.5), digest=index + 1, values=("a", '"b"\n')
    )


def written(path, *results, format_=None, in_order=True, **options):
    file = ResultFile(path, format_)
    file.open(**options)
    try:
        file.drop_failed()
        file.append(results)
        file.finish(in_order=in_order)
    finally:
        file.close()
    return file


def indexes(path):
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            return [int(row["index"]) for row in csv.DictReader(file)]
    return [json.loads(line)["index"] for line in path.read_text("utf-8").splitlines()]


FAILED = RateLimited("slow down", hint="later", status=429, request_id="q")


@given(
    st.permutations(range(12)),
    st.tuples(st.integers(0, 12), st.integers(0, 400)),
    st.sampled_from(sorted(FORMATS)),
    st.sampled_from(["answer", 'two\nlines, "quoted"\n', '"', "=1"]),
)
def test_wherever_a_run_is_killed_every_row_ends_up_once_and_in_order(
    tmp_path_factory, order, cut, suffix, text
):
    count, torn = cut
    path, format_ = tmp_path_factory.mktemp("out") / f"out.{suffix}", FORMATS[suffix]
    written(path, *(result(index, text=text) for index in order[:count]), format_=format_, in_order=False)
    content = path.read_bytes()
    path.write_bytes(content[: max(0, len(content) - torn)])
    file = ResultFile(path, format_)
    file.open(resumes=True)
    missing = [index for index in range(12) if not file.done.is_done(index, index + 1)]
    assert len(missing) == 12 - file.done.count
    file.append(map(result, missing))
    file.finish(in_order=True)
    file.close()
    assert indexes(path) == list(range(12))


def test_a_line_is_what_scripts_know(tmp_path):
    path = tmp_path / "out.jsonl"
    written(path, result(3, error=FAILED, text="par\u202etial\x1b"))
    assert path.read_text() == (
        '{"id": "r3", "index": 3, "text": "par\\u202etial\\u001b", "error": {"code": "rate_limited", '
        '"message": "slow down", "hint": "later", "status": 429, "request_id": "q", "call_id": null}, "finish_reason": "stop", '
        '"usage": {"input_tokens": 1, "output_tokens": 2, "cached_tokens": null, "reasoning_tokens": null, '
        '"estimated": false}, "latency_s": 0.5, "attempts": 1, "cost_usd": null, "model": null, "cached": false, '
        '"refusal": null, "tool_calls": [], "input_digest": "0000000000000004", "data": null}\n'
    )


def test_failed_rows_are_dropped_in_one_step(tmp_path):
    path = tmp_path / "out.jsonl"
    written(path, result(0), result(1, error=FAILED), result(2))
    path.chmod(0o640)
    file = ResultFile(path)
    file.open(resumes=True, retries_failed=True)
    assert indexes(path) == [0, 1, 2]  # the run may still be refused
    file.drop_failed()
    assert indexes(path) == [0, 2]
    assert [file.done.is_done(index, index + 1) for index in range(3)] == [True, False, True]
    assert file.done.failed == 0
    file.append([result(1)])
    file.finish(in_order=True)
    file.close()
    assert indexes(path) == [0, 1, 2]
    assert path.stat().st_mode & 0o777 == 0o640
    assert [other.name for other in tmp_path.iterdir()] == ["out.jsonl"]


def test_failed_rows_that_stay_are_counted(tmp_path):
    path = tmp_path / "out.jsonl"
    written(path, result(0), result(1, error=FAILED))
    assert written(path, resumes=True).done.failed == 1


@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_failed_rows_leave_either_format(tmp_path, suffix):
    path = tmp_path / f"out.{suffix}"
    written(path, result(1, error=FAILED), result(0), format_=FORMATS[suffix], in_order=False)
    assert written(path, format_=FORMATS[suffix], resumes=True).done.failed == 1
    written(path, format_=FORMATS[suffix], resumes=True, retries_failed=True)
    assert indexes(path) == [0]


@pytest.mark.parametrize("content", [b"", TABLE.header, TABLE.header[:20]])
def test_a_table_without_rows_is_no_results(tmp_path, content):
    path = tmp_path / "out.csv"
    path.write_bytes(content)
    written(path, result(0), format_=TABLE)
    assert indexes(path) == [0]


@pytest.mark.parametrize("content", [b"word,count\na,1\n", ResultTable(("word",)).header + b"a\n", b"notes"])
def test_a_table_with_other_columns_stays_as_it_is(tmp_path, content):
    path = tmp_path / "out.csv"
    path.write_bytes(content)
    for options in ({}, {"resumes": True}):
        with pytest.raises(UsageError):
            ResultFile(path, TABLE).open(**options)
    assert path.read_bytes() == content


@pytest.mark.skipif(os.name == "nt", reason="Windows deletes no open file")
@pytest.mark.parametrize("suffix", sorted(FORMATS))
class TestAFileThatIsGone:
    def file(self, tmp_path, suffix):
        path = tmp_path / "results" / f"out.{suffix}"
        path.parent.mkdir()
        notices = []
        file = ResultFile(path, FORMATS[suffix], notify=notices.append)
        file.open()
        file.append([result(2)])
        return path, file, notices

    def finish(self, file):
        file.append([result(1)])
        file.append([result(0)])
        file.finish(in_order=True)
        file.close()

    def test_is_written_anew(self, tmp_path, suffix):
        path, file, notices = self.file(tmp_path, suffix)
        path.unlink()
        self.finish(file)
        assert indexes(path) == [0, 1, 2]
        assert notices == [f"{path} was deleted or moved; the results are in it again"]

    def test_is_written_anew_with_its_folder(self, tmp_path, suffix):
        path, file, notices = self.file(tmp_path, suffix)
        path.unlink()
        path.parent.rmdir()
        self.finish(file)
        assert indexes(path) == [0, 1, 2]
        assert len(notices) == 1

    def test_leaves_another_file_in_its_place_alone(self, tmp_path, suffix):
        path, file, notices = self.file(tmp_path, suffix)
        (tmp_path / "other").write_text("precious")
        (tmp_path / "other").replace(path)
        self.finish(file)
        assert path.read_text() == "precious"
        assert file.path.suffix == path.suffix
        assert indexes(file.path) == [0, 1, 2]
        assert notices == [f"{path} is another file now; the results are in {file.path}"]

    def test_is_still_locked(self, tmp_path, suffix):
        path, file, _ = self.file(tmp_path, suffix)
        path.unlink()
        file.append([result(1)])
        with pytest.raises(UsageError, match="another batch is writing"):
            ResultFile(path, FORMATS[suffix]).open(resumes=True)
        file.close()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no named pipes of this kind")
def test_results_go_into_files_only_or_nowhere(tmp_path):
    written(Path(os.devnull), result(1), result(0))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LocalIOError, match="not a file"):
        ResultFile(tmp_path / "pipe").open()


@pytest.mark.parametrize("content", ["notes\n", "notes", '{"a": 1}\n', '{"id": 1}\n{"id'])
def test_a_file_of_somebody_else_stays_as_it_is(tmp_path, content):
    path = tmp_path / "out.jsonl"
    path.write_text(content)
    for options in ({}, {"resumes": True}):
        with pytest.raises(UsageError):
            ResultFile(path).open(**options)
    assert path.read_text() == content


def test_a_file_has_one_writer(tmp_path):
    path = tmp_path / "out.jsonl"
    first = ResultFile(path)
    first.open()
    with pytest.raises(UsageError, match="another batch is writing"):
        ResultFile(path).open(resumes=True)
    first.close()
    ResultFile(path).open(resumes=True)


def test_another_input_is_noticed():
    done = DoneRows()
    done.add(5, 77)
    assert done.is_done(5, 77)
    assert not done.is_done(4, 1)
    assert not done.is_done(1_000_000, 1)
    with pytest.raises(UsageError, match="row 5 is another one"):
        done.is_done(5, 78)


def test_results_of_rows_that_the_input_has_no_more_are_not_among_its_own():
    done = DoneRows()
    for index in (0, 2, 7):
        done.add(index, 77)
    assert [done.count_within(total) for total in (0, 3, 5, 9, None)] == [0, 2, 2, 3, 3]


def test_zeros_after_a_power_cut_are_a_torn_line(tmp_path):
    path = tmp_path / "out.jsonl"
    written(path, result(0), result(1))
    path.write_bytes(path.read_bytes() + bytes(500))
    written(path, result(2), resumes=True)
    assert indexes(path) == [0, 1, 2]


def test_a_damaged_line_is_to_be_removed_and_not_the_whole_file(tmp_path):
    path = tmp_path / "out.jsonl"
    written(path, result(0), result(1), result(2))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:20] + b"\n" + lines[2])
    with pytest.raises(UsageError, match="line 2: not a result") as caught:
        ResultFile(path).open(resumes=True)
    assert caught.value.hint.startswith("remove that line")
