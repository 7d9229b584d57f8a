"""The tables of calls in SQLite: what a call is as a row, and what the calls of a period are as a blob."""

from __future__ import annotations

import math
import sqlite3
import sys
import zlib
from array import array
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.call_records import OK, CallRecord
from chatcli.telemetry.tallies import NOTHING, CallKind, CallSlice, CallSums, Distribution

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

TABLES: Final = """
CREATE TABLE IF NOT EXISTS kinds (
    id INTEGER PRIMARY KEY, endpoint TEXT NOT NULL, model TEXT NOT NULL, operation TEXT NOT NULL, outcome TEXT NOT NULL,
    profile TEXT NOT NULL, is_cache_hit INTEGER NOT NULL,
    UNIQUE (endpoint, model, operation, outcome, profile, is_cache_hit)
);
CREATE TABLE IF NOT EXISTS calls (
    at_us INTEGER PRIMARY KEY, kind INTEGER NOT NULL, attempts INTEGER NOT NULL, retry_wait_ms INTEGER NOT NULL,
    limit_wait_ms INTEGER NOT NULL, ttft_ms INTEGER, latency_ms INTEGER, input_tokens INTEGER, cached_tokens INTEGER,
    output_tokens INTEGER, cost INTEGER, sent_bytes INTEGER NOT NULL, received_bytes INTEGER NOT NULL, findings INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS periods (
    start_us INTEGER NOT NULL, end_us INTEGER NOT NULL, outcomes BLOB NOT NULL, slices BLOB NOT NULL,
    PRIMARY KEY (start_us, end_us)
);
"""
"""A call is at the microsecond it began, which is its key: in the order of time without an index, at 45 bytes a row.

A period holds what the calls in it come to, of each kind and of each outcome, so that they are added up once. It is right whatever the time zone it was made
for, and is deleted when a call is added to it.
"""

CHECKS: Final = (
    "SELECT id, endpoint, model, operation, outcome, profile, is_cache_hit FROM kinds LIMIT 1",
    (
        "SELECT at_us, kind, attempts, retry_wait_ms, limit_wait_ms, ttft_ms, latency_ms, input_tokens, cached_tokens,"
        " output_tokens, cost, sent_bytes, received_bytes, findings FROM calls LIMIT 1"
    ),
    "SELECT start_us, end_us, outcomes, slices FROM periods LIMIT 1",
)
"""They fail where the tables are those of something else, or the beginning of the file is damaged."""

_VALUES: Final = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ROW: Final = f"INSERT INTO calls VALUES {_VALUES} ON CONFLICT (at_us) DO NOTHING"  # noqa: S608 - constants
ROWS_AT_ONCE: Final = 64
"""SQLite lets go of Python's interpreter for each statement, and the rows of a batch would wait for it to come back. Up to 999 values
may be in one, in old versions."""
_ROWS: Final = f"INSERT INTO calls VALUES {', '.join([_VALUES] * ROWS_AT_ONCE)}"  # noqa: S608 - constants
_RECENT: Final = (
    "SELECT calls.*, endpoint, model, operation, outcome, profile, is_cache_hit FROM calls JOIN kinds ON kind = id"
    " WHERE at_us < ? ORDER BY at_us DESC LIMIT ?"
)
_WAS_STREAMED: Final = "latency_ms > ttft_ms AND output_tokens IS NOT NULL"
# One pass over the calls, which are sorted by kind: the times are joined as text and sorted here.
_SLICES: Final = f"""
SELECT kind, group_concat(latency_ms), group_concat(ttft_ms), count(*), sum(attempts), sum(max(attempts - 1, 0)),
    sum(retry_wait_ms), sum(limit_wait_ms), coalesce(sum(input_tokens), 0), coalesce(sum(cached_tokens), 0),
    coalesce(sum(output_tokens), 0), coalesce(sum(cost), 0), sum(cost IS NULL), sum(sent_bytes), sum(received_bytes), sum(findings),
    sum(CASE WHEN {_WAS_STREAMED} THEN output_tokens ELSE 0 END), sum(CASE WHEN {_WAS_STREAMED} THEN latency_ms - ttft_ms ELSE 0 END)
FROM calls WHERE at_us >= ? AND at_us < ? GROUP BY kind
"""  # noqa: S608 - a constant

_LONGEST_NAME: Final = 200
_LONGEST_MS: Final = 2**32 - 1
_MOST: Final = 10**12
_NANODOLLARS: Final = 10**9
_HIGHEST_COST: Final = 10_000 * _NANODOLLARS
"""Sums of a million such values still fit the 64 bits of SQLite."""

LATEST_US: Final = 250_000_000_000_000_000
"""In the year 9892: no call begins later."""

_HEADER: Final = len(CallSums._fields) + 5


def microseconds(at_s: float) -> int:
    """Return a time as a key, the nearest there is to it."""
    return round(min(max(at_s, 0.0), LATEST_US / 1e6) * 1e6) if not math.isnan(at_s) else 0


def kind_of(call: CallRecord) -> CallKind:
    return CallKind(
        endpoint=_name(call.endpoint),
        model=_name(call.asked_model),
        operation=_name(call.operation),
        outcome=_name(call.outcome),
        profile=_name(call.profile),
        is_cache_hit=bool(call.is_cache_hit),
    )


def kind_number(connection: sqlite3.Connection, kind: CallKind) -> int:
    """Return the number of ``kind``, which gets one if it has none."""
    connection.execute(
        "INSERT INTO kinds (endpoint, model, operation, outcome, profile, is_cache_hit) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        kind,
    )
    found = connection.execute(
        "SELECT id FROM kinds WHERE endpoint = ? AND model = ? AND operation = ? AND outcome = ? AND profile = ? AND is_cache_hit = ?",
        kind,
    ).fetchone()
    return int(found[0])


def kinds(connection: sqlite3.Connection) -> dict[int, CallKind]:
    rows = connection.execute(
        "SELECT id, endpoint, model, operation, outcome, profile, is_cache_hit FROM kinds"
    )
    return {number: CallKind._make(kind) for number, *kind in rows}


def values_of(call: CallRecord, kind: int) -> tuple[int | None, ...]:
    """Return the columns of a call behind its time."""
    return (
        kind,
        _amount(call.attempts),
        _milliseconds(call.retry_wait_s) or 0,
        _milliseconds(call.limit_wait_s) or 0,
        _milliseconds(call.ttft_s),
        _milliseconds(call.latency_s),
        _known(call.input_tokens),
        _known(call.cached_tokens),
        _known(call.output_tokens),
        _cost(call.cost_usd),
        _amount(call.sent_bytes),
        _amount(call.received_bytes),
        _amount(call.findings),
    )


def insert(connection: sqlite3.Connection, at_us: int, values: tuple[int | None, ...]) -> int:
    """Store a call at ``at_us`` or the next microsecond that is free; return which that is."""
    while not connection.execute(_ROW, (at_us, *values)).rowcount:
        at_us += 1
    return at_us


def insert_at_once(
    connection: sqlite3.Connection, rows: Sequence[tuple[int, tuple[int | None, ...]]]
) -> bool:
    """Store ``ROWS_AT_ONCE`` calls at their times; return whether all of these were free, else nothing is stored."""
    try:
        connection.execute(_ROWS, [value for at_us, values in rows for value in (at_us, *values)])
    except sqlite3.IntegrityError:
        return False
    return True


def recent(connection: sqlite3.Connection, before_us: int, most: int) -> list[CallRecord]:
    """Return the last calls, newest first."""
    return [_record(row) for row in connection.execute(_RECENT, (before_us, most))]


def slices_of_calls(
    connection: sqlite3.Connection, start_us: int, end_us: int, kinds: Mapping[int, CallKind]
) -> list[CallSlice]:
    """Return what the calls from ``start_us`` to before ``end_us`` come to; times count of those that succeeded.

    Raise an ``sqlite3.DatabaseError`` of damage if a row holds anything but numbers.
    """
    slices = []
    for kind, latencies, ttfts, *sums in connection.execute(_SLICES, (start_us, end_us)):
        has_times = kind not in kinds or kinds[kind].outcome == OK
        try:
            distributions = (
                (_distribution(latencies), _distribution(ttfts)) if has_times else (NOTHING, NOTHING)
            )
        except (ValueError, OverflowError) as error:
            raise _damage() from error
        if not all(isinstance(each, int) for each in sums):
            raise _damage()
        slices.append(CallSlice(kind, CallSums._make(sums), *distributions))
    return slices


def _damage() -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError("a call holds values that are no numbers")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def packed(slices: Sequence[CallSlice]) -> bytes:
    """Return slices as a blob: their numbers, then their distributions, compressed."""
    header = array("q", [len(slices)])
    times = array("I")
    for each in slices:
        header.extend((each.kind, *each.sums))
        for distribution in (each.latencies, each.ttfts):
            header.extend((len(distribution.values), distribution.total))
            times += distribution.values
            if len(distribution.values) != distribution.total:
                times.extend(distribution.counts_up_to)
    return zlib.compress(b"".join(_little_endian(each).tobytes() for each in (header, times)), 1)


def unpacked(blob: bytes) -> list[CallSlice]:
    """Return the slices of a blob; raise ``ValueError`` if it is damaged."""
    try:
        content = memoryview(zlib.decompress(blob))
        (count,) = _little_endian(array("q", content[:8].tobytes()))
        size = 8 + count * _HEADER * 8
        header = _little_endian(array("q", content[8:size].tobytes())).tolist()
        times = _little_endian(array("I", content[size:].tobytes()))
    except (zlib.error, TypeError, ValueError, OverflowError) as error:
        raise ValueError(str(error)) from error
    return list(_slices(header, times))


def _slices(header: Sequence[int], times: array[int]) -> Iterator[CallSlice]:
    begin = 0
    for start in range(0, len(header), _HEADER):
        kind, *sums, latencies, all_latencies, ttfts, all_ttfts = header[start : start + _HEADER]
        latency, begin = _distribution_at(times, begin, latencies, all_latencies)
        ttft, begin = _distribution_at(times, begin, ttfts, all_ttfts)
        yield CallSlice(kind, CallSums._make(sums), latency, ttft)
    if begin != len(times):
        raise ValueError("the distributions have another length")


def _distribution_at(times: array[int], begin: int, values: int, count: int) -> tuple[Distribution, int]:
    if not values:
        return NOTHING, begin
    middle = begin + values
    if values == count:
        return Distribution(times[begin:middle], range(count + 1)), middle
    end = middle + values + 1
    return Distribution(times[begin:middle], times[middle:end]), end


def _little_endian(numbers: array[int]) -> array[int]:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _distribution(joined: str | None) -> Distribution:
    return Distribution.of(map(int, joined.split(",")) if joined else ())


def _record(row: Iterable[Any]) -> CallRecord:
    (
        at_us,
        _,
        attempts,
        retry_wait,
        limit_wait,
        ttft,
        latency,
        *amounts,
        endpoint,
        model,
        operation,
        outcome,
        profile,
        hit,
    ) = row
    input_tokens, cached_tokens, output_tokens, cost, sent_bytes, received_bytes, findings = amounts
    return CallRecord(
        at_us / 1e6,
        *(endpoint, model, operation, outcome, profile, attempts, retry_wait / 1000, limit_wait / 1000),
        ttft_s=None if ttft is None else ttft / 1000,
        latency_s=None if latency is None else latency / 1000,
        input_tokens=input_tokens,
        cached_tokens=cached_tokens,
        output_tokens=output_tokens,
        cost_usd=None if cost is None else cost / _NANODOLLARS,
        is_cache_hit=bool(hit),
        sent_bytes=sent_bytes,
        received_bytes=received_bytes,
        findings=findings,
    )


def _name(text: str) -> str:
    # SQLite takes no half of a surrogate pair.
    return text[:_LONGEST_NAME].encode("utf-8", "replace").decode("utf-8")


def _amount(number: float) -> int:
    return int(min(max(number, 0), _MOST))


def _known(number: int | None) -> int | None:
    return None if number is None else _amount(number)


def _milliseconds(time_s: float | None) -> int | None:
    if time_s is None or math.isnan(time_s):
        return None
    return round(min(max(time_s * 1000, 0), _LONGEST_MS))


def _cost(cost_usd: float | None) -> int | None:
    if cost_usd is None or math.isnan(cost_usd):
        return None
    return round(min(max(cost_usd * _NANODOLLARS, 0), _HIGHEST_COST))
