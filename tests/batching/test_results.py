"""Results as records: what is written is what is read, by the next run and by other programs."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.batching.results import BatchResult, JsonLines, ResultTable
from chatcli.core.errors import RateLimited
from chatcli.core.events import CitedSource, Usage
from chatcli.core.messages import ToolCallPart

texts = st.text(st.sampled_from("a,;\"\n\t\r=+-@'1. é\u202e\x1b\ud800😀"), max_size=8) | st.text(max_size=8)
results = st.builds(
    BatchResult,
    st.none() | texts | st.integers(),
    st.integers(0, 1 << 30),
    texts,
    st.none() | st.builds(RateLimited, texts),
    st.none() | st.just("stop"),
    st.just(Usage(1, 2)),
    digest=st.integers(1, (1 << 64) - 1),
    values=st.tuples(texts, texts),
)
formats = st.sampled_from(
    [
        JsonLines(),
        ResultTable(("w", "text")),
        ResultTable(("id", "w"), delimiter="\t"),
        ResultTable(("w", "x"), asked_for=("data", "sources")),
    ]
)


def read_with_csv(table, *written, delimiter=","):
    content = table.header + b"".join(table.record(each, str) for each in written)
    return list(csv.DictReader(io.StringIO(content.decode(), newline=""), delimiter=delimiter))


@given(st.lists(results, max_size=4), formats)
def test_each_result_is_one_record(found, format_):
    content = b"".join(format_.record(each, str) for each in found)
    file = io.BytesIO(content)
    records = list(iter(lambda: format_.read(file), b""))
    assert b"".join(records) == content
    stored = [format_.stored(record) for record in records]
    assert stored == [(each.index, each.digest, each.error is not None) for each in found]


@given(results, formats, st.data())
def test_a_record_that_is_cut_is_torn_and_no_result(result, format_, data):
    record = format_.record(result, str)
    torn = record[: data.draw(st.integers(1, len(record) - 2))]
    file = io.BytesIO(torn)
    assert format_.read(file) == torn
    assert format_.is_torn(torn)
    assert format_.stored(torn) is None


@given(st.lists(results, max_size=4), st.sampled_from([",", "\t"]))
def test_a_table_is_read_by_others_and_no_cell_is_a_formula(found, delimiter):
    rows = read_with_csv(ResultTable(("w", "note"), delimiter=delimiter), *found, delimiter=delimiter)
    assert [(int(row["index"]), int(row["input_digest"], 16)) for row in rows] == [
        (each.index, each.digest) for each in found
    ]
    for row in rows:
        for cell in row.values():
            assert cell is not None
            assert cell[:1] not in ("=", "@", "\t", "\r", "\n")
            assert not cell.startswith(("+", "-")) or re.fullmatch(r"[+-][0-9][0-9.,eE%+\s-]*", cell)
            assert "\x1b" not in cell


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("Paris", "Paris"),
        ('say "hi",\nthen go', 'say "hi",\nthen go'),
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("@SUM(1)", "'@SUM(1)"),
        ("-2+3", "'-2+3"),
        ("- a list", "'- a list"),
        ("\t=1", "'\t=1"),
        ("-5", "-5"),
        ("+1.5e3", "+1.5e3"),
        ("-12,5 %", "-12,5 %"),
        ("a\x1b[31m", "a␛[31m"),
    ],
)
def test_a_text_stays_a_text(text, cell):
    (row,) = read_with_csv(ResultTable(("word",)), BatchResult(None, 0, text, digest=1, values=(text,)))
    assert row["text"] == row["word"] == cell


def test_columns_of_the_input_keep_their_names():
    header = ResultTable(("id", "text", "result_text", "model")).header.decode()
    assert header == (
        "id,text,result_text,model,result_result_text,error,error_code,finish_reason,input_tokens,output_tokens,"
        "cached_tokens,reasoning_tokens,latency_s,attempts,cost_usd,result_model,cached,refusal,tool_calls,"
        "index,input_digest\n"
    )


def test_values_and_sources_are_json_in_columns_of_a_table_that_asks_for_them():
    table = ResultTable(("data",), asked_for=["data", "sources"])
    sources = (CitedSource(1, "A page", url="https://example.org"),)
    found = BatchResult(None, 4, "{}", digest=1, values=("mine",), data={"name": "Łucja, 4"}, sources=sources)
    (row,) = read_with_csv(table, found)
    assert (row["data"], row["result_data"]) == ("mine", '{"name": "Łucja, 4"}')
    assert json.loads(row["sources"]) == [{"n": 1, "title": "A page", "url": "https://example.org"}]
    assert table.stored(table.record(found, str)) == (4, 1, False)
    (empty,) = read_with_csv(table, BatchResult(None, 0, digest=1, values=("",), data=[]))
    assert (empty["result_data"], empty["sources"]) == ("[]", "")


def test_a_row_that_failed_says_why_without_keys():
    table = ResultTable()
    failed = BatchResult("r", 3, "part", RateLimited("slow down, sk-1"), digest=10)
    record = table.record(failed, lambda text: text.replace("sk-1", "***"))
    assert record.startswith(b'r,part,"slow down, ***",rate_limited,,')
    assert record.endswith(b",3,000000000000000a\n")


def test_tool_calls_are_json_in_their_cell():
    called = BatchResult(None, 0, tool_calls=(ToolCallPart("1", "look", "{}"),), digest=1)
    (row,) = read_with_csv(ResultTable(), called)
    assert row["tool_calls"] == '[{"id": "1", "name": "look", "arguments": "{}"}]'
