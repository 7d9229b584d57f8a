"""Every line that is not blank is one record, whatever its bytes."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.batching import input_rows
from chatcli.batching.input_rows import InputRecords
from chatcli.batching.row_requests import RequestDefaults, RowReader
from chatcli.core.errors import UsageError
from chatcli.core.request import Parameters

DEFAULTS = RequestDefaults("small", Parameters())


def records_of(content, name="", **options):
    return list(InputRecords(io.BytesIO(content), name, **options))


def written_lines(content):
    return [line for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip()]


lines = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.just(b"  "),
        st.just(b'{"prompt": "hi"}\r'),
        st.from_regex(rb'\{"(prompt|messages|id)": [\[\]{}"a-z0-9, ]{0,12}\}', fullmatch=True),
    ),
    max_size=12,
).map(b"\n".join)


@given(lines, st.sampled_from(["jsonl", "text"]), st.booleans())
def test_each_line_that_is_not_blank_gives_exactly_one_row(content, format_, has_bom):
    content = b"\xef\xbb\xbf" * has_bom + content
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return
    records = records_of(content, format_=format_)
    assert len(records) == len(written_lines(content))
    assert [record.position for record in records] == list(range(len(records)))
    reader = RowReader(DEFAULTS)
    for record in records:
        row = reader.row(record)
        assert (row.request is None) != (row.error is None)
        assert 0 < row.digest < 1 << 64


@given(st.binary(max_size=200))
def test_a_table_of_any_bytes_gives_rows_or_says_what_is_wrong(content):
    try:
        records = records_of(content, format_="csv")
    except UsageError:
        return
    assert len(records) <= content.count(b"\n") + 1
    assert all(record.problem or record.fields for record in records)


@given(
    st.lists(
        st.tuples(st.text(min_size=1), st.text(min_size=1)).filter(lambda row: "\x00" not in "".join(row))
    )
)
def test_what_csv_writes_is_what_is_read(rows):
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([("a", "b"), *rows])
    found = records_of(file.getvalue().encode(), "in.csv")
    assert [(record.fields["a"], record.fields["b"]) for record in found] == rows


def test_line_numbers_are_those_of_an_editor():
    found = records_of(b'\n\n{"prompt": "a"}\n\n{broken\n', "x.jsonl")
    assert [record.line for record in found] == [3, 5]
    assert found[1].problem == "line 5 is not JSON"
    table = records_of(b'a,b\n\n1,"2\n3"\n1\n4,5\n', "x.csv")
    assert [(record.line, record.problem) for record in table] == [
        (3, None),
        (5, "line 5 has 1 field, the header 2"),
        (6, None),
    ]


@pytest.mark.parametrize(
    ("name", "content", "format_"),
    [
        ("a.JSONL", b"x", "jsonl"),
        ("a.csv", b"x", "csv"),
        ("a.dat", b'\n{"prompt": 1}', "jsonl"),
        ("a.dat", b"{} and more", "text"),
        ("", b"hello", "text"),
        ("", b"", "jsonl"),
    ],
)
def test_the_format_follows_from_the_name_or_the_content(name, content, format_):
    assert InputRecords(io.BytesIO(content), name).format == format_


def test_the_digest_follows_the_content_and_the_prompt():
    one, other = records_of(b'{"a": 1}\r\n{"a": 2}\n', "x.jsonl")
    assert one.digest != other.digest
    assert records_of(b'\xef\xbb\xbf  {"a": 1}', "x.jsonl")[0].digest == one.digest
    assert records_of(b'{"a": 1}', "x.jsonl", salt="Translate")[0].digest != one.digest


@given(
    st.lists(st.text(st.sampled_from("aé,;\u3042中Ж€😀 \x85\u2028\r"), max_size=8), max_size=6),
    st.sampled_from(["utf_16", "utf_16_le", "utf_32", "gb18030", "shift_jis", "cp1252", "utf_8_sig"]),
    st.sampled_from(["text", "csv"]),
    st.integers(1, 9),
)
def test_another_encoding_gives_the_same_records(texts, encoding, format_, chunk_bytes):
    class Pipe(io.BytesIO):
        """Gives a few bytes at a time."""

        def read1(self, _):
            return self.read(chunk_bytes)

    text = "\n".join(["head", *texts]).encode(encoding, "ignore").decode(encoding)
    content = text.encode(encoding)
    found = list(InputRecords(Pipe(content), "", format_=format_, encoding=encoding))
    assert found == records_of(text.encode(), format_=format_)


def test_utf_16_is_known_by_its_byte_order_mark():
    assert [record.fields for record in records_of("cat\n犬".encode("utf-16"))] == [
        {"text": "cat"},
        {"text": "犬"},
    ]


def test_bytes_that_the_encoding_does_not_have_make_one_bad_row():
    records = records_of(
        "犬\n".encode("shift_jis") + b"\x81\xff\ncat\n", encoding="shift_jis", format_="text"
    )
    assert [record.problem for record in records] == [None, "line 2 is not SHIFT-JIS", None]
    table = records_of(b"word\n\xa5\xd0\nx\x81\n", encoding="cp1252", format_="csv")
    assert [record.problem for record in table] == [None, "line 3 is not CP1252"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            'w,x\na,1\n"b,2\nc,3\nd,4\n',
            "line 3 has a quote that is not closed, and takes in the 2 lines after it",
        ),
        ('w,x\na,1\nb,"2', "line 3 has a quote that is not closed"),
        ('w,x\na,1\n"b\n\n"",2', "line 3 has a quote that is not closed, and takes in the 2 lines after it"),
    ],
)
def test_a_table_that_ends_in_an_open_quote_says_where_it_begins(content, problem):
    good, bad = records_of(content.encode(), format_="csv")
    assert (good.problem, bad.problem, bad.fields) == (None, problem, {})


@pytest.mark.parametrize("content", ['w\n"a"', 'w\n5" x\n', 'w\n"a\n\nb"\n\n', 'w\na\n""', "w\na"])
def test_quotes_that_are_closed_or_are_none_are_fine(content):
    assert {record.problem for record in records_of(content.encode(), format_="csv")} <= {None}


def test_a_line_beyond_all_measure_is_one_bad_row(monkeypatch):
    monkeypatch.setattr(input_rows, "LONGEST_LINE_BYTES", 20)
    found = records_of(b'{"a": 1}\n' + b"x" * 50 + b'\n{"a": 2}\n', "x.jsonl")
    assert [record.problem for record in found] == [None, "line 2 is longer than 20 bytes", None]


def test_a_row_of_json_keeps_its_values():
    value = {"id": "é", "prompt": "a\u2028b", "n": [1, None]}
    (record,) = records_of(json.dumps(value, ensure_ascii=False).encode(), "x.jsonl")
    assert record.fields == value
