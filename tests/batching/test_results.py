"""The output file: what a crash leaves of it, and what the next run makes of that."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.batching.results import BatchResult, DoneRows, ResultFile
from chatcli.core.errors import RateLimited, UsageError
from chatcli.core.events import Usage


def result(index, *, error=None, text="answer"):
    return BatchResult(f"r{index}", index, text, error, "stop", Usage(1, 2), 0.5, digest=index + 1)


def written(path, *results, in_order=True, **options):
    file = ResultFile(path)
    file.open(**options)
    try:
        file.append(results)
        file.finish(in_order=in_order)
    finally:
        file.close()
    return file


def indexes(path):
    return [json.loads(line)["index"] for line in path.read_text("utf-8").splitlines()]


FAILED = RateLimited("slow down", hint="later", status=429, request_id="q")


@given(st.permutations(range(12)), st.integers(0, 12), st.integers(0, 200))
def test_wherever_a_run_is_killed_every_row_ends_up_once_and_in_order(tmp_path_factory, order, count, torn):
    path = tmp_path_factory.mktemp("out") / "out.jsonl"
    written(path, *(result(index) for index in order[:count]), in_order=False)
    content = path.read_bytes()
    path.write_bytes(content[: max(0, len(content) - torn)])
    file = ResultFile(path)
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
        '"message": "slow down", "hint": "later", "status": 429, "request_id": "q"}, "finish_reason": "stop", '
        '"usage": {"input_tokens": 1, "output_tokens": 2, "cached_tokens": null, "reasoning_tokens": null, '
        '"estimated": false}, "latency_s": 0.5, "attempts": 1, "cost_usd": null, "model": null, "cached": false, '
        '"refusal": null, "tool_calls": [], "input_digest": "0000000000000004"}\n'
    )


def test_failed_rows_are_dropped_in_one_step(tmp_path):
    path = tmp_path / "out.jsonl"
    written(path, result(0), result(1, error=FAILED), result(2))
    path.chmod(0o640)
    file = ResultFile(path)
    file.open(resumes=True, retries_failed=True)
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
